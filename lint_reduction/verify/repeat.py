"""Repeat the samples of a batch, and the random numbers that are drawn for them.

A gradient is an exact power of the batch size only where nothing but the number of samples changes. New samples, or new
noise for the same ones, would blur it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, MutableMapping, Sequence

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lint_reduction.errors import ProbeError


class Samples:
    """A batch that can be repeated.

    Another batch with more samples says which axes, lists and numbers follow the number of samples.

    Args:
        make_batch: returns a batch of so many samples.
        size: the number of samples to repeat.
        larger: a larger number.

    Raises:
        ProbeError: nothing in the batch follows the number of samples, or something follows it in another way.
    """

    def __init__(self, make_batch: Callable[[int], object], size: int, larger: int) -> None:
        self._size, self._larger = size, larger
        self._base, self._other = make_batch(size), make_batch(larger)
        self._follows = False
        self.times(1)
        if not self._follows:
            raise ProbeError(
                f"make_batch({size}) and make_batch({larger}) have the same shapes: "
                "no tensor has as many samples as it is asked for"
            )

    def times(self, times: int) -> object:
        """Return a new batch in which each sample stands so many times."""
        return self._repeat(self._base, self._other, times, "batch")

    def _repeat(self, base: object, other: object, times: int, place: str) -> object:
        if isinstance(base, Tensor) and isinstance(other, Tensor):
            return self._repeat_tensor(base, other, times, place)
        if isinstance(base, int) and (base, other) == (self._size, self._larger):
            return base * times
        if isinstance(base, Mapping) and isinstance(other, Mapping):
            return self._repeat_mapping(base, other, times, place)
        if isinstance(base, list | tuple) and isinstance(other, list | tuple):
            return self._repeat_sequence(base, other, times, place)
        if dataclasses.is_dataclass(base) and type(base) is type(other):
            made = copy.copy(base)
            for name in (field.name for field in dataclasses.fields(base)):
                value = self._repeat(getattr(base, name), getattr(other, name), times, f"{place}.{name}")
                object.__setattr__(made, name, value)
            return made
        return base

    def _repeat_tensor(self, base: Tensor, other: Tensor, times: int, place: str) -> Tensor:
        pairs = list(zip(base.shape, other.shape, strict=False))
        axes = [axis for axis, pair in enumerate(pairs) if pair == (self._size, self._larger)]
        if len(axes) > 1 or (not axes and base.shape != other.shape):
            raise ProbeError(
                f"{place} has the shape {tuple(base.shape)} for {self._size} samples and {tuple(other.shape)} for "
                f"{self._larger}: it cannot be repeated with the samples"
            )
        self._follows |= bool(axes)
        with torch.no_grad():
            made = torch.cat([base] * times, axes[0]) if axes else base.clone()
        return made.requires_grad_(base.requires_grad)

    def _repeat_mapping(
        self, base: Mapping[object, object], other: Mapping[object, object], times: int, place: str
    ) -> object:
        parts = {key: self._repeat(base[key], other[key], times, f"{place}[{key!r}]") for key in base if key in other}
        if not isinstance(base, MutableMapping):
            return parts
        made = copy.copy(base)
        made.update(parts)
        return made

    def _repeat_sequence(
        self, base: Sequence[object], other: Sequence[object], times: int, place: str
    ) -> Sequence[object]:
        if (len(base), len(other)) == (self._size, self._larger):
            self._follows = True
            parts = [*base] * times
        elif len(base) == len(other):
            pairs = enumerate(zip(base, other, strict=True))
            parts = [self._repeat(a, b, times, f"{place}[{index}]") for index, (a, b) in pairs]
        else:
            raise ProbeError(
                f"{place} has {len(base)} entries for {self._size} samples and {len(other)} for {self._larger}: "
                "it cannot be repeated with the samples"
            )
        if hasattr(base, "_fields"):
            return type(base)(*parts)  # a named tuple
        return type(base)(parts)  # type: ignore[call-arg]


class RandomNumbers(TorchDispatchMode):
    """Draw random numbers for the first batch, and repeat them with its samples for the others.

    Attributes:
        repeated: whether all that were drawn so far could be repeated.
    """

    def __init__(self) -> None:
        super().__init__()
        self.repeated = True
        self._drawn: list[Tensor] = []
        self._first = True
        self._times = self._place = 0

    def start(self, times: int) -> None:
        """Say that what follows is a step on the batch, repeated so many times; the first step draws."""
        self._first = self._times == 0
        self._times, self._place = times, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # as torch has it
        out = func(*args, **(kwargs or {}))
        if torch.Tag.nondeterministic_seeded in func.tags:
            return self._replace(out, in_place=func._schema.is_mutable, target=args[0] if args else None)
        return out

    def _replace(self, out: object, *, in_place: bool, target: object) -> object:
        if not isinstance(out, Tensor) or (in_place and out is not target):
            self.repeated = False
            return out
        if self._first:
            self._drawn.append(out.detach().clone())
            return out
        wanted = self._next(out)
        if wanted is None:
            self.repeated = False
            return out
        return out.copy_(wanted)

    def _next(self, out: Tensor) -> Tensor | None:
        """Return what the first step has drawn at this place, in this shape."""
        if self._place >= len(self._drawn):
            return None
        drawn = self._drawn[self._place]
        self._place += 1
        if drawn.shape == out.shape:
            return drawn
        for axis in range(min(drawn.dim(), out.dim())):
            made = torch.cat([drawn] * self._times, axis)
            if made.shape == out.shape:
                return made
        return None
