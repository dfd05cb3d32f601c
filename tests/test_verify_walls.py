"""What code reaches that already runs inside a locked worker: nothing, and it can only lie about its own experiment.

The handler of these tests executes what it is given, which the laboratory never does. The tests of a lock, never the
lock itself, are in this process: every attack runs in a worker.
"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lint_reduction.verify import environment, lockdown, syscalls
from lint_reduction.verify.pool import Pool
from lint_reduction.verify.protocol import Reply, Status
from tests import attacks
from tests.attacks import Target
from tests.workers import BARE, WALLS, WITH_TORCH

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="the walls of other systems are other ones")

TIMEOUT = 15.0

NATIVE = platform.machine() == "x86_64"
#: Attacks by number are written for one machine.
REFUSED = {name: code for name, code in attacks.REFUSED.items() if NATIVE or "call(" not in code}

#: What must be there for a layer's tests to mean anything.
NEEDED = {"landlock", "seccomp", "rlimits"}


def bare(layers: tuple[str, ...] = WALLS, **more: object) -> dict[str, object]:
    """Return how to start a worker without torch."""
    return {**BARE, "layers": layers, "memory": 1 << 28, **more}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with pytest.MonkeyPatch.context() as patch, attacks.target(tmp_path_factory.mktemp("target")) as found:
        patch.setenv("LINT_REDUCTION_SECRET", "ENVSECRET")
        yield found


def attack(
    target: Target,
    codes: Mapping[str, str],
    test_only: Mapping[str, object],
    recycle: int = 1,
    timeout: float = TIMEOUT,
) -> dict[str, Reply]:
    """Run each attack in a worker of its own, or several in one where they are to change nothing."""
    experiments = [{"code": target.prelude() + code} for code in codes.values()]
    with Pool("cpu", timeout=timeout, recycle=recycle, test_only=test_only) as pool:
        replies = dict(pool.run(experiments))
    assert sorted(replies) == list(range(len(codes)))
    layers = replies[0].layers
    if not {name for name in NEEDED & set(test_only["layers"]) if layers.get(name, "").startswith("on")}:  # type: ignore[call-overload]
        pytest.skip(f"this kernel has no walls: {layers}")
    return {name: replies[index] for index, name in enumerate(codes)}


@pytest.fixture(scope="module")
def refused(target: Target) -> dict[str, Reply]:
    return attack(target, REFUSED, bare(), recycle=12)


def name_of_refusal(name: str) -> str:
    """Return what an attack raises where there is a wall in its way: nearly all of them that they are not permitted."""
    special = {
        "os.system": r"OSError: (-1|32512|65280)$",
        "an import from disk": "ModuleNotFoundError",
        "a temporary file": "FileNotFoundError: .*No usable temporary directory",
        "a name of the network": "gaierror|PermissionError",
        "http": "gaierror|PermissionError",
        "a thread": "RuntimeError: can't start new thread",
        "a thread bomb": "RuntimeError: can't start new thread",
    }
    return special.get(name, r"PermissionError: \[Errno 1\]|PermissionError: \[Errno 13\]|OSError: \[Errno 24\]")


@pytest.mark.parametrize("name", REFUSED)
def test_the_walls_refuse(name: str, refused: dict[str, Reply], target: Target) -> None:
    reply = refused[name]
    assert reply.status is Status.FAILED, reply
    # that the attack is wrong would not show that there is a wall
    assert re.match(name_of_refusal(name), reply.reason), reply.reason


def test_nothing_was_touched(refused: dict[str, Reply], target: Target) -> None:
    assert refused
    assert target.harm() == []


def test_a_target_that_is_touched_is_noticed(tmp_path: Path) -> None:
    """The tests above would show it: the same code outside the walls leaves a trace of each kind."""
    with attacks.target(tmp_path) as found:
        assert found.harm() == []
        for name in ("write a file", "connect", "a socket without a file", "kill the victim", "append to a file"):
            exec(found.prelude() + attacks.REFUSED[name], {})
        end = time.monotonic() + 20
        while len(found.harm()) < 5 and time.monotonic() < end:
            time.sleep(0.05)
        assert len(found.harm()) == 5


#: What ends the worker, or keeps it busy: how the parent sees it.
ENDS = {
    "segmentation fault": ("ctypes.string_at(0)", {Status.DIED}, "SIGSEGV"),
    "abort": ("os.abort()", {Status.DIED}, "SIGABRT"),
    "exit": ("os._exit(7)", {Status.DIED}, "status 7"),
    "a signal to itself": ("import signal; signal.raise_signal(9)", {Status.DIED}, "SIGKILL"),
    "close the protocol": ("for i in range(3, 9):\n try: os.close(i)\n except OSError: pass", {Status.DIED}, ""),
    "busy loop": ("while True: pass", {Status.TIMEOUT}, "longer than 1 s"),
    "sleep": ("import time; time.sleep(100)", {Status.TIMEOUT}, "longer than 1 s"),
    "no signal ends it": (
        "import signal\nfor s in range(1, 32):\n try: signal.signal(s, signal.SIG_IGN)\n except OSError: pass\n"
        "while True:\n try:\n  while True: pass\n except BaseException: pass",
        {Status.TIMEOUT},
        "",
    ),
    "memory bomb": ("b = []\nfor i in range(100): b.append(bytearray(200 << 20))", {Status.FAILED}, "MemoryError"),
    "memory by mmap": ("import mmap; m = mmap.mmap(-1, 1 << 40)", {Status.FAILED}, "Error"),
    "stack overflow": (
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(): return f()\nf()",
        {Status.DIED, Status.TIMEOUT, Status.FAILED},
        "",
    ),
    "long exception": ("raise ValueError('x' * (1 << 22))", {Status.FAILED}, "ValueError: xxx"),
    "exception that raises": (
        "class E(Exception):\n def __str__(self): raise self\nraise E",
        {Status.FAILED},
        "E",
    ),
    "leave": ("raise SystemExit(0)", {Status.FAILED}, "SystemExit"),
    "interrupt": ("raise KeyboardInterrupt", {Status.FAILED}, "KeyboardInterrupt"),
}
if NATIVE:
    #: ``mov eax, 20; int 0x80; ret``: getpid with the number, and by the way, of 32-bit programs.
    ENDS["calls of another machine"] = (
        "import mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(bytes.fromhex('b814000000cd80c3'))\n"
        "out = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()",
        {Status.DIED},
        "SIGSYS",
    )


@pytest.fixture(scope="module")
def ended(target: Target) -> dict[str, Reply]:
    codes = {
        late: {n: code for n, (code, s, _) in ENDS.items() if (Status.TIMEOUT in s) is late} for late in (True, False)
    }
    return {**attack(target, codes[False], bare()), **attack(target, codes[True], bare(), timeout=1.0)}


@pytest.mark.parametrize("name", ENDS)
def test_the_parent_goes_on(name: str, ended: dict[str, Reply]) -> None:
    _, statuses, said = ENDS[name]
    assert ended[name].status in statuses, ended[name]
    assert said in ended[name].reason
    assert len(ended[name].reason) <= 300


def test_what_a_worker_can_see(target: Target) -> None:
    codes = {
        "secret": "out = os.environ.get('LINT_REDUCTION_SECRET')",
        "names": "out = sorted(os.environ)",
        # a pipe cannot be read from another place, the null device can, and a closed descriptor is none
        "descriptors": (
            "out = []\nfor i in range(256):\n try: os.lseek(i, 0, 1); out.append('device')\n"
            " except OSError as error: out += ['pipe'] if error.errno == errno.ESPIPE else []"
        ),
        "ran": "import http.client; out = http.client.__name__",
    }
    seen = {name: reply.result["out"] for name, reply in attack(target, codes, bare()).items()}
    assert seen["secret"] == "None"
    assert set(eval(str(seen["names"]))) <= {*environment.variables(), "LC_CTYPE"}
    assert sorted(eval(str(seen["descriptors"]))) == ["device"] * 3 + ["pipe"] * 2


FIRST = """
import os, struct, json
def write(data):
    for i in range(3, 9):
        try: return os.write(i, data)
        except OSError: pass
