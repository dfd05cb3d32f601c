"""From text to facts: the only package that imports libcst."""

from __future__ import annotations

from lint_reduction.analysis.flows import build
from lint_reduction.analysis.interpreter import machine_for
from lint_reduction.analysis.lowering import lower_module
from lint_reduction.analysis.roots import run_module
from lint_reduction.facts import ModuleFacts
from lint_reduction.libraries import Libraries


def analyze(path: str, text: str, libraries: Libraries, *, complete: bool = False) -> ModuleFacts:
    """Return what is known of a module.

    Args:
        path: for messages; kept in the facts.
        text: the decoded source.
        libraries: what is known of other people's code.
        complete: also keep what no rule can be interested in.

    Raises:
        SourceError: the text cannot be parsed.
    """
    lowered = lower_module(path, text, libraries)
    machine = machine_for(lowered.module, libraries)
    traces = run_module(machine)
    return build(machine, traces, lowered.locate, complete=complete)
