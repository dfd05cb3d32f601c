"""A KL divergence is averaged over the classes as well as over the batch.

## What goes wrong

`KLDivLoss()` and `kl_div()` with `reduction="mean"`, the default, divide by all elements, N * C. The
divergence of N distributions is the sum over the classes divided by N: value and gradient are 1/C of it,
a factor of 1000 at 1000 classes, and a distillation weight tuned elsewhere is off by that factor. torch
warns at every such call that `mean` will become `batchmean` in the next major release, which will change
the scale of the same code by C.

## How to fix it

`reduction="batchmean"`, and divide the weight of the term by the number of classes if it was tuned with
the mean. For inputs with more than two axes flatten first, since `batchmean` divides by the first axis only.

## When it is fine

When the loss is multiplied by the number of classes again; when a factor was tuned with it and the number
of classes never changes; when the mean is written out and only handed on, as by a test.

## Fix safety

Unsafe: `batchmean` makes the term larger by the number of classes, so its weight has to be tuned again.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
- pytorch/pytorch#6622, facebookresearch/deit#61, haitongli/knowledge-distillation-pytorch#2
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Certainty, Decision, Fate, LossFlow, LossSite, StepKind, Term
from lint_reduction.finding import Applicability, Finding, confidence_of, path_of, reduction_fix
from lint_reduction.growth import Count, Growth
from lint_reduction.impact import Severity
from lint_reduction.rules import rule

_FATES = (Fate.TRAINED, Fate.RETURNED, Fate.ESCAPED)
_PER_CLASS = Growth.of(Count.CLASSES) ** -1


def _averaged_over_classes(flow: LossFlow, term: Term) -> bool:
    """Say whether an unreduced divergence is averaged over samples and classes at once, whatever the caller says."""
    mean = term.last(StepKind.MEAN)
    both = mean is not None and {Count.SAMPLES, Count.CLASSES} <= mean.axes
    return both and (flow.fate is Fate.TRAINED or flow.certainty is Certainty.ALWAYS)


def _is_meant(flow: LossFlow, site: LossSite) -> bool:
    """Say whether a mean is written out whose value is handed on to something that is not in view."""
    return flow.fate is Fate.ESCAPED and site.reduction == "mean" and site.decided_by is not Decision.DEFAULT


@rule("RED201", over=LossFlow, severity=Severity.WARNING)
def kl_div_mean(flow: LossFlow) -> Iterator[Finding]:
    """Report each term that is still divided by the number of classes where it ends."""
    if flow.fate not in _FATES:
        return
    for term in flow.terms:
        if term.site is None or term.growth is None or term.growth.exponent(Count.CLASSES) >= 0:
            continue
        if term.growth.exponent(Count.ELEMENTS) > 0 or _is_meant(flow, term.site):
            # multiplied by the size of an axis again, or tested
            continue
        if not term.steps[0].axes and not _averaged_over_classes(flow, term):
            # unreduced here
            continue
        yield Finding(
            term.site.span,
            f"divergence shrinks as {_PER_CLASS}: mean divides by the classes as well as by the samples",
            Severity.WARNING,
            confidence_of(flow, term),
            'Use reduction="batchmean".',
            term.growth,
            path_of(flow, term, term.site.span),
            fix=reduction_fix(term.site, "batchmean", Applicability.UNSAFE) if term.site.reduction == "mean" else None,
        )
