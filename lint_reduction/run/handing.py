"""Losses that one module makes, another trains on, and a third brings together: the third is linted once more."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lint_reduction.errors import SourceError
from lint_reduction.facts import Fate, ModuleFacts
from lint_reduction.finding import Finding
from lint_reduction.run.report import FileResult
from lint_reduction.source.file import check_size, decode, read_bytes
from lint_reduction.source.notebook import Cells, is_notebook, read_notebook

if TYPE_CHECKING:
    from lint_reduction.analysis import Left
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
    from lint_reduction.analysis import left_to_others

    left: dict[int, tuple[Left, ...]] = {}
    given = []
    for result in results:
        context = contexts.of(Path(result.absolute).parent)
        if id(context) not in left:
            left[id(context)] = left_to_others(context.surroundings(), losses)
        concerning = [one for one in left[id(context)] if one.concerns(result.absolute)]
        given.append(_with_given(result, context, concerning) if concerning else result)
    return given


def _with_given(result: FileResult, context: Context, left: Sequence[Left]) -> FileResult:
    if result.unparsed or result.crash:
        return result
    try:
        data = context.contents.get(result.absolute)
        data = read_bytes(Path(result.absolute)) if data is None else data
        mentioned = [one for one in left if one.is_mentioned(data)]
        if not mentioned:
            return result
        text, cells = _text(data, result)
        findings = tuple(finding for one in mentioned for finding in _findings(result, text, context, one))
    except (SourceError, RecursionError):
        # it was not to be analyzed, and the first look said so if that matters
        return result
    except Exception:  # a bug must not take the findings in other files with it
        return replace(result, crash=f"internal error in {result.path}:\n{traceback.format_exc()}")
    if not findings:
        return result
    return replace(result, findings=(*result.findings, *findings), text=text, analyzed=True, cells=cells)


def _text(data: bytes, result: FileResult) -> tuple[str, Cells | None]:
    """Return the code in a file, and where the cells of a notebook stand in it."""
    if is_notebook(result.absolute):
        notebook = read_notebook(data)
        text, cells = ("", None) if notebook is None else (notebook.text, notebook.cells)
    else:
        text, cells = decode(data), None
    check_size(text.encode("utf-8", errors="replace"))
    return text, cells


def _findings(result: FileResult, text: str, context: Context, left: Left) -> Iterator[Finding]:
    """Yield what is found at losses of other modules."""
    from lint_reduction.analysis import analyze_given

    for facts in analyze_given(result.path, text, context.surroundings(), result.absolute, left):
        for rule in context.selection.rules:
            yield from (finding for finding in rule.check(facts) if finding.span.path)
