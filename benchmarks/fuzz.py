"""Damage programs at random, run the whole linter on them, and see whether all holds that must.

    python benchmarks/fuzz.py [FOLDER ...] [--inputs 100000] [--seed 0] [--start 0] [--jobs 1] [--save DIR]
    python benchmarks/fuzz.py [FOLDER ...] --seed 0 --only NUMBER

An input is a program of the fixtures (or of the folders), a notebook or a project, with changes to its bytes, tokens,
lines, blocks or syntax tree, settings beside it, and options; a seed and a number say which. The command is run on it
in a process with limits. A crash, a hang, an internal error, a wrong exit status, a report that is no UTF-8, JSON or
SARIF, a place outside of the file, a fix that leaves no program or more to fix, comments that do not silence, and a
report that differs on the next run, from a cache or in another process are failures. Each is made small, and saved.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fuzz.campaign import Campaign, Tally
from tests.fuzz.cases import Case, Seeds, make
from tests.fuzz.shrinking import failures_of, shrunk


def report(tally: Tally, seconds: float) -> None:
    """Print what a run found, without its failures."""
    rate = tally.inputs / max(seconds, 1e-9)
    print(f"{tally.inputs} inputs in {seconds:.0f} s ({rate:.1f}/s, {tally.inputs / max(tally.cpu, 1e-9):.1f}/CPU s)")
    print(f"largest process: {tally.peak:.0f} MiB")
    print("what came of them: " + ", ".join(f"{name} {n}" for name, n in tally.statuses.most_common()))
    print("further checks: " + ", ".join(f"{name} {n}" for name, n in sorted(tally.checks.items())))
    print(f"compared with another process: {tally.compared}")
    print("changes: " + ", ".join(f"{name} {n}" for name, n in sorted(tally.changes.items())))
    print(f"failures: {len(tally.failures)}, distinct: {len(tally.distinct)}", flush=True)


def show(case: Case) -> None:
    """Print an input."""
    print(f"arguments: {' '.join(case.arguments)}\nchanges: {', '.join(case.changes)}")
    for name, data in sorted(case.files.items()):
        print(f"--- {name}{' (changed)' if name == case.target else ''}\n{data!r}" if b"\0" in data else f"--- {name}")
        print(data.decode("utf-8", errors="backslashreplace"))


def save(folder: Path, case: Case, why: str) -> None:
    """Write an input down, with what fails and how to run it."""
    for name, data in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "WHY.txt").write_text(f"{why}\n\nlint-reduction check {' '.join(case.arguments)}\n", encoding="utf-8")


def campaign(options: argparse.Namespace) -> Tally:
    """Run, showing how far it is."""
    start = shown = time.monotonic()
    tally = Tally()
    known: set[str] = set()
    tallies = Campaign(options.seed, options.start, options.inputs, options.jobs, options.folders).run()
    try:
        for tally in tallies:
            for signature in tally.distinct.keys() - known:
                print(f"... {tally.distinct[signature][0][0]}: {signature}", file=sys.stderr, flush=True)
            known.update(tally.distinct)
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(f"... {tally.inputs} inputs, {len(known)} distinct failures", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("interrupted; so far:")
        tallies.close()
    report(tally, time.monotonic() - start)
    return tally


def main() -> None:
    """Run, print, and save what fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", help="more programs to damage")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="the number of the first input")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="show one input, and what fails")
    parser.add_argument("--shrink", type=int, default=10, help="how many distinct failures to make small")
    parser.add_argument("--save", type=Path, help="where to write inputs that fail")
    options = parser.parse_args()
    options.folders = [folder.absolute() for folder in options.folders]
    if options.only is not None:
        case = make(Seeds.of(options.folders), options.seed, options.only)
        show(case)
        print(json.dumps(failures_of(case), indent=2))
        return
    print(f"$ python {' '.join(sys.argv)}", flush=True)
    tally = campaign(options)
    seeds = Seeds.of(options.folders) if tally.failures else None
    for index, (signature, found) in enumerate(tally.distinct.items()):
        number, failure = found[0]
        print(f"\n== {signature}: {len(found)} inputs, the first is {number}\n{failure.detail[-1500:]}", flush=True)
        if seeds is not None and index < options.shrink:
            case = shrunk(make(seeds, options.seed, number), signature)
            show(case)
            if options.save:
                save(options.save / f"{options.seed}-{number}", case, f"{signature}\n{failure.detail}")
    raise SystemExit(bool(tally.failures))


if __name__ == "__main__":
    main()
