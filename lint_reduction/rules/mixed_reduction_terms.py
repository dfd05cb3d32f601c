"""One objective adds a term that is a sum over the batch to a term that is a mean over it.

## What goes wrong

The ratio of the two terms grows with the batch, so a weight between them that was tuned at one batch size
is another weight at the next. A factor on the whole gradient would be divided out again by Adam; the ratio
of two terms is not. The classic is a variational autoencoder with a mean reconstruction error and a summed
KL term, which collapses onto the prior as the batch gets larger.

## How to fix it

Reduce both terms alike: sum over the positions of a sample and average over the batch,
`.sum(dim=1).mean()`, or `reduction="sum"` and `/ x.size(0)`.

## When it is fine

When one of the terms is no function of the batch, such as a penalty on the weights; when the sum is divided
by the size of the batch, or the mean is multiplied by it; when both terms are sums.

## References

- zdebruine/MMVAE#19, UK-Digital-Heart-Project/4Dsurvival#11, podgorskiy/VAE#1
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossFlow, Step, StepKind, Term
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity, trained_growth
from lint_reduction.rules import rule


def _averages(term: Term) -> Step | None:
    """Return the step by which a term is a mean over the samples of the batch."""
    kinds = (StepKind.MEAN, StepKind.SITE)
    return next((s for s in reversed(term.steps) if s.kind in kinds and Count.SAMPLES in s.axes), None)


@rule("RED105", over=LossFlow, severity=Severity.WARNING)
def mixed_reduction_terms(flow: LossFlow) -> Iterator[Finding]:
    """Report the first summed term of an objective that has an averaged one as well."""
    terms = [term for term in flow.terms if trained_growth(flow, term) is not None]
    means = [t for t in terms if t.growth is not None and t.growth.in_samples == 0 and _averages(t)]
    sums = [(t, t.cause(1)) for t in terms if t.growth is not None and t.growth.in_samples >= 1]
    for term, cause in sums:
        # a call that is a sum or a mean, as the program is set up, is not both
        mean = next((m for m in means if m.site is None or m.site != term.site), None)
        if mean is None or cause is None or flow.axes:
            continue
        averaged = _averages(mean)
        assert averaged is not None
        yield Finding(
            cause.span,
            f"ratio of two terms grows as {term.growth}: this one is a sum over the batch,"
            f" that of line {averaged.span.line} is a mean over it",
            Severity.WARNING,
            min(confidence_of(flow, term), confidence_of(flow, mean)),
            "Reduce both terms alike: sum over a sample, average over the batch.",
            term.growth,
            tuple(dict.fromkeys((*path_of(flow, mean, cause.span), *path_of(flow, term, cause.span)))),
        )
        return