"""
#: An experiment can find the mark of its own answer, and of no other.
NONCE = """
import sys
frame = sys._getframe()
while 'job' not in frame.f_locals: frame = frame.f_back
nonce = frame.f_locals['job']['id']
"""
FRAME = "def send(body): write(struct.pack('!I', len(body)) + body)\n"

FORGED = {
    "no mark": ('send(b\'{"status": "done", "result": {}}\')', "another question"),
    "a wrong mark": ('send(b\'{"id": "0", "status": "done"}\')', "another question"),
    "a frame cut short": ("write(b'\\x00\\x00\\x00\\x09{}'); os._exit(0)", "within a frame"),
    "a header cut short": ("write(b'\\x00'); os._exit(0)", "within a header"),
    "a frame too long": ("write(b'\\xff\\xff\\xff\\xff')", "4294967295 bytes"),
    "not JSON": ("send(b'\\x80\\x04K\\x01.')", "not JSON"),
    "no mapping": ("send(b'[]')", "not a mapping"),
    "not a number": ("send(b'{\"seconds\": NaN}')", "NaN"),
    "infinite": ("send(b'{\"seconds\": 1e999}')", "not finite"),
    "a huge number": ("send(b'{\"seconds\": ' + b'9' * 9999 + b'}')", "too large"),
    "too deep": ("send(b'{\"result\": ' + b'[' * 99999 + b']' * 99999 + b'}')", ""),
    "unknown keys": ("send(b'{\"verdict\": 1}')", "unknown key"),
    "wrong types": ('send(b\'{"result": [], "id": 1}\')', "reply."),
    "an unknown state": ("send(json.dumps({'id': nonce, 'status': 'timeout'}).encode())", "without a status"),
    "a state of another type": ("send(json.dumps({'id': nonce, 'status': ['done']}).encode())", "reply.status"),
}


@pytest.fixture(scope="module")
def forged(target: Target) -> dict[str, Reply]:
    return attack(target, {name: FIRST + NONCE + FRAME + code for name, (code, _) in FORGED.items()}, bare())


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_reply_is_refused(name: str, forged: dict[str, Reply]) -> None:
    assert forged[name].status is Status.MALFORMED, forged[name]
    assert FORGED[name][1] in forged[name].reason
    assert forged[name].reason.isprintable()


def test_a_worker_that_was_taken_over_can_lie_about_its_own_experiment_only(target: Target) -> None:
    lie = "send(json.dumps({'id': nonce, 'status': 'done', 'result': {'out': 'a\\x1b[2J\\x0alie'}}).encode())\n"
    more = "send(json.dumps({'id': nonce, 'status': 'done', 'result': {'out': 'of the next one'}}).encode())\n"
    with Pool("cpu", timeout=TIMEOUT, test_only=bare()) as pool:
        code = target.prelude() + FIRST + NONCE + FRAME
        replies = dict(pool.run([{"code": code + lie + more}, {"code": "out = 1"}, {"code": "out = 2"}]))
        assert pool.started == 2
    assert replies[0].result == {"out": "a\\x1b[2J\\x0alie"}
    assert replies[1].status is Status.MALFORMED
    assert replies[2].result == {"out": "2"}


def test_a_worker_that_does_not_stop_writing_is_cut_off(target: Target) -> None:
    codes = {
        "header only": "write(b'\\x00\\x0f\\x00\\x00')\nwhile True: pass",
        "drop": "write(b'\\x00\\x0f\\x00\\x00')\nwhile True: write(b'x')",
    }
    replies = attack(target, {name: FIRST + code for name, code in codes.items()}, bare(), timeout=1.0)
    assert replies["header only"].status is Status.TIMEOUT
    assert replies["drop"].status in (Status.TIMEOUT, Status.MALFORMED)


#: ``uretprobe`` and ``uprobe`` of x86_64: Linux asks no filter about them, and ends a process that is not being probed.
PROBES = {335, 336}

EVERY_CALL = """
refused, other = [], []
for number in NUMBERS:
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6) == -1 and ctypes.get_errno() == ERROR:
        refused.append(number)
    else:
        other.append(number)
