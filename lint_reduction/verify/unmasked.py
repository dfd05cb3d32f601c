"""Vary how many positions a mask keeps, of as many as there are: whatever the mask is made of.

What is added behind the base, along one axis, is what the program may leave out: zeros in a mask, a number that it
compares targets with. Whether it does is seen where the finding is: what is reduced there is zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lint_reduction.growth import Count
from lint_reduction.verify.bench import Bench, Outcome
from lint_reduction.verify.curves import FEW, curve_of_norms, term_curves
from lint_reduction.verify.measurement import Series
from lint_reduction.verify.planning import Plan
from lint_reduction.verify.synth import Sizes, norm
from lint_reduction.verify.values import BlockedError, RaisedError

#: The axes that may be padded, the likeliest first: tokens, features, pixels, samples.
_AXES = "TDWB"
#: The rule whose mask is the program's own, and no class that a loss ignores.
_BY_MASK = "RED203"


def unmasked(bench: Bench, plan: Plan, sizes: Sizes) -> list[Series]:
    """Return the curves over the number of positions that are kept, none where nothing was found that varies it."""
    says = plan.has_mask if bench.program.experiment.rule == _BY_MASK else plan.has_padding
    for padded in _ways(bench, plan, sizes):
        outcomes = _outcomes(bench, plan, padded)
        if outcomes is None:
            continue
        kept = outcomes[0].kept
        if kept is None and not (padded[0].padded == "T" and (says or sizes.is_written)):
            # nothing is seen, and nothing says that it is left out
            return []
        base = sizes.base[padded[0].padded] if kept is None else kept
        counts = [base * times for times in FEW]
        gradient = curve_of_norms(Count.VALID.value, "gradient", counts, [norm(one.gradient) for one in outcomes])
        return [gradient, *term_curves(Count.VALID.value, counts, outcomes)]
    return []


def _ways(bench: Bench, plan: Plan, sizes: Sizes) -> Iterator[list[Sizes]]:
    """Yield sizes at which more and more of an axis, as long as it is at the last, is not padding."""
    is_ignored = sizes.is_written or bench.program.experiment.rule != _BY_MASK
    filler = None if is_ignored else 0.0
    for letter in _AXES:
        for stands, masked in ((filler, 0), (-1.0, 0), (filler, 1)) if letter in plan.letters else ():
            way = replace(sizes, padded=letter, filler=stands, masked=masked)
            yield [replace(way.grown(letter, times), padding=sizes.base[letter] * (max(FEW) - times)) for times in FEW]


def _outcomes(bench: Bench, plan: Plan, padded: list[Sizes]) -> list[Outcome] | None:
    """Return the runs, None where one is not possible, or as much is kept as is not padding."""
    found: list[Outcome] = []
    for times, sizes in zip(FEW, padded, strict=True):
        try:
            found.append(bench.once(plan, sizes, device=bench.device, update=False))
        except (BlockedError, RaisedError):
            return None
        kept = found[0].kept
        if kept is not None and found[-1].kept != kept * times:
            return None
    return found
