"""A loss that is a mean over the batch is multiplied by the size of the batch before backward.

## What goes wrong

The mean times the number of samples is the sum: the gradient grows with the batch after all. The factor
usually comes from code that logs a running total, where it is right, and has slipped into the loss.

## How to fix it

Drop the factor from what is trained on, and keep it in what is logged:
`total += loss.item() * x.size(0)`.

## When it is fine

With a nominal batch size, when the number of accumulated micro-batches falls as the batch grows. A factor
of the world size is no batch size. What is only logged is never reported.

## References

- ultralytics/yolov3#507, ultralytics/yolov5#2704, irrmnv/pytorch-ieee-cmi#1
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.impact import Severity, is_excused, severity_of_growth, trained_growth
from lint_reduction.rules import rule


@rule("RED103", over=LossFlow, severity=Severity.ERROR)
def batch_multiplied_loss(flow: LossFlow) -> Iterator[Finding]:
    """Report each term that a factor makes grow."""
    for term in flow.terms:
        growth = trained_growth(flow, term)
        cause = term.cause(1)
        if growth is None or growth.in_samples < 1 or cause is None or term.site is None:
            continue
        if cause.kind is not StepKind.MULTIPLY or is_excused(flow, growth):
            continue
        behavior = None if flow.optimizer is None else flow.optimizer.behavior
        span = (term.last(StepKind.MEAN) or term.steps[0]).span
        yield Finding(
            span,
            f"gradient grows as {growth}: a mean over the batch is multiplied by {cause.text or 'its size'}",
            severity_of_growth(growth, behavior, flow.companions),
            confidence_of(flow, term),
            "Drop the factor from the loss; multiply only what is logged.",
            growth,
            path_of(flow, term, span),
        )
