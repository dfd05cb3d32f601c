"""A loss that is not reduced is read as one number.

## What goes wrong

`.item()`, `float()`, a number format such as `f"{loss:.3f}"` and a comparison in an `if` need one element.
A loss with `reduction="none"` has one a sample, or one a position, and raises; with a batch of one it runs.

## How to fix it

Reduce before reading: `loss.mean().item()`.

## When it is fine

For one entry of the loss, `loss[0].item()`, and one sample at a time.

## References

- zhaozhengChen/ReCAM#4, UCSB-NLP-Chang/ULD#1
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Fate, LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED124", over=LossFlow, severity=Severity.ERROR)
def unreduced_scalar_use(flow: LossFlow) -> Iterator[Finding]:
    """Report the loss call whose result is read although it is not reduced."""
    if flow.fate is not Fate.LOGGED or not flow.axes:
        return
    for term in flow.terms:
        if term.site is None or term.site.reduction != "none" or term.last(StepKind.MEAN) or term.last(StepKind.SUM):
            continue
        left = ", ".join(count.value for count in flow.axes)
        yield Finding(
            term.site.span,
            f"{flow.note} needs one number: this loss is not reduced over {left}",
            Severity.ERROR,
            confidence_of(flow, term),
            "Reduce it before it is read, as in loss.mean().item().",
            related=path_of(flow, term, term.site.span),
        )
        return
