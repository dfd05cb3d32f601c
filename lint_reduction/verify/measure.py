"""What gradients at several batch sizes say about growth: exponents, Laurent fits and their names.

When a batch grows by repeating the same samples, the gradient of every composition of sums, means and divisions by
counts is a Laurent polynomial in the batch size, ``a / B + b + c * B + d * B**2`` in each coordinate. So exponents are
whole numbers up to rounding, a mixture shows its terms, and what is no polynomial leaves a residual.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

#: The powers of the batch size that a gradient is made of.
POWERS = (-1, 0, 1, 2)
#: How far an exponent may be from a whole number, and the share of a term from nothing.
TOLERANCE = 0.01
#: The relative residual above which a gradient is no polynomial; rounding in float32 leaves some 1e-7.
ROUNDING = 1e-5

_Exact = list[list[Fraction]]
_Matrix = tuple[tuple[float, ...], ...]


class Kind(enum.Enum):
    """How a gradient behaves when the batch grows."""

    MEAN = "mean"
    """It stays as it is."""
    SUM = "sum"
    """It grows with the batch."""
    DIVIDED_TWICE = "divided twice"
    """It shrinks with the batch, as a mean that is divided by its size once more."""
    SQUARED = "squared"
    """It grows with the square of the batch."""
    ROOT = "root of a sum"
    """It grows with the square root of the batch."""
    MIXED = "mixed"
    """Its terms have unlike powers of the batch size."""
    OTHER = "other"
    """None of these."""
    UNDEFINED = "undefined"
    """It is zero or not finite, so that it has no exponent."""

    @property
    def power(self) -> Fraction | None:
        """The exponent that the name stands for, None for a name without one."""
        return _NAMED.get(self)


_NAMED = {
    Kind.MEAN: Fraction(0),
    Kind.SUM: Fraction(1),
    Kind.DIVIDED_TWICE: Fraction(-1),
    Kind.SQUARED: Fraction(2),
    Kind.ROOT: Fraction(1, 2),
}
_WHOLE: dict[int, Kind] = {int(power): kind for kind, power in _NAMED.items() if power.denominator == 1}


def kind_of(power: int) -> Kind:
    """Return what a term with one of POWERS is called."""
    return _WHOLE[power]


@dataclass(frozen=True, slots=True)
class Laurent:
    """The least-squares fit of gradients by a Laurent polynomial in the batch size.

    Attributes:
        shares: for each of POWERS, the size of its term at the largest batch, as a share of all terms.
        residual: what the polynomial leaves over, relative to the gradients; infinite where they are not finite.
    """

    shares: Mapping[int, float]
    residual: float

    @property
    def exact(self) -> bool:
        """Whether the gradients are such a polynomial, up to rounding."""
        return self.residual <= ROUNDING

    def powers(self, tolerance: float = TOLERANCE) -> tuple[int, ...]:
        """Return the powers whose terms are more than a tolerated share."""
        return tuple(power for power, share in self.shares.items() if share > tolerance)


@dataclass(frozen=True, slots=True)
class Classification:
    """The name of a behavior, and what it rests on.

    Attributes:
        kind: the name.
        exponent: the measured exponent, None where there is none.
        powers: the powers of the batch size that take part, empty where the gradient is no polynomial.
    """

    kind: Kind
    exponent: float | None
    powers: tuple[int, ...] = ()

    def __str__(self) -> str:
        kinds = [kind_of(power) for power in self.powers] if self.kind is Kind.MIXED else [self.kind]
        return " + ".join(kind.value for kind in kinds)


def exponent(sizes: Sequence[int], norms: Sequence[float]) -> float | None:
    """Return the least-squares slope of the logarithm of norms over that of sizes.

    Args:
        sizes: batch sizes, at least two different ones.
        norms: the norm of the gradient at each size.

    Returns:
        None where a norm is zero or not finite.

    Raises:
        ValueError: the sizes are not positive, not different or not as many as the norms.
    """
    _check(sizes, len(norms), at_least=2)
    if not all(0 < norm < math.inf for norm in norms):
        return None
    xs = [math.log(size) for size in sizes]
    ys = [math.log(norm) for norm in norms]
    x_mean, y_mean = math.fsum(xs) / len(xs), math.fsum(ys) / len(ys)
    spread = math.fsum((x - x_mean) ** 2 for x in xs)
    return math.fsum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread


def laurent(sizes: Sequence[int], gradients: Sequence[Sequence[float]]) -> Laurent:
    """Fit a Laurent polynomial in the batch size to gradients, in each coordinate.

    Args:
        sizes: batch sizes, more different ones than there are POWERS, so that a residual can be left.
        gradients: the gradient at each size, all of one length.

    Raises:
        ValueError: the sizes are not positive, too few or not as many as the gradients, or these differ in length.
    """
    _check(sizes, len(gradients), at_least=len(POWERS) + 1)
    coordinates = list(zip(*gradients, strict=True))
    largest = max((abs(value) for values in coordinates for value in values), default=0.0)
    if not all(math.isfinite(value) for values in coordinates for value in values):
        return Laurent(dict.fromkeys(POWERS, 0.0), math.inf)
    if largest == 0:
        return Laurent(dict.fromkeys(POWERS, 0.0), 0.0)
    coordinates = [tuple(value / largest for value in values) for values in coordinates]
    to_terms, to_rest = _projections(tuple(sizes))
    terms = [_norm_of_product((row,), coordinates) for row in to_terms]
    total = math.fsum(terms)
    shares = {power: term / total for power, term in zip(POWERS, terms, strict=True)}
    norm = math.hypot(*(value for values in coordinates for value in values))
    return Laurent(shares, _norm_of_product(to_rest, coordinates) / norm)


def classify(exponent: float | None, laurent: Laurent | None = None, tolerance: float = TOLERANCE) -> Classification:
    """Name the behavior of gradients.

    Where they are a Laurent polynomial, its terms decide, since a mixture can have any exponent; otherwise the
    exponent does.

    Args:
        exponent: the exponent of their norms.
        laurent: their Laurent fit, if there were sizes enough for one.
        tolerance: how far an exponent may be from a whole number, and the share of a term from nothing.
    """
    if exponent is None or not math.isfinite(exponent):
        return Classification(Kind.UNDEFINED, None)
    powers = laurent.powers(tolerance) if laurent is not None and laurent.exact else ()
    if powers:
        return Classification(kind_of(powers[0]) if len(powers) == 1 else Kind.MIXED, exponent, powers)
    for kind, power in _NAMED.items():
        if abs(exponent - power) <= tolerance:
            return Classification(kind, exponent)
    return Classification(Kind.OTHER, exponent)


def _check(sizes: Sequence[int], measured: int, at_least: int) -> None:
    if len(sizes) != measured:
        raise ValueError(f"{len(sizes)} batch sizes, but {measured} measurements")
    if min(sizes, default=0) <= 0:
        raise ValueError(f"batch sizes are positive: {list(sizes)}")
    if len(set(sizes)) < at_least:
        raise ValueError(f"at least {at_least} different batch sizes are needed: {list(sizes)}")


def _norm_of_product(matrix: _Matrix, coordinates: Sequence[Sequence[float]]) -> float:
    """Return the Frobenius norm of a matrix times the values of all coordinates."""
    return math.hypot(
        *(
            math.fsum(factor * value for factor, value in zip(row, values, strict=True))
            for row in matrix
            for values in coordinates
        )
    )


@cache
def _projections(sizes: tuple[int, ...]) -> tuple[_Matrix, _Matrix]:
    """Return what takes values at some sizes to their terms at the largest size, and to what these leave over."""
    design = [[Fraction(size, max(sizes)) ** power for power in POWERS] for size in sizes]
    transposed = [list(column) for column in zip(*design, strict=True)]
    to_terms = _product(_inverse(_product(transposed, design)), transposed)
    fitted = _product(design, to_terms)
    to_rest = [[Fraction(i == j) - value for j, value in enumerate(row)] for i, row in enumerate(fitted)]
    return _rounded(to_terms), _rounded(to_rest)


def _product(a: _Exact, b: _Exact) -> _Exact:
    columns = list(zip(*b, strict=True))
    return [[sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0)) for column in columns] for row in a]


def _inverse(matrix: _Exact) -> _Exact:
    """Return the inverse of a positive definite matrix; such a matrix has no zero pivots."""
    size = len(matrix)
    rows = [[*row, *(Fraction(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        pivot = rows[i][i]
        rows[i] = [value / pivot for value in rows[i]]
        for j in range(size):
            if j != i:
                factor = rows[j][i]
                rows[j] = [value - factor * other for value, other in zip(rows[j], rows[i], strict=True)]
    return [row[size:] for row in rows]


def _rounded(matrix: _Exact) -> _Matrix:
    return tuple(tuple(float(value) for value in row) for row in matrix)
