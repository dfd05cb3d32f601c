"""Values for what is not known. A batch grows by repeating its base samples, and is never drawn again.

All that a model puts out is a function of a leaf of the base size, repeated: the leaves are what is trained, and the
gradient of a mean is the same for every size of the batch, up to rounding.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from lint_reduction.verify.losses import Role

#: Base sizes of the axes, by their letters in layouts.
BASE: Mapping[str, int] = {"B": 4, "T": 3, "C": 5, "D": 6, "H": 2, "W": 2, "S": 8, "s": 3, "1": 1}
IGNORED = -100
_SEED = 0x5EED


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the axes are.

    Attributes:
        base: the base sizes.
        times: how often the base is repeated along an axis.
        padding: positions that nothing is to be said of, behind the others.
        padded: the axis that they are on.
        filler: what stands in targets there, None for what says that there is nothing.
        masked: what stands in masks there.
        micro_batches: rounds of a loop over batches.
        ranks: processes.
        weights: what class weights are multiplied with.
        ignored: what stands in a target that has no class.
        is_written: whether the program says so.
    """

    base: Mapping[str, int] = field(default_factory=lambda: dict(BASE))
    times: Mapping[str, int] = field(default_factory=dict)
    padding: int = 0
    padded: str = "T"
    filler: float | None = None
    masked: float = 0
    micro_batches: int = 1
    ranks: int = 1
    weights: int = 1
    ignored: int = IGNORED
    is_written: bool = False

    def size(self, letter: str) -> int:
        """Return the size of an axis."""
        padding = self.padding if letter == self.padded else 0
        return self.base[letter] * self.times.get(letter, 1) + padding

    def grown(self, letter: str, times: int) -> Sizes:
        """Return sizes with one axis repeated."""
        return replace(self, times={**self.times, letter: times})


