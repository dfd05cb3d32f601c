"""A loss is divided by the number of micro-batches, and the framework divides it once more.

## What goes wrong

accelerate divides in `backward()` when it was told to accumulate, Lightning divides what `training_step` returns,
and the Trainer of transformers what `compute_loss` returns. With a division of one's own the gradient is that of
the mean over K times as many samples as there are: K times too small.

## How to fix it

Remove your own division.

## When it is fine

When accelerate was not told to accumulate, under Lightning's manual optimization, in Fabric, and for a copy that is
only logged.

## References

- https://huggingface.co/docs/accelerate/usage_guides/gradient_accumulation
- huggingface/accelerate#3533, Lightning-AI/pytorch-lightning#5680, Lightning-AI/pytorch-lightning#13243
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Fate, LossFlow
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity, severity_of_accumulation
from lint_reduction.rules import rule


@rule("RED402", over=LossFlow, severity=Severity.ERROR)
def accumulation_divided_twice(flow: LossFlow) -> Iterator[Finding]:
    """Report the first term that is divided by the number of micro-batches before a framework does so."""
    if not flow.framework_divides or flow.fate is not Fate.TRAINED:
        return
    for term in flow.terms:
        growth = flow.growth(term)
        division = next((s for s in reversed(term.steps) if s.growth.exponent(Count.MICRO_BATCHES) < 0), None)
        if growth is None or growth.exponent(Count.MICRO_BATCHES) > -1 or division is None:
            continue
        span = term.steps[0].span if term.site is None else term.site.span
        yield Finding(
            span,
            f"gradient shrinks as {growth}: divided by {division.text or 'the number of micro-batches'},"
            f" and by {flow.framework_divides} once more",
            severity_of_accumulation(flow),
            confidence_of(flow, term),
            "Remove the division: the framework does it.",
            growth,
            path_of(flow, term, span),
        )
        return
