"""A mean over the targets that count is taken in each micro-batch, however many those are.

## What goes wrong

With `ignore_index`, a mean divides by the targets that are not ignored. The mean of the means of micro-batches with
10 and 200 such targets is not the mean of all 210: the targets of the first weigh twenty times as much.
Accumulating then is not the same as a larger batch.

## How to fix it

Reduce by `sum`, and divide by the number of targets of all micro-batches of a step.

## When it is fine

When all micro-batches have the same number of targets (packed sequences), and when each sequence is meant to weigh
the same. That is why this rule is off by default.

## References

- https://huggingface.co/blog/gradient_accumulation
- huggingface/transformers#34191, huggingface/transformers#34198, pytorch/torchtitan#1842, huggingface/trl#4719
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossFlow
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity, averages_batch
from lint_reduction.rules import rule


@rule("RED403", over=LossFlow, severity=Severity.NOTE, default=False)
def token_mean_accumulated(flow: LossFlow) -> Iterator[Finding]:
    """Report each term that is a mean over targets that are not ignored, averaged over micro-batches."""
    window = flow.window
    if window is None:
        return
    for term in flow.terms:
        growth, site = flow.growth(term), term.site
        if site is None or site.divisor != "valid" or growth is None or not averages_batch(term):
            continue
        ignored = site.argument("ignore_index")
        if ignored is None or growth.exponent(Count.MICRO_BATCHES) or not window.growth.exponent(Count.MICRO_BATCHES):
            continue
        yield Finding(
            site.span,
            f"the mean over the targets that are not {ignored.text} is taken in each of"
            f" {window.text or 'several'} micro-batches, however many targets those have",
            Severity.NOTE,
            confidence_of(flow, term, window),
            "Sum, and divide by the number of targets of all micro-batches of a step.",
            growth,
            path_of(flow, term, site.span),
        )
