"""What was read of the losses of a training loop, what it says, and how it is printed; no torch."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lint_reduction.verify.measure import exponent
from lint_reduction.verify.report import power, table

#: Below this cosine a gradient is not that of the summed loss, and its length says nothing.
_ALIKE = 0.999
#: How far a coefficient may be from a quotient, relative to it; half precision has three digits.
_CLOSE = 2e-3
#: How much the number of losses has to vary for an exponent.
_RANGE = 1.5
#: How far the coefficients of equally many losses may be apart for an exponent.
_STEADY = 1.1
_KEPT = 256


class Place(NamedTuple):
    """Where a loss is called, and which.

    Attributes:
        offset: of the call in its function, since a line may have several.
    """

    path: str
    line: int
    loss: str
    offset: int = 0

    def __str__(self) -> str:
        path = os.path.relpath(self.path) if self.path.startswith(os.getcwd() + os.sep) else self.path  # noqa: PTH109
        return f"{path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One gradient that arrived at a loss.

    Attributes:
        coefficient: by how much it differs from the gradient of the summed loss.
        cosine: how alike the directions of the two are.
        counts: what the loss may be divided by: rows, elements, valid targets, class weights.
    """

    coefficient: float
    cosine: float
    counts: Mapping[str, float]

    @property
    def terms(self) -> int:
        """The number of losses that are added up."""
        return round(self.counts.get("valid targets", self.counts["elements"]))

    @property
    def clean(self) -> bool:
        """Whether the gradient is that of the summed loss, but for its length."""
        return self.cosine >= _ALIKE and math.isfinite(self.coefficient) and self.terms > 0


@dataclass(slots=True)
class Site:
    """A place in the code that calls a loss.

    Attributes:
        place: where.
        calls: how often it was called.
        sizes: the sizes of batches that were seen.
        readings: the latest ones.
        failure: why the summed loss could not be computed, empty if it could.
    """

    place: Place
    calls: int = 0
    sizes: set[int] = field(default_factory=set)
    readings: deque[Reading] = field(default_factory=lambda: deque(maxlen=_KEPT))
    failure: str = ""

    @property
    def clean(self) -> tuple[Reading, ...]:
        """The readings that say something."""
        return tuple(reading for reading in self.readings if reading.clean)

    @property
    def exponent(self) -> float | None:
        """The power of the number of losses that the gradient grows with, None where that number hardly varies."""
        by_terms = self._by_terms
        if self.unsteady or not by_terms or max(by_terms) < _RANGE * min(by_terms):
            return None
        norms = [terms * math.fsum(values) / len(values) for terms, values in by_terms.items()]
        return exponent(list(by_terms), norms)

    @property
    def unsteady(self) -> bool:
        """Whether the coefficient changes between calls with as many losses: it follows more than their number."""
        return any(max(values) > _STEADY * min(values) for values in self._by_terms.values())

    @property
    def _by_terms(self) -> dict[int, list[float]]:
        found: dict[int, list[float]] = {}
        for reading in self.clean:
            found.setdefault(reading.terms, []).append(reading.coefficient)
        return found

    @property
    def divisors(self) -> tuple[str, ...]:
        """What the summed loss is divided by, as far as the readings can tell; ``1`` for a sum."""
        readings = self.clean
        if not readings:
            return ()
        whole = tuple(name for name, counts in _candidates(readings) if _constant(readings, counts) == 1)
        constant = _constant(readings, [1.0] * len(readings))
        vary = len({reading.terms for reading in readings}) > 1
        if whole[:1] == ("1",):
            return whole if not vary else ("1",)
        if constant is not None and (vary or not whole):
            return (f"the constant {1 / constant:.4g}",)
        if constant is not None:
            return (*whole, f"the constant {1 / constant:.4g}")
        return whole or tuple(_multiples(readings))

    @property
    def remark(self) -> str:
        """What keeps the readings from saying more, empty if nothing does."""
        if self.unsteady and not self.divisors:
            return "the coefficient changes: a weight does, or the losses of several terms are computed here"
        if self.clean:
            return ""
        if self.readings:
            cosine = max(reading.cosine for reading in self.readings)
            return f"its losses are weighted, or not all used (cosine {cosine:.3f})"
        return self.failure or "no gradient arrived"


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What was read of each place that calls a loss.

    Attributes:
        sites: the places, in the order in which they were first met.
    """

    sites: tuple[Site, ...]

    def __str__(self) -> str:
        if not self.sites:
            return "no loss of torch was called with a gradient"
        heads = ("place", "loss", "calls", "read", "coefficient", "divided by", "exponent")
        rows = [
            (
                str(site.place),
                site.place.loss,
                str(site.calls),
                str(len(site.clean)),
                _range([reading.coefficient for reading in site.clean]),
                " or ".join(site.divisors) or "?",
                power(site.exponent),
            )
            for site in self.sites
        ]
        notes = [f"note: {site.place} {site.place.loss}: {site.remark}" for site in self.sites if site.remark]
        if any(site.clean and site.exponent is None and not site.unsteady for site in self.sites):
            notes.append("note: an exponent needs batches of unlike sizes, such as the short last one of an epoch")
        return "\n".join([*table(heads, rows), *([""] if notes else []), *notes])


def _candidates(readings: Sequence[Reading]) -> Iterator[tuple[str, list[float]]]:
    """Yield what all readings may be divided by, each number of times only under its first name."""
    seen: list[list[float]] = []
    names = [name for name in readings[0].counts if all(name in reading.counts for reading in readings)]
    products = [("1",), *((name,) for name in names), ("rows", "rows"), *(("rows", n) for n in names if n != "rows")]
    for factors in products:
        counts = [math.prod(reading.counts.get(name, 1.0) for name in factors) for reading in readings]
        if counts not in seen and min(counts) > 0:
            seen.append(counts)
            yield " * ".join(factors), counts


def _constant(readings: Sequence[Reading], counts: Sequence[float]) -> float | None:
    """Return what coefficients times counts are, if they are all the same; exactly 1 if they are close to it."""
    products = [reading.coefficient * count for reading, count in zip(readings, counts, strict=True)]
    if all(math.isclose(product, 1, rel_tol=_CLOSE) for product in products):
        return 1
    mean = math.fsum(products) / len(products)
    return mean if all(math.isclose(product, mean, rel_tol=_CLOSE) for product in products) else None


def _multiples(readings: Sequence[Reading]) -> Iterator[str]:
    """Yield counts that, times a constant, are what the readings are divided by."""
    for name, counts in _candidates(readings):
        constant = _constant(readings, counts)
        if constant is not None and len(set(counts)) > 1:
            yield f"{name} * {1 / constant:.4g}"


def _range(values: Sequence[float]) -> str:
    low, high = (min(values), max(values)) if values else (math.nan, math.nan)
    if not values:
        return "?"
    return f"{low:.4g}" if math.isclose(low, high, rel_tol=_CLOSE) else f"{low:.4g} to {high:.4g}"
