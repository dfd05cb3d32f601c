"""What a worker answers: what was measured, or why nothing was. Plain data that goes through JSON."""

from __future__ import annotations

import enum
from dataclasses import dataclass

#: The curves of one term of an objective, and of all others.
OWN, OTHERS = "gradient of this term", "gradient of the other terms"


class Status(enum.Enum):
    """How a run ended."""

    MEASURED = "measured"
    RAISED = "raised"
    """Backward was called on a loss that is no scalar, or the program raised what the rule is about."""
    BLOCKED = "blocked"
    """It could not be run: something in it is not allowed, not known, or fits no synthetic value."""


@dataclass(frozen=True, slots=True)
class Series:
    """Norms over the sizes of one count.

    Attributes:
        count: a ``Count`` value.
        what: ``gradient``, ``update``, OWN, OTHERS, or ``gradient of NAME`` for one boundary.
        sizes: the sizes of the count, as multiples that were run.
        norms: the norms there; finite.
        exponent: the slope in log-log, None where a norm is zero.
        powers: of a polynomial fit, pairs of a power and the share of the gradient at the largest size; empty where the
            polynomial does not fit.
        residual: relative, of that fit.
    """

    count: str
    what: str
    sizes: tuple[int, ...]
    norms: tuple[float, ...]
    exponent: float | None
    powers: tuple[tuple[int, float], ...] = ()
    residual: float = 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to fill in what is not known: a layout of the boundary values, a world.

    Attributes:
        layout: for people, ``model(x): samples x classes; y: samples``.
        series: what was measured in it.
        clipped: whether gradient clipping was engaged.
        assumptions: as sentences, what was put in the place of things that were not known.
    """

    layout: str
    series: tuple[Series, ...]
    clipped: bool = False
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """The answer to one experiment.

    Attributes:
        status: how it ended.
        reason: why it was blocked, or what was raised.
        site_executed: whether the loss call that the finding is about was run.
        unreduced_site: whether what was raised, in any way that was tried, is the backward of a loss that a call with
            reduction none made, and no wrong guess of a shape.
        trials: the ways it was run; all of them have to agree for a verdict.
        optimizer: the optimizer of the first update, ``SGD(lr=0.1)``, empty if none was in view.
        dtype: of the numbers.
        device: where the last runs took place.
        seconds: how long it took.
    """

    status: Status
    reason: str = ""
    site_executed: bool = False
    unreduced_site: bool = False
    trials: tuple[Trial, ...] = ()
    optimizer: str = ""
    dtype: str = ""
    device: str = ""
    seconds: float = 0.0
