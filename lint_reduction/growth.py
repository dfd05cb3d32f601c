"""What a value grows with: the unit that every loss carries.

A loss has a growth as a physical quantity has a unit. The growth of a mean loss is 1; the sum of
the same loss over a batch grows as ``samples * elements``. Products, quotients and powers of values
are products, quotients and powers of their growths, so most rules are one comparison.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction


class Count(enum.Enum):
    """Something in a training step that can be counted, and that a loss may grow with."""

    SAMPLES = "samples"
    """Rows of the batch."""
    ELEMENTS = "elements"
    """The other positions of a sample: features, pixels, time steps."""
    VALID = "valid"
    """Positions that a mask or ``ignore_index`` keeps."""
    WEIGHTS = "weights"
    """Sum of the class weights of the targets."""
    CLASSES = "classes"
    """Size of the class axis."""
    MICRO_BATCHES = "micro_batches"
    """Backward calls per optimizer step."""
    BATCHES = "batches"
    """Batches of an epoch."""
    RANKS = "ranks"
    """Data-parallel processes."""
    ITERATIONS = "iterations"
    """Rounds of a loop, or entries of a list, of which nothing more is known."""


#: Counts that double when every sample of a batch is repeated.
FOLLOWS_SAMPLES = frozenset({Count.SAMPLES, Count.VALID, Count.WEIGHTS})

_FACTOR = re.compile(r"(?P<name>[a-z_]+|1)(?:\^(?P<power>-?\d+(?:/\d+)?))?")


@dataclass(frozen=True, slots=True)
class Growth:
    """A product of powers of counts.

    Immutable and hashable. Constants do not count: ``2 * samples`` and ``samples`` are one growth.

    >>> str(Growth.parse("samples * elements") / Growth.of(Count.SAMPLES))
    'elements'
    """

    powers: tuple[tuple[Count, Fraction], ...] = ()

    @classmethod
    def of(cls, *counts: Count) -> Growth:
        """Return the product of some counts, each to the first power."""
        return cls.from_powers((count, Fraction(1)) for count in counts)

    @classmethod
    def from_powers(cls, powers: Iterable[tuple[Count, Fraction]]) -> Growth:
        """Return the product of ``count ** power``; powers of one count add up, zeros vanish."""
        total: dict[Count, Fraction] = {}
        for count, power in powers:
            total[count] = total.get(count, Fraction(0)) + power
        return cls(tuple((count, total[count]) for count in Count if total.get(count)))

    @classmethod
    def parse(cls, text: str) -> Growth:
        """Read a growth as ``str`` prints it.

        Args:
            text: factors joined by ``*``, such as ``samples * elements^-1``, or ``1``.

        Raises:
            ValueError: a factor is no count, or its power is no number.
        """
        powers = []
        for part in text.split("*"):
            match = _FACTOR.fullmatch(part.strip())
            if match is None:
                raise ValueError(f"not a growth: {text!r}")
            if match["name"] == "1":
                continue
            try:
                count = Count(match["name"])
            except ValueError:
                raise ValueError(f"not a count: {match['name']!r} in {text!r}") from None
            try:
                powers.append((count, Fraction(match["power"] or 1)))
            except ZeroDivisionError:
                raise ValueError(f"not a power: {match['power']!r} in {text!r}") from None
        return cls.from_powers(powers)

    def __mul__(self, other: Growth) -> Growth:
        if not other.powers:
            return self
        return Growth.from_powers((*self.powers, *other.powers))

    def __truediv__(self, other: Growth) -> Growth:
        return self * other**-1

    def __pow__(self, power: int | Fraction) -> Growth:
        return Growth.from_powers((count, old * power) for count, old in self.powers)

    def exponent(self, count: Count) -> Fraction:
        """Return the power of one count, 0 where it does not occur."""
        return dict(self.powers).get(count, Fraction(0))

    @property
    def in_samples(self) -> Fraction:
        """The exponent measured when every sample of the batch is repeated.

        Masked positions and class weights are repeated with their samples, so their powers count.
        """
        return sum((power for count, power in self.powers if count in FOLLOWS_SAMPLES), Fraction(0))

    def without(self, counts: Iterable[Count]) -> Growth:
        """Return the growth with some counts taken out."""
        gone = frozenset(counts)
        return Growth(tuple(pair for pair in self.powers if pair[0] not in gone))

    def evaluate(self, sizes: Mapping[Count, float]) -> float:
        """Return the value of the product for given sizes; a count that is not given is 1."""
        value = 1.0
        for count, power in self.powers:
            value *= sizes.get(count, 1.0) ** float(power)
        return value

    def __str__(self) -> str:
        if not self.powers:
            return "1"
        return " * ".join(count.value if power == 1 else f"{count.value}^{power}" for count, power in self.powers)


ONE = Growth()
SAMPLES = Growth.of(Count.SAMPLES)
ELEMENTS = Growth.of(Count.ELEMENTS)
#: The share of positions that a mask keeps; what multiplying by a mask does to a growth.
DENSITY = Growth.of(Count.VALID) / (SAMPLES * ELEMENTS)
