"""From what was measured to what it says about a finding, by the claim of its rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lint_reduction.facts import Behavior
from lint_reduction.finding import Finding
from lint_reduction.growth import Count
from lint_reduction.verdict import Curve, Outcome, Verdict
from lint_reduction.verify.claims import GROWS, Claim, claim_of
from lint_reduction.verify.measurement import OTHERS, OWN, Measurement, Series, Status, Trial

#: A part of a gradient that is smaller than this, at the largest size, is rounding.
_SHARE = 0.005
#: The same where the fit is exact up to the rounding of double precision, and so is each of its parts.
_SMALL_SHARE, _EXACT = 1e-6, 1e-11
#: Exponents of two terms that are farther apart are of unlike reductions.
_APART = 0.1
#: The larger exponent of an update that does not follow the batch.
_FLAT = 0.1
#: torch's optimizers whose update is proportional to the gradient.
_EQUIVARIANT = ("SGD", "ASGD")
#: What a count is called where its name alone does not say it.
_COUNTED = {Count.VALID.value: "unmasked positions"}

_Judgment = tuple[Outcome, str]


def judge(finding: Finding, measurement: Measurement) -> Verdict:
    """Return what a measurement says about a finding.

    The soundness rules of the verifier hold here: without the flagged call having been run there is no verdict, and all
    ways to fill in what is not known have to agree.
    """
    claim = claim_of(finding.code, finding.growth)
    if claim is None:
        return Verdict(Outcome.NOT_RUN, f"{finding.code} claims nothing about growth")
    if measurement.status is Status.BLOCKED:
        return _verdict(Outcome.NOT_RUN, measurement.reason, measurement)
    if not measurement.site_executed:
        return _verdict(Outcome.NOT_RUN, "the run does not reach the place of the finding", measurement)
    if measurement.status is Status.RAISED:
        return _verdict(*_raised(claim, measurement), measurement)
    if claim.raises and measurement.unreduced_site:
        reason = "it raises with some shapes, and with others a scalar gets there"
        return _verdict(Outcome.INCONCLUSIVE, reason, measurement)
    if not measurement.trials:
        return _verdict(Outcome.NOT_RUN, "nothing was measured", measurement)
    behavior = None if finding.flow is None or finding.flow.optimizer is None else finding.flow.optimizer.behavior
    is_part = finding.flow is not None and len(finding.flow.terms) > 1
    trials = [
        (t, _shared(claim, t, _trial(claim, t, measurement.optimizer, behavior, is_part), alone=not is_part))
        for t in measurement.trials
    ]
    is_certain = finding.growth is not None and finding.growth.exponent(Count.ELEMENTS)
    if claim.count is Count.ELEMENTS and not is_certain and any(judgment for _, judgment in trials):
        # nobody says that there are any positions beside the samples
        none = (Outcome.REFUTED, "it has no positions to sum over")
        trials = [(trial, judgment or none) for trial, judgment in trials]
    # a layout without the axis that the rule is about says nothing about it
    judged = [(trial, judgment) for trial, judgment in trials if judgment is not None]
    if not judged:
        reason = f"no {claim.what} was measured over {_COUNTED.get(claim.count.value, claim.count.value)}"
        return _verdict(Outcome.INCONCLUSIVE, reason, measurement)
    if len({outcome for _, (outcome, _) in judged}) == 1:
        shown_first = replace(measurement, trials=tuple(trial for trial, _ in judged))
        by_term = is_part and _own(claim, judged[0][0]) is not None
        return _verdict(*judged[0][1], shown_first, replace(claim, what=OWN) if by_term else claim)
    found = "; ".join(f"{trial.layout}: {outcome.value}, {reason}" for trial, (outcome, reason) in judged)
    return _verdict(Outcome.INCONCLUSIVE, f"depends on what is not known: {found}", measurement)


def _verdict(outcome: Outcome, reason: str, measurement: Measurement, claim: Claim | None = None) -> Verdict:
    first = list(measurement.trials[0].series) if measurement.trials else []
    if claim is not None:
        # the curve that decided comes first
        first.sort(key=lambda series: (series.count, series.what) != (claim.count.value, claim.what))
    return Verdict(
        outcome,
        reason,
        tuple(map(_curve, first)),
        measurement.optimizer,
        _assumptions(measurement.trials, agree=claim is not None),
        measurement.device,
        measurement.dtype,
    )


def _assumptions(trials: Sequence[Trial], *, agree: bool) -> tuple[str, ...]:
    """Return what is assumed: in the first layout and all its worlds, if the others agree with it, else in all."""
    if not trials:
        return ()
    first = trials[0].layout
    told = [trial for trial in trials if trial.layout == first or not agree]
    found = list(dict.fromkeys(sentence for trial in told for sentence in trial.assumptions))
    others = len({trial.layout for trial in trials} - {first})
    if others and agree:
        found.append(f"{others} other layouts agree" if others > 1 else "another layout agrees")
    return tuple(found)


def _curve(series: Series) -> Curve:
    return Curve(Count(series.count), series.what, series.sizes, series.norms, series.exponent)


def _raised(claim: Claim, measurement: Measurement) -> _Judgment:
    if not measurement.unreduced_site:
        return Outcome.INCONCLUSIVE, f"it raised, maybe for a shape guessed wrongly: {measurement.reason}"
    if claim.raises:
        return Outcome.CONFIRMED, f"raises: {measurement.reason}"
    return Outcome.INCONCLUSIVE, f"the loss is not reduced: {measurement.reason}"


def _trial(claim: Claim, trial: Trial, optimizer: str, behavior: Behavior | None, is_part: bool) -> _Judgment | None:
    """Judge one way to fill in what is not known, None if it has nothing of what the rule is about."""
    if claim.raises:
        return Outcome.REFUTED, "a scalar gets there, and nothing is raised"
    if claim.mixed:
        return _mixed(trial)
    series = _find(trial, claim.count, claim.what)
    if series is None or series.exponent is None:
        return None
    own = _own(claim, trial) if is_part else None
    if own is not None:
        if own.exponent is None:
            return Outcome.INCONCLUSIVE, "no gradient of the objective comes through this term"
        series, is_part = own, False
    if is_part and claim.most is not None and (shrinking := _shrinking(claim.most, series)) is not None:
        return Outcome.CONFIRMED, f"{shown(series)}, with a part ~ {series.count}^{shrinking}"
    if not _holds(claim, series):
        return Outcome.REFUTED, shown(series)
    summed = None if claim.flat is None else _find(trial, claim.flat, series.what)
    if summed is not None and summed.exponent is not None and summed.exponent > GROWS:
        return Outcome.REFUTED, f"{shown(series)}, but {shown(summed)}: a sum over them, not a mean that is diluted"
    counts = (Count.SAMPLES, Count.MICRO_BATCHES)
    growing = claim.count in counts and claim.what == "gradient" and claim.least is not None
    return _update(trial, series, optimizer, behavior) if growing else (Outcome.CONFIRMED, shown(series))


def _shared(claim: Claim, trial: Trial, judgment: _Judgment | None, *, alone: bool) -> _Judgment | None:
    """Take back what refutes a finding where the other terms of the objective may hide the one that it is about."""
    series = _find(trial, claim.count, claim.what)
    if judgment is None or judgment[0] is not Outcome.REFUTED or claim.raises or alone or series is None:
        return judgment
    if _own(claim, trial) is not None or _holds(claim, series) or series.powers:
        return judgment
    return Outcome.INCONCLUSIVE, f"{shown(series)} with all terms of the objective: the others may hide this one"


def _own(claim: Claim, trial: Trial) -> Series | None:
    """Return the curve of the term that a finding is about, by its own gradient."""
    return _find(trial, claim.count, OWN) if claim.what == "gradient" else None


def _find(trial: Trial, count: Count, what: str) -> Series | None:
    return next((s for s in trial.series if s.count == count.value and s.what == what), None)


def _holds(claim: Claim, series: Series) -> bool:
    """Say whether what a rule claims is what was measured; a part of the gradient that grows, or shrinks, does."""
    assert series.exponent is not None
    powers = _powers(series)
    if claim.least is not None:
        return max([*powers, series.exponent]) >= claim.least
    return claim.most is not None and series.exponent <= claim.most


def _powers(series: Series) -> list[int]:
    """Return the powers of the batch size that a gradient is made of, without the ones that are rounding."""
    least = _SMALL_SHARE if series.residual <= _EXACT else _SHARE
    return [power for power, share in series.powers if share > least]


def _shrinking(most: float, series: Series) -> int | None:
    """Return the power of a term that shrinks, None if there is none; it is looked for at the smallest size."""
    ratio = series.sizes[0] / series.sizes[-1]
    parts = {power: share * ratio**power for power, share in series.powers}
    total = sum(parts.values())
    return next((power for power, part in parts.items() if power <= most and part > _SHARE * total), None)


def _update(trial: Trial, gradient: Series, optimizer: str, behavior: Behavior | None) -> _Judgment:
    """Judge a gradient that grows, of the objective or of a term of it, by what the optimizer makes of it."""
    whole = _find(trial, Count(gradient.count), "gradient")
    update = _find(trial, Count(gradient.count), "update")
    if gradient.count == Count.SAMPLES.value and gradient.exponent is not None and gradient.exponent <= _FLAT:
        parts = _sum(_powers(gradient))
        return Outcome.CONFIRMED, f"a part of the gradient grows, it is {parts}; as a whole {shown(gradient)}"
    if update is None or update.exponent is None or whole is None or whole.exponent is None:
        return Outcome.CONFIRMED, shown(gradient)
    assert gradient.exponent is not None
    both = f"{shown(gradient)}, update ~ {update.count}^{_power(update.exponent)} with {optimizer}"
    # what is behind the gradient changes all terms alike
    if abs(update.exponent + gradient.exponent - whole.exponent) > _FLAT:
        return Outcome.CONFIRMED, both
    if trial.clipped:
        return Outcome.MUTED, f"{both}: gradient clipping bounds it while it is engaged"
    equivariant = optimizer.partition("(")[0] in _EQUIVARIANT if behavior is None else behavior is Behavior.EQUIVARIANT
    if not equivariant:
        return Outcome.MUTED, f"{both}, which divides it out in the first update"
    return Outcome.REFUTED, f"{both}: the learning rate or a division of the gradient takes it back"


def _mixed(trial: Trial) -> _Judgment | None:
    parts = [s for s in trial.series if s.count == Count.SAMPLES.value and s.what.startswith("gradient of ")]
    terms = [series for series in parts if series.what in (OWN, OTHERS)]
    boundaries = [series for series in parts if series.what not in (OWN, OTHERS)]
    for compared in (terms, boundaries):
        exponents = [s.exponent for s in compared if s.exponent is not None]
        if exponents and max(exponents) - min(exponents) > _APART:
            found = ", ".join(f"{s.what} ~ samples^{s.exponent:.2f}" for s in compared if s.exponent is not None)
            return Outcome.CONFIRMED, found
    whole = _find(trial, Count.SAMPLES, "gradient")
    if whole is None or whole.exponent is None:
        return None
    powers = _powers(whole)
    if len(powers) > 1:
        return Outcome.CONFIRMED, f"gradient ~ {_sum(powers)}"
    if not powers:
        return Outcome.INCONCLUSIVE, f"{shown(whole)}, which is no sum of powers: a small term may be in it"
    return Outcome.REFUTED, f"all terms grow alike: {shown(whole)}"


def _sum(powers: Iterable[int]) -> str:
    return " + ".join(f"samples^{power}" for power in sorted(powers))


def shown(series: Series) -> str:
    """Return a measured curve in one line: ``gradient ~ samples^1.00 (4 → 32: ×8.00)``."""
    exponent = "?" if series.exponent is None else _power(series.exponent)
    return f"{series.what} ~ {series.count}^{exponent}{_range(series)}"


def _power(exponent: float) -> str:
    return f"{exponent:.2f}".replace("-0.00", "0.00")


def _range(series: Series) -> str:
    sizes, norms = series.sizes, series.norms
    if len(sizes) < 2 or not norms[0]:
        return ""
    counted = f" {_COUNTED[series.count]}" if series.count in _COUNTED else ""
    return f" ({sizes[0]} → {sizes[-1]}{counted}: ×{norms[-1] / norms[0]:.2f})"