out = (len(refused), other)
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no list of calls for this machine")
@pytest.mark.parametrize("accelerator", [False, True], ids=["cpu", "accelerator"])
def test_every_call_that_is_not_for_a_worker_is_refused(target: Target, accelerator: bool) -> None:
    machine = platform.machine()
    if accelerator:
        numbers, newer = sorted(syscalls.denied(machine).values()), range(syscalls.NEWEST + 1, 1000)
    else:
        numbers = sorted(set(range(1000)) - set(syscalls.allowed(machine).values()) - PROBES)
        newer = range(0)
    codes = {
        "refused": f"NUMBERS, ERROR = {numbers!r}, errno.EPERM" + EVERY_CALL,
        "newer": f"NUMBERS, ERROR = {list(newer)!r}, errno.ENOSYS" + EVERY_CALL,
    }
    replies = attack(target, codes, bare(("seccomp",), test_accelerator=accelerator))
    assert replies["refused"].result == {"out": repr((len(numbers), []))}, replies
    assert replies["newer"].result == {"out": repr((len(newer), []))}, replies


#: By themselves, the walls that are there without Landlock and seccomp, or with either, keep out the worst.
ALONE = {
    "portable": ("user", "rlimits", "nofile"),
    "landlock": ("landlock",),
    "seccomp": ("seccomp",),
}
WORST = (
    "read a file",
    "read /etc/passwd",
    "write a file",
    "append to a file",
    "unlink",
    "rename",
    "mkdir",
    "list /",
    "os.system",
    "execv",
    "connect",
    "the parent's memory",
    "own memory through /proc",
)


