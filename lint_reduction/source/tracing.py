"""What a result rests on: the files that were read and the paths that were looked for, noted while it is made.

Nothing is noted unless somebody asks. What is remembered of earlier questions is noted again with each answer, so that
a trace is the same whoever asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from lint_reduction.source.listing import look

_Result = TypeVar("_Result")
#: Answers that one function remembers.
_REMEMBERED = 65536


class Trace:
    """What was consulted.

    Attributes:
        contents: paths whose content matters, and that there is nothing where there is none.
        kinds: paths of which it matters only what was there, as ``look`` says.
        listings: directories of which all names matter.
        walked: directories that were searched for files, and their names as of ``names_in``.
    """

    __slots__ = ("contents", "kinds", "listings", "walked")

    def __init__(self) -> None:
        self.contents: set[str] = set()
        self.kinds: dict[str, str] = {}
        self.listings: set[str] = set()
        self.walked: dict[str, list[str]] = {}

    def add(self, other: Trace) -> None:
        """Note all that another trace has."""
        self.contents |= other.contents
        self.kinds.update(other.kinds)
        self.listings |= other.listings
        self.walked.update(other.walked)


_active: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def tracing() -> Iterator[Trace]:
    """Note what is consulted meanwhile; a trace around this one gets it as well."""
    around, trace = _active.get(), Trace()
    token = _active.set(trace)
    try:
        yield trace
    finally:
        _active.reset(token)
        if around is not None:
            around.add(trace)


def note_content(path: str) -> None:
    """Note that a file was read, or could not be."""
    trace = _active.get()
    if trace is not None and path not in trace.contents:
        trace.contents.add(path)
        trace.kinds[path] = look(path)


def kind_at(path: str) -> str:
    """Say what is at a path, as ``look`` does, and note it."""
    kind = look(path)
    trace = _active.get()
    if trace is not None:
        trace.kinds[path] = kind
    return kind


def note_listing(directory: str) -> None:
    """Note that the names in a directory were looked through."""
    trace = _active.get()
    if trace is not None:
        trace.listings.add(directory)


def note_walk(directory: str, names: list[str]) -> None:
    """Note what a directory has that may matter."""
    trace = _active.get()
    if trace is not None:
        trace.walked[directory] = names


class Remembered:
    """A function of hashable arguments whose answers are kept, each with the paths it asked for."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        self._known: dict[tuple[object, ...], tuple[object, tuple[tuple[str, str], ...]]] = {}
        _all.append(self)

    def __call__(self, *arguments: object) -> object:
        """Return the answer, and note what it rests on."""
        known = self._known.get(arguments)
        if known is not None:
            trace = _active.get()
            if trace is not None:
                trace.kinds.update(known[1])
            return known[0]
        with tracing() as trace:
            result = self._function(*arguments)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[arguments] = result, tuple(trace.kinds.items())
        return result

    def forget(self) -> None:
        """Forget all answers."""
        self._known.clear()


_all: list[Remembered] = []


def remembered(function: Callable[..., _Result]) -> Callable[..., _Result]:
    """Decorate a function that asks only what is at some paths, so that each question is asked once."""
    return Remembered(function)  # type: ignore[return-value]  # it returns what the function returns


def forget() -> None:
    """Forget what is at any path, as a process has to that goes on while files change."""
    for function in _all:
        function.forget()
