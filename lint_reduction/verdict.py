"""What running a finding came to: the measured growth, and what that says about the rule."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from lint_reduction.growth import Count


class Outcome(enum.Enum):
    """What a measurement says about a finding."""

    CONFIRMED = "confirmed"
    """It does what the finding says."""
    MUTED = "muted"
    """The gradient does, but what stands behind it takes it back: an adaptive optimizer, engaged clipping."""
    REFUTED = "refuted"
    """It does not do what the finding says."""
    INCONCLUSIVE = "inconclusive"
    """It ran, and the answer hangs on something that is not known."""
    NOT_RUN = "not run"
    """It could not be run."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The size of a gradient, or of the first update, over one count.

    Attributes:
        count: what was varied; the samples of a batch unless the rule is about something else.
        what: what was measured: ``gradient``, ``update``, or ``gradient of NAME`` for one boundary of several.
        sizes: the values of the count.
        norms: the norms measured there, relative to nothing.
        exponent: of the count, None where a norm is zero.
    """

    count: Count
    what: str
    sizes: tuple[int, ...]
    norms: tuple[float, ...]
    exponent: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of running one finding.

    Attributes:
        outcome: confirmed, muted, refuted, inconclusive or not run.
        reason: why, in a sentence without a full stop.
        curves: what was measured, the one that decided first.
        optimizer: the optimizer of the first update, with its learning rate, empty if none was in view.
        assumptions: what was put in the place of things that were not known, as sentences.
        device, dtype: where and with which numbers the curves were measured.
        layers: the walls that stood around the process, by name, and what became of each.
        cached: whether it is the result of an earlier run of the same experiment.
    """

    outcome: Outcome
    reason: str
    curves: tuple[Curve, ...] = ()
    optimizer: str = ""
    assumptions: tuple[str, ...] = ()
    device: str = ""
    dtype: str = ""
    layers: tuple[tuple[str, str], ...] = ()
    cached: bool = False
