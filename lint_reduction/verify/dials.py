"""What a rule claims can be measured by: the counts to vary, or why running the finding would tell nothing."""

from __future__ import annotations

from lint_reduction.facts import Batch, LossFlow, StepKind
from lint_reduction.finding import Finding
from lint_reduction.growth import Count
from lint_reduction.verify.claims import CLAIMS

_BUILT = "it is about how the loss is built, not about what its gradient grows with"
_REPORTED = "it is about a number for people, no gradient comes of it"

#: Why the findings of the rules without a claim are not run.
NOT_RUN: dict[str, str] = {
    "RED206": "it is about the direction of the gradient, not about what its size grows with",
    "RED207": "the reduction does nothing, so there is nothing to measure",
    "RED208": "it is about a batch of which nothing is kept, not about what the gradient grows with",
    "RED209": _BUILT,
    "RED301": _BUILT,
    "RED302": _BUILT,
    "RED303": _BUILT,
    "RED304": _BUILT,
    "RED305": _BUILT,
    "RED403": "it is about micro-batches of different lengths, not about what the gradient grows with",
    "RED404": "it is about the division that a trainer leaves to the loss, not about what the gradient grows with",
    "RED406": "it is about the last window of an epoch, not about what the gradient grows with",
    "RED501": _REPORTED,
    "RED502": _REPORTED,
    "RED503": _REPORTED,
}
#: Rules about a batch size that is a constant: it does not follow the batch.
CONSTANT = frozenset({"RED108"})
#: The counts that a worker can vary beside the one that decides, where a finding speaks of them.
_VARIED = (Count.SAMPLES, Count.ELEMENTS, Count.VALID, Count.CLASSES)


def dials_of(finding: Finding) -> tuple[Count, ...] | str:
    """Return the counts to vary for a finding, the one that decides first, or why there are none."""
    claim = CLAIMS.get(finding.code)
    if claim is None:
        return NOT_RUN.get(finding.code, "nothing is known of this rule")
    beside = () if claim.flat is None else (claim.flat,)
    # samples are always varied
    dials = (claim.count, *beside)
    reason = "" if finding.flow is None else _in_the_way(finding.code, dials, finding.flow)
    if reason or finding.growth is None:
        return reason or dials
    spoken_of = (count for count in _VARIED if finding.growth.exponent(count))
    return tuple(dict.fromkeys((*dials, *spoken_of)))


def _in_the_way(code: str, dials: tuple[Count, ...], flow: LossFlow) -> str:
    """Return why there is nothing to vary on the path of a loss, empty if there is."""
    raises = code in CLAIMS and CLAIMS[code].raises
    if dials[0] is Count.SAMPLES and not raises:
        batch = max((term.batch for term in flow.terms), default=Batch.ARGUMENT)
        # losses of single samples that are added up or averaged are those of a batch
        joined = (StepKind.ACCUMULATE, StepKind.MEAN)
        added = any(step.kind in joined for term in flow.terms for step in term.steps)
        if batch is Batch.SINGLE and not added:
            return "it is given one sample at a time, so there is no batch to vary"
        if batch is Batch.FIXED:
            return "the data are the same at every step, so there is no batch size to vary"
        if flow.window is not None and flow.window.growth.in_samples:
            return "the number of batches that make up a step follows their size"
    if flow.gradient_growth is None and not raises:
        return "what is done with the gradient before the step is not in view"
    return ""
