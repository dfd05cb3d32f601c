"""What was measured of a training step, and how it is printed; no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lint_reduction.verify.measure import (
    POWERS,
    ROUNDING,
    TOLERANCE,
    Classification,
    Kind,
    Laurent,
    classify,
    exponent,
    kind_of,
    laurent,
)

_NUMBER = re.compile(r"[-+.\de]*|nan|inf|\?")


@dataclass(frozen=True, slots=True)
class GradientGrowth:
    """How one gradient, or the part of it in some parameters, follows the batch size.

    Attributes:
        norms: its norm at each size.
        classification: the name of its behavior.
        laurent: its Laurent fit, None where there are too few sizes for one.
    """

    norms: tuple[float, ...]
    classification: Classification
    laurent: Laurent | None

    @property
    def exponent(self) -> float | None:
        """The power of the batch size that it grows with, None where it is zero or not finite."""
        return self.classification.exponent

    @property
    def kind(self) -> Kind:
        """The name of that power."""
        return self.classification.kind

    @property
    def polynomial(self) -> bool:
        """Whether it is a Laurent polynomial in the batch size, as far as the sizes can tell."""
        return self.laurent is None or self.laurent.exact

    def beside(self, whole: GradientGrowth) -> GradientGrowth:
        """Return the same, as zero where it is nothing but the rounding of a gradient that it is a part of."""
        largest = max((part / all_ for part, all_ in zip(self.norms, whole.norms, strict=True) if all_), default=0.0)
        if self.polynomial or largest > ROUNDING:
            return self
        return GradientGrowth(self.norms, Classification(Kind.UNDEFINED, None), self.laurent)

    def grows_as(self, samples: float, tolerance: float = TOLERANCE) -> bool:
        """Return whether it is this power of the batch size, and nothing else beside it."""
        found = self.classification
        if found.powers:
            return found.powers == (samples,)
        return found.exponent is not None and abs(found.exponent - samples) <= tolerance


@dataclass(frozen=True, slots=True)
class GrowthReport:
    """How the gradient of a training step follows the batch size.

    Attributes:
        sizes: the batch sizes.
        whole: the gradient of all parameters.
        groups: that of each parameter, or of each part of a model with many.
        notes: what a reader has to know beside the numbers.
    """

    sizes: tuple[int, ...]
    whole: GradientGrowth
    groups: Mapping[str, GradientGrowth]
    notes: tuple[str, ...]

    @property
    def exponent(self) -> float | None:
        """The power of the batch size that the gradient grows with, None where it is zero or not finite."""
        return self.whole.exponent

    @property
    def kind(self) -> Kind:
        """The name of that power."""
        return self.whole.kind

    def grows_as(self, samples: float, tolerance: float = TOLERANCE) -> bool:
        """Return whether the gradient of every parameter that has one is this power of the batch size."""
        parts = [part for part in self.groups.values() if part.exponent is not None]
        return all(part.grows_as(samples, tolerance) for part in (self.whole, *parts))

    def __str__(self) -> str:
        curve = [(str(size), f"{norm:.4g}") for size, norm in zip(self.sizes, self.whole.norms, strict=True)]
        blocks = [
            [f"gradient grows as samples^{power(self.exponent)} ({self.whole.classification})"],
            table(("batch size", "gradient norm"), curve),
        ]
        if len(self.groups) > 1:
            rows = [(name, power(part.exponent), str(part.classification)) for name, part in self.groups.items()]
            blocks.append(table(("parameters", "exponent", "behavior"), rows))
        blocks += [[f"note: {note}"] for note in self.notes]
        return "\n\n".join("\n".join(block) for block in blocks)


def growth_of(sizes: Sequence[int], gradients: Sequence[Sequence[float]], tolerance: float) -> GradientGrowth:
    """Return what gradients at some sizes say; short vectors with the same norms and products do as well."""
    norms = tuple(math.hypot(*gradient) for gradient in gradients)
    fit = laurent(sizes, gradients) if len(set(sizes)) > len(POWERS) else None
    return GradientGrowth(norms, classify(exponent(sizes, norms), fit, tolerance), fit)


def notes_on(sizes: Sequence[int], whole: GradientGrowth, groups: Mapping[str, GradientGrowth]) -> list[str]:
    """Return what a reader has to know beside the numbers."""
    notes = []
    broken = [str(size) for size, norm in zip(sizes, whole.norms, strict=True) if not math.isfinite(norm)]
    zero = [name for name, part in groups.items() if part.exponent is None]
    if broken:
        notes.append(f"the gradient is not finite with {', '.join(broken)} samples")
    elif whole.exponent is None:
        notes.append("the gradient is zero")
    elif zero:
        more = f" and {len(zero) - 5} more" if len(zero) > 5 else ""
        notes.append(f"the gradient is zero in {', '.join(zero[:5])}{more}")
    if whole.laurent is None:
        notes.append(f"a mixture of terms is told from other exponents with {len(POWERS) + 1} batch sizes or more")
    elif whole.kind is Kind.MIXED:
        parts = [f"{whole.laurent.shares[power]:.1%} {kind_of(power).value}" for power in whole.classification.powers]
        notes.append(f"terms are reduced in unlike ways; with {max(sizes)} samples they are {', '.join(parts)}")
    elif not (broken or whole.polynomial):
        notes.append(
            f"the gradient is a polynomial of the batch size B only up to {whole.laurent.residual:.1g}: reduced "
            "precision, a power of a sum, a division by B - 1, or something that compares samples"
        )
    return notes


def power(value: float | None) -> str:
    """Return an exponent as it is printed, without a negative zero."""
    return "?" if value is None else f"{round(value, 2) + 0.0:.2f}"


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table; columns of numbers are aligned to the right."""
    columns = list(zip(*rows, strict=True)) or [()] * len(heads)
    widths = [max(map(len, (head, *column))) for head, column in zip(heads, columns, strict=True)]
    right = [all(_NUMBER.fullmatch(cell) for cell in column) for column in columns]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (heads, *rows)
    ]
