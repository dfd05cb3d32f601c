"""Make an input that fails small: leave out lines, then tokens, as long as it fails in the same way."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.fuzz.cases import Case
from tests.fuzz.pipeline import Failure, examine
from tests.fuzz.worker import limit_memory

#: Runs that one failure is worth, and the seconds of CPU of each.
_RUNS, _SECONDS = 400, 40
_TOKEN = re.compile(rb"\w+|\s+|.", re.DOTALL)


class Always:
    """Luck by which every further check is made."""

    def random(self) -> float:
        """Return less than any share."""
        return -1.0


def failures_of(case: Case) -> list[str]:
    """Examine an input in a process of its own, and return the signatures of what does not hold."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _examine_and_exit(case, write)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        said = pipe.read().splitlines()
    _, status = os.waitpid(child, 0)
    if status:
        return [Failure("died", f"exit status {os.waitstatus_to_exitcode(status)}").signature]
    return said


def _examine_and_exit(case: Case, write: int) -> None:
    """Say what fails into a pipe; what goes wrong inside ends the process."""
    with contextlib.suppress(BaseException), tempfile.TemporaryDirectory() as folder:
        signal.alarm(_SECONDS * 20)
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        limit_memory()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        outcome = examine(case, Path(folder) / "case", Always())  # type: ignore[arg-type]
        os.write(write, "\n".join(failure.signature for failure in outcome.failures).encode())
        os.chdir(os.sep)
        os._exit(0)
    os._exit(3)


def shrunk(case: Case, signature: str) -> Case:
    """Return a smaller input that fails in the same way, or the same one."""
    budget = [_RUNS]

    def fails(data: bytes) -> bool:
        budget[0] -= 1
        return budget[0] >= 0 and signature in failures_of(replace(case, files=case.files | {case.target: data}))

    def without_others() -> Case:
        alone = replace(case, files={case.target: case.files[case.target]})
        return alone if len(case.files) > 1 and signature in failures_of(alone) else case

    if signature not in failures_of(case):
        return case
    case = without_others()
    data = case.files[case.target]
    for split in (lambda text: text.splitlines(keepends=True), _TOKEN.findall):
        data = _smaller(split(data), fails)
    return replace(case, files=case.files | {case.target: data})


def _smaller(parts: list[bytes], fails: Callable[[bytes], bool]) -> bytes:
    size = max(1, len(parts) // 2)
    while size:
        at = 0
        while at < len(parts):
            rest = parts[:at] + parts[at + size :]
            if fails(b"".join(rest)):
                parts = rest
            else:
                at += size
        size //= 2
    return b"".join(parts)
