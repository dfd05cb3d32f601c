"""From text to facts: the only package that imports libcst, and only when there is something to parse."""

from __future__ import annotations

from lint_reduction.analysis.outline import outline as outline_of
from lint_reduction.analysis.relevance import relevant as relevant_in
from lint_reduction.facts import ModuleFacts
from lint_reduction.libraries import Libraries


def analyze(path: str, text: str, libraries: Libraries, *, complete: bool = False, whole: bool = False) -> ModuleFacts:
    """Return what is known of a module.

    Args:
        path: for messages; kept in the facts.
        text: the decoded source.
        libraries: what is known of other people's code.
        complete: also keep what no rule can be interested in.
        whole: parse all of the text, not only the functions that can concern a loss.

    Raises:
        SourceError: the text cannot be parsed.
    """
    outline = outline_of(text)
    relevant = relevant_in(outline, libraries)
    if not relevant.anything:
        return ModuleFacts(path)

    from lint_reduction.analysis.flows import build
    from lint_reduction.analysis.forwarding import ignored_reductions, mark_ignored
    from lint_reduction.analysis.interpreter import machine_for
    from lint_reduction.analysis.lowering import lower_module
    from lint_reduction.analysis.objects import HARMLESS
    from lint_reduction.analysis.roots import run_module

    lowered = lower_module(path, text, None if whole else outline, relevant)
    machine = machine_for(lowered.module, libraries)
    traces = run_module(machine)
    if outline is not None:
        mark_ignored(machine.sites, ignored_reductions(outline, HARMLESS))
    return build(machine, traces, lowered.locate, complete=complete)


def check_syntax(text: str) -> None:
    """Make sure that a text is Python.

    Raises:
        SourceError: it is not, or it is nested too deeply.
    """
    if outline_of(text) is None:
        from lint_reduction.analysis.parse import parse

        parse(text, None, None)
