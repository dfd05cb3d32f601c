"""The mean losses of several micro-batches are added and never divided by their number.

## What goes wrong

`backward()` adds to the gradient. After K mean losses and one step of the optimizer the gradient is K times that
of the mean over all samples, so that SGD takes steps K times too large, and accumulating is not the same as a
larger batch. Adam divides the factor out again, clipping does not: its threshold is K times lower than it says.

## How to fix it

Divide each loss by the number of micro-batches of a step before `backward()`.

## When it is fine

When the gradients or the learning rate are divided instead, when sums are divided by the number of samples of
the whole window, when a framework divides (accelerate, Lightning, the Trainer of transformers, DeepSpeed), and
when gradients are zeroed in each round all the same. All of these are recognized.

## References

- https://docs.pytorch.org/docs/stable/notes/amp_examples.html#gradient-accumulation
- karpathy/nanoGPT#168, karpathy/nanoGPT#206, Lightning-AI/pytorch-lightning#12811, fredzzhang/atlas#26
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity, averages_batch, severity_of_accumulation
from lint_reduction.rules import rule


@rule("RED401", over=LossFlow, severity=Severity.ERROR)
def accumulation_not_divided(flow: LossFlow) -> Iterator[Finding]:
    """Report the first term of an objective whose gradient is added up over micro-batches."""
    window = flow.window
    rate = None if flow.optimizer is None else flow.optimizer.learning_rate
    divides_rate = rate is not None and rate.exponent(Count.MICRO_BATCHES)
    if window is None or flow.gradient_growth != window.growth or divides_rate:
        return
    for term in flow.terms:
        growth = flow.growth(term)
        if growth is None or growth.exponent(Count.MICRO_BATCHES) != 1 or not averages_batch(term):
            continue
        span = term.site.span if term.site is not None else (term.last(StepKind.MEAN) or term.steps[0]).span
        yield Finding(
            span,
            f"gradient grows as {growth}: the mean losses of {window.text or 'several micro-batches'} are added,"
            " and nothing divides their sum",
            severity_of_accumulation(flow),
            confidence_of(flow, term, window),
            "Divide the loss by the number of micro-batches before backward().",
            growth,
            path_of(flow, term, span),
        )
        return
