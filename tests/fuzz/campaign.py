"""Many inputs, in processes of their own: what came of them, and the failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.command import ROOT
from tests.fuzz.pipeline import Failure

#: How many inputs one process examines; what it keeps from one to the next is small, and goes with it.
CHUNK = 1000
#: Of how many inputs one is run again in a process that hashes otherwise.
AGAIN = 10


@dataclass
class Tally:
    """What a campaign found.

    Attributes:
        statuses, checks, changes: how many inputs there were of each.
        failures: what does not hold, with the number of the input.
        peak: the largest memory of a process, in MiB.
        cpu: seconds of all processes.
        compared: how many reports were compared with those of another process.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, Failure]] = field(default_factory=list)
    peak: float = 0
    cpu: float = 0
    compared: int = 0

    @property
    def inputs(self) -> int:
        """How many there were."""
        return self.statuses.total()

    @property
    def distinct(self) -> dict[str, list[tuple[int, Failure]]]:
        """The failures by what they have in common."""
        found: dict[str, list[tuple[int, Failure]]] = {}
        for number, failure in sorted(self.failures, key=lambda entry: entry[0]):
            found.setdefault(failure.signature, []).append((number, failure))
        return found


@dataclass(frozen=True, slots=True)
class Campaign:
    """Which inputs to examine.

    Attributes:
        seed, start, count: which ones.
        jobs: how many processes run at once.
        folders: programs to damage besides the fixtures.
    """

    seed: int
    start: int
    count: int
    jobs: int = 1
    folders: Sequence[Path] = ()

    def run(self) -> Generator[Tally, None, None]:
        """Examine the inputs, and yield what was found so far now and then."""
        tally = Tally()
        stop = self.start + self.count
        with ThreadPoolExecutor(self.jobs) as pool:
            chunks = [pool.submit(self._chunk, at, min(at + CHUNK, stop)) for at in range(self.start, stop, CHUNK)]
            try:
                for chunk in as_completed(chunks):
                    _add(tally, *chunk.result())
                    yield tally
            finally:
                for chunk in chunks:
                    chunk.cancel()

    def _chunk(self, start: int, stop: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        lines = self._examined(start, stop, 1)
        first = start + -start % AGAIN
        return lines, self._examined(first, stop, AGAIN) if first < stop else []

    def _examined(self, start: int, stop: int, step: int) -> list[dict[str, Any]]:
        """Return what the workers say of a range; one that dies is replaced behind the input that killed it."""
        lines: list[dict[str, Any]] = []
        while start < stop:
            more, died_at, reason = self._worker(start, stop, step)
            lines += more
            if died_at is None:
                return lines
            failure = {"kind": "died", "detail": reason}
            lines.append({"number": died_at, "status": "failed", "failures": [failure], "changes": [], "checks": []})
            start = died_at + step
        return lines

    def _worker(self, start: int, stop: int, step: int) -> tuple[list[dict[str, Any]], int | None, str]:
        command = [sys.executable, "-m", "tests.fuzz.worker", "--seed", str(self.seed)]
        command += ["--numbers", str(start), str(stop), str(step), *(["--only-once"] if step > 1 else [])]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(step), "NO_COLOR": "1"}
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = subprocess.run(
                [*command, *map(str, self.folders)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors
            )
            errors.seek(0)
            said = errors.read()
        printed = process.stdout.decode().splitlines()
        done = [json.loads(line) for line in printed if line.startswith("{")]
        if process.returncode == 0:
            return done, None, ""
        begun = [int(line[2:]) for line in printed if line.startswith("> ")]
        if not begun:
            raise RuntimeError(said[-2000:])
        return done, begun[-1], f"exit status {process.returncode}\n{said[-3000:]}"


def _add(tally: Tally, lines: list[dict[str, Any]], again: list[dict[str, Any]]) -> None:
    digests = {line["number"]: line["digest"] for line in again if line.get("digest")}
    for line in [*lines, *again]:
        tally.peak = max(tally.peak, line.get("peak", 0) / 1024)
        tally.cpu += line.get("cpu", 0)
    for line in lines:
        if "number" not in line:
            continue
        failures = [Failure(**failure) for failure in line["failures"]]
        other = digests.get(line["number"], "")
        if other and line.get("digest"):
            tally.compared += 1
            if other != line["digest"]:
                failures.append(Failure("another report", "in another process"))
        tally.failures += [(line["number"], failure) for failure in failures]
        tally.statuses["failed" if failures else line["status"]] += 1
        tally.checks.update(line["checks"])
        tally.changes.update(set(line["changes"]))