class Maker:
    """Makes values, each of them once."""

    def __init__(self, sizes: Sizes, device: torch.device, dtype: torch.dtype) -> None:
        self.sizes = sizes
        self.device = device
        self.dtype = dtype
        self.leaves: dict[str, Tensor] = {}
        self.drawn: dict[str, Tensor] = {}
        self._made: dict[tuple[str, str, Role, bool], Tensor] = {}
        self._draws = 0
        self._widths: dict[int, int] = {}

    def make(self, path: str, role: Role, layout: str, widths: Sequence[tuple[int, int]] = ()) -> Tensor:
        """Return the tensor of a path.

        Args:
            path: the path.
            role: what it is for a loss.
            layout: its axes.
            widths: the axes that have a size of their own, with that size.
        """
        key = (path, layout, role, torch.is_grad_enabled())
        if key not in self._made:
            self._widths = dict(widths)
            self._made[key] = self._learned(path, role, layout) if role.is_learned else self._data(path, role, layout)
            self._widths = {}
        return self._made[key]

    def path_of(self, value: Tensor) -> str:
        """Return the path of a tensor that stands for one, empty for any other."""
        return next((key[0] for key, made in self._made.items() if made is value), "")

    def _shape(self, layout: str) -> list[int]:
        return [self._widths.get(axis, self.sizes.base[letter]) for axis, letter in enumerate(layout)]

    def _generator(self, path: str) -> torch.Generator:
        """Return the generator of a path: on the CPU, so that all devices see the same numbers."""
        return torch.Generator().manual_seed(zlib.crc32(path.encode()) ^ _SEED)

    def _repeat(self, values: Tensor, layout: str) -> Tensor:
        times = [1 if axis in self._widths else self.sizes.times.get(letter, 1) for axis, letter in enumerate(layout)]
        return values.repeat(*times) if times and max(times) > 1 else values

    def _padded_axis(self, layout: str) -> int | None:
        """Return the axis that padding is on, None where there is none."""
        axis = layout.find(self.sizes.padded)
        return axis if self.sizes.padding and axis >= 0 and axis not in self._widths else None

    def _learned(self, path: str, role: Role, layout: str) -> Tensor:
        if path not in self.leaves:
            drawn = torch.randn(self._shape(layout), generator=self._generator(path), dtype=torch.float64)
            self.drawn[path] = drawn.to(self.device, self.dtype)
            self.leaves[path] = self.drawn[path].clone().requires_grad_()
        # a program may change what it is given in place, and a leaf may not be changed
        values = self._repeat(self.leaves[path], layout).clone()
        axis = self._padded_axis(layout)
        if axis is not None:
            indices = torch.arange(self.sizes.padding, device=self.device) % values.shape[axis]
            values = torch.cat([values, values.index_select(axis, indices)], dim=axis)
        form = _FORMS.get(role)
        return values if form is None else form(values, _class_axis(layout))

    def _data(self, path: str, role: Role, layout: str) -> Tensor:
        if role in (Role.INPUT_LENGTH, Role.TARGET_LENGTH):
            letter = "S" if role is Role.INPUT_LENGTH else "s"
            return torch.full([self.sizes.size("B")], self.sizes.size(letter), dtype=torch.long)
        drawn, padding = self._draw(role, layout, self._generator(path))
        if drawn.is_floating_point():
            drawn = drawn.to(self.dtype)
        values = self._repeat(drawn.to(self.device), layout)
        if role is Role.TARGET_PROBABILITY:
            values = values / values.sum(_class_axis(layout), keepdim=True)
        axis = self._padded_axis(layout)
        if axis is not None:
            shape = list(values.shape)
            shape[axis] = self.sizes.padding
            values = torch.cat([values, torch.full(shape, padding, dtype=values.dtype, device=self.device)], dim=axis)
        return values

    def _draw(self, role: Role, layout: str, generator: torch.Generator) -> tuple[Tensor, float]:
        """Return base values, and what stands in padding."""
        shape = self._shape(layout)

        def integers(low: int, high: int) -> Tensor:
            return torch.randint(low, high, shape, generator=generator)

        def uniform() -> Tensor:
            return torch.rand(shape, generator=generator, dtype=torch.float64)

        match role:
            case Role.CLASS | Role.ROW | Role.LENGTH:
                return self._draw_indices(role, layout, integers)
            case Role.BINARY:
                return integers(0, 2).double(), self._padding
            case Role.SIGN:
                return integers(0, 2).double() * 2 - 1, self._padding or 1
            case Role.COUNT:
                return integers(0, 5).double(), 0
            case Role.CLASSES:
                lists = torch.full(shape, -1)
                lists[..., 0], lists[..., 1] = 1, 3
                return lists, -1
            case Role.TARGET_PROBABILITY:
                drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
                return torch.softmax(drawn, _class_axis(layout)), 0
            case Role.MASK:
                mask = (uniform() < 0.75).double()
                if mask.numel():
                    mask.view(-1)[0] = 1
                # where ones say what is left out, there are none but in padding
                return (mask, 0) if not self.sizes.masked else (torch.zeros_like(mask), self.sizes.masked)
            case Role.WEIGHT | Role.CLASS_WEIGHT:
                return uniform() + 0.5, 0
        return torch.randn(shape, generator=generator, dtype=torch.float64), self._padding

    @property
    def _padding(self) -> float:
        """What stands in a target where there is nothing: what the program compares it with, if it does."""
        if self.sizes.filler is not None:
            return self.sizes.filler
        return self.sizes.ignored if self.sizes.is_written else 0

    def _draw_indices(self, role: Role, layout: str, draw: Callable[[int, int], Tensor]) -> tuple[Tensor, float]:
        """Return whole numbers, and what stands in padding: an index that a loss ignores is never drawn."""
        base = self.sizes.base
        if role is Role.ROW:
            return draw(0, base["B"]), 0
        if role is Role.LENGTH:
            return draw(1, 2) * base["T"] * self.sizes.times.get("T", 1), 0
        first = 1 if "s" in layout or self.sizes.ignored == 0 else 0
        # two classes are enough, and they are there as well where only some of the scores are taken
        filler = self.sizes.ignored if self.sizes.filler is None else int(self.sizes.filler)
        return draw(first, min(base["C"], first + 2)), filler

    # Noise

    def noise(self, shape: list[int], law: Callable[[list[int], torch.Generator], Tensor]) -> Tensor:
        """Draw noise that repeats as the samples do, the same at every size of the batch."""
        self._draws += 1
        generator = torch.Generator().manual_seed(_SEED + self._draws)
        times = [self._repeats(size, index) for index, size in enumerate(shape)]
        base = law([size // n for size, n in zip(shape, times, strict=True)], generator)
        base = base.to(self.device, self.dtype) if base.is_floating_point() else base.to(self.device)
        return base.repeat(*times) if times else base

    def _repeats(self, size: int, index: int) -> int:
        samples = self.sizes.times.get("B", 1)
        padded = self.sizes.padded
        if self.sizes.padding and size == self.sizes.size(padded) and (index == 0) == (padded == "B"):
            return size // self.sizes.base[padded]
        if samples > 1 and size % (self.sizes.base["B"] * samples) == 0:
            return samples
        for letter in "TDC":
            times = self.sizes.times.get(letter, 1)
            if index and times > 1 and size == self.sizes.base[letter] * times:
                return times
        return 1

    def samples(self, size: int) -> int:
        """Return how often the base samples stand in an axis of a size."""
        return self._repeats(size, 0)

    def gradient(self) -> Tensor:
        """Return the gradient of all leaves, as one vector."""
        found = [leaf.grad.detach().reshape(-1) for leaf in self.leaves.values() if leaf.grad is not None]
        return torch.cat(found) if found else torch.zeros(0)


def _class_axis(layout: str) -> int:
    return layout.index("C") if "C" in layout else max(len(layout) - 1, 0)


_FORMS: Mapping[Role, Callable[[Tensor, int], Tensor]] = {
    Role.PROBABILITY: lambda values, _: torch.sigmoid(values),
    Role.LOG_PROBABILITY: lambda values, axis: torch.log_softmax(values, axis),
    Role.VARIANCE: lambda values, _: functional.softplus(values) + 0.1,
}


def norm(values: Tensor) -> float:
    """Return the norm of a vector."""
    return math.sqrt(float((values.double() ** 2).sum())) if values.device.type == "cpu" else float(values.norm())
