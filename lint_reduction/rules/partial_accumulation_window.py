"""The last micro-batches of an epoch may be fewer than those that the loss is divided by.

## What goes wrong

With `if (i + 1) % K == 0: optimizer.step()`, up to K - 1 micro-batches at the end of an epoch have no step of their
own. Their gradients are dropped, or are added to the first window of the next epoch, which then has more than K.

## How to fix it

Step on the last batch as well, `or i + 1 == len(loader)`, and divide by the number of micro-batches that there are.

## When it is fine

When the number of batches is a multiple of K, and when the rounds are counted through all epochs. With many windows
in an epoch the effect is small, which is why this rule is off by default.

## References

- Lightning-AI/pytorch-lightning#19987, explainingai-code/DiT-PyTorch#3, huggingface/transformers#38837
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED406", over=LossFlow, severity=Severity.NOTE, default=False)
def partial_accumulation_window(flow: LossFlow) -> Iterator[Finding]:
    """Report the first term that is divided by a number of micro-batches that the last window may not have."""
    window = flow.window
    if window is None or not flow.unflushed:
        return
    for term in flow.terms:
        growth = flow.growth(term)
        divided = any(step.growth.exponent(Count.MICRO_BATCHES) < 0 for step in (*term.steps, *flow.steps))
        if growth is None or growth.exponent(Count.MICRO_BATCHES) or not divided:
            continue
        span = term.site.span if term.site is not None else (term.last(StepKind.MEAN) or term.steps[0]).span
        yield Finding(
            span,
            f"divided by {window.text}, but the loop may end in fewer rounds than that after the last step",
            Severity.NOTE,
            confidence_of(flow, term, window),
            "Step after the last batch as well.",
            growth,
            path_of(flow, term, span),
        )
        return
