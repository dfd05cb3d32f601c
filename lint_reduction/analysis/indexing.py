"""``value[key]``."""

from __future__ import annotations

from dataclasses import replace

from lint_reduction.analysis import tensors
from lint_reduction.analysis.code import Const, Expr
from lint_reduction.analysis.code import Slice as SliceExpr
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.options import option_value
from lint_reduction.analysis.shapes import alone
from lint_reduction.analysis.values import (
    BATCH_AXES,
    SCALAR,
    Class,
    Constant,
    External,
    Items,
    Loader,
    Mapping,
    Opaque,
    Options,
    Parameters,
    ParamGroups,
    Place,
    Repeated,
    Shape,
    Summand,
    Tensor,
    Unknown,
    Value,
    join,
    options_of,
)
from lint_reduction.facts import Batch, Evidence
from lint_reduction.growth import ELEMENTS, ONE, SAMPLES, Count, Growth


def item(machine: Machine, value: Value, keys: tuple[Value, ...], exprs: tuple[Expr, ...]) -> Value:
    """Return ``value[keys]`` for a single value."""
    key = keys[0] if len(keys) == 1 else None
    match value:
        case Items(entries, is_tuple):
            return _entry(entries, key, exprs[0], is_tuple)
        case Repeated(entry):
            return value if isinstance(exprs[0], SliceExpr) else entry
        case Mapping(entries, rest):
            return _mapped(entries, rest, key)
        case Shape():
            return shape_item(value, key, exprs[0])
        case ParamGroups(optimizer, True):
            if isinstance(key, Constant) and key.value == "lr":
                return machine.state.heap.get((optimizer.identity, "lr"), Opaque("lr"))
            return Parameters() if isinstance(key, Constant) and key.value == "params" else Opaque()
        case ParamGroups(optimizer, False):
            return replace(value, single=True)
        case Options():
            name = str(key.value) if isinstance(key, Constant) else ""
            return option_value(machine, value, name) or Opaque(name)
        case Tensor():
            return _tensor(machine, value, keys, exprs)
        case _:
            return _other(machine, value, keys)


def _other(machine: Machine, value: Value, keys: tuple[Value, ...]) -> Value:
    match value:
        case Opaque() if len(keys) == 1 and isinstance(keys[0], Tensor) and keys[0].is_mask:
            return tensors.select(machine.tensor(value))
        case Opaque(name, batch, called, varies):
            key = keys[0] if len(keys) == 1 else None
            named = str(key.value) if isinstance(key, Constant) and isinstance(key.value, str) else name
            drawn = max(batch, Batch.DRAWN) if any(_draws(k) for k in keys) else batch
            row = any(isinstance(k, Opaque) and k.is_row for k in keys)
            if row:
                return Opaque(named, Batch.SINGLE, varies=True)
            return Opaque(named, drawn, called, varies or any(_draws(k) for k in keys))
        case Class():
            # a generic class for some type
            return value
        case Parameters(single=True, is_data=False) if any(_draws(k) for k in keys):
            # a row of the weights for each sample
            return tensors.data(Batch.DRAWN, replace(BATCH_AXES, certain=False))
        case Loader() | Parameters() | External():
            return value
        case Unknown():
            return value
    return Opaque()


def _draws(key: Value) -> bool:
    """Say whether indexing with a key takes other rows each time: a moving slice, drawn indices.

    A loop counter alone does not: it picks the entries of a list one after the other, every time anew.
    """
    if isinstance(key, Opaque):
        return key.varies and (key.name == "slice" or key.called or key.batch >= Batch.DRAWN)
    return isinstance(key, Tensor) and key.batch >= Batch.DRAWN


def _entry(entries: tuple[Value, ...], key: Value | None, expr: Expr, is_tuple: bool) -> Value:
    if isinstance(key, Constant) and isinstance(key.value, int) and -len(entries) <= key.value < len(entries):
        return entries[key.value]
    if isinstance(expr, SliceExpr) and entries:
        return Repeated(join(tuple(o for e in entries for o in options_of(e))), ONE)
    if not entries:
        return Opaque()
    return join(tuple(o for e in entries for o in options_of(e)))


