"""Measure the speed against other linters, the parser, a bare walk and copies of the same files; write it down.

    python benchmarks/speed.py [--only CORPUS ...] [--runs 3] [--no-peers] [--full] [--destination DIR] [--write FILE]

Downloads the corpora of speed_corpora.tsv by hash and installs each of the other linters in an environment of its own.
All that is compared is run in turn, in whole processes; CPU seconds are those of a process and its children. Without
--full a linter that takes minutes is run once, and only on the small corpora. Writes docs/benchmarks.md if all was run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from speed_report import report
from speed_session import Corpus, Session
from speed_setup import Workshop, names

#: What a run of everything writes.
_PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

_RUNS = 3


def _command(options: argparse.Namespace) -> str:
    """Return the command without what says where things are."""
    words = ["python benchmarks/speed.py", *(f"--only {name}" for name in options.only or ())]
    words += [f"--runs {options.runs}"] if options.runs != _RUNS else []
    words += ["--no-peers"] if options.no_peers else []
    return " ".join([*words, "--full"] if options.full else words)


def main() -> None:
    """Measure, print, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=names(), help="measure this corpus; may be given again")
    parser.add_argument("--runs", type=int, default=_RUNS, help="how often what is fast is run")
    parser.add_argument("--no-peers", action="store_true", help="leave the other linters out, but for ruff")
    parser.add_argument("--full", action="store_true", help="run all linters on all corpora, as often as ours: hours")
    parser.add_argument("--destination", type=Path, default=Path(__file__).parent / ".speed", help="where to keep all")
    parser.add_argument("--write", type=Path, help="where to write the report; docs/benchmarks.md if all was run")
    options = parser.parse_args()
    start = time.monotonic()
    workshop = Workshop(options.destination.absolute())
    found = workshop.fetch(options.only or names())
    session = Session(
        workshop, options.runs, [Corpus.of(*i) for i in found.items()], options.full, options.only is None
    )
    steps: list[Callable[[], None]] = [session.cold, session.peers, session.warm, session.nothing, session.growth]
    whole = options.only is None and not options.no_peers
    target = options.write or (_PAGE if whole else workshop.root / "benchmarks.md")
    for step in steps:
        if step != session.peers or not options.no_peers:
            print(f"== {step.__name__} ({time.monotonic() - start:.0f} s so far)", flush=True)
            step()
            # what there is so far, should it be cut off
            (workshop.root / "samples.json").write_text(session.samples.to_json(), encoding="utf-8")
            target.write_text(report(session, time.monotonic() - start, _command(options)), encoding="utf-8")
    print(target.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
