"""From text to facts: the only package that imports libcst, and only when there is something to parse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from lint_reduction.analysis.handing import Given, Left, given, left_to_others, nearest
from lint_reduction.analysis.outline import Outline
from lint_reduction.analysis.outline import outline as outline_of
from lint_reduction.analysis.project import MARKS, Project
from lint_reduction.analysis.relevance import imported_bases
from lint_reduction.analysis.relevance import relevant as relevant_in
from lint_reduction.analysis.steps import taken_steps
from lint_reduction.facts import ModuleFacts, Span
from lint_reduction.libraries import Libraries
from lint_reduction.source.imports import Found

if TYPE_CHECKING:
    from lint_reduction.analysis.lowering import Lowered

__all__ = [
    "Given",
    "Left",
    "Project",
    "analyze",
    "analyze_given",
    "check_syntax",
    "given_to",
    "left_to_others",
    "nearest",
]


def analyze(
    path: str,
    text: str,
    libraries: Libraries,
    *,
    project: Project | None = None,
    absolute: str = "",
    complete: bool = False,
    whole: bool = False,
) -> ModuleFacts:
    """Return what is known of a module.

    Args:
        path: for messages; kept in the facts.
        text: the decoded source.
        libraries: what is known of other people's code.
        project: the modules around, None to look at this one alone.
        absolute: absolute path of the module, where its imports begin.
        complete: also keep what no rule can be interested in.
        whole: parse all of the text, not only the functions that can concern a loss.

    Raises:
        SourceError: the text cannot be parsed.
    """
    outline = outline_of(text)
    inherits = project is not None and outline is not None and _inherits(outline, project, absolute)
    taken = None if project is None or outline is None else taken_steps(outline, project, absolute)
    relevant = relevant_in(outline, libraries, inherits=inherits, taken=taken)
    if not relevant.anything:
        return ModuleFacts(path)

    from lint_reduction.analysis.lowering import lower_module

    lowered = lower_module(path, text, None if whole else outline, relevant)
    around = project if relevant.trains else None
    return _run(lowered, libraries, around, absolute, outline, complete=complete)


def given_to(text: str, project: Project, absolute: str, left: Left) -> Given:
    """Return what a module is given of the losses that others leave to it.

    Raises:
        SourceError: the text cannot be parsed.
    """
    outline = outline_of(text)
    return Given() if outline is None else given(project, absolute, outline, left)


def analyze_given(path: str, text: str, project: Project, absolute: str, what: Given) -> Iterator[ModuleFacts]:
    """Yield what is known of a module, given losses of other modules.

    Args:
        path: for messages; kept in the facts.
        text: the decoded source.
        project: the modules around.
        absolute: absolute path of the module.
        what: is given.
    """
    outline = outline_of(text)

    from lint_reduction.analysis.lowering import lower_module

    relevant = relevant_in(outline, project.libraries, given=what.words)
    lowered = lower_module(path, text, outline, relevant)
    for stand_in in (None, *what.stand_ins):
        yield _run(lowered, project.libraries, project, absolute, outline, stand_in=stand_in)


def _run(
    lowered: Lowered,
    libraries: Libraries,
    project: Project | None,
    absolute: str,
    outline: Outline | None,
    *,
    complete: bool = False,
    stand_in: Found | None = None,
) -> ModuleFacts:
    """Run a module that was lowered, and return what came of it."""
    from lint_reduction.analysis.flows import build
    from lint_reduction.analysis.forwarding import ignored_reductions, mark_ignored
    from lint_reduction.analysis.interpreter import machine_for
    from lint_reduction.analysis.objects import HARMLESS
    from lint_reduction.analysis.open_losses import open_losses
    from lint_reduction.analysis.roots import run_module, set_stand_in

    machine = machine_for(lowered.module, libraries, project, absolute)
    if stand_in is not None:
        set_stand_in(machine, stand_in.path, stand_in.name)
    traces = run_module(machine)

    def locate(marks: Iterable[int]) -> dict[int, Span]:
        wanted = set(marks)
        spans = lowered.locate(mark for mark in wanted if mark < MARKS)
        return spans if project is None else spans | project.locate(mark for mark in wanted if mark >= MARKS)

    if outline is not None:
        mark_ignored(machine.sites, ignored_reductions(outline, HARMLESS))
    facts = build(machine, traces, locate, complete=complete)
    return replace(facts, open_losses=open_losses(machine))


def _inherits(outline: Outline, project: Project, absolute: str) -> bool:
    """Say whether a class has a base in another module of the project that trains on something."""
    found = {project.find(absolute, dotted) for dotted in imported_bases(outline)}
    return any(base is not None and project.trains(base.path) for base in found)


def check_syntax(text: str) -> None:
    """Make sure that a text is Python.

    Raises:
        SourceError: it is not, or it is nested too deeply.
    """
    if outline_of(text) is None:
        from lint_reduction.analysis.parse import parse

        parse(text, None, None)
