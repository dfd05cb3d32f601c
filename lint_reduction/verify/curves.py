"""From the gradients of runs at several sizes to curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from lint_reduction.verify.bench import Outcome
from lint_reduction.verify.measure import POWERS, exponent, laurent
from lint_reduction.verify.measurement import OTHERS, OWN, Series
from lint_reduction.verify.synth import norm

#: How often a base is repeated: enough for a polynomial, and enough for an exponent.
SIZES = (1, 2, 3, 4, 6, 8)
FEW = (1, 2, 4)


def curve(count: str, what: str, sizes: Sequence[int], gradients: Sequence[torch.Tensor]) -> Series:
    """Return a curve, with its powers where there are sizes enough for a polynomial."""
    series = curve_of_norms(count, what, sizes, [norm(gradient) for gradient in gradients])
    if len(set(sizes)) <= len(POWERS):
        return series
    fit = laurent(sizes, [gradient.double().cpu().tolist() for gradient in gradients])
    powers = tuple(fit.shares.items()) if fit.exact else ()
    return replace(series, powers=powers, residual=fit.residual)


def curve_of_norms(count: str, what: str, sizes: Sequence[int], norms: Sequence[float]) -> Series:
    """Return a curve of which only the norms are known."""
    return Series(count, what, tuple(sizes), tuple(norms), exponent(sizes, norms))


def term_curves(count: str, sizes: Sequence[int], outcomes: Sequence[Outcome]) -> list[Series]:
    """Return the curves of the term that a finding is about, and of the others, where there are any."""
    shares = [outcome.shares for outcome in outcomes if outcome.shares is not None]
    if len(shares) < len(outcomes):
        return []
    parts = ((OWN, [share.own for share in shares]), (OTHERS, [share.others for share in shares]))
    return [curve(count, what, sizes, gradients) for what, gradients in parts]
