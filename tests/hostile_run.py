"""Runs hostile sources in this process, and prints what they came to and which events the interpreter of Python saw."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import torch

from lint_reduction.verify import laboratory
from lint_reduction.verify.experiment import Experiment, Place, Unit
from tests.compositions import COMPOSITIONS
from tests.experiments import experiment
from tests.hostile_sources import FIRST, SECOND

#: Families of events that are seen where anything but the interpreter's own work is done.
WATCHED = (
    "open exec import socket os subprocess shutil ctypes pickle marshal code builtins urllib glob tempfile cpython "
    "function sys.settrace sys.setprofile sys.addaudithook gc http ftplib smtplib webbrowser fcntl mmap resource signal"
).split()


def data_of(source: str) -> dict[str, object]:
    """Return the experiment of a source, also of one that does not parse."""
    try:
        made = experiment(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, AssertionError):
        nowhere = Place(0, 1, 0, 1, 0)
        made = Experiment("RED101", (Unit("x.py", source),), "train", None, (), nowhere, "backward", "train", nowhere)
    loaded: dict[str, object] = json.loads(made.to_json())
    return loaded


def main(written: str, secret: str) -> None:
    """Run them all; one line of JSON for each."""
    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    for composition in COMPOSITIONS:
        laboratory.run(data_of(composition.source), cpu, torch.float64)
    sources = [
        (name, source.replace("{WRITTEN}", written).replace("{SECRET}", secret)) for name, source in FIRST + SECOND
    ]
    prepared = [(name, data_of(source)) for name, source in sources]
    events: list[str] = []
    is_on = False

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if is_on and event.partition(".")[0] in WATCHED and event != "builtins.id":
            events.append(f"{event} {arguments!r}"[:200])

    sys.addaudithook(watch)
    for name, data in prepared:
        events.clear()
        start = time.perf_counter()
        is_on = True
        try:
            answer = laboratory.run(data, cpu, torch.float64)
        finally:
            is_on = False
        seconds = time.perf_counter() - start
        touched = Path(written).exists()
        text = json.dumps(answer, allow_nan=False)
        leaked = Path(secret).read_text() in text or os.environ["LINT_REDUCTION_SECRET"] in text
        line = {
            "name": name,
            "status": answer["status"],
            "reason": answer["reason"],
            "events": events[:5],
            "seconds": seconds,
            "touched": touched,
            "leaked": leaked,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
