"""A total of summed losses is divided by the number of batches, and not by the number of samples.

## What goes wrong

Each batch adds the sum over its samples. Divided by `len(loader)`, the reported loss is that of a whole
batch: it grows with the batch size, and runs with different batch sizes cannot be compared.

## How to fix it

Divide by `len(loader.dataset)`, or use `reduction="mean"`.

## When it is fine

When the loss of a whole batch is what is wanted, such as an energy for each batch. Training is not
affected, but early stopping and schedulers that look at the number are.

## References

- HazyResearch/metal#77, https://docs.pytorch.org/docs/stable/data.html
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Batch, Fate, LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED502", over=LossFlow, severity=Severity.NOTE, default=False)
def epoch_sum_over_batches(flow: LossFlow) -> Iterator[Finding]:
    """Report each sum whose total over the batches is divided by their number."""
    for term in flow.terms:
        growth = term.growth
        if flow.fate is not Fate.REPORTED or growth is None or term.site is None or term.batch <= Batch.SINGLE:
            continue
        cause, division = term.cause(1), term.last(StepKind.DIVIDE)
        if growth.in_samples != 1 or cause is None or division is None:
            continue
        # a count of rounds that are not those over the batches may be one of samples
        if growth.exponent(Count.BATCHES) or growth.exponent(Count.ITERATIONS):
            continue
        if cause.kind not in (StepKind.SITE, StepKind.SUM, StepKind.MULTIPLY):
            continue
        yield Finding(
            term.site.span,
            f"the reported number grows as {growth}:"
            f" sums over batches are added up and divided by {division.text or 'the number of batches'}",
            Severity.NOTE,
            confidence_of(flow, term),
            "Divide by the number of samples.",
            growth,
            path_of(flow, term, term.site.span),
        )
