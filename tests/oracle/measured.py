"""The dynamic answer: what programs measure, and the exponents in it."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from types import TracebackType

from tests.oracle.program import Program

#: The sizes at which a program is run, as multiples of the smallest.
FACTORS = (1, 2, 4)
NOT_SCALAR = "backward of something that is no number"
POWERS = sorted((Fraction(n, 2) for n in range(-10, 11)), key=lambda power: (power.denominator, abs(power)))

#: What is smaller is zero; an update may be as small as the root of the smallest eps that the worker sets.
NOTHING = 1e-25

#: How far the gradient may be off, relative to its norm. Batches are repeated and numbers have 53 bits.
TOLERANCE = 1e-10

#: How far the movement of weights may be off that are not zero before: they have a size of about one half.
ROUNDING = 2e-15

#: A vector for each factor; a reason; None where a run gives nothing of the kind.
Curve = tuple[tuple[float, ...], ...] | str | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a program measures.

    Attributes:
        curves: by the number of a setting, the term that is alone counted from 1 (0: all of them), and what is varied:
            gradients when samples, elements, micro_batches or batches are; ``update`` is the movement of the weights
            in the first step when samples are.
        error: why it could not be run, empty if it could.
    """

    curves: dict[tuple[int, int, str], Curve]
    error: str = ""


def exponents(curve: Curve, noise: float = 0.0) -> frozenset[Fraction] | None:
    """Return the powers that a curve is a sum of, none for zero; None if it is no such sum of at most two.

    Args:
        curve: one vector for each factor.
        noise: how far each vector may be off at least, because of how it was measured.
    """
    assert isinstance(curve, tuple)
    norms = [math.hypot(*vector) for vector in curve]
    if max(norms) < NOTHING:
        return frozenset()
    allowed = [TOLERANCE * norm + noise * factor for norm, factor in zip(norms, FACTORS, strict=True)]
    for power in POWERS:
        scaled = ([k ** float(power) * a for a in curve[0]] for k in FACTORS)
        if all(math.dist(a, b) <= most for a, b, most in zip(curve, scaled, allowed, strict=True)):
            return frozenset({power})
    widest = max(range(len(curve[0])), key=lambda i: abs(curve[-1][i]))
    for one, other in combinations(map(float, POWERS), 2):
        # one entry of the vectors rules out nearly all
        entry = [(vector[widest],) for vector in curve]
        if not (_fit(entry, one, other, allowed[-1]) and _fit(curve, one, other, allowed[-1])):
            continue
        if min(math.hypot(*part) for part in _parts(curve, one, other)) > allowed[0]:
            return frozenset({Fraction(one), Fraction(other)})
    return None


def _fit(curve: Sequence[Sequence[float]], one: float, other: float, allowed: float) -> bool:
    first, second = _parts(curve, one, other)
    k = FACTORS[-1]
    return math.dist([a * k**one + b * k**other for a, b in zip(first, second, strict=True)], curve[-1]) <= allowed


def _parts(curve: Sequence[Sequence[float]], one: float, other: float) -> tuple[list[float], list[float]]:
    """Return the coefficients of two powers, from the first two points."""
    low, high = 2.0**one, 2.0**other
    second = [(b - low * a) / (high - low) for a, b in zip(curve[0], curve[1], strict=True)]
    return [a - s for a, s in zip(curve[0], second, strict=True)], second


class Runner:
    """A process in which programs run. Several may be handed in before the first answer is taken."""

    def __init__(self) -> None:
        root = Path(__file__).parents[2]
        command = [sys.executable, "-m", "tests.oracle.worker"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def submit(self, program: Program) -> None:
        """Hand in a program."""
        assert self._process.stdin is not None
        pickle.dump(program, self._process.stdin)
        self._process.stdin.flush()

    def answer(self) -> Measured:
        """Return what the next of the programs measures."""
        assert self._process.stdout is not None
        measured = pickle.load(self._process.stdout)
        assert isinstance(measured, Measured)
        return measured

    def measure(self, program: Program) -> Measured:
        """Run one program."""
        self.submit(program)
        return self.answer()
