"""Take the powers away from this process, in layers. Each is optional, and says whether it took.

The order matters: the user before the limits (root is above them), what reads files before Landlock, what opens a
descriptor before there are none, and the filter of system calls after everything that makes one. All of it comes after
the warm-up, since nothing can be imported behind it. Never call this in a process that is to go on living.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lint_reduction.verify import kernel, landlock, seccomp

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

#: What a layer's report begins with if it took, and if it did not.
ON, OFF = "on", "off"

#: The layers, in the order in which they are put on.
LAYERS = ("user", "rlimits", "landlock", "seatbelt", "nofile", "seccomp", "audit")

#: Bytes beyond what a worker has after its warm-up, and seconds of CPU time in all its life, if nothing else is said.
MEMORY, CPU_SECONDS = 1 << 30, 600

_NOBODY = 65534

_SYSTEM = ("/usr", "/lib", "/lib64", "/opt", "/sys", "/proc/self", "/proc/driver", "/proc/devices", "/proc/cpuinfo")
_DEVICES = ("nvidia*", "nvidia-caps/*", "dri/*", "kfd", "null", "zero", "urandom")

#: What nothing that measures a loss does: each is a call that this package's own code does not make after the warm-up.
_ALARMING = frozenset(
    """
    open import exec os.system os.exec os.posix_spawn os.spawn os.fork os.forkpty os.putenv os.unsetenv os.listdir
    os.scandir os.remove os.rename os.link os.symlink os.mkdir os.rmdir os.chmod os.chown os.kill os.truncate
    subprocess.Popen socket.__new__ socket.connect socket.bind ctypes.dlopen ctypes.dlsym ctypes.call_function
    ctypes.string_at pty.spawn marshal.loads pickle.find_class shutil.rmtree code.__new__
    resource.setrlimit resource.prlimit signal.pthread_kill mmap.__new__ shmem.open
    """.split()
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may use.

    Attributes:
        memory: bytes beyond what it has after the warm-up.
        cpu_seconds: in all its life.
    """

    memory: int = MEMORY
    cpu_seconds: int = CPU_SECONDS


@dataclass(slots=True)
class Alarm:
    """What the audit hook heard: the names of events that no experiment causes."""

    events: list[str] = field(default_factory=list)


def asked(platform: str, accelerator: bool) -> tuple[str, ...]:
    """Return the layers that a strict sandbox consists of.

    On an accelerator these are fewer: its driver opens descriptors and reserves addresses at any time.
    """
    if accelerator:
        return "user", "rlimits", "landlock", "seccomp"
    if platform == "darwin":
        return "rlimits", "seatbelt", "nofile"
    return "user", "rlimits", "landlock", "nofile", "seccomp"


def missing(layers: dict[str, str], platform: str, accelerator: bool) -> tuple[str, ...]:
    """Return what a strict sandbox asks for and a report says did not take."""
    return tuple(name for name in asked(platform, accelerator) if not layers.get(name, OFF).startswith(ON))


def lock(accelerator: bool, limits: Limits, alarm: Alarm, layers: Iterable[str] = LAYERS) -> dict[str, str]:
    """Lock this process, for good.

    Args:
        accelerator: leave what the driver of an accelerator needs.
        limits: what may be used.
        alarm: where the audit hook reports to.
        layers: those to put on.

    Returns:
        For each layer whether it took: ``on``, or ``off`` and the reason.
    """
    steps: dict[str, Callable[[], str]] = {
        "user": lambda: _become_nobody(hidden=not accelerator),
        "rlimits": lambda: _limit(limits, addresses=not accelerator),
        "landlock": lambda: _lock_files(accelerator),
        "seatbelt": lambda: _sandbox_of_macos(accelerator),
        "nofile": lambda: _no_descriptors(accelerator),
        "seccomp": lambda: _filter_calls(strict=not accelerator),
        "audit": lambda: _listen(alarm),
    }
    chosen = set(layers)
    return {name: _report(steps[name]) for name in LAYERS if name in chosen}


def _report(step: Callable[[], str]) -> str:
    try:
        took = step()
    except (kernel.RefusedError, OSError, ValueError, AttributeError) as error:
        return f"{OFF}: {error}"
    return f"{ON}: {took}" if took else ON


def _become_nobody(hidden: bool) -> str:
    """Give up being root, who is above limits; any other user stays."""
    if not hasattr(os, "geteuid"):
        raise kernel.RefusedError("not on this platform")
    was_root = os.geteuid() == 0
    if was_root:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
    if kernel.LINUX:
        if hidden:
            kernel.hide_memory()
        kernel.die_with_parent()
    return "nobody" if was_root else "not root"


def _limit(limits: Limits, addresses: bool) -> str:
    if resource is None:
        raise kernel.RefusedError("not on this platform")
    wanted = {
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_NPROC": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_CPU": limits.cpu_seconds,
    }
    if addresses and kernel.LINUX:
        wanted["RLIMIT_AS"] = _addresses() + limits.memory
    else:
        del wanted["RLIMIT_MEMLOCK"]  # drivers pin memory
    known = {name: value for name, value in wanted.items() if hasattr(resource, name)}
    for name, value in known.items():
        resource.setrlimit(getattr(resource, name), (value, value))
    return " ".join(name.removeprefix("RLIMIT_").lower() for name in known)


def _addresses() -> int:
    """Return how many bytes of addresses this process has now."""
    pages = Path("/proc/self/statm").read_bytes().split()[0]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _lock_files(accelerator: bool) -> str:
    if not kernel.LINUX:
        raise kernel.RefusedError("not on this platform")
    if not accelerator:
        return landlock.restrict()
    devices = [str(path) for pattern in _DEVICES for path in Path("/dev").glob(pattern)]
    return landlock.restrict((*_SYSTEM, sys.prefix, sys.base_prefix), devices)


def _sandbox_of_macos(accelerator: bool) -> str:
    """Apply the profile that allows computing alone. Deprecated for years, and what browsers still use."""
    if sys.platform != "darwin":
        raise kernel.RefusedError("not on this platform")
    if accelerator:
        raise kernel.RefusedError("Metal talks to services of the system")
    error = ctypes.c_char_p()
    if kernel.libc().sandbox_init(b"pure-computation", ctypes.c_uint64(1), ctypes.byref(error)) != 0:
        raise kernel.RefusedError((error.value or b"sandbox_init failed").decode(errors="replace"))
    return "pure-computation"


def _no_descriptors(accelerator: bool) -> str:
    """Let no file, socket or pipe be opened any more; those that are open stay."""
    if resource is None or accelerator:
        raise kernel.RefusedError("not on this platform" if resource is None else "drivers open files at any time")
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    return ""


def _filter_calls(strict: bool) -> str:
    if not kernel.LINUX:
        raise kernel.RefusedError("not on this platform")
    return seccomp.restrict(strict)


def _listen(alarm: Alarm) -> str:
    """Raise an alarm when code does what no experiment does: it tells of a hole in front of the walls, and is none."""

    def hook(event: str, _arguments: tuple[object, ...]) -> None:
        if event in _ALARMING:
            if len(alarm.events) < 20:
                alarm.events.append(event)
            raise PermissionError(f"{event} is not for an experiment")

    sys.addaudithook(hook)
    return ""
