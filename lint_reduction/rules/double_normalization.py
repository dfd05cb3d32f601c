"""A loss that is a mean over the batch is divided by the size of the batch once more.

## What goes wrong

The gradient falls as the batch grows: at twice the batch size it is half as large, and so is the
effective learning rate of SGD. This is left over from a loss that was a sum, or from a rewrite in which
both the old and the new normalization stayed.

## How to fix it

Remove the division, or reduce by `sum` and keep it.

## When it is fine

When a mean over the features leaves the batch axis in place and the sum over the batch is divided; for a
division by accumulation steps, by the number of terms, by a temperature; for what is only logged.

## References

- williamleif/GraphSAGE#12, meijieru/crnn.pytorch#232, jfzhang95/pytorch-deeplab-xception#55
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Batch, LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity, severity_of_growth, trained_growth
from lint_reduction.rules import rule


@rule("RED104", over=LossFlow, severity=Severity.ERROR)
def double_normalization(flow: LossFlow) -> Iterator[Finding]:
    """Report each term that a second division makes shrink."""
    for term in flow.terms:
        growth = trained_growth(flow, term)
        if growth is None or growth.in_samples > -1 or term.site is None:
            continue
        if growth.exponent(Count.ITERATIONS) > 0 and term.batch is not Batch.LOADER:
            # a total over a loop of which nothing is known: its rounds may be the samples
            continue
        cause = term.cause(-1) or next((s for s in flow.steps if s.kind is StepKind.RESCALE), None)
        if cause is None or cause.kind not in (StepKind.DIVIDE, StepKind.RESCALE):
            continue
        behavior = None if flow.optimizer is None else flow.optimizer.behavior
        span = (term.last(StepKind.MEAN) or term.steps[0]).span
        yield Finding(
            span,
            f"gradient shrinks as {growth}: a mean over the batch is divided by {cause.text or 'its size'} again",
            severity_of_growth(growth, behavior, flow.companions),
            confidence_of(flow, term),
            "Remove the division, or reduce by sum.",
            growth,
            path_of(flow, term, span),
        )
