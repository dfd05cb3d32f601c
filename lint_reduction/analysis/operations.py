"""Tensor operations by name, as methods and as functions: ``x.sum(1)``, ``torch.sum(x, dim=1)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lint_reduction.analysis import forwarding, masks, products, reweighting, shapes, tensors
from lint_reduction.analysis.code import Expr, Unary, Var, text
from lint_reduction.analysis.conversion import as_factor, as_tensor, may_count, named_mask
from lint_reduction.analysis.indexing import size
from lint_reduction.analysis.loops import number
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.reading import read_as_number
from lint_reduction.analysis.values import (
    BATCH_AXES,
    CHOICE,
    COMPARISON,
    PRESUMED_AXES,
    SCALAR,
    Axes,
    Constant,
    Counting,
    Items,
    Loader,
    Opaque,
    Place,
    Repeated,
    Shape,
    Tensor,
    Unknown,
    Value,
)
from lint_reduction.facts import Batch, Evidence, StepKind
from lint_reduction.growth import ONE, Growth

_PAIRS = frozenset({"max", "min", "median", "mode", "nanmedian", "sort", "topk", "kthvalue"})
_QUANTILES = frozenset({"quantile", "nanquantile"})
#: Which give a value that a fixed share of the entries lies below.
_SHARES = frozenset({"median", "nanmedian", *_QUANTILES})
_LAST = (-1,)
_TOTALS = frozenset({"summing", "averaging", "counting"})
#: What a norm of an order other than 2 does to an axis.
_NORMS = {"1": "summing", "1.0": "summing", "inf": "choosing"}
#: What keeps a count from being 0, or a division by 0 from being seen.
_NEVER_ZERO = frozenset({"clamp", "clip", "clamp_min", "clamp_", "clamp_min_", "nan_to_num", "nan_to_num_"})
#: What is done to each entry by itself, and what makes probabilities of them.
_POINTWISE, _PROBABLE = frozenset({"nonlinear", "squashing"}), frozenset({"squashing", "normalizing", "log_normalized"})
#: What a number in a tensor of its own is made of.
_NOT_ZERO, _NOTHING = frozenset({"number"}), frozenset[str]()
_FILLED = frozenset({"zeros", "ones", "full", "empty", "eye", "scalar_tensor"})


@dataclass(frozen=True, slots=True)
class Operands:
    """What an operation is given besides the tensor.

    Attributes:
        values: positional arguments.
        keywords: keyword arguments.
        exprs: source of the positional arguments.
        mark: of the call.
        shown: source of the whole call, for messages.
        method: mark of the name in a bare method call.
    """

    values: tuple[Value, ...]
    keywords: dict[str, Value]
    exprs: tuple[Expr, ...]
    mark: int
    shown: str = ""
    method: int = 0

    def get(self, position: int, *names: str) -> Value | None:
        """Return an argument by position or name."""
        for name in names:
            if name in self.keywords:
                return self.keywords[name]
        return self.values[position] if position < len(self.values) else None


def operate(machine: Machine, name: str, owner: Value, given: Operands) -> Value | None:
    """Return the result of a tensor operation, None if it is none.

    Args:
        machine: the interpretation.
        name: of the operation.
        owner: the tensor, or the list of tensors.
        given: the other operands.
    """
    kind = machine.libraries.operations.get(name)
    if kind is None or kind == "operating":
        return None
    if kind in ("stacking", "concatenating"):
        return _stacked(machine, owner, kind)
    if kind == "creating":
        created = _created(machine, name, owner, given)
        if name == "arange" and isinstance(created, Tensor):
            return replace(created, made_of=created.made_of | {masks.POSITIONS})
        return created
    if kind == "drawing":
        batch = Batch.DRAWN if machine.in_loop else Batch.FIXED
        return drawn(tensors.data(batch, replace(BATCH_AXES, certain=False), gradient=False))
    if isinstance(owner, Unknown):
        return _of_unknown(kind, owner)
    if name in ("size", "__len__") and isinstance(owner, Loader):
        return None
    if isinstance(owner, Opaque) and kind == "linear" and machine.libraries.names.is_uncertain(owner.name):
        # a number that counts something, clamped or rounded
        return owner
    tensor = as_tensor(machine, owner)
    if isinstance(owner, Opaque):
        tensor = replace(tensor, text=owner.name)
        if owner.name in (COMPARISON, CHOICE):
            # a truth value has no such operation, so it is a mask
            tensor = masks.as_mask(replace(tensor, text=""), choice=owner.name == CHOICE)
        elif kind in _TOTALS:
            tensor = named_mask(machine, owner) or tensor
    return _on_tensor(machine, name, kind, tensor, given)


def _of_unknown(kind: str, owner: Unknown) -> Value:
    return Opaque() if kind in ("comparing", "measuring", "detaching", "testing", "indexing") else owner


def _on_tensor(machine: Machine, name: str, kind: str, tensor: Tensor, given: Operands) -> Value:
    match kind:
        case "linear":
            return _linear(machine, name, tensor, given)
        case "nonlinear" | "squashing" | "normalized" | "normalizing" | "log_normalized":
            result = tensors.nonlinear(tensor, name) if kind in _POINTWISE else _normalized(name, kind, tensor, given)
            return masks.as_probability(result) if kind in _PROBABLE else result
        case "logarithmic":
            return tensors.logarithm(tensor)
        case "comparing":
            return _compared(machine, name, tensor, given.get(0, "other"))
        case "summing" | "averaging" | "choosing" | "norming" | "multiplying":
            return _reduced(machine, name, kind, tensor, given)
        case "contracting":
            other = given.get(0, "tensor", "other")
            product = tensor if other is None else tensors.multiply(tensor, as_tensor(machine, other), given.mark)
            return tensors.reduce(product, "summing", None, False, given.mark)
        case "counting":
            mask = tensor if tensor.is_mask else masks.beside_padding(masks.as_mask(tensor))
            return _reduced(machine, name, "summing", mask, given)
        case "testing":
            return _tested(machine, tensor, given)
        case "detaching":
            return _detached(machine, name, tensor, given)
        case "measuring":
            return _measured(name, tensor, given)
        case _:
            return _reshaped(machine, name, kind, tensor, given)


def _normalized(name: str, kind: str, tensor: Tensor, given: Operands) -> Tensor:
    """Return a tensor normalized over the axis named by ``dim``: with ``dim=2`` there are at least three."""
    if kind != "normalizing" and tensor.is_loss:
        return tensors.nonlinear(tensor, name)
    dims = dims_of(given.get(0, "dim"))
    if kind != "normalizing":
        tensor = replace(tensor, arithmetic=True, is_mask=False)
    else:
        over = _LAST if dims == "all" else None if isinstance(dims, str) else dims
        tensor = tensors.normalize_over(tensor, over)
    rank = max((d + 1 if d >= 0 else -d for d in dims), default=0) if isinstance(dims, tuple) else 0
    return replace(tensor, least_rank=max(rank, tensor.least_rank))


def drawn(value: Tensor) -> Tensor:
    """Return random numbers, which remember that they are."""
    return replace(value, made_of=value.made_of | {"draw"})


_EQUALITIES = ("eq", "ne", "not_equal")


def _compared(machine: Machine, name: str, tensor: Tensor, other: Value | None) -> Value:
    if tensor.axes.is_scalar:
        return Opaque()
    mask = masks.as_mask(tensor)
    if isinstance(other, Tensor):
        pairs = name in _EQUALITIES and bool(other.summands) and not other.axes.is_scalar
        mask = masks.as_mask(tensor, choice=pairs or masks.chooses(other))
    op = "!=" if name in _EQUALITIES else "<"
    finds_padding = other is not None and masks.finds_padding(machine.libraries.names, op, tensor, other)
    return masks.beside_padding(mask) if finds_padding else mask


def _tested(machine: Machine, tensor: Tensor, given: Operands) -> Value:
    if dims_of(given.get(0, "dim")) != "all":
        return masks.as_mask(tensor)
    machine.frame.asked = True
    return Opaque()


def _reshaped(machine: Machine, name: str, kind: str, tensor: Tensor, given: Operands) -> Value:
    match kind:
        case "flattening" | "widening" | "squeezing" | "permuting":
            return _moved(machine, name, kind, tensor, given)
        case "pairing":
            return products.product(machine, name, tensor, given.get(0, "other", "x2", "mat2", "vec2"))
        case "rowwise":
            return _rowwise(machine, name, tensor, given)
        case "splitting":
            part = replace(tensor, may_be_container=False)
            return Repeated(part, ONE, parts=not tensor.is_loss and _cuts_batch(name, tensor, given))
        case "selecting":
            return tensors.select(tensor)
        case "locating" if not given.values and not given.keywords:
            return tensors.select(tensors.data(tensor.batch, gradient=False))
        case "picking":
            lost = tensors.lose(reweighting.picked(tensor, name, given.mark), f"{name}() keeps a part of the entries")
            return Items((lost, Opaque("indices")), is_tuple=True) if name in _PAIRS else lost
        case "masking":
            return _masked(machine, name, tensor, given)
        case "like":
            return _like(machine, name, tensor, given)
        case "indexing":
            return replace(tensors.data(tensor.batch, gradient=False), axes=replace(PRESUMED_AXES, certain=False))
    if tensor.is_loss:
        return machine.unknown(f"passes through {name}()", given.mark)
    return tensors.data(max(tensor.batch, *(_batches(machine, given.values))), PRESUMED_AXES)


def _moved(machine: Machine, name: str, kind: str, tensor: Tensor, given: Operands) -> Value:
    match kind:
        case "flattening":
            return shapes.flattened(machine, name, tensor, given.values, given.keywords)
        case "widening":
            return shapes.widened(name, tensor, given.values)
        case "squeezing":
            return shapes.squeezed(tensor, given.values)
        case "permuting":
            return shapes.permuted(name, tensor, given.values)
    return tensor


def _cuts_batch(name: str, tensor: Tensor, given: Operands) -> bool:
    """Say whether a tensor is cut into parts of the batch, not along another axis and not into its rows."""
    dim = given.values[1] if len(given.values) > 1 else given.keywords.get("dim", Constant(0))
    return name != "unbind" and dim == Constant(0) and tensor.axes.place is Place.FIRST


def _batches(machine: Machine, values: Sequence[Value]) -> list[Batch]:
    return [Batch.PARAMETERS, *(as_tensor(machine, v).batch for v in values if isinstance(v, (Tensor, Opaque)))]


def dims_of(value: Value | None) -> tuple[int, ...] | str | None:
    """Return the axes that a ``dim`` argument names: ``"all"`` if there is none, ``"unknown"``."""
    match value:
        case None | Constant(None):
            return "all"
        case Constant(int() as axis):
            return (axis,)
        case Items(entries):
            axes = [e.value for e in entries if isinstance(e, Constant) and isinstance(e.value, int)]
            if len(axes) == len(entries):
                return tuple(axes) if axes else "all"
    return "unknown"


def _axes_from(value: Value | None, tensor: Tensor) -> Value | None:
    """Return the axes that ``range(1, x.ndim)`` names, as many as make no difference where the rank is not known."""
    if not isinstance(value, Counting) or value.axes_from is None:
        return value
    start, rank = value.axes_from, tensor.axes.rank
    if start == 0:
        return None
    end = start + 2 if rank is None else max(rank, start + 1)
    return Items(tuple(Constant(axis) for axis in range(start, end)))


def _number(value: Value | None) -> object:
    return value.value if isinstance(value, Constant) else None


def _linear(machine: Machine, name: str, tensor: Tensor, given: Operands) -> Value:
    other = given.get(0, "other")
    if name in ("maximum", "minimum", "fmax", "fmin") and isinstance(other, Tensor):
        return _extremum(tensor, other)
    if name == "sort":
        return Items((reweighting.picked(tensor, name, given.mark), Opaque("indices")), is_tuple=True)
    if name == "bool":
        return masks.as_mask(tensor, choice=False) if not tensor.axes.is_scalar and not tensor.is_mask else tensor
    if name in _NEVER_ZERO:
        return _never_zero(tensor)
    return tensors.made_of(tensor, "square") if name in ("abs", "absolute") else tensor


def _never_zero(tensor: Tensor) -> Tensor:
    """Return a count that is kept from being 0, or a quotient of which it no longer matters."""
    summands = tuple(replace(s, hops=tuple(replace(h, doubt=None) for h in s.hops)) for s in tensor.summands)
    return replace(tensor, summands=summands, may_be_zero=False)


def _extremum(tensor: Tensor, other: Tensor) -> Tensor:
    if not other.summands:
        return replace(tensor, may_be_zero=False)
    both = tensors.add(tensor, other)
    return both if tensor.growth == other.growth else tensors.lose(both, "the larger of two of different growth")


def _reduced(machine: Machine, name: str, kind: str, tensor: Tensor, given: Operands) -> Value:
    at = 1 if kind == "norming" or name in _QUANTILES else 0
    first = given.get(at, "dim", "axis")
    if kind == "choosing" and isinstance(first, Tensor):
        return _extremum(tensor, first)
    if kind == "norming":
        kind = _NORMS.get(str(_number(given.get(0, "p", "ord"))), kind)
    dims = dims_of(_axes_from(first, tensor))
    keep = given.get(at + 1, "keepdim")
    keepdim = isinstance(keep, Constant) and bool(keep.value)
    if dims == "unknown":
        return replace(
            tensors.lose(tensor, "reduced over axes that are not known"), axes=replace(tensor.axes, certain=False)
        )
    axes = None if dims == "all" or isinstance(dims, str) else dims
    forwarding.note_second_reduction(machine, name, tensor)
    if name in _SHARES:
        # what is compared with it is a fixed share of the positions
        tensor = tensors.made_of(tensor, "choice")
    result = tensors.reduce(tensor, kind, axes, keepdim, given.mark, given.method)
    if name in _PAIRS and axes is not None:
        return Items((result, Opaque("indices")), is_tuple=True)
    return result


def _rowwise(machine: Machine, name: str, tensor: Tensor, given: Operands) -> Value:
    """Compare the rows of two tensors: what is left has a number for each."""
    other = given.get(0, "x2")
    both = tensor if other is None else tensors.add(tensor, as_tensor(machine, other))
    at = Constant(-1) if name == "pairwise_distance" else given.get(1, "dim") or Constant(1)
    dims = dims_of(at)
    if isinstance(dims, str) or dims is None:
        return tensors.lose(both, "reduced over axes that are not known")
    kind = "norming" if name == "pairwise_distance" else "choosing"
    return tensors.reduce(both, kind, dims, False, given.mark)


def _detached(machine: Machine, name: str, tensor: Tensor, given: Operands) -> Value:
    if name == "item":
        read_as_number(machine, tensor, given.mark, "item()")
        if may_count(tensor):
            return Opaque(tensor.text, tensor.batch, called=True)
        return replace(tensors.detach(tensor), axes=SCALAR)
    return tensors.detach(tensor)


def _measured(name: str, tensor: Tensor, given: Operands) -> Value:
    if name in ("numel", "nelement"):
        if tensor.may_be_container and tensor.axes.place is Place.SOMEWHERE:
            return Opaque("size")
        counts = Growth.of(*tensor.axes.counts)
        certain = tensor.axes.certain or tensor.batch >= Batch.ARGUMENT
        return tensors.count(counts, Evidence.SHAPE if certain else Evidence.NAME, given.shown, tensor.batch)
    if name == "size":
        axis = given.get(0, "dim")
        if axis is None:
            return Shape(tensor, text=given.shown)
        if isinstance(axis, Constant) and isinstance(axis.value, int):
            return size(tensor, axis.value, given.shown)
        return Opaque("size")
    return Opaque("ndim")


def _masked(machine: Machine, name: str, tensor: Tensor, given: Operands) -> Value:
    if given.exprs:
        _note_mask(machine, given.exprs[0])
    if name != "where":
        fill = given.get(1, "value")
        if isinstance(fill, Constant) and fill.value == 0 and type(fill.value) in (int, float):
            mask = _condition(machine, given.get(0, "mask") or Opaque())
            return masks.keep_masked(tensor, mask, given.mark, text(given.exprs[0]) if given.exprs else "mask")
        return tensor
    values = [given.get(0, "input"), given.get(1, "other")]
    if None in values:
        return Opaque("indices")
    shown = text(given.exprs[0]) if given.exprs else "a condition"
    kept = [v for v in values if v is not None and not _is_zero(v)]
    mask = _condition(machine, tensor)
    if len(kept) == 1 and isinstance(kept[0], Constant):
        return mask
    if len(kept) == 1:
        return masks.keep_masked(as_tensor(machine, kept[0]), mask, given.mark, shown)
    if kept and all(isinstance(v, Constant) for v in kept):
        return Tensor(axes=tensor.axes, batch=tensor.batch)
    both = [as_tensor(machine, v) for v in kept]
    return _extremum(both[0], both[1]) if both else Tensor()


def _note_mask(machine: Machine, condition: Expr) -> None:
    """A part of a batch that says what is filled in is a mask."""
    if isinstance(condition, Unary):
        condition = condition.operand
    if isinstance(condition, Var):
        value = machine.state.variables.get(condition.name)
        if isinstance(value, Tensor) and value.may_be_container:
            machine.state.variables[condition.name] = masks.as_mask(value)


def _condition(machine: Machine, value: Value) -> Tensor:
    """Return the mask that a condition is, whatever it was made from."""
    tensor = as_tensor(machine, value)
    return tensor if tensor.is_mask else masks.as_mask(tensor, Evidence.NAME)


def _is_zero(value: Value) -> bool:
    if isinstance(value, Constant):
        return value.value == 0
    return isinstance(value, Tensor) and not value.summands and not value.made_of & _NOT_ZERO


def _like(machine: Machine, name: str, tensor: Tensor, given: Operands) -> Value:
    constant = Tensor(axes=tensor.axes, batch=tensor.batch)
    if name in ("full_like", "fill_"):
        value = given.get(0, "fill_value", "value")
        if value is not None:
            expr = given.exprs[0] if given.exprs else None
            factor = as_factor(machine, value, expr, divides=False)
            return replace(tensors.scale(constant, factor, StepKind.MULTIPLY, given.mark), axes=tensor.axes)
    if name.startswith("rand"):
        return drawn(tensors.data(tensor.batch, tensor.axes, gradient=False))
    return replace(constant, made_of=_NOT_ZERO) if name == "ones_like" else constant


def _created(machine: Machine, name: str, owner: Value, given: Operands) -> Value:
    if name.removeprefix("new_") in _FILLED:
        return _filled(machine, name, owner, given)
    if name == "new_tensor":
        owner = given.get(0, "data") or Constant(0)
    if isinstance(owner, Items) and len(owner.entries) == 1 and _is_number(owner.entries[0]):
        # a number in a tensor of its own
        owner = owner.entries[0]
    if isinstance(owner, Constant):
        return Tensor(batch=Batch.FIXED, made_of=_NOT_ZERO if owner.value else _NOTHING)
    if isinstance(owner, Repeated):
        entry = as_tensor(machine, owner.entry)
        return tensors.detach(tensors.stack(number(owner.count), tensors.one_sample(entry), owner.evidence))
    if isinstance(owner, Opaque):
        if machine.libraries.names.is_constant(owner.name):
            return Tensor(batch=Batch.FIXED)
        if owner.called or machine.libraries.names.is_uncertain(owner.name):
            return owner
    if isinstance(owner, (Tensor, Opaque)) and name in ("tensor", "as_tensor", "from_numpy", "asarray", "new_tensor"):
        return replace(tensors.detach(as_tensor(machine, owner)), may_be_container=False)
    return tensors.data(Batch.FIXED, replace(BATCH_AXES, certain=False))


def _is_number(value: Value) -> bool:
    return isinstance(value, (Constant, Opaque)) or (isinstance(value, Tensor) and value.axes.is_scalar)


def _filled(machine: Machine, name: str, owner: Value, given: Operands) -> Tensor:
    """Return a new tensor of a shape, all of its entries alike."""
    is_method = name.startswith("new_")
    shape = given.get(0, "size") if is_method else owner
    tensor = Tensor(batch=Batch.FIXED)
    if isinstance(shape, Shape) and not shape.start:
        tensor = replace(tensor, axes=shape.tensor.axes, batch=shape.tensor.batch)
    at = 1 if is_method else 0
    value = given.get(at, "fill_value") if name.endswith("full") else None
    if value is None:
        return replace(tensor, made_of=_NOT_ZERO) if name.endswith("ones") else tensor
    factor = as_factor(machine, value, given.exprs[at] if at < len(given.exprs) else None, divides=False)
    if isinstance(value, Tensor):
        tensor = replace(tensor, batch=value.batch)
    return tensors.scale(tensor, factor, StepKind.MULTIPLY, given.mark)


def _stacked(machine: Machine, owner: Value, kind: str) -> Value:
    if isinstance(owner, Unknown):
        return owner

    def joined(entry: Value, count: Growth, evidence: Evidence) -> Value:
        return entry if isinstance(entry, Unknown) else _joined(as_tensor(machine, entry), count, kind, evidence)

    def added(total: Value, entry: Value) -> Value:
        if isinstance(total, Unknown) or isinstance(entry, Unknown):
            return Unknown("one of the tensors is not known")
        both = as_tensor(machine, total), as_tensor(machine, entry)
        # what is stacked has one shape
        is_scalar = kind == "stacking" and any(tensor.axes.is_scalar for tensor in both)
        return replace(tensors.add(*both), axes=SCALAR) if is_scalar else tensors.add(*both)

    if isinstance(owner, Repeated):
        count, evidence = number(owner.count), owner.evidence
        return machine.lift(owner.entry, lambda entry: joined(entry, count, evidence))
    if isinstance(owner, Items) and owner.entries:
        total = owner.entries[0]
        for entry in owner.entries[1:]:
            total = machine.lift_two(total, entry, added)
        return machine.lift(total, lambda whole: joined(whole, ONE, Evidence.SHAPE))
    return (
        tensors.data(as_tensor(machine, owner).batch, PRESUMED_AXES)
        if isinstance(owner, (Opaque, Tensor))
        else Opaque()
    )


def _joined(tensor: Tensor, entries: Growth, kind: str, evidence: Evidence) -> Tensor:
    if kind == "stacking" or tensor.axes.is_scalar:
        return tensors.stack(entries, tensor, evidence)
    counts = tensor.axes.counts | {count for count, _ in entries.powers}
    axes = Axes(tensor.axes.place, counts, tensor.axes.rank, tensor.axes.certain, tensor.axes.more)
    return replace(tensor, axes=axes, may_be_container=False)