@pytest.mark.parametrize("name", ALONE)
def test_each_wall_holds_by_itself(target: Target, name: str) -> None:
    # limits are about what is opened, and not about names
    names = set(WORST) - ({"unlink", "rename", "mkdir"} if name == "portable" else set())
    replies = attack(target, {code: attacks.REFUSED[code] for code in sorted(names)}, bare(ALONE[name]))
    reached = {code: reply for code, reply in replies.items() if reply.status is Status.DONE}
    assert reached == {}
    assert target.harm() == []


@pytest.fixture(scope="module")
def on_accelerator(target: Target) -> dict[str, Reply]:
    return attack(target, REFUSED, bare(test_accelerator=True), recycle=12)


#: The driver of an accelerator opens descriptors and files of the system, and starts threads; nothing of a user's.
LEFT_TO_DRIVERS = {
    "read a device",
    "write to a device",
    "a name only",
    "stat",
    "stat through a link",
    "whether there is a file",
    "where a link leads",
    "where it is",
    "space on a disk",
    "extended attributes",
    "own maps",
    "own environment",
    "own descriptors by name",
    "own memory through /proc",
    "reopen the protocol",
    "a program in memory",
    "a pipe",
    "a copy of a descriptor",
    "eventfd",
    "epoll",
    "timerfd",
    "signalfd",
    "be killed with nobody",
    "be dumpable again",
    "an import from disk",
    "the victim's processors",
    "a thread",
}


@pytest.mark.parametrize("name", sorted(set(REFUSED) - LEFT_TO_DRIVERS))
def test_the_lock_of_an_accelerator_refuses(name: str, on_accelerator: dict[str, Reply], target: Target) -> None:
    reply = on_accelerator[name]
    assert reply.status in (Status.FAILED, Status.DIED), reply
    assert target.harm() == []


