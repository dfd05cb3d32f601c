"""Ignored targets give zeros, and a mean by hand counts them.

## What goes wrong

With `reduction="mean"` a cross entropy divides by the targets that are not ignored. With `reduction="none"` the
ignored ones are zeros in the result, and `.mean()` divides by all of it: the gradient follows the share of
targets that count, and batches with much padding are worth less.

## How to fix it

Leave the mean to the loss, `F.cross_entropy(z, y, ignore_index=0)`, or divide by what counts:
`loss.sum() / (y != 0).sum().clamp(min=1)`.

## When it is fine

When no target is ever ignored; when the sum is divided by the number of those that are not.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
- EleutherAI/bergson#344, meta-pytorch/opacus#792, qubvel-org/segmentation_models.pytorch#852
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Fate, LossFlow
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED204", over=LossFlow, severity=Severity.WARNING)
def ignored_in_mean(flow: LossFlow) -> Iterator[Finding]:
    """Report each mean over all targets of a loss that was told which ones to ignore."""
    if flow.fate in (Fate.LOGGED, Fate.DETACHED) or flow.axes:
        return
    for term in flow.terms:
        site = term.site
        if site is None or site.divisor != "valid" or site.reduction != "none" or site.argument("ignore_index") is None:
            continue
        mean = term.averaged_at_once
        if mean is None or term.growth is None or term.growth.exponent(Count.VALID) != 0:
            continue
        yield Finding(
            mean.span,
            "gradient follows the share of targets that count: ignored ones are zeros, which this mean counts as well",
            Severity.WARNING,
            confidence_of(flow, term),
            'Use reduction="mean", or divide the sum by the number of targets that are not ignored.',
            term.growth,
            path_of(flow, term, mean.span),
        )
