"""Hold the analysis against what programs measure: generate training programs, analyze them and run them with torch.

    python benchmarks/agreement.py [--programs 20000] [--seed 0] [--shrink 10]

Prints how many programs there were and how many of them differ, the share of which the analysis claims every growth,
how many claims of each kind were compared, why growths were not known, and each disagreement with a small program
that shows it. Ends with 1 if there is a disagreement, or a program that does not run.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.oracle.agreement import Tally, run, shrunk, unchosen
from tests.oracle.measured import Runner


def report(tally: Tally, seconds: float) -> None:
    """Print what a run found, without its disagreements."""
    share = tally.claimed / max(1, tally.programs)
    print(f"{tally.programs} programs, {len(tally.distinct)} distinct, {seconds:.0f} s")
    print(f"every growth claimed: {tally.claimed} ({share:.1%})")
    print("claims compared: " + ", ".join(f"{name} {n}" for name, n in sorted(tally.compared.items())))
    print(f"alternatives of the grammar: {len(tally.offered)}, never chosen: {len(unchosen(tally))}")
    print("not claimed, by reason:")
    for reason, count in tally.reasons().most_common(15):
        print(f"  {count:6} {reason}")
    print(f"programs that do not run: {len(tally.broken)}")
    print(f"disagreements: {len(tally.differences)}")


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shrink", type=int, default=10, help="how many disagreements to make small")
    options = parser.parse_args()
    start = time.monotonic()
    with Runner() as runner:
        tally = run(options.seed, options.programs, runner)
        report(tally, time.monotonic() - start)
        for program, error in tally.broken[:5]:
            print(f"\n# does not run: {error}\n{program.text}\n{program.driver}")
        for difference in tally.differences[: options.shrink]:
            small = shrunk(difference, runner)
            print(f"\n# {small.text}\n# flags: {small.program.settings}\n{small.program.text}\n{small.program.driver}")
    raise SystemExit(bool(tally.differences or tally.broken))


if __name__ == "__main__":
    main()
