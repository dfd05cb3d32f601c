"""Where the batch axis stands after a tensor is reshaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lint_reduction.analysis.conversion import as_factor, as_tensor
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.values import (
    BATCH_AXES,
    Axes,
    Constant,
    Items,
    Place,
    Shape,
    Tensor,
    Value,
)
from lint_reduction.facts import Batch
from lint_reduction.growth import SAMPLES, Count


def _number(value: Value | None) -> int | None:
    return value.value if isinstance(value, Constant) and isinstance(value.value, int) else None


def flattened(
    machine: Machine, name: str, tensor: Tensor, values: Sequence[Value], keywords: dict[str, Value]
) -> Tensor:
    """Return a tensor after ``view``, ``reshape``, ``flatten`` and the like."""
    tensor = replace(tensor, may_be_container=False, least_rank=0)
    if tensor.axes.is_scalar or not tensor.summands:
        return tensor
    if name in ("flatten", "ravel"):
        start = _number(keywords.get("start_dim", values[0] if values else Constant(0)))
        if start == 0 and name == "flatten" and (len(values) > 1 or "end_dim" in keywords):
            return _led_by_samples(tensor, None)
        if start == 1 and tensor.is_loss:
            # what has a second axis has its positions there
            tensor = replace(tensor, axes=replace(tensor.axes, more=False))
        return _all_in_one(tensor) if not start else _led_by_samples(tensor, 2 if start == 1 else None)
    if name in ("view_as", "reshape_as"):
        return replace(tensor, axes=as_tensor(machine, values[0]).axes if values else tensor.axes)
    if len(values) == 1 and isinstance(values[0], Items):
        values = values[0].entries
    if len(values) == 1 and isinstance(values[0], Shape):
        return replace(tensor, axes=values[0].tensor.axes)
    return _viewed(machine, tensor, values)


def _viewed(machine: Machine, tensor: Tensor, values: Sequence[Value]) -> Tensor:
    first = values[0] if values else None
    if len(values) == 1 and _number(first) == -1:
        return _all_in_one(tensor)
    rank = len(values)
    if any(isinstance(v, (Shape, Items)) for v in values):
        rank = 0
    if isinstance(first, Shape):
        return replace(tensor, axes=replace(BATCH_AXES, certain=tensor.axes.certain))
    if _number(first) == -1:
        # (-1, C): the positions join the samples in one leading axis
        return _led_by_samples(tensor, rank or None, more=True)
    growth = None if first is None else as_factor(machine, first, None, divides=False).growth
    if growth is not None and SAMPLES.powers[0] in growth.powers:
        return _led_by_samples(tensor, rank or None)
    return replace(tensor, axes=replace(tensor.axes, place=_lost(tensor), rank=rank or None))


def _lost(tensor: Tensor) -> Place:
    return Place.SOMEWHERE if tensor.axes.place is not Place.NONE else Place.NONE


def _all_in_one(tensor: Tensor) -> Tensor:
    axes = tensor.axes
    place = Place.MERGED if axes.place is not Place.NONE else Place.NONE
    return replace(tensor, axes=replace(axes, place=place, rank=1))


def _led_by_samples(tensor: Tensor, rank: int | None, *, more: bool = False) -> Tensor:
    axes = tensor.axes
    if axes.place is Place.NONE:
        return replace(tensor, axes=replace(axes, rank=None if rank is None else rank - 1))
    counts = axes.counts | ({Count.ELEMENTS} if rank is not None and rank > 1 else frozenset())
    return replace(tensor, axes=Axes(Place.FIRST, counts, rank, axes.certain, axes.more or more, axes.paired))


def widened(name: str, tensor: Tensor, values: Sequence[Value]) -> Tensor:
    """Return a tensor after ``unsqueeze``, ``expand``, ``repeat`` and the like."""
    axes = tensor.axes
    if axes.is_scalar:
        return tensor
    if name.startswith("unsqueeze"):
        at = _number(values[0]) if values else None
        if at == 0 and not (axes.certain and tensor.batch is Batch.LOADER):
            # a batch of one is made of one sample
            return alone(tensor)
        if at == 0 or at is None:
            place = Place.SOMEWHERE if axes.place is not Place.NONE else Place.NONE
            across = tensor.batch if at == 0 and axes.place is Place.FIRST else None
            return replace(tensor, axes=replace(axes, place=place, rank=None), across=across)
        return replace(tensor, axes=replace(axes, rank=None if axes.rank is None else axes.rank + 1))
    return replace(tensor, axes=replace(axes, rank=None, more=True))


def alone(tensor: Tensor) -> Tensor:
    """Return a tensor that stands for one sample."""
    single = min(tensor.batch, Batch.SINGLE)
    across = tensor.batch if tensor.axes.place is Place.FIRST else None
    summands = tuple(replace(s, batch=min(s.batch, single)) for s in tensor.summands)
    axes = Axes(Place.NONE, tensor.axes.counts - {Count.SAMPLES}, None, tensor.axes.certain, tensor.axes.more)
    return replace(tensor, axes=axes, batch=single, summands=summands, may_be_container=False, across=across)


def squeezed(tensor: Tensor, values: Sequence[Value]) -> Tensor:
    """Return a tensor after ``squeeze``: an axis of size 1 is gone, if there was one."""
    axes = tensor.axes
    at = _number(values[0]) if values else None
    tensor = replace(tensor, least_rank=0)
    if at == 0:
        return replace(tensor, axes=replace(axes, certain=False, rank=None))
    return replace(tensor, axes=replace(axes, rank=None))


def permuted(name: str, tensor: Tensor, values: Sequence[Value]) -> Tensor:
    """Return a tensor after its axes changed places."""
    if len(values) == 1 and isinstance(values[0], Items):
        values = values[0].entries
    numbers = [_number(value) for value in values]
    keeps_first = numbers[:1] == [0] if name == "permute" else bool(numbers) and not {0, None} & set(numbers)
    if keeps_first or tensor.axes.place in (Place.NONE, Place.MERGED):
        return tensor
    return replace(tensor, axes=replace(tensor.axes, place=Place.SOMEWHERE))
