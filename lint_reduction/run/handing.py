"""Losses that one module makes, another trains on, and a third brings together: the third is linted once more."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lint_reduction.errors import SourceError
from lint_reduction.facts import Fate, ModuleFacts
from lint_reduction.finding import Finding
from lint_reduction.run.report import FileResult
from lint_reduction.source.file import check_size, decode, read_bytes
from lint_reduction.source.imports import Found
from lint_reduction.source.notebook import Cells, is_notebook, read_notebook

if TYPE_CHECKING:
    from lint_reduction.analysis import Given, Left
    from lint_reduction.run.pipeline import Context, Contexts


#: How a path ends that may go on in another module.
_HANDED_ON = (Fate.RETURNED, Fate.ESCAPED)


def handed_on(facts: ModuleFacts) -> Iterator[int]:
    """Yield the lines of losses that are no mean and have no known end: another module may train on them."""
    followed = {term.site for flow in facts.flows if flow.fate not in _HANDED_ON for term in flow.terms}
    open_sites = (site for site in facts.sites if site.reduction != "mean" and site not in followed)
    yield from (site.span.line for site in open_sites if not site.span.path)


def with_given(results: Sequence[FileResult], contexts: Contexts) -> list[FileResult]:
    """Return results with what the modules find that are given a loss which others leave open.

    Args:
        results: of all files that are linted.
        contexts: what holds for each of them.
    """
    losses = {result.absolute: result.open_losses for result in results if result.open_losses}
    if not losses:
        return list(results)
    from lint_reduction.analysis import left_to_others, nearest

    left: dict[int, tuple[Left, ...]] = {}
    asked = []
    for result in results:
        context = contexts.of(Path(result.absolute).parent)
        if id(context) not in left:
            left[id(context)] = left_to_others(context.surroundings(), losses)
        concerning = [one for one in left[id(context)] if one.concerns(result.absolute)]
        asked.append(_guarded(_Asked(result, context), partial(_ask, left=concerning)))
    near = nearest(given for one in asked for given in one.given)
    return [_guarded(one, partial(_look, near=near)).result for one in asked]


@dataclass(slots=True)
class _Asked:
    """A file that may be given a loss, with its text only where it is."""

    result: FileResult
    context: Context
    given: list[Given] = field(default_factory=list)
    text: str = ""
    cells: Cells | None = None


def _guarded(asked: _Asked, run: Callable[[_Asked], None]) -> _Asked:
    if asked.result.unparsed or asked.result.crash:
        return asked
    try:
        run(asked)
    except (SourceError, RecursionError):
        # it was not to be analyzed, and the first look said so if that matters
        asked.given.clear()
    except Exception:  # a bug must not take the findings in other files with it
        crash = f"internal error in {asked.result.path}:\n{traceback.format_exc()}"
        asked.result = replace(asked.result, crash=crash)
    return asked


def _ask(asked: _Asked, left: Sequence[Left]) -> None:
    """Find out what a file is given."""
    from lint_reduction.analysis import given_to

    if not left:
        return
    context, path = asked.context, asked.result.absolute
    data = context.contents.get(path)
    data = read_bytes(Path(path)) if data is None else data
    mentioned = [one for one in left if one.is_mentioned(data)]
    if mentioned:
        text, cells = _text(data, asked.result)
        asked.given = [g for one in mentioned if (g := given_to(text, context.surroundings(), path, one)).words]
        if asked.given:
            asked.text, asked.cells = text, cells


def _look(asked: _Asked, near: Mapping[Found, int]) -> None:
    """Add what is found in a file at the losses that it is given."""
    findings = tuple(_findings(asked, near)) if asked.given else ()
    if findings:
        result, cells = asked.result, asked.cells
        found = (*result.findings, *findings)
        asked.result = replace(result, findings=found, text=asked.text, analyzed=True, cells=cells)


def _text(data: bytes, result: FileResult) -> tuple[str, Cells | None]:
    """Return the code in a file, and where the cells of a notebook stand in it."""
    if is_notebook(result.absolute):
        notebook = read_notebook(data)
        text, cells = ("", None) if notebook is None else (notebook.text, notebook.cells)
    else:
        text, cells = decode(data), None
    check_size(text.encode("utf-8", errors="replace"))
    return text, cells


def _findings(asked: _Asked, near: Mapping[Found, int]) -> Iterator[Finding]:
    """Yield what is found at losses of other modules."""
    from lint_reduction.analysis import analyze_given

    project, result = asked.context.surroundings(), asked.result
    for given in asked.given:
        known = {found: far for found, far in given.stand_ins.items() if far <= near[found]}
        what = replace(given, stand_ins=known)
        for facts in analyze_given(result.path, asked.text, project, result.absolute, what):
            for rule in asked.context.selection.rules:
                yield from (finding for finding in rule.check(facts) if finding.span.path)
