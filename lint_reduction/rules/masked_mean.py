"""A mask sets part of a loss to zero, and the mean divides by all positions, masked ones too.

## What goes wrong

`(loss * mask).mean()` is the sum over the valid positions divided by the number of all positions. The gradient
follows the share of valid positions: a batch with much padding counts for less, and the loss depends on what
else is in the batch.

## How to fix it

Divide by what the mask keeps: `(loss * mask).sum() / mask.sum().clamp(min=1)`, with the mask expanded to the
shape of the loss, or `loss[mask].mean()`. Without the clamp a mask that keeps nothing gives NaN gradients.

## When it is fine

For weights that are no mask: importance weights, the weight of a class. For a mask that always keeps the same
share, such as dropout, and where the mean is divided by the mean of the mask. For two masks that share the
positions among them. All of these are recognized, as far as the mask is made in view.

## References

- d2l-ai/d2l-en#2076, huggingface/lerobot#3377, NVIDIA/tacotron2#244, open-mmlab/mmsegmentation#1388
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Fate, LossFlow, Step, StepKind, Term
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


def _mask(term: Term) -> Step | None:
    """Return the step that multiplies with a mask, or sets to zero what it leaves out."""
    kinds = (StepKind.MULTIPLY, StepKind.MASK)
    return next((s for s in term.steps if s.kind in kinds and s.growth.exponent(Count.VALID) > 0), None)


def _mean(term: Term) -> Step | None:
    """Return the mean over all positions of what a mask has left; a sum over some of them is another loss."""
    mask = _mask(term)
    steps = term.steps if mask is None else term.steps[term.steps.index(mask) :]
    if any(step.kind is StepKind.SUM for step in steps):
        return None
    return next((s for s in steps if s.kind is StepKind.MEAN and Count.SAMPLES in s.axes), None)


def _text(term: Term) -> str:
    mask = _mask(term)
    return "" if mask is None else mask.text


@rule("RED203", over=LossFlow, severity=Severity.WARNING)
def masked_mean(flow: LossFlow) -> Iterator[Finding]:
    """Report each term that follows the share of valid positions, if all terms of its mean have the same mask."""
    if flow.fate in (Fate.LOGGED, Fate.DETACHED) or flow.axes:
        return
    found = [(term, _mean(term)) for term in flow.terms if term.growth and term.growth.exponent(Count.VALID) >= 1]
    for term, mean in found:
        # other masks for the same loss, or other summands of the same mean, may have the rest of the positions
        rivals = [t for t in flow.terms if t.site == term.site or (mean is not None and mean in t.steps)]
        if mean is None or term.growth is None or any(_text(t) != _text(term) for t in rivals):
            continue
        if term.site is None and _mask(term) is None:
            # the share itself, for a progress bar
            continue
        yield Finding(
            mean.span,
            f"gradient follows the share of valid positions, {term.growth}:"
            f" {_text(term) or 'a mask'} sets the others to zero and this mean counts them",
            Severity.WARNING,
            confidence_of(flow, term),
            "Divide the sum by what the mask keeps, at least 1.",
            term.growth,
            path_of(flow, term, mean.span),
        )
