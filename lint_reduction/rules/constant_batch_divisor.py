"""A sum over the batch is divided by the configured batch size, not by the size of the batch.

## What goes wrong

The last batch of an epoch is shorter unless the loader drops it: its gradient is as much smaller as the
batch is. And a change of the loader alone brings back a gradient that grows with the batch.

## How to fix it

Divide by what is there, `x.size(0)`, or give the loader `drop_last=True`.

## When it is fine

With `drop_last=True`, and where every batch has one size by construction. A constant divisor can be meant:
under gradient accumulation and in reinforcement learning it weighs all samples alike.

## References

- mitmul/chainer-cifar10#1, chainer/chainer#777, UK-Digital-Heart-Project/4Dsurvival#11
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Batch, Doubt, LossFlow, StepKind, Term
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.impact import Severity, trained_growth
from lint_reduction.rules import rule


def _is_sum(term: Term) -> bool:
    """Say whether a term was a sum over the batch before it was divided."""
    kinds = (StepKind.SITE, StepKind.SUM)
    return any(step.kind in kinds and step.growth.in_samples >= 1 for step in term.steps)


@rule("RED108", over=LossFlow, severity=Severity.NOTE, default=False)
def constant_batch_divisor(flow: LossFlow) -> Iterator[Finding]:
    """Report each sum that a constant divides."""
    for term in flow.terms:
        growth = trained_growth(flow, term)
        if growth is None or growth.in_samples != 0 or term.batch is not Batch.LOADER or not _is_sum(term):
            continue
        divisor = next((step for step in term.steps if step.doubt is Doubt.CONSTANT), None)
        if divisor is None:
            continue
        yield Finding(
            divisor.span,
            f"a sum over the batch is divided by {divisor.text}, which a shorter last batch does not follow",
            Severity.NOTE,
            confidence_of(flow, term),
            "Divide by the size of the batch at hand, or give the loader drop_last=True.",
            growth,
            path_of(flow, term, divisor.span),
        )
