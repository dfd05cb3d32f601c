"""What the analysis finds in ``fixtures/analysis`` is what the ``# reveal:`` comments there say.

A comment stands on the line where flows end: that of ``backward()``, of ``.item()``, of the ``def``
from which a loss is returned to a caller that is not in view, of the call that trains.

    # reveal: samples * elements
    # reveal: samples * elements^?, 1; lr samples^-1; by SGD
    # reveal: samples | 1
    # reveal: logged 1
    # reveal: nothing

A comment describes every flow that ends on its line, alternatives (branches, the possible values of
an option) separated by ``|``. A flow is described by its fate, ``trained`` where none is written; by
the growth of its gradient, one for each term, in any order, separated by commas; and by what else is
worth saying about it, after semicolons:

- ``by`` the class of its optimizer, or how that behaves (``SGD``, ``invariant``), ``none`` for none in view;
- ``lr`` the growth of the learning rate;
- ``over`` the counts that are not yet reduced;
- ``data`` what the data of its terms are, the larger where they differ (``fixed``, ``parameters``);
- ``beside`` something that sees the size of the gradient (``gradient clipping``).

A growth is written as ``Growth`` prints it, ``unknown`` where the program does not say: a flow whose
growth is not known, or no flow that trains, as a loss of unknown reduction leaves none. A power
written ``^?`` is one that the program leaves open: whether ``x.sum(1)`` leaves positions over
depends on the rank of x, and a cross entropy may be over positions. ``nothing`` says that no flow
ends here. Every flow that trains must be revealed, so nothing is claimed in passing.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from lint_reduction.analysis import analyze
from lint_reduction.facts import Batch, Companion, Fate, LossFlow, Term
from lint_reduction.growth import Count, Growth
from lint_reduction.libraries import load_libraries
from lint_reduction.run.pipeline import with_large_stack
from tests.fixture_files import FIXTURES

ANALYSIS = FIXTURES / "analysis"

_REVEAL = re.compile(r"#\s*reveal:\s*(?P<text>.*?)\s*$")
_FLOW = re.compile(rf"(?:(?P<fate>{'|'.join(fate.value for fate in Fate)})\s+)?(?P<growths>[^;]+)(?P<more>(?:;[^;]+)*)")
_MORE = re.compile(r"(?P<key>by|lr|over|data|beside) (?P<value>\S.*)")
_OPEN = re.compile(r"(?P<count>[a-z_]+)\^\?")


@dataclass(frozen=True)
class Revealed:
    """A flow as a comment describes it; ``more`` holds only what the comment mentions."""

    fate: str
    growths: tuple[str, ...]
    more: tuple[tuple[str, str], ...] = ()


def _growth(text: str) -> str:
    """Return a growth in its printed form.

    Raises:
        ValueError: it is none.
    """
    if text == "unknown":
        return text
    factors = [factor.strip() for factor in text.split("*")]
    left_open = frozenset(Count(match["count"]) for factor in factors if (match := _OPEN.fullmatch(factor)))
    closed = [factor for factor in factors if not _OPEN.fullmatch(factor)]
    return _printed(Growth.parse("*".join(closed) or "1"), left_open)


def _printed(growth: Growth, left_open: frozenset[Count]) -> str:
    text = str(growth.without(left_open))
    return " * ".join([text, *sorted(f"{count.value}^?" for count in left_open)])


def _value(key: str, text: str) -> str:
    """Check one of the things after semicolons, and return it in its printed form."""
    match key:
        case "lr":
            return _growth(text)
        case "over":
            return ", ".join(sorted(Count(part.strip()).value for part in text.split(",")))
        case "data":
            return Batch[text.upper()].name.lower()
        case "beside":
            return Companion(text).value
    return text


def _read(text: str) -> tuple[Revealed, ...]:
    """Read a comment.

    Raises:
        ValueError: it is not in the language above.
    """
    if text == "nothing":
        return ()
    flows = []
    for part in text.split("|"):
        flow = _FLOW.fullmatch(part.strip())
        if flow is None:
            raise ValueError(f"not a flow: {part!r}")
        growths = tuple(sorted(_growth(growth.strip()) for growth in flow["growths"].split(",")))
        more = []
        for item in flow["more"].split(";")[1:]:
            pair = _MORE.fullmatch(item.strip())
            if pair is None:
                raise ValueError(f"not something to say about a flow: {item!r}")
            more.append((pair["key"], _value(pair["key"], pair["value"])))
        flows.append(Revealed(flow["fate"] or Fate.TRAINED.value, growths, tuple(more)))
    return tuple(flows)


@cache
def _revealed(path: Path) -> dict[int, tuple[Revealed, ...]]:
    """Return what the comments of a file describe, by line."""
    comments = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = _REVEAL.search(line)
        if match is not None:
            try:
                comments[number] = _read(match["text"])
            except (ValueError, KeyError) as error:
                raise AssertionError(f"{path.name}:{number}: {error}") from None
    return comments


@cache
def _found(path: Path) -> tuple[LossFlow, ...]:
    text = path.read_text()
    return with_large_stack(lambda: analyze(str(path), text, load_libraries(), complete=True)).flows


def _term(flow: LossFlow, term: Term) -> str:
    growth = flow.growth(term)
    return "unknown" if growth is None else _printed(growth, term.undetermined)


def _facts(flow: LossFlow, key: str, wanted: str) -> str:
    """Return what the analysis says where a comment says ``wanted``."""
    optimizer = flow.optimizer
    match key:
        case "by" if optimizer is not None:
            behavior = "" if optimizer.behavior is None else optimizer.behavior.value
            return behavior if wanted == behavior else optimizer.name.rpartition(".")[2]
        case "lr" if optimizer is not None:
            return "unknown" if optimizer.learning_rate is None else _printed(optimizer.learning_rate, frozenset())
        case "over":
            return ", ".join(sorted(count.value for count in flow.axes))
        case "data":
            return max(term.batch for term in flow.terms).name.lower()
        case "beside":
            companions = {companion.value for companion in flow.companions}
            return wanted if wanted in companions else ", ".join(sorted(companions))
    return "none"


def _like(flow: LossFlow, comment: Revealed) -> Revealed:
    """Return a flow as a comment would describe it that mentions the same things."""
    growths = tuple(sorted(_term(flow, term) for term in flow.terms))
    return Revealed(flow.fate.value, growths, tuple((key, _facts(flow, key, value)) for key, value in comment.more))


def _differences(found: set[LossFlow], wanted: tuple[Revealed, ...]) -> list[str]:
    """Return what keeps the flows of a line from being those of its comment; empty if nothing does."""
    missing = [str(comment) for comment in wanted if not any(_like(flow, comment) == comment for flow in found)]
    extra = [flow for flow in found if not any(_like(flow, comment) == comment for comment in wanted)]
    like = wanted[0] if wanted else Revealed("", ())
    return [*(f"missing {text}" for text in missing), *(f"found {_like(flow, like)}" for flow in extra)]


def _files() -> list[Path]:
    return sorted(ANALYSIS.glob("*.py"))


@pytest.mark.parametrize("path", _files(), ids=lambda path: path.stem)
def test_flows_are_those_revealed(path: Path) -> None:
    wanted = _revealed(path)
    problems = []
    for line, comment in wanted.items():
        found = {flow for flow in _found(path) if flow.end.span.line == line}
        if comment and all(part.fate == Fate.TRAINED.value for part in comment):
            # what is trained may also be read on its line: printed, returned from a step
            found = {flow for flow in found if flow.fate is Fate.TRAINED}
            if not found and all(part.growths == ("unknown",) for part in comment):
                continue
        problems += [f"line {line}: {difference}" for difference in _differences(found, comment)]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path", _files(), ids=lambda path: path.stem)
def test_every_flow_that_trains_is_revealed(path: Path) -> None:
    trained = {flow.end.span.line for flow in _found(path) if flow.fate is Fate.TRAINED}
    assert trained <= _revealed(path).keys()


@pytest.mark.parametrize("path", _files(), ids=lambda path: path.stem)
def test_every_file_reveals_something(path: Path) -> None:
    text = path.read_text()
    assert text.startswith('"""')
    assert _revealed(path)
    assert text.count("reveal:") == len(_revealed(path))


def test_there_is_enough_of_everything() -> None:
    comments = [comment for path in _files() for comment in _revealed(path).values()]
    growths = Counter(growth for comment in comments for flow in comment for growth in flow.growths)
    assert len(comments) >= 120
    assert growths["unknown"] >= 15


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sample",
        "samples^x",
        "samples;",
        "samples; sgd",
        "over samples",
        "samples; over rows",
        "samples |",
        "lost 1",
    ],
)
def test_an_unreadable_comment_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        _read(text)


def test_a_comment_is_read_part_by_part() -> None:
    first, second = _read("samples * elements^?, 1; lr samples^-1; by SGD | logged 1")
    assert first == Revealed("trained", ("1", "samples * elements^?"), (("lr", "samples^-1"), ("by", "SGD")))
    assert second == Revealed("logged", ("1",))
