"""Measure a plan that runs: over the number of samples, and over all other counts that it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from lint_reduction.verify.bench import Bench, Outcome
from lint_reduction.verify.measure import POWERS, exponent, laurent
from lint_reduction.verify.measurement import OTHERS, OWN, Series, Trial
from lint_reduction.verify.planning import Plan
from lint_reduction.verify.synth import Sizes, norm
from lint_reduction.verify.values import BlockedError, RaisedError

SIZES = (1, 2, 3, 4, 6, 8)
FEW = (1, 2, 4)
#: A factor that makes gradients so small that nothing that bounds them is engaged, and how much more they then grow.
_SMALL, _MORE = 1e-6, 0.25


def trial_of(bench: Bench, plan: Plan, sizes: Sizes) -> tuple[Trial, str]:
    """Measure a plan that runs, over all dials that it has."""
    outcomes = [bench.once(plan, sizes.grown("B", times), device=bench.device) for times in SIZES]
    samples = [sizes.base["B"] * times for times in SIZES]
    series = [_series("samples", "gradient", samples, [o.gradient for o in outcomes])]
    clipped = any(outcome.clipped for outcome in outcomes)
    series += _terms("samples", samples, outcomes)
    if not clipped and (unbounded := _unbounded(bench, plan, sizes, series[0])):
        series, clipped = unbounded, True
    updates = [outcome.update for outcome in outcomes if outcome.update is not None]
    if len(updates) == len(SIZES):
        series.append(_series_of_norms("samples", "update", samples, [update.norm for update in updates]))
    if len(outcomes[0].norms) > 1:
        for path in outcomes[0].norms:
            norms = [outcome.norms.get(path, 0.0) for outcome in outcomes]
            series.append(_series_of_norms("samples", f"gradient of {path}", samples, norms))
    series += _other_dials(bench, plan, sizes)
    name = updates[0].optimizer if updates else ""
    return Trial(plan.layout(), tuple(series), clipped, plan.assumptions() + outcomes[0].chosen), name


def _terms(count: str, sizes: Sequence[int], outcomes: Sequence[Outcome]) -> list[Series]:
    """Return the curves of the term that a finding is about, and of the others, where there are any."""
    shares = [outcome.shares for outcome in outcomes if outcome.shares is not None]
    if len(shares) < len(outcomes):
        return []
    parts = ((OWN, [share.own for share in shares]), (OTHERS, [share.others for share in shares]))
    return [_series(count, what, sizes, gradients) for what, gradients in parts]


def _unbounded(bench: Bench, plan: Plan, sizes: Sizes, bounded: Series) -> list[Series]:
    """Return the growth of a small gradient where that of a large one is bounded: it is clipped by hand."""
    if bounded.exponent is None or not any(".grad" in unit.text for unit in bench.program.experiment.units):
        return []
    try:
        outcomes = [
            bench.once(plan, sizes.grown("B", times), device=bench.device, update=False, seed=_SMALL) for times in SIZES
        ]
    except (BlockedError, RaisedError):
        return []
    found = _series("samples", "gradient", bounded.sizes, [outcome.gradient / _SMALL for outcome in outcomes])
    grows = found.exponent is not None and found.exponent > bounded.exponent + _MORE
    return [found, *_terms("samples", bounded.sizes, outcomes)] if grows else []


def _other_dials(bench: Bench, plan: Plan, sizes: Sizes) -> list[Series]:
    found: list[Series] = []
    by_mask = bench.program.experiment.rule == "RED203"
    for count, what, at in _dials(plan, sizes, by_mask=by_mask):
        if count not in bench.program.experiment.dials:
            continue
        has_update = count == "micro_batches"
        try:
            outcomes = [bench.once(plan, one, device=bench.device, update=has_update) for one in at]
        except (BlockedError, RaisedError):
            continue
        shown = [_shown(count, one) for one in at]
        found.append(_series_of_norms(count, what, shown, [norm(outcome.gradient) for outcome in outcomes]))
        found += _terms(count, shown, outcomes) if what == "gradient" else []
        updates = [outcome.update.norm for outcome in outcomes if outcome.update is not None]
        if has_update and len(updates) == len(at):
            found.append(_series_of_norms(count, "update", shown, updates))
    return found


def _shown(count: str, sizes: Sizes) -> int:
    """Return how many there are of what a dial counts."""
    if count in ("elements", "valid"):
        letter = "T" if "T" in sizes.times else "D"
        return sizes.base[letter] * sizes.times.get(letter, 1)
    sized = {"classes": sizes.size("C"), "micro_batches": sizes.micro_batches, "ranks": sizes.ranks}
    return sized.get(count, sizes.weights)


def _dials(plan: Plan, sizes: Sizes, *, by_mask: bool) -> list[tuple[str, str, list[Sizes]]]:
    """Return the dials besides the samples: the count, what is varied, and the sizes to run."""
    dials: list[tuple[str, str, list[Sizes]]] = []
    letters = plan.letters
    for letter, what in (("T", "gradient"), ("D", "gradient" if "T" not in letters else "gradient over features")):
        if letter in letters:
            dials.append(("elements", what, [sizes.grown(letter, times) for times in FEW]))
    if "T" in letters and ((plan.has_mask if by_mask else plan.has_padding) or sizes.is_written):
        longest, base = max(FEW), sizes.base["T"]
        padded = [replace(sizes.grown("T", times), padding=base * (longest - times)) for times in FEW]
        dials.append(("valid", "gradient", padded))
    if "C" in letters:
        dials.append(("classes", "gradient", [sizes.grown("C", times) for times in FEW]))
    dials.append(("micro_batches", "gradient", [replace(sizes, micro_batches=times) for times in FEW]))
    dials.append(("weights", "gradient", [replace(sizes, weights=times) for times in FEW]))
    dials.append(("ranks", "gradient", [replace(sizes, ranks=times) for times in FEW]))
    return dials


def _series(count: str, what: str, sizes: Sequence[int], gradients: Sequence[torch.Tensor]) -> Series:
    series = _series_of_norms(count, what, sizes, [norm(gradient) for gradient in gradients])
    if len(set(sizes)) <= len(POWERS):
        return series
    fit = laurent(sizes, [gradient.double().cpu().tolist() for gradient in gradients])
    powers = tuple(fit.shares.items()) if fit.exact else ()
    return replace(series, powers=powers, residual=fit.residual)


def _series_of_norms(count: str, what: str, sizes: Sequence[int], norms: Sequence[float]) -> Series:
    return Series(count, what, tuple(sizes), tuple(norms), exponent(sizes, norms))
