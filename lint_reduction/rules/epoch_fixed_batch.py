"""A mean loss is multiplied by the configured batch size, in a total divided by the number of samples.

## What goes wrong

The last batch of an epoch is usually shorter. Multiplied by the configured size like the others, its mean
counts for samples that are not there, and the reported loss is wrong by up to a whole batch.

## How to fix it

`total += loss.item() * x.size(0)`.

## When it is fine

When the data set divides evenly, or the loader drops the last batch, which is recognized.

## References

- Lightning-AI/pytorch-lightning#2924, abhishekkrthakur/tez#19, catalyst-team/catalyst#799
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Batch, Evidence, Fate, LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import SAMPLES, Count, Growth
from lint_reduction.impact import Severity
from lint_reduction.rules import rule

_DATASET = Growth.of(Count.SAMPLES, Count.BATCHES) ** -1


@rule("RED503", over=LossFlow, severity=Severity.NOTE, default=False)
def epoch_fixed_batch(flow: LossFlow) -> Iterator[Finding]:
    """Report each mean that a size which is not read off the batch weights in a total."""
    for term in flow.terms:
        growth = term.growth
        if flow.fate is not Fate.REPORTED or growth is None or term.site is None or term.batch <= Batch.SINGLE:
            continue
        size = next((s for s in term.steps if s.kind is StepKind.MULTIPLY and s.growth == SAMPLES), None)
        division = next((s for s in term.steps if s.kind is StepKind.DIVIDE and s.growth == _DATASET), None)
        if size is None or size.evidence is Evidence.SHAPE or division is None:
            continue
        if growth.in_samples or growth.exponent(Count.BATCHES):
            continue
        yield Finding(
            term.site.span,
            f"the mean of a shorter last batch is multiplied by {size.text or 'a constant'} as well"
            f" before the total is divided by {division.text or 'the number of samples'}",
            Severity.NOTE,
            confidence_of(flow, term),
            "Multiply by the size of the batch at hand, as in x.size(0).",
            growth,
            path_of(flow, term, term.site.span),
        )