def _mapped(entries: tuple[tuple[object, Value], ...], rest: Value | None, key: Value | None) -> Value:
    if isinstance(key, Constant) and (key.value in dict(entries)) and key.evidence is Evidence.SHAPE:
        return dict(entries)[key.value]
    values = [value for known, value in entries if not isinstance(key, Constant) or known == key.value]
    if rest is not None:
        values.append(rest)
    return join(tuple(o for v in values for o in options_of(v))) if values else Opaque()


def shape_item(shape: Shape, key: Value | None, expr: Expr) -> Value:
    """Return one entry of a shape: the size of the batch, or of a position."""
    if isinstance(expr, SliceExpr):
        lower = expr.lower.value if expr.lower is not None and hasattr(expr.lower, "value") else 0
        return replace(shape, start=shape.start + lower) if isinstance(lower, int) and lower >= 0 else Opaque()
    if not isinstance(key, Constant) or not isinstance(key.value, int):
        return Opaque("size")
    shown = f"{shape.text}[{key.value}]" if shape.text else ""
    return size(shape.tensor, key.value + (shape.start if key.value >= 0 else 0), shown)


def size(tensor: Tensor, axis: int, shown: str) -> Value:
    """Return the size of an axis of a tensor as a number that counts."""
    axes = tensor.axes
    if axes.rank is not None and axis < 0:
        axis += axes.rank
    if axes.place is Place.SOMEWHERE or (tensor.batch is Batch.PARAMETERS and not axes.counts):
        return Opaque("size") if axes.place is Place.SOMEWHERE else Constant(1)
    if axes.place is Place.MERGED:
        merged = tensors.count(_product(axes.counts), Evidence.SHAPE, shown, tensor.batch)
        return replace(merged, later_axis=axis > 0)
    if axes.place is Place.FIRST and axis == 0 and Count.SAMPLES not in axes.counts:
        return Constant(1)
    if axes.place is Place.FIRST and axis == 0:
        return tensors.count(SAMPLES, Evidence.SHAPE, shown, tensor.batch)
    if axes.place is Place.FIRST and axis < -1:
        # the batch of a matrix, a position of an image
        return Opaque("size")
    if axes.place is Place.FIRST and axis < 0 and not axes.counts - {Count.SAMPLES}:
        return Opaque("size")
    return replace(tensors.count(ELEMENTS, Evidence.SHAPE, shown, tensor.batch), later_axis=axis > 0)


def sizes(machine: Machine, shape: Shape, names: list[str]) -> list[Value]:
    """Return the sizes that the variables of some names get from a shape.

    The batch comes first, unless another variable says that it is the batch: ``seq_len, batch, dim = x.shape``.
    """
    shown = [f"{shape.text}[{i}]" if shape.text else "" for i in range(len(names))]
    batch = next((i for i, name in enumerate(names) if _is_batch(machine, name)), None)
    if batch is None and "a" not in names:
        batch = next((i for i, name in enumerate(names) if machine.libraries.names.role(name) == "batch_axis"), 0)
    if batch and shape.tensor.axes.place is Place.FIRST:
        growths = [SAMPLES if i == batch else ELEMENTS for i in range(len(names))]
        return [tensors.count(g, Evidence.NAME, t, shape.tensor.batch) for g, t in zip(growths, shown, strict=True)]
    return [size(shape.tensor, i + shape.start, shown[i]) for i in range(len(names))]


def size_by_name(machine: Machine, name: str, value: Value) -> Value:
    """Return what a variable gets; a size of which its name says that it is that of the batch is no position."""
    if not isinstance(value, Tensor) or not value.axes.is_scalar or not _is_batch(machine, name):
        return value
    if value.summands != (Summand(ELEMENTS, batch=value.batch, gradient=False),):
        return value
    return tensors.count(SAMPLES, Evidence.NAME, value.text, value.batch)


def _is_batch(machine: Machine, name: str) -> bool:
    names = machine.libraries.names
    return names.count(name) is Count.SAMPLES or names.role(name) == "batch"


def _product(counts: frozenset[Count]) -> Growth:
    return Growth.of(*counts)


