"""Hold three answers against each other: generate training programs, analyze them, run them with torch and verify them.

    python benchmarks/agreement.py [--programs 20000] [--first 0] [--seed 0] [--shrink 10] [--static-only]

Prints how many programs there were and how many of them differ, the share of which the analysis claims every growth,
how many claims of each kind were compared, why growths were not known, how many programs the verifier could run and why
not the others, how often it and the run were compared, and each disagreement with a small program that shows it. A line
after every 500 programs says how far it is, behind what differs among them. Ends with 1 if there is a disagreement, or
a program that does not run.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.oracle.agreement import Tally, run, shrunk, unchosen
from tests.oracle.measured import Runner
from tests.oracle.verified import Verifier

#: How many programs are run between two lines that say how far it is.
_CHUNK = 500


def report(tally: Tally, seconds: float) -> None:
    """Print what a run found, without its disagreements."""
    share = tally.claimed / max(1, tally.programs)
    print(f"{tally.programs} programs, {len(tally.distinct)} distinct, {seconds:.0f} s")
    print(f"every growth claimed: {tally.claimed} ({share:.1%})")
    print(f"claims compared with the run: {_counts(tally.compared)}")
    if tally.to_verify:
        share = tally.verified / tally.to_verify
        print(f"verified: {tally.verified} of {tally.to_verify} that train on something ({share:.1%})")
        print(f"verified exponents compared with the run: {_counts(tally.readings)}")
        print(f"left open by the verifier, since shapes or numbers that fit differ: {_counts(tally.open)}")
    print(f"alternatives of the grammar: {len(tally.offered)}, never chosen: {len(unchosen(tally))}")
    print("not claimed, by reason:")
    for reason, count in tally.reasons().most_common(15):
        print(f"  {count:6} {reason}")
    print("not verified, by reason:")
    for reason, count in tally.reasons_not_run().most_common(15):
        print(f"  {count:6} {reason}")
    print(f"programs that do not run: {len(tally.broken)}")
    print(f"disagreements: {len(tally.differences)}")


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(counted.items()))


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first program")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shrink", type=int, default=10, help="how many disagreements to make small")
    parser.add_argument("--static-only", action="store_true", help="leave out the verifier")
    options = parser.parse_args()
    start = time.monotonic()
    tally = Tally()
    with Runner() as runner, contextlib.ExitStack() as stack:
        verifier = None if options.static_only else stack.enter_context(Verifier())
        for first in range(options.first, options.first + options.programs, _CHUNK):
            count = min(_CHUNK, options.first + options.programs - first)
            known = len(tally.differences)
            run(options.seed, count, runner, verifier, first=first, tally=tally)
            for difference in tally.differences[known:]:
                print(f"\n# {difference.text}\n{difference.program.text}\n{difference.program.driver}")
            print(
                f"{tally.programs} programs, {tally.claimed} claimed, {tally.verified} of {tally.to_verify} verified, "
                f"{len(tally.broken)} do not run, {len(tally.differences)} disagreements, "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )
        report(tally, time.monotonic() - start)
        for program, error in tally.broken[:5]:
            print(f"\n# does not run: {error}\n{program.text}\n{program.driver}")
        for difference in tally.differences[: options.shrink]:
            small = shrunk(difference, runner, verifier)
            print(f"\n# {small.text}\n# flags: {small.program.settings}\n{small.program.text}\n{small.program.driver}")
    raise SystemExit(bool(tally.differences or tally.broken))


if __name__ == "__main__":
    main()
