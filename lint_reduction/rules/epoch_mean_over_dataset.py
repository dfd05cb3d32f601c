"""A total of mean losses is divided by the number of samples, and not by the number of batches.

## What goes wrong

Each batch adds its mean, so the total holds as many means as there are batches. Divided by
`len(loader.dataset)`, the reported loss is the true one divided by the batch size: it looks better than it
is, and it falls when somebody enlarges the batch.

## How to fix it

`total += loss.item() * x.size(0)`, which is also right for a shorter last batch, or divide by `len(loader)`.

## When it is fine

When the losses are sums, or are multiplied by the size of the batch in another statement or by a metric
object. Training is not affected, only what is printed, plotted and compared.

## References

- pytorch/tutorials#179, mahmoodlab/PathomicFusion#3, udacity/deep-learning-v2-pytorch#336
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Batch, Fate, LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED501", over=LossFlow, severity=Severity.WARNING, default=False)
def epoch_mean_over_dataset(flow: LossFlow) -> Iterator[Finding]:
    """Report each mean whose total over the batches is divided by a count of samples."""
    for term in flow.terms:
        growth = term.growth
        if flow.fate is not Fate.REPORTED or growth is None or term.site is None or term.batch <= Batch.SINGLE:
            continue
        cause = term.cause(-1)
        if growth.in_samples != -1 or growth.exponent(Count.BATCHES) or cause is None:
            continue
        if cause.kind is not StepKind.DIVIDE:
            continue
        yield Finding(
            term.site.span,
            f"the reported number shrinks as {growth}:"
            f" means over batches are added up and divided by {cause.text or 'the number of samples'}",
            Severity.WARNING,
            confidence_of(flow, term),
            "Multiply each mean by the size of its batch, or divide by the number of batches.",
            growth,
            path_of(flow, term, term.site.span),
        )