def _tensor(machine: Machine, value: Tensor, keys: tuple[Value, ...], exprs: tuple[Expr, ...]) -> Value:
    value = replace(value, least_rank=0)
    first, expr = keys[0], exprs[0]
    if isinstance(first, Constant) and isinstance(first.value, str):
        name = first.value
        if machine.libraries.names.role(name) == "criterion":
            return Opaque(name, value.batch, called=True)
        counted = machine.libraries.names.count(name) if value.may_be_container else None
        if counted is not None:
            return tensors.count(Growth.of(counted), Evidence.NAME, name, value.batch)
        if value.is_loss:
            return Opaque(name)
        return replace(value, text="", has_names=False, is_part=value.may_be_container)
    if isinstance(first, Tensor) and first.is_mask:
        return tensors.select(value)
    if any(_draws(key) for key in keys) and value.batch in (Batch.FIXED, Batch.ARGUMENT):
        value = tensors.with_batch(value, Batch.DRAWN)
        if value.axes.place is Place.FIRST:
            # rows of a part of the data: as many as there are in a batch
            value = replace(value, axes=replace(value.axes, counts=value.axes.counts | {Count.SAMPLES}))
    if len(keys) > 1 or isinstance(expr, SliceExpr):
        return _sliced(machine, value, keys, exprs)
    return _picked(machine, value, first)


def _picked(machine: Machine, value: Tensor, key: Value) -> Value:
    if isinstance(key, Opaque) and key.is_row:
        return tensors.one_sample(value)
    if isinstance(key, Constant) and key.value is None:
        if not (value.axes.certain and value.batch is Batch.LOADER):
            return alone(value)
        across = value.batch if value.axes.place is Place.FIRST else None
        return replace(value, axes=replace(value.axes, place=Place.SOMEWHERE, rank=None), across=across)
    if isinstance(key, Constant):
        if value.is_part and value.may_be_container and value.axes.place is Place.FIRST:
            # a sample of a tensor, a tensor of a list
            return replace(value, axes=replace(value.axes, place=Place.SOMEWHERE, certain=False))
        if value.may_be_container or not value.axes.certain:
            return replace(value, is_part=value.may_be_container)
        return tensors.one_sample(value) if value.axes.place is Place.FIRST else replace(value, axes=SCALAR)
    if isinstance(key, Tensor) and not key.axes.is_scalar:
        return value
    # a number that is not known: a sample, or a time step of a sequence that comes first
    return tensors.perhaps_one_sample(value)


def _is_fixed_length(machine: Machine, expr: Expr) -> bool:
    """Say whether a slice has the same length for every batch size: ``[:4]``, ``[2:4]``."""
    if not isinstance(expr, SliceExpr) or not isinstance(expr.upper, Const):
        return False
    lower = 0 if expr.lower is None else expr.lower.value if isinstance(expr.lower, Const) else None
    upper = expr.upper.value
    return (
        isinstance(upper, int)
        and isinstance(lower, int)
        and min(lower, upper) >= 0
        and (upper not in machine.module.batch_sizes)
    )


def _sliced(machine: Machine, value: Tensor, keys: tuple[Value, ...], exprs: tuple[Expr, ...]) -> Value:
    if not isinstance(exprs[0], SliceExpr) and isinstance(keys[0], Constant) and isinstance(keys[0].value, int):
        value = tensors.one_sample(value)
        keys, exprs = keys[1:], exprs[1:]
    masks = [key for key in keys if isinstance(key, Tensor) and key.is_mask]
    if masks:
        return tensors.select(value)
    picked = sum(
        isinstance(key, Constant) and isinstance(key.value, int) and not isinstance(expr, SliceExpr)
        for key, expr in zip(keys, exprs, strict=True)
    )
    axes = value.axes
    if exprs and axes.place is Place.FIRST and _is_fixed_length(machine, exprs[0]):
        axes = replace(axes, counts=axes.counts - {Count.SAMPLES})
    if any(isinstance(key, Constant) and key.value is None for key in keys):
        return replace(value, axes=replace(axes, rank=None, more=axes.more))
    if picked and axes.rank is not None:
        axes = replace(axes, rank=max(axes.rank - picked, 1))
        if axes.rank == 1 and axes.place is Place.FIRST:
            axes = replace(axes, counts=axes.counts - {Count.ELEMENTS})
    return replace(value, axes=axes, may_be_container=False)
