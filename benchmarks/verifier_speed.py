"""Measure how fast findings are verified, and whether a worker grows.

    python benchmarks/verifier_speed.py [--findings 100] [--more 1000]

Lints the fixtures, cuts an experiment out of every finding that can be run, and repeats them up to the number of
findings that is asked for. Prints the time from the first experiment to the last answer of one worker that has started,
and its resident memory while it runs more of them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lint_reduction.finding import Confidence
from lint_reduction.run.pipeline import Contexts, Overrides, find_candidates, judged, lint_candidates
from lint_reduction.source.file import decode, read_bytes
from lint_reduction.verify.claims import CLAIMS
from lint_reduction.verify.experiment import Experiment
from lint_reduction.verify.modules import NoExperimentError
from lint_reduction.verify.pool import Pool
from lint_reduction.verify.slicing import experiment_of

FIXTURES = Path(__file__).parent.parent / "fixtures"


def experiments() -> Iterator[Experiment]:
    """Yield an experiment for each finding in the fixtures of which one can be made."""
    contexts = Contexts(Overrides(("ALL",), min_confidence=Confidence.MEDIUM, isolated=True))
    results = judged(lint_candidates(find_candidates([FIXTURES], contexts), contexts), contexts)
    for result in results:
        for finding in result.findings if not result.path.endswith(".ipynb") else ():
            if finding.code in CLAIMS:
                try:
                    yield experiment_of(finding, result.absolute, lambda path: decode(read_bytes(Path(path))))
                except NoExperimentError:
                    continue


def numbered(made: list[Experiment], count: int) -> list[Mapping[str, Any]]:
    """Return so many experiments, each with another path."""
    chosen = itertools.islice(itertools.cycle(made), count)
    return [
        json.loads(replace(e, units=(replace(e.units[0], path=f"{i}.py"), *e.units[1:])).to_json())
        for i, e in enumerate(chosen)
    ]


def resident(pid: int) -> float:
    """Return the memory of a process in MiB, 0 where the system does not say."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--findings", type=int, default=100, help="how many are timed")
    parser.add_argument("--more", type=int, default=1000, help="how many are run while the memory is watched")
    arguments = parser.parse_args()
    made = list(experiments())
    print(f"{len(made)} findings of the fixtures can be run")
    with Pool(device="cpu", recycle=10 * (arguments.findings + arguments.more)) as pool:
        began = time.perf_counter()
        list(pool.run(numbered(made[:1], 1)))
        print(f"worker started and first finding: {time.perf_counter() - began:.1f} s")
        began = time.perf_counter()
        replies = [reply for _, reply in pool.run(numbered(made, arguments.findings))]
        seconds = [reply.seconds for reply in replies]
        print(
            f"{len(replies)} findings: {time.perf_counter() - began:.1f} s, median {statistics.median(seconds):.3f} s"
        )
        memory = []
        for index, _ in pool.run(numbered(made, arguments.more)):
            if index % 100 == 99:
                memory.append(resident(pool.pids[0]))
        print(f"memory after each 100 of {arguments.more}, MiB: {', '.join(f'{m:.0f}' for m in memory)}")
        print(f"workers started: {pool.started}")


if __name__ == "__main__":
    main()
