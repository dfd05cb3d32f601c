"""`batchmean` divides by the first axis, and the input has positions besides samples and classes.

## What goes wrong

`reduction="batchmean"` sums over everything and divides by `input.size(0)` only. For input of shape (N, T, C)
or (N, C, H, W) that is a sum over the positions: the gradient grows with the length of the sequence or the
number of pixels.

## How to fix it

Make every position a row first: `F.kl_div(q.flatten(0, 1), p.flatten(0, 1), reduction="batchmean")`.

## When it is fine

For input of shape (N, C); where the divergence of a whole sequence is meant.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
- neuralmagic/sparseml#592
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Fate, LossFlow
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED202", over=LossFlow, severity=Severity.NOTE, default=False)
def batchmean_over_positions(flow: LossFlow) -> Iterator[Finding]:
    """Report each batchmean that still grows with the positions of a sample where it ends."""
    if flow.fate in (Fate.LOGGED, Fate.DETACHED):
        return
    for term in flow.terms:
        if term.site is None or term.site.reduction != "batchmean" or term.growth is None:
            continue
        if term.growth.exponent(Count.ELEMENTS) < 1 or term.steps[0].growth.exponent(Count.ELEMENTS) < 1:
            continue
        yield Finding(
            term.site.span,
            f"divergence grows as {term.growth}: batchmean divides by the first axis only, and there are three or more",
            Severity.NOTE,
            confidence_of(flow, term),
            "Flatten the positions into the first axis.",
            term.growth,
            path_of(flow, term, term.site.span),
        )