def test_the_alarm_ends_a_worker(target: Target) -> None:
    with Pool("cpu", timeout=TIMEOUT, test_only=bare(lockdown.LAYERS)) as pool:
        replies = dict(pool.run([{"touch": str(target.secret)}, {"fine": 1}]))
        assert pool.started == 2
    assert replies[0].status is Status.TRIPPED
    assert replies[0].reason == "open"
    assert replies[1].status is Status.DONE


def test_every_layer_of_linux_takes_here(target: Target) -> None:
    """A skip of all the above would look like success: where the kernel has the walls, they are on."""
    reply = attack(target, {"nothing": "out = 1"}, bare())["nothing"]
    assert reply.result == {"out": "1"}
    off = {name: took for name, took in reply.layers.items() if not took.startswith("on")}
    assert set(off) == {"seatbelt"}, off


# the same with torch, in a worker as the verifier starts it


@pytest.fixture(scope="module")
def refused_with_torch(target: Target) -> dict[str, Reply]:
    pytest.importorskip("torch")
    codes = {**attacks.TORCH, **REFUSED}
    return attack(target, codes, {**WITH_TORCH, "layers": WALLS}, recycle=500, timeout=60.0)


@pytest.mark.torch
@pytest.mark.parametrize("name", [*attacks.TORCH, *REFUSED])
def test_the_walls_refuse_around_torch(name: str, refused_with_torch: dict[str, Reply], target: Target) -> None:
    assert refused_with_torch[name].status is Status.FAILED, refused_with_torch[name]
    assert target.harm() == []


@pytest.mark.torch
def test_a_crash_of_torch_is_survived(target: Target) -> None:
    pytest.importorskip("torch")
    codes = {
        "out of memory": "import torch; out = torch.ones(1 << 34)",
        "out of bounds": "import torch; out = torch.ones(2).as_strided((1 << 40,), (1 << 10,)).sum()",
        "fine": "import torch; out = float(torch.ones(2).sum())",
    }
    replies = attack(target, codes, {**WITH_TORCH, "layers": WALLS}, recycle=500, timeout=60.0)
    assert replies["out of memory"].status is Status.FAILED
    assert replies["out of bounds"].status in (Status.FAILED, Status.DIED)
    assert replies["fine"].result == {"out": "2.0"}


LOSSES = (
    "L1Loss MSELoss SmoothL1Loss HuberLoss SoftMarginLoss BCEWithLogitsLoss MultiLabelSoftMarginLoss PoissonNLLLoss"
)


@pytest.mark.torch
def test_torch_works_behind_the_whole_lock_and_the_alarm_is_silent() -> None:
    pytest.importorskip("torch")
    experiments = [{"loss": loss, "reduction": word} for loss in LOSSES.split() for word in ("mean", "sum")]
    with Pool("cpu", timeout=60, sandbox="strict", test_only=WITH_TORCH) as pool:
        replies = dict(pool.run(experiments * 5))
        assert pool.started == 1
    for index, reply in replies.items():
        assert reply.status is Status.DONE, reply
        assert reply.device == "cpu"
        expected = 1.0 if experiments[index % len(experiments)]["reduction"] == "sum" else 0.0
        assert reply.result["exponent"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.torch
def test_memory_does_not_grow_with_torch() -> None:
    pytest.importorskip("torch")
    experiments = [{"loss": "MSELoss", "reduction": "sum"}] * 250
    resident = []
    with Pool("cpu", timeout=60, recycle=10_000, test_only=WITH_TORCH) as pool:
        [(_, first)] = pool.run([{"n": 0}])
        for _ in range(5):
            assert all(reply.status is Status.DONE for _, reply in pool.run(experiments))
            resident.append(int(Path(f"/proc/{first.result['pid']}/statm").read_text().split()[1]) * 4096)
        assert pool.started == 1
    assert resident[-1] - resident[0] < 4 << 20
