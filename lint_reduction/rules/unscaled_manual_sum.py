"""An unreduced loss is summed over the batch by hand and trained on, and nothing divides it.

## What goes wrong

`F.cross_entropy(..., reduction="none").sum()`, `torch.sum(loss)` and `((a - b) ** 2).sum()` are sums over
the batch as much as `reduction="sum"` is: the gradient grows with the batch, and learning rate, clipping
and weight decay change meaning with it.

A loss that is written as arithmetic, such as the KL term of a variational autoencoder, is reported one
step more quietly, since less is known of it.

## How to fix it

`.mean()` instead of `.sum()`, or sum over the positions of a sample and average over the batch:
`.sum(dim=1).mean()`. A masked sum is divided by what the mask keeps: `/ mask.sum().clamp(min=1)`.

## When it is fine

When the sum runs over something else: features, heads, layers, the steps of an episode, parameters of
the model. When it is divided later, or the gradients are. When the loss already is one number.

## Fix safety

Unsafe: `.sum()` becomes `.mean()`, which changes the scale of the gradient. No fix for a sum over some axes and
for `torch.sum(loss)`.

## References

- verl-project/verl#3741, shubham-goel/4D-Humans#85
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossFlow, StepKind
from lint_reduction.finding import Finding, average_fix, confidence_of, path_of, undivided
from lint_reduction.impact import Severity, is_excused, severity_of_growth, trained_growth
from lint_reduction.rules import rule


@rule("RED102", over=LossFlow, severity=Severity.ERROR)
def unscaled_manual_sum(flow: LossFlow) -> Iterator[Finding]:
    """Report each term that a sum written by hand makes grow."""
    for term in flow.terms:
        growth = trained_growth(flow, term)
        cause = term.cause(1)
        if growth is None or growth.in_samples < 1 or cause is None or is_excused(flow, growth):
            continue
        if cause.kind is not StepKind.SUM:
            continue
        behavior = None if flow.optimizer is None else flow.optimizer.behavior
        severity = severity_of_growth(growth, behavior, flow.companions)
        yield Finding(
            cause.span,
            f"gradient grows as {growth}: summed over the batch here, and {undivided(term)}",
            severity if term.site is not None else severity.lowered(),
            confidence_of(flow, term),
            "Average over the batch, or divide by its size.",
            growth,
            path_of(flow, term, cause.span),
            fix=average_fix(cause),
        )
