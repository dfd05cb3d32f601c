"""Compare a cold run with the least that any tool on libcst can take: import it and parse what has to be parsed.

    python benchmarks/floor.py PATH [-n RUNS]

The floor is one process that imports libcst and parses, with the garbage collector off, the files below PATH that
survive the byte prefilter. Both are run in turn, and CPU seconds (user and system) of whole processes are compared
run by run, since the speed of a shared machine drifts.
"""

from __future__ import annotations

import argparse
import compileall
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

#: Imports libcst and parses the files that are listed in one, with a null byte between them.
FLOOR = """
import gc, sys
gc.disable()
import libcst
for path in open(sys.argv[1], encoding="utf-8").read().split("\\0"):
    if path:
        with open(path, "rb") as file:
            data = file.read()
        try:
            libcst.parse_module(data)
        except libcst.ParserSyntaxError:
            pass
"""


def survivors(root: Path) -> list[Path]:
    """Return the Python files that the prefilter lets through."""
    from lint_reduction.libraries import load_libraries
    from lint_reduction.source.file import MAX_BYTES
    from lint_reduction.source.prefilter import build_prefilter

    prefilter = build_prefilter(load_libraries())
    found = []
    for path in sorted(root.rglob("*.py")):
        data = path.read_bytes() if path.is_file() else b""
        if len(data) <= MAX_BYTES and prefilter.may_hold_finding(data):
            found.append(path)
    return found


def cpu_seconds(command: list[str]) -> tuple[float, float]:
    """Run a command; return its CPU seconds and its peak memory in MiB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"exit status {os.waitstatus_to_exitcode(status)}: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Print the medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("-n", "--runs", type=int, default=3)
    options = parser.parse_args()
    # as it is where the package is installed
    compileall.compile_dir(Path(__file__).parent.parent / "lint_reduction", quiet=1)
    files = survivors(options.path)
    size = sum(path.stat().st_size for path in files)
    print(
        f"{len(files)} of {sum(1 for _ in options.path.rglob('*.py'))} files survive the prefilter, {size / 1e6:.1f} MB"
    )
    tool = [sys.executable, "-m", "lint_reduction", "--isolated", "--exit-zero", str(options.path)]
    ratios, ours, floors = [], [], []
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as listing:
        listing.write("\0".join(map(str, files)))
        listing.flush()
        for _ in range(options.runs):
            floor, _ = cpu_seconds([sys.executable, "-c", FLOOR, listing.name])
            run, peak = cpu_seconds(tool)
            ratios.append(run / floor)
            ours.append(run)
            floors.append(floor)
            print(f"  lint-reduction {run:.2f} s CPU ({peak:.0f} MiB), floor {floor:.2f} s, ratio {run / floor:.2f}")
    print(
        f"median: lint-reduction {statistics.median(ours):.2f} s CPU, floor {statistics.median(floors):.2f} s,"
        f" ratio {statistics.median(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
