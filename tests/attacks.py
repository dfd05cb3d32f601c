"""What code that runs in a worker may try against the world outside it: each is Python, put behind the lock.

An attack sets ``out`` to what it reached. Where it raises, or is killed, it reached nothing. The names in capitals are
set by ``Target.prelude``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Defined for every attack: ``call`` makes a system call of any number, and raises where it is refused.
PRELUDE = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def checked(result):
    if result in (-1, 0xffffffffffffffff):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
"""


@dataclass(frozen=True)
class Target:
    """What attacks are aimed at, and what must be as it was afterwards."""

    folder: Path
    port: int
    abstract: str
    victim: int
    hits: list[str]

    @property
    def secret(self) -> Path:
        return self.folder / "secret"

    @property
    def written(self) -> Path:
        return self.folder / "written"

    def prelude(self) -> str:
        names = {
            "FOLDER": str(self.folder),
            "SECRET": str(self.secret),
            "WRITTEN": str(self.written),
            "LINK": str(self.folder / "link"),
            "SOCKET": str(self.folder / "socket"),
            "PORT": self.port,
            "ABSTRACT": self.abstract,
            "VICTIM": self.victim,
            "PARENT": os.getpid(),
        }
        return PRELUDE + "".join(f"{name} = {value!r}\n" for name, value in names.items())

    def harm(self) -> list[str]:
        """Say what was touched."""
        status = self.secret.stat()
        found = {
            "the secret was changed": self.secret.read_text() != "TOPSECRET" or status.st_mode & 0o777 != 0o644,
            "its times were changed": (status.st_mtime_ns, status.st_nlink) != (10**18, 1),
            "there are other files": {path.name for path in self.folder.iterdir()} != {"secret", "link", "socket"},
            "a socket was reached": bool(self.hits),
            "the victim is dead": not _alive(self.victim),
        }
        return [what for what, is_so in found.items() if is_so]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "RS"
    except OSError:
        return False


@contextlib.contextmanager
def target(folder: Path) -> Iterator[Target]:
    """Set up what is to stay untouched."""
    hits: list[str] = []
    listeners = []
    (folder / "secret").write_text("TOPSECRET")
    (folder / "secret").chmod(0o644)
    os.utime(folder / "secret", ns=(10**18, 10**18))
    (folder / "link").symlink_to("secret")
    folder.chmod(0o777)  # nothing but the lock keeps anybody from it
    abstract = f"\0lint-reduction-{os.getpid()}-{folder.name}"
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_UNIX, str(folder / "socket")),
        (socket.AF_UNIX, abstract),
    ):
        listener = socket.socket(family)
        listener.bind(address)
        listener.listen(5)
        listeners.append(listener)
        threading.Thread(target=_listen, args=(listener, hits), daemon=True).start()
    (folder / "socket").chmod(0o777)
    victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        yield Target(folder, listeners[0].getsockname()[1], abstract, victim.pid, hits)
    finally:
        victim.kill()
        victim.wait()
        for listener in listeners:
            listener.close()


