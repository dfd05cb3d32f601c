"""Class weights with `reduction="none"` and `.mean()` are not what `reduction="mean"` computes.

## What goes wrong

With class weights, `reduction="mean"` divides by the sum of the weights of the targets. `.mean()` divides by
their number: within a batch that is a factor, the mean weight of its targets, and from batch to batch the
factor follows the mix of classes. Either is a fair loss; to train with one and to validate with the other is not.
Reported is the mean by hand where the module also has a loss with these weights under `reduction="mean"`.

## How to fix it

Use one of them everywhere. As `reduction="mean"`: `loss.sum() / weight[target].sum()`.

## When it is fine

When the two are never compared. A module that has only one of the two forms is not reported.

## References

- pytorch/pytorch#65329, pytorch/pytorch#40560, pytorch/pytorch#31295
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Fate, Literal, LossFlow
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED205", over=LossFlow, severity=Severity.NOTE, default=False)
def weighted_none_mean(flow: LossFlow) -> Iterator[Finding]:
    """Report each mean by hand of a loss whose own mean would divide by class weights."""
    if flow.fate in (Fate.LOGGED, Fate.DETACHED) or flow.axes:
        return
    for term in flow.terms:
        site = term.site
        if site is None or site.divisor != "valid" or site.reduction != "none" or term.growth is None:
            continue
        weight, mean = site.argument("weight"), term.averaged_at_once
        if weight is None or weight.known == Literal(None) or mean is None or not site.own_mean_too:
            continue
        yield Finding(
            mean.span,
            f"this mean divides by the number of targets, reduction='mean' by the sum of their weights ({weight.text})",
            Severity.NOTE,
            confidence_of(flow, term),
            "Use one of the two everywhere.",
            term.growth,
            path_of(flow, term, mean.span),
        )
