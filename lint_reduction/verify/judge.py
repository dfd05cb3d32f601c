"""From what was measured to what it says about a finding, by the claim of its rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lint_reduction.facts import Behavior
from lint_reduction.finding import Finding
from lint_reduction.growth import Count
from lint_reduction.verdict import Curve, Outcome, Verdict
from lint_reduction.verify.claims import CLAIMS, Claim
from lint_reduction.verify.measurement import Measurement, Series, Status, Trial

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

_Judgment = tuple[Outcome, str]


def judge(finding: Finding, measurement: Measurement) -> Verdict:
    """Return what a measurement says about a finding.

    The soundness rules of the verifier hold here: without the flagged call having been run there is no verdict, and all
    ways to fill in what is not known have to agree.
    """
    claim = CLAIMS.get(finding.code)
    if claim is None:
        return Verdict(Outcome.NOT_RUN, f"{finding.code} claims nothing about growth")
    setting = "" if finding.flow is None else finding.flow.framework_divides
    if setting and claim.count is Count.MICRO_BATCHES:
        return Verdict(Outcome.NOT_RUN, f"a framework divides by `{setting}`, and what it does is not run")
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
    alone = finding.flow is None or len(finding.flow.terms) < 2
    trials = [
        (t, _shared(claim, t, _trial(claim, t, measurement.optimizer, behavior), alone=alone))
        for t in measurement.trials
    ]
    # a layout without the axis that the rule is about says nothing about it
    judged = [(trial, judgment) for trial, judgment in trials if judgment is not None]
    if not judged:
        reason = f"no {claim.what} was measured over {claim.count.value}"
        return _verdict(Outcome.INCONCLUSIVE, reason, measurement)
    if len({outcome for _, (outcome, _) in judged}) == 1:
        shown_first = replace(measurement, trials=tuple(trial for trial, _ in judged))
        return _verdict(*judged[0][1], shown_first, claim)
    found = "; ".join(f"{trial.layout}: {outcome.value}, {reason}" for trial, (outcome, reason) in judged)
    return _verdict(Outcome.INCONCLUSIVE, f"depends on what is not known: {found}", measurement)


def _verdict(outcome: Outcome, reason: str, measurement: Measurement, claim: Claim | None = None) -> Verdict:
    assumptions = dict.fromkeys(sentence for trial in measurement.trials for sentence in trial.assumptions)
    first = list(measurement.trials[0].series) if measurement.trials else []
    if claim is not None:
        # the curve that decided comes first
        first.sort(key=lambda series: (series.count, series.what) != (claim.count.value, claim.what))
    return Verdict(
        outcome,
        reason,
        tuple(map(_curve, first)),
        measurement.optimizer,
        tuple(assumptions),
        measurement.device,
        measurement.dtype,
    )


def _curve(series: Series) -> Curve:
    return Curve(Count(series.count), series.what, series.sizes, series.norms, series.exponent)


def _raised(claim: Claim, measurement: Measurement) -> _Judgment:
    if not measurement.unreduced_site:
        return Outcome.INCONCLUSIVE, f"it raised, maybe for a shape guessed wrongly: {measurement.reason}"
    if claim.raises:
        return Outcome.CONFIRMED, f"raises {measurement.reason}"
    return Outcome.INCONCLUSIVE, f"the loss is not reduced: {measurement.reason}"


def _trial(claim: Claim, trial: Trial, optimizer: str, behavior: Behavior | None) -> _Judgment | None:
    """Judge one way to fill in what is not known, None if it has nothing of what the rule is about."""
    if claim.raises:
        return Outcome.REFUTED, "a scalar gets there, and nothing is raised"
    if claim.mixed:
        return _mixed(trial)
    series = _find(trial, claim.count, claim.what)
    if series is None or series.exponent is None:
        return None
    if not _holds(claim, series):
        return Outcome.REFUTED, shown(series)
    growing = claim.count is Count.SAMPLES and claim.what == "gradient" and claim.least is not None
    return _update(trial, series, optimizer, behavior) if growing else (Outcome.CONFIRMED, shown(series))


def _shared(claim: Claim, trial: Trial, judgment: _Judgment | None, *, alone: bool) -> _Judgment | None:
    """Take back what refutes a finding where the other terms of the objective may hide the one that it is about."""
    series = _find(trial, claim.count, claim.what)
    if judgment is None or judgment[0] is not Outcome.REFUTED or claim.raises or alone or series is None:
        return judgment
    if _holds(claim, series) or series.powers:
        return judgment
    return Outcome.INCONCLUSIVE, f"{shown(series)} with all terms of the objective: the others may hide this one"


def _find(trial: Trial, count: Count, what: str) -> Series | None:
    return next((s for s in trial.series if s.count == count.value and s.what == what), None)


def _holds(claim: Claim, series: Series) -> bool:
    """Say whether what a rule claims is what was measured; a part of the gradient that grows is growth."""
    assert series.exponent is not None
    powers = _powers(series)
    if claim.least is not None:
        return max([*powers, series.exponent]) >= claim.least
    return claim.most is not None and min([*powers, series.exponent]) <= claim.most


def _powers(series: Series) -> list[int]:
    """Return the powers of the batch size that a gradient is made of, without the ones that are rounding."""
    least = _SMALL_SHARE if series.residual <= _EXACT else _SHARE
    return [power for power, share in series.powers if share > least]


def _update(trial: Trial, gradient: Series, optimizer: str, behavior: Behavior | None) -> _Judgment:
    """Judge a gradient that grows by what the optimizer makes of it."""
    update = _find(trial, Count.SAMPLES, "update")
    assert gradient.exponent is not None
    if gradient.exponent <= _FLAT:
        parts = _sum(_powers(gradient))
        return Outcome.CONFIRMED, f"a part of the gradient grows, it is {parts}; as a whole {shown(gradient)}"
    if update is None or update.exponent is None:
        return Outcome.CONFIRMED, shown(gradient)
    both = f"{shown(gradient)}, update ~ samples^{update.exponent:.2f} with {optimizer}"
    if abs(update.exponent) > _FLAT:
        return Outcome.CONFIRMED, both
    if trial.clipped:
        return Outcome.MUTED, f"{both}: gradient clipping bounds it while it is engaged"
    equivariant = optimizer.partition("(")[0] in _EQUIVARIANT if behavior is None else behavior is Behavior.EQUIVARIANT
    if not equivariant:
        return Outcome.MUTED, f"{both}, which divides it out in the first update"
    return Outcome.REFUTED, f"{both}: the learning rate or a division of the gradient takes it back"


def _mixed(trial: Trial) -> _Judgment | None:
    parts = [s for s in trial.series if s.count == Count.SAMPLES.value and s.what.startswith("gradient of ")]
    exponents = [s.exponent for s in parts if s.exponent is not None]
    if exponents and max(exponents) - min(exponents) > _APART:
        found = ", ".join(f"{s.what} ~ samples^{s.exponent:.2f}" for s in parts if s.exponent is not None)
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
    exponent = "?" if series.exponent is None else f"{series.exponent:.2f}".replace("-0.00", "0.00")
    return f"{series.what} ~ {series.count}^{exponent}{_range(series.sizes, series.norms)}"


def _range(sizes: Sequence[int], norms: Sequence[float]) -> str:
    if len(sizes) < 2 or not norms[0]:
        return ""
    return f" ({sizes[0]} → {sizes[-1]}: ×{norms[-1] / norms[0]:.2f})"
