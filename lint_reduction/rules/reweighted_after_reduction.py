"""A loss that is averaged already is weighted as if each sample still had its own.

## What goes wrong

A focal loss multiplies the loss of each sample by `(1 - exp(-loss)) ** gamma`, so that well classified
samples count less. Computed from the mean of the batch, the factor is one number for all samples: the
gradient is exactly parallel to that of the plain loss, and nothing is focused on. The same holds for
weights of single samples, for a mask and for `topk` and `sort` applied to a mean. No error is raised.

## How to fix it

`reduction="none"` in the loss, then the weighting, then `.mean()`.

## When it is fine

When the factor is a number by intention: a schedule, an option, a learned uncertainty, another loss, a
detached value. When the loss is that of one sample. None of these is reported.

## References

- https://arxiv.org/abs/1708.02002, equation 5
- kaidic/LDAM-DRW#6, jfzhang95/pytorch-deeplab-xception#133, foamliu/InsightFace-v2#39
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Batch, Fate, LossFlow, Step, StepKind, Term
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.rules import rule

_FATES = (Fate.TRAINED, Fate.RETURNED, Fate.ESCAPED)
_ROWS = frozenset({Count.SAMPLES, Count.VALID})


def _per_sample(term: Term) -> Step | None:
    """Return the step that takes the loss for one of samples, if their mean or sum follows where they came back."""
    step = term.last(StepKind.PER_SAMPLE)
    if step is None or not step.axes:
        return step
    later = term.steps[term.steps.index(step) :]
    return step if any(s.kind in (StepKind.MEAN, StepKind.SUM) and s.axes & _ROWS for s in later) else None


@rule("RED206", over=LossFlow, severity=Severity.ERROR)
def reweighted_after_reduction(flow: LossFlow) -> Iterator[Finding]:
    """Report each reduced loss that is multiplied with itself or with the samples."""
    for term in flow.terms:
        modulated = term.last(StepKind.MODULATE)
        step = modulated or _per_sample(term)
        reduced = next((s for s in term.steps if s.axes & _ROWS), None)
        if step is None or reduced is None or term.site is None or term.batch <= Batch.SINGLE:
            continue
        if flow.fate not in _FATES:
            continue
        what = "multiplied by a function of itself" if modulated else f"given to {step.text}"
        if step.axes:
            what = "multiplied by one weight for each sample"
        yield Finding(
            reduced.span,
            f"the loss is one number for the whole batch when it is {what}, so no sample is weighted",
            Severity.ERROR if modulated else Severity.WARNING,
            confidence_of(flow, term),
            'Use reduction="none" here, and take the mean after the weighting.',
            related=path_of(flow, term, reduced.span),
        )
