"""Measure whole processes: CPU seconds with those of their children, wall seconds, and peak memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

#: Starts the command from a process that is small: the kernel counts the memory of who forks as that of who is forked.
_LAUNCHER = """
import os, sys, time
out, limit, *command = sys.argv[1:]
start = time.monotonic()
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.execvp(command[0], command)
    finally:
        os._exit(127)
import signal
def stop(*_):
    os.killpg(child, signal.SIGKILL)
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, float(limit))
_, status, usage = os.wait4(child, 0)
wall = time.monotonic() - start
code = os.waitstatus_to_exitcode(status)
cpu = usage.ru_utime + usage.ru_stime
print('{"code": %d, "cpu": %r, "wall": %r, "peak": %d}' % (code, cpu, wall, usage.ru_maxrss))
"""
#: The kernel of a Mac counts bytes, that of Linux kilobytes.
_UNIT = 1 << 20 if sys.platform == "darwin" else 1 << 10


@dataclass(frozen=True, slots=True)
class Sample:
    """One run.

    Attributes:
        cpu: seconds, user and system, of the process and of the children that it waited for.
        wall: seconds.
        peak: MiB of the largest of these processes.
        lines: how many it printed.
    """

    cpu: float
    wall: float
    peak: float
    lines: int


class FailedError(Exception):
    """A command that was measured failed, or took too long."""


def measure(command: Sequence[str], cwd: Path, ok: Sequence[int] = (0,), limit: float = 3600) -> Sample:
    """Run a command once.

    Args:
        command: with an absolute path, or found by PATH.
        cwd: the current directory.
        ok: exit statuses that are fine.
        limit: seconds after which it is killed.

    Raises:
        FailedError: another exit status, or it was killed.
    """
    with tempfile.NamedTemporaryFile(suffix=".txt") as out:
        launched = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, out.name, str(limit), *command],
            cwd=cwd,
            capture_output=True,
            text=True,
            check=True,
        )
        said = json.loads(launched.stdout)
        printed = Path(out.name).read_bytes()
    if said["code"] not in ok:
        tail = printed[-400:].decode(errors="replace")
        raise FailedError(f"exit status {said['code']}: {' '.join(command)}\n{tail}")
    return Sample(said["cpu"], said["wall"], said["peak"] / _UNIT, printed.count(b"\n"))


class Samples:
    """All runs of a session, by what was run on what."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[str, str], list[Sample]] = {}

    def add(self, what: str, on: str, sample: Sample) -> None:
        """Keep a run."""
        self.by_key.setdefault((what, on), []).append(sample)

    def has(self, what: str, on: str) -> bool:
        """Say whether there is a run."""
        return (what, on) in self.by_key

    def count(self, what: str, on: str) -> int:
        """Return how many runs there are."""
        return len(self.by_key.get((what, on), ()))

    def cpu(self, what: str, on: str) -> float:
        """Return the median of the CPU seconds."""
        return statistics.median(sample.cpu for sample in self.by_key[what, on])

    def wall(self, what: str, on: str) -> float:
        """Return the median of the wall seconds."""
        return statistics.median(sample.wall for sample in self.by_key[what, on])

    def peak(self, what: str, on: str) -> float:
        """Return the largest peak memory."""
        return max(sample.peak for sample in self.by_key[what, on])

    def lines(self, what: str, on: str) -> int:
        """Return how many lines the first run printed."""
        return self.by_key[what, on][0].lines

    def ratio(self, what: str, to: str, on: str) -> float:
        """Return how many times as much CPU one takes as another, by their medians."""
        return self.cpu(what, on) / self.cpu(to, on)

    def to_json(self) -> str:
        """Return all runs."""
        rows = [{"what": what, "on": on, **asdict(s)} for (what, on), found in self.by_key.items() for s in found]
        return json.dumps(rows, indent=1) + "\n"
