"""The learning rate is divided by the batch size to make up for a sum, under an adaptive optimizer.

## What goes wrong

Adam and its relatives divide a factor on the gradient out again: the step under a sum is that under a mean.
Divided by the batch size, the learning rate makes it shrink as the batch grows.

## How to fix it

Drop the division from the learning rate.

## When it is fine

With SGD, whose step follows the gradient: there the division is right.

## References

- xingyizhou/CenterNet#476
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Behavior, LossFlow
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.impact import Severity, trained_growth, update_growth
from lint_reduction.rules import rule


@rule("RED107", over=LossFlow, severity=Severity.WARNING, default=False)
def lr_divided_under_adaptive(flow: LossFlow) -> Iterator[Finding]:
    """Report each summed term for which the learning rate of an adaptive optimizer makes up."""
    optimizer = flow.optimizer
    rate = None if optimizer is None else optimizer.learning_rate
    if optimizer is None or optimizer.behavior is not Behavior.INVARIANT or rate is None or rate.in_samples > -1:
        return
    for term in flow.terms:
        growth = trained_growth(flow, term)
        cause = term.cause(1)
        if growth is None or growth.in_samples < 1 or cause is None:
            continue
        update = update_growth(growth, rate, optimizer.behavior)
        yield Finding(
            cause.span,
            f"update shrinks as {update}: {optimizer.name} is indifferent to the sum here, not to its learning rate",
            Severity.WARNING,
            confidence_of(flow, term),
            "Do not divide the learning rate of an adaptive optimizer by the batch size.",
            update,
            path_of(flow, term, cause.span),
        )
