"""What each rule claims, as something that can be measured.

A rule that is not here claims nothing about growth, and its findings are not run.
"""

from __future__ import annotations

from dataclasses import dataclass

from lint_reduction.facts import LossFlow, Span
from lint_reduction.finding import Confidence, Finding, path_of
from lint_reduction.growth import Count, Growth
from lint_reduction.impact import Severity

#: An exponent farther from 0 than this is growth; the exponents of sums and means are whole numbers.
GROWS = 0.25


@dataclass(frozen=True, slots=True)
class Claim:
    """What has to be measured for a finding to hold.

    Attributes:
        count: what is varied.
        what: ``gradient`` or ``update``, the first update of the optimizer.
        least: the exponent is at least this, None if the claim is another one.
        most: the exponent is at most this, None if the claim is another one.
        raises: the program fails on a loss that is not reduced.
        mixed: the terms of the objective differ in their exponents.
        flat: what the gradient must not grow with, as it would if a sum over it were meant.
    """

    count: Count = Count.SAMPLES
    what: str = "gradient"
    least: float | None = None
    most: float | None = None
    raises: bool = False
    mixed: bool = False
    flat: Count | None = None


_GROWING = Claim(least=GROWS)
#: By code of the rule.
CLAIMS: dict[str, Claim] = {
    "RED101": _GROWING,
    "RED102": _GROWING,
    "RED103": _GROWING,
    "RED104": Claim(most=-0.75),
    "RED105": Claim(mixed=True),
    "RED106": Claim(what="update", least=1.75),
    "RED107": Claim(what="update", most=-0.75),
    "RED108": _GROWING,
    "RED121": Claim(raises=True),
    "RED122": _GROWING,
    "RED123": Claim(raises=True),
    "RED124": Claim(raises=True),
    "RED201": Claim(Count.CLASSES, most=-0.75),
    "RED202": Claim(Count.ELEMENTS, least=0.75),
    "RED203": Claim(Count.VALID, least=0.75, flat=Count.ELEMENTS),
    "RED204": Claim(Count.VALID, least=0.75, flat=Count.ELEMENTS),
    "RED205": Claim(Count.WEIGHTS, least=0.75),
    "RED401": Claim(Count.MICRO_BATCHES, least=0.75),
    "RED402": Claim(Count.MICRO_BATCHES, most=-0.75),
    "RED405": Claim(Count.RANKS, least=0.75),
}
#: A sum that is averaged over processes grows with the batch of each, and is no sum over all of them.
_AVERAGED_SUM = Claim(least=0.75)


def claim_of(code: str, growth: Growth | None) -> Claim | None:
    """Return what a finding claims, by the code of its rule and what it says the gradient grows with."""
    if code == "RED405" and growth is not None and not growth.exponent(Count.RANKS):
        return _AVERAGED_SUM
    return CLAIMS.get(code)


def as_finding(flow: LossFlow, path: str, code: str = "RED101", span: Span | None = None) -> Finding:
    """Return what a rule would say of a flow in which it finds nothing, so that it can be run like a finding.

    Args:
        flow: the flow.
        path: absolute path of the file that it was found in.
        code: of the rule.
        span: where, None for the first place on the path.
    """
    first = flow.terms[0]
    begin = (*first.steps, flow.end)[0].span if first.site is None else first.site.span
    # flows through one loss are told apart by what is on their paths
    related = path_of(flow, first, span or begin)
    return Finding(span or begin, "", Severity.NOTE, Confidence.LOW, related=related, code=code, flow=flow, origin=path)
