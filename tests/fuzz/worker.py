"""A process that examines inputs one by one, so that one that kills it takes no other with it.

Prints ``> number`` before and a line of JSON after each input. One that hangs is ended, with its stack on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from random import Random

from tests.fuzz.cases import Seeds, make
from tests.fuzz.pipeline import examine

#: Seconds of CPU that an input may take, with all its checks, and seconds that it may do nothing.
HANG, STALL = 60, 900
#: Bytes of address space; the stack of the thread that analyzes takes a quarter of a gigabyte of it.
MEMORY = 3 << 30


def limit_memory() -> None:
    """Make what takes too much memory fail; not every platform can."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def watch() -> None:
    """End this process, saying where it is, if it goes on for long after this moment."""
    faulthandler.dump_traceback_later(STALL, exit=True)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + HANG, most))


def main() -> None:
    """Examine the inputs of a range."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--numbers", type=int, nargs=3, required=True, metavar=("START", "STOP", "STEP"))
    parser.add_argument("--only-once", action="store_true")
    parser.add_argument("folders", type=Path, nargs="*")
    options = parser.parse_args()
    limit_memory()
    faulthandler.register(signal.SIGXCPU, chain=True)
    seeds = Seeds.of(options.folders)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(*options.numbers):
            print(f"> {number}", file=out)
            watch()
            case = make(seeds, options.seed, number)
            outcome = examine(case, Path(folder) / "case", Random(number), only_once=options.only_once)
            print(json.dumps({"number": number, "changes": case.changes, **asdict(outcome)}), file=out)
        os.chdir(os.sep)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"peak": usage.ru_maxrss, "cpu": usage.ru_utime + usage.ru_stime}), file=out)
    sys.exit(0)


if __name__ == "__main__":
    main()
