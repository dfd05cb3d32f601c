"""How far a run is, on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

_Item = TypeVar("_Item")

#: A run that takes longer shows how far it is.
AFTER = 1.0


def linting(files: Sequence[_Item]) -> Iterator[_Item]:
    """Pass files on; on a terminal show a bar on stderr if that takes long."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield from files
        return
    started = time.monotonic()
    for index, file in enumerate(files):
        if time.monotonic() - started > AFTER:
            yield from _with_bar(files, index)
            return
        yield file


def verifying(verdicts: Iterator[_Item], total: int) -> Iterator[_Item]:
    """Pass verdicts on as they come in; on a terminal show a bar on stderr."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield from verdicts
        return
    with _bar() as progress:
        task = progress.add_task("verifying", total=total)
        for verdict in verdicts:
            yield verdict
            progress.advance(task)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _with_bar(files: Sequence[_Item], done: int) -> Iterator[_Item]:
    with _bar() as progress:
        task = progress.add_task("linting", total=len(files), completed=done)
        for file in files[done:]:
            yield file
            progress.advance(task)
