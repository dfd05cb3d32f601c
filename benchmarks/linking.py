"""Compare a cold run that follows losses across modules with one that looks at each file alone.

    python benchmarks/linking.py PATH [-n RUNS]

Both are run in turn as whole processes; CPU seconds (user and system) and peak memory are compared run by run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

_RUN = """
import gc, sys
gc.disable()
from pathlib import Path
from lint_reduction.run import pipeline
if sys.argv[2] == "alone":
    pipeline.with_given = lambda results, contexts: list(results)
    pipeline.Context.surroundings = lambda context: None
report = pipeline.lint([Path(sys.argv[1])], pipeline.Overrides(isolated=True))
print(len(report.diagnostics))
"""


def run(path: Path, how: str) -> tuple[float, float, int]:
    """Return the CPU seconds and the peak memory in MiB of a process, and how many findings it has."""
    process = subprocess.Popen([sys.executable, "-c", _RUN, str(path), how], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = int(process.stdout.read())
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, found


def main() -> None:
    """Print the table and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("-n", type=int, default=3, help="how often each is run")
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {"alone": [], "linked": []}
    for _ in range(arguments.n):
        for how, measured in seconds.items():
            cpu, memory, found = run(arguments.path, how)
            measured.append(cpu)
            print(f"{how:>6}: {cpu:6.2f} s CPU, {memory:5.0f} MiB, {found} findings", flush=True)
    ratio = statistics.median(linked / alone for alone, linked in zip(*seconds.values(), strict=True))
    print(f"linked / alone: {ratio:.2f}")


if __name__ == "__main__":
    main()