def _listen(listener: socket.socket, hits: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()
            hits.append("connection")


FILES = {
    "read a file": "out = open(SECRET).read()",
    "read /etc/passwd": "out = open('/etc/passwd').read(20)",
    "read a device": "out = open('/dev/urandom', 'rb').read(4)",
    "write to a device": "open('/dev/null', 'w').write('x'); out = 'written'",
    "the terminal": "out = os.open('/dev/tty', os.O_RDWR)",
    "write a file": "open(WRITTEN, 'w').write('x'); out = 'written'",
    "write beside itself": "open('written', 'w').write('x'); out = 'written'",
    "append to a file": "open(SECRET, 'a').write('x'); out = 'written'",
    "truncate": "os.truncate(SECRET, 0); out = 'truncated'",
    "a name only": "out = os.open(SECRET, os.O_PATH)",
    "a file without a name": "out = os.open(FOLDER, os.O_TMPFILE | os.O_RDWR)",
    "through a symbolic link": "out = open(LINK).read()",
    "through the parent's folder": "out = open(os.path.join(FOLDER, '..', os.path.basename(FOLDER), 'secret')).read()",
    "stat": "out = os.stat(SECRET).st_size",
    "stat through a link": "out = os.lstat(LINK).st_size",
    "whether there is a file": "out = checked(libc.access(SECRET.encode(), 0))",
    "where a link leads": "out = os.readlink(LINK)",
    "where it is": "out = os.getcwd()",
    "list /": "out = os.listdir('/')",
    "list a folder": "out = os.listdir(FOLDER)",
    "scan a folder": "out = [entry.name for entry in os.scandir(FOLDER)]",
    "space on a disk": "out = os.statvfs('/')",
    "unlink": "os.unlink(SECRET); out = 'unlinked'",
    "rename": "os.rename(SECRET, WRITTEN); out = 'renamed'",
    "replace": "os.replace(SECRET, WRITTEN); out = 'replaced'",
    "chmod": "os.chmod(SECRET, 0o777); out = 'changed'",
    "chown": "os.chown(SECRET, 65534, 65534); out = 'changed'",
    "set times": "os.utime(SECRET); out = 'changed'",
    "hard link": "os.link(SECRET, WRITTEN); out = 'linked'",
    "symbolic link": "os.symlink('/etc/passwd', WRITTEN); out = 'linked'",
    "mkdir": "os.mkdir(WRITTEN); out = 'made'",
    "rmtree": "import shutil; shutil.rmtree(FOLDER); out = 'removed'",
    "mkfifo": "os.mkfifo(WRITTEN); out = 'made'",
    "mknod": "os.mknod(WRITTEN); out = 'made'",
    "extended attribute": "os.setxattr(SECRET, 'user.x', b'x'); out = 'set'",
    "extended attributes": "out = os.listxattr(SECRET)",
    "chdir": "os.chdir('/'); out = 'changed'",
    "chroot": "os.chroot(FOLDER); out = 'changed'",
    "a temporary file": "import tempfile; out = tempfile.mkstemp()",
    "/dev/shm": "open('/dev/shm/written', 'w').write('x'); out = 'written'",
    "own memory through /proc": "out = open('/proc/self/mem', 'r+b')",
    "own maps": "out = open('/proc/self/maps').read(10)",
    "own environment": "out = open('/proc/self/environ').read(10)",
    "own descriptors by name": "out = os.listdir('/proc/self/fd')",
    "reopen the protocol": "out = os.open('/proc/self/fd/3', os.O_RDWR)",
    "the parent's environment": "out = open(f'/proc/{PARENT}/environ').read()",
    "the parent's memory": "out = open(f'/proc/{PARENT}/mem', 'r+b')",
    "the parent's descriptors": "out = os.listdir(f'/proc/{PARENT}/fd')",
    "the parent's command line": "out = open(f'/proc/{PARENT}/cmdline').read()",
    "who else runs": "out = [name for name in os.listdir('/proc') if name.isdigit()]",
    "watch a file": "out = checked(libc.inotify_init())",
    "a handle instead of a name": (
        "out = call(303, -100, SECRET.encode(), ctypes.create_string_buffer(128), ctypes.byref(ctypes.c_int()), 0)"
    ),
}

PROCESSES = {
    "os.system": "status = os.system(f'touch {WRITTEN}')\nif status == 0: out = 'ran'\nelse: raise OSError(status)",
    "subprocess": "import subprocess; out = subprocess.run(['/bin/true'])",
    "fork": "pid = os.fork()\nif pid == 0: os._exit(0)\nout = 'forked'",
    "vfork": "out = checked(libc.vfork())",
    "posix_spawn": "out = os.posix_spawn('/bin/touch', ['touch', WRITTEN], {})",
    "execv": "os.execv('/bin/true', ['true'])",
    "execveat": "out = call(322, -100, b'/bin/true', 0, 0, 0)",
    "a program in memory": "out = call(319, b'x', 0)",
    "a process by clone": "pid = call(56, 17, 0, 0, 0, 0)\nif pid == 0: os._exit(0)\nout = pid",
    "a process by clone3": (
        "pid = call(435, (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17), 64)\nif pid == 0: os._exit(0)\nout = pid"
    ),
    "a thread": "import _thread; _thread.start_new_thread(int, ()); out = 'thread'",
    "a thread bomb": (
        "import _thread, time\nfor i in range(2000): _thread.start_new_thread(time.sleep, (30,))\nout = 'threads'"
    ),
    "ptrace the parent": "out = checked(libc.ptrace(16, PARENT, 0, 0))",
    "be traced": "out = checked(libc.ptrace(0, 0, 0, 0))",
    "read the parent's memory": "out = call(310, PARENT, (ctypes.c_void_p * 2)(), 1, (ctypes.c_void_p * 2)(), 1, 0)",
    "write the parent's memory": "out = call(311, PARENT, (ctypes.c_void_p * 2)(), 1, (ctypes.c_void_p * 2)(), 1, 0)",
    "a namespace": "out = checked(libc.unshare(0x10000000))",
    "another's namespace": "out = call(308, 3, 0)",
    "personality": "out = checked(libc.personality(0xffffffff))",
    "be killed with nobody": "out = checked(libc.prctl(1, 0, 0, 0, 0))",
    "be dumpable again": "out = checked(libc.prctl(4, 1, 0, 0, 0))",
    "an import from disk": "import wsgiref.validate; out = 'imported'",
}

SOCKETS = {
    "connect": "import _socket; s = _socket.socket(2, 1); s.connect(('127.0.0.1', PORT)); out = 'connected'",
    "connect over IPv6": "import _socket; s = _socket.socket(10, 1); s.connect(('::1', PORT)); out = 'connected'",
    "a datagram": "import _socket; s = _socket.socket(2, 2); s.sendto(b'x', ('127.0.0.1', PORT)); out = 'sent'",
    "a name of the network": "import socket; out = socket.getaddrinfo('localhost', 80)",
    "a socket with a name": "import _socket; s = _socket.socket(1, 1); s.connect(SOCKET); out = 'connected'",
    "a socket without a file": "import _socket; s = _socket.socket(1, 1); s.connect(ABSTRACT); out = 'connected'",
    "a pair of sockets": "import _socket; out = _socket.socketpair()",
    "netlink": "import _socket; out = _socket.socket(16, 3, 0)",
    "packets": "import _socket; out = _socket.socket(17, 3, 0)",
    "the kernel's ciphers": "import _socket; out = _socket.socket(38, 5, 0)",
    "the host of the machine": "import _socket; out = _socket.socket(40, 1, 0)",
    "listen": "import _socket; s = _socket.socket(2, 1); s.bind(('127.0.0.1', 0)); s.listen(); out = 'listening'",
    "http": (
        "import http.client; c = http.client.HTTPConnection('127.0.0.1', PORT); c.request('GET', '/'); out = 'sent'"
    ),
}

KERNEL = {
    "a pipe": "out = os.pipe()",
    "a copy of a descriptor": "out = os.dup(0)",
    "eventfd": "out = checked(libc.eventfd(0, 0))",
    "epoll": "import select; out = select.epoll()",
    "timerfd": "out = checked(libc.timerfd_create(0, 0))",
    "signalfd": "out = checked(libc.signalfd(-1, ctypes.create_string_buffer(128), 0))",
    "shared memory of POSIX": (
        "from multiprocessing.shared_memory import SharedMemory; out = SharedMemory(create=True, size=9)"
    ),
    "shared memory of System V": "out = checked(libc.shmget(0, 4096, 0o1666))",
    "messages of System V": "out = checked(libc.msgget(0, 0o1666))",
    "semaphores of System V": "out = checked(libc.semget(0, 1, 0o1666))",
    "a message queue": "out = call(240, b'written', 0o102, 0o666, 0)",
    "io_uring": "out = call(425, 8, ctypes.create_string_buffer(120))",
    "userfaultfd": "out = call(323, 1)",
    "bpf": "out = call(321, 0, ctypes.create_string_buffer(64), 64)",
    "perf events": "out = call(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)",
    "a key": "out = call(248, b'user', b'x', b'x', 1, -3)",
    "the session's keys": "out = call(250, 0, -3, 0)",
    "fanotify": "out = call(300, 0, 0)",
    "the kernel's log": "out = checked(libc.klogctl(3, ctypes.create_string_buffer(64), 64))",
    "mount": "out = checked(libc.mount(b'none', FOLDER.encode(), b'tmpfs', 0, 0))",
    "open a tree": "out = call(428, -100, b'/', 0)",
    "a file system": "out = call(430, b'tmpfs', 0)",
    "another name of the machine": "out = checked(libc.sethostname(b'x', 1))",
    "reboot": "out = checked(libc.reboot(0))",
    "another seccomp filter": "out = call(317, 2, 0, ctypes.byref(ctypes.c_uint32(0x7fff0000)))",
    "another Landlock": "out = call(444, None, 0, 1)",
    "a secret memory": "out = call(447, 0)",
}

IDENTITY = {
    "become root": "os.setuid(0); out = os.getuid()",
    "become root's group": "os.setgid(0); out = os.getgid()",
    "groups": "os.setgroups([0]); out = os.getgroups()",
    "capabilities": "out = call(126, (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())",
    "raise own limits": "out = checked(libc.setrlimit(7, (ctypes.c_ulong * 2)(99, 99)))",
    "the parent's limits": "import resource; out = resource.prlimit(PARENT, resource.RLIMIT_NOFILE)",
    "be nicer": "os.nice(1); out = 'nice'",
    "the victim's priority": "os.setpriority(os.PRIO_PROCESS, VICTIM, 19); out = 'changed'",
    "the victim's processors": "os.sched_setaffinity(VICTIM, {0}); out = 'changed'",
    "the victim's memory": "out = call(256, VICTIM, 8, (ctypes.c_ulong * 1)(1), (ctypes.c_ulong * 1)(1))",
    "a session": "os.setsid(); out = 'session'",
    "a group": "os.setpgid(0, PARENT); out = 'group'",
}

SIGNALS = {
    "signal the parent": "os.kill(PARENT, 0); out = 'sent'",
    "signal the parent through C": "out = checked(libc.kill(PARENT, 0))",
    "kill the victim": "os.kill(VICTIM, 9); out = 'killed'",
    "kill the victim's thread": "out = call(234, VICTIM, VICTIM, 9)",
    "kill its thread without its process": "out = call(200, VICTIM, 9)",
    "kill by queue": "out = call(129, VICTIM, 9, ctypes.create_string_buffer(128))",
    "kill its group": "os.killpg(VICTIM, 9); out = 'killed'",
    "a handle of the victim": "out = os.pidfd_open(VICTIM)",
    "by a descriptor's owner": "import fcntl; fcntl.fcntl(3, 8, VICTIM); fcntl.fcntl(3, 10, 9); out = 'owned'",
}

#: Attacks that must raise, since the walls refuse what they need.
REFUSED = {**FILES, **PROCESSES, **SOCKETS, **KERNEL, **IDENTITY, **SIGNALS}

#: What torch could be used for.
TORCH = {
    "torch.save": "import torch; torch.save(torch.ones(2), WRITTEN); out = 'saved'",
    "torch.load": "import torch; out = torch.load(SECRET, weights_only=False)",
    "torch.from_file": "import torch; out = torch.from_file(SECRET, size=2)",
    "torch.from_file shared": "import torch; out = torch.from_file(SECRET, shared=True, size=2)",
    "storage from a file": "import torch; out = torch.UntypedStorage.from_file(SECRET, True, 8)",
    "shared tensor": "import torch; out = torch.ones(2).share_memory_()",
    "torch.hub": "import torch; out = torch.hub.load('a/b', 'c')",
    "load a library": "import torch; torch.ops.load_library(SECRET); out = 'loaded'",
    "compile C++": "import torch.utils.cpp_extension as e; out = e.load_inline('x', 'int f() {return 1;}')",
    "loader processes": "import torch; out = next(iter(torch.utils.data.DataLoader([1, 2], num_workers=2)))",
    "a store over TCP": (
        "import torch, datetime; second = datetime.timedelta(seconds=1)\n"
        "out = torch.distributed.TCPStore('127.0.0.1', PORT, is_master=False, timeout=second)"
    ),
    "a store in a file": "import torch; out = torch.distributed.FileStore(WRITTEN, 1).set('a', 'b')",
    "jit from a file": "import torch; out = torch.jit.load(SECRET)",
    "jit to a file": "import torch; torch.jit.save(torch.jit.script(torch.nn.ReLU()), WRITTEN); out = 'saved'",
    "profile to a file": (
        "import torch\nwith torch.profiler.profile() as p: torch.ones(2)\np.export_chrome_trace(WRITTEN); out = 'saved'"
    ),
    "write a storage": "import torch; torch.ones(2).untyped_storage()._write_file(3, True, True, 1); out = 'written'",
    "numpy to a file": "import torch; torch.ones(2).numpy().tofile(WRITTEN); out = 'saved'",
}
