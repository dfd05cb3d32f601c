"""Measure a plan that runs: over the number of samples, and over all other counts that it has."""

from __future__ import annotations

from dataclasses import replace

from lint_reduction.growth import Count
from lint_reduction.verify.bench import Bench
from lint_reduction.verify.curves import FEW, SIZES, curve, curve_of_norms, term_curves
from lint_reduction.verify.measurement import Series, Trial
from lint_reduction.verify.planning import Plan
from lint_reduction.verify.synth import Sizes, norm
from lint_reduction.verify.unmasked import unmasked
from lint_reduction.verify.values import BlockedError, RaisedError

#: A factor that makes gradients so small that nothing that bounds them is engaged, and how much more they then grow.
_SMALL, _MORE = 1e-6, 0.25


def trial_of(bench: Bench, plan: Plan, sizes: Sizes) -> tuple[Trial, str]:
    """Measure a plan that runs, over all dials that it has."""
    outcomes = [bench.once(plan, sizes.grown("B", times), device=bench.device) for times in SIZES]
    samples = [sizes.base["B"] * times for times in SIZES]
    series = [curve("samples", "gradient", samples, [o.gradient for o in outcomes])]
    clipped = any(outcome.clipped for outcome in outcomes)
    series += term_curves("samples", samples, outcomes)
    if not clipped and (unbounded := _unbounded(bench, plan, sizes, series[0])):
        series, clipped = unbounded, True
    updates = [outcome.update for outcome in outcomes if outcome.update is not None]
    if len(updates) == len(SIZES):
        series.append(curve_of_norms("samples", "update", samples, [update.norm for update in updates]))
    if len(outcomes[0].norms) > 1:
        for path in outcomes[0].norms:
            norms = [outcome.norms.get(path, 0.0) for outcome in outcomes]
            series.append(curve_of_norms("samples", f"gradient of {path}", samples, norms))
    series += _other_dials(bench, plan, sizes)
    name = updates[0].optimizer if updates else ""
    return Trial(plan.layout(), tuple(series), clipped, plan.assumptions() + outcomes[0].chosen), name


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
    found = curve("samples", "gradient", bounded.sizes, [outcome.gradient / _SMALL for outcome in outcomes])
    grows = found.exponent is not None and found.exponent > bounded.exponent + _MORE
    return [found, *term_curves("samples", bounded.sizes, outcomes)] if grows else []


def _other_dials(bench: Bench, plan: Plan, sizes: Sizes) -> list[Series]:
    found: list[Series] = []
    if Count.VALID.value in bench.program.experiment.dials:
        found += unmasked(bench, plan, sizes)
    for count, what, at in _dials(plan, sizes):
        if count not in bench.program.experiment.dials:
            continue
        has_update = count == "micro_batches"
        try:
            outcomes = [bench.once(plan, one, device=bench.device, update=has_update) for one in at]
        except (BlockedError, RaisedError):
            continue
        shown = [_shown(count, one) for one in at]
        found.append(curve_of_norms(count, what, shown, [norm(outcome.gradient) for outcome in outcomes]))
        found += term_curves(count, shown, outcomes) if what == "gradient" else []
        updates = [outcome.update.norm for outcome in outcomes if outcome.update is not None]
        if has_update and len(updates) == len(at):
            found.append(curve_of_norms(count, "update", shown, updates))
    return found


def _shown(count: str, sizes: Sizes) -> int:
    """Return how many there are of what a dial counts."""
    if count == "elements":
        letter = "T" if "T" in sizes.times else "D"
        return sizes.base[letter] * sizes.times.get(letter, 1)
    sized = {"classes": sizes.size("C"), "micro_batches": sizes.micro_batches, "ranks": sizes.ranks}
    return sized.get(count, sizes.weights)


def _dials(plan: Plan, sizes: Sizes) -> list[tuple[str, str, list[Sizes]]]:
    """Return the dials besides the samples: the count, what is varied, and the sizes to run."""
    dials: list[tuple[str, str, list[Sizes]]] = []
    letters = plan.letters
    for letter, what in (("T", "gradient"), ("D", "gradient" if "T" not in letters else "gradient over features")):
        if letter in letters:
            dials.append(("elements", what, [sizes.grown(letter, times) for times in FEW]))
    if "C" in letters:
        dials.append(("classes", "gradient", [sizes.grown("C", times) for times in FEW]))
    dials.append(("micro_batches", "gradient", [replace(sizes, micro_batches=times) for times in FEW]))
    dials.append(("weights", "gradient", [replace(sizes, weights=times) for times in FEW]))
    dials.append(("ranks", "gradient", [replace(sizes, ranks=times) for times in FEW]))
    return dials
