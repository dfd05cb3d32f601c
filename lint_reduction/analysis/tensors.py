"""The algebra of tensors: what operations do to axes and growths. Pure functions, no interpreter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from lint_reduction.analysis.masks import counts_kept
from lint_reduction.analysis.reweighting import OF_A_LOSS
from lint_reduction.analysis.values import (
    BATCH_AXES,
    SCALAR,
    Axes,
    Hop,
    Place,
    Summand,
    Tensor,
)
from lint_reduction.facts import Batch, Doubt, Evidence, StepKind
from lint_reduction.growth import DENSITY, ELEMENTS, ONE, SAMPLES, Count, Growth

#: An objective with more terms than this is not followed.
MAX_SUMMANDS = 24

_DIFFERENCE = frozenset({"difference"})
_NOTHING: frozenset[str] = frozenset()
_POSITIONS = frozenset({Count.ELEMENTS, Count.CLASSES})


@dataclass(frozen=True, slots=True)
class Factor:
    """What a value is multiplied with or divided by.

    Attributes:
        growth: of the factor, None if it is not known.
        evidence: how its counts were seen.
        text: its source, where it counts something.
        reason: why the growth is not known.
        doubt: what may be wrong with it as a divisor.
    """

    growth: Growth | None = ONE
    evidence: Evidence = Evidence.SHAPE
    text: str = ""
    reason: str = ""
    doubt: Doubt | None = None


def data(batch: Batch, axes: Axes = BATCH_AXES, *, gradient: bool = True) -> Tensor:
    """Return a tensor of data: nothing computed yet, a typical entry grows with nothing."""
    return Tensor((Summand(batch=batch, gradient=gradient),), axes, batch)


def count(growth: Growth, evidence: Evidence, text: str, batch: Batch = Batch.ARGUMENT) -> Tensor:
    """Return a number that counts something."""
    summand = Summand(growth, batch=batch, gradient=False)
    return Tensor((summand,), SCALAR, batch, evidence=evidence, text=text)


def broadcast(left: Axes, right: Axes) -> Axes:
    """Return the axes of the result of an elementwise operation of two tensors."""
    if right == SCALAR or left == right:
        return left
    if left == SCALAR:
        return right
    sized = [axes for axes in (left, right) if Count.SAMPLES in axes.counts] or [left, right]
    if _lists_its_axes(left) and _is_batch_of_unknown_rank(right):
        return replace(left, more=True, rank=left.rank if left.rank != 1 else None)
    if _lists_its_axes(right) and _is_batch_of_unknown_rank(left):
        return replace(right, more=True, rank=right.rank if right.rank != 1 else None)
    return Axes(
        _place(left.place, right.place),
        _shared(left.counts, right.counts),
        max(left.rank, right.rank) if left.rank is not None and right.rank is not None else None,
        any(axes.certain for axes in sized),
        _has_more(left, right) or _has_more(right, left),
        left.paired or right.paired,
    )


def _shared(left: frozenset[Count], right: frozenset[Count]) -> frozenset[Count]:
    """Return the counts of both; a list that goes with the samples of a batch has one entry for each of them."""
    if any(Count.SAMPLES in one and Count.ITERATIONS in other for one, other in ((left, right), (right, left))):
        return (left | right) - {Count.ITERATIONS}
    return left | right


def _lists_its_axes(axes: Axes) -> bool:
    """Say whether all axes but further positions are known, so that other data bring no more of them."""
    if axes.place is not Place.FIRST or Count.SAMPLES not in axes.counts or Count.ELEMENTS in axes.counts:
        return False
    return Count.CLASSES in axes.counts or ((axes.certain or axes.rank == 1) and not axes.more)


def _is_batch_of_unknown_rank(axes: Axes) -> bool:
    return axes.rank is None and axes.place is Place.FIRST and axes.counts == {Count.SAMPLES, Count.ELEMENTS}


def _has_more(axes: Axes, other: Axes) -> bool:
    """Say whether axes may have positions that are not among the elements of the other ones."""
    return axes.more and (Count.ELEMENTS in axes.counts or Count.ELEMENTS not in other.counts)


def _together(left: Tensor, right: Tensor) -> Axes:
    """Return the axes of an elementwise operation; rows and columns of one batch make pairs of samples."""
    axes = broadcast(left.axes, right.axes)
    for row, column in ((left, right), (right, left)):
        is_column = column.axes.place is Place.FIRST and Count.SAMPLES in column.axes.counts
        if row.across is not None and column.across is None and is_column and column.batch == row.across:
            return replace(axes, paired=True)
    return axes


def _place(left: Place, right: Place) -> Place:
    if left is right or right is Place.NONE:
        return left
    return right if left is Place.NONE else Place.SOMEWHERE


def _merged(summands: tuple[Summand, ...]) -> tuple[Summand, ...]:
    """Return summands with plain data of one kind collapsed into one."""
    kept: dict[object, Summand] = {}
    for summand in summands:
        key: object = summand
        if summand.site is None and not summand.hops:
            key = (summand.growth, summand.reason, summand.gradient)
            old = kept.get(key)
            if old is not None and old.batch >= summand.batch:
                continue
        kept[key] = summand
    result = tuple(kept.values())
    if len(result) <= MAX_SUMMANDS:
        return result
    return (Summand(None, "an objective of too many terms", batch=max(s.batch for s in result)),)


def _is_weights(value: Tensor) -> bool:
    return value.batch is Batch.PARAMETERS and bool(value.summands) and not value.is_loss and value.axes != SCALAR


def _weights(left: Tensor, right: Tensor) -> Tensor | None:
    """Return the result of an elementwise operation if one operand has the shape of a weight.

    The other then has it as well, whatever it was made from: there are no samples in it.
    """
    if left.is_loss or right.is_loss or not (_is_weights(left) or _is_weights(right)):
        return None
    return replace(left if _is_weights(left) else right, arithmetic=True)


def add(left: Tensor, right: Tensor, op: str = "+") -> Tensor:
    """Return ``left + right`` or ``left - right``: the terms of both."""
    weights = _weights(left, right)
    if weights is not None:
        return weights
    return Tensor(
        _merged(left.summands + right.summands),
        _together(left, right),
        max(left.batch, right.batch),
        arithmetic=bool(left.summands and right.summands) or left.arithmetic or right.arithmetic,
        sometimes=left.sometimes or right.sometimes,
        made_of=left.made_of
        | right.made_of
        | (_DIFFERENCE if op == "-" and left.summands and right.summands else _NOTHING),
        evidence=min(left.evidence, right.evidence),
        text=left.text or right.text,
    )


def scale(value: Tensor, factor: Factor, kind: StepKind, mark: int) -> Tensor:
    """Return a tensor times (or, with ``DIVIDE``, over) a factor without axes of its own."""
    if factor.growth is None:
        summands = value.summands or (Summand(gradient=False),)
        return replace(value, summands=tuple(s.lost(factor.reason) for s in summands))
    growth = factor.growth**-1 if kind is StepKind.DIVIDE else factor.growth
    if growth == ONE:
        return value
    hop = Hop(kind, mark, growth, factor.evidence, factor.text, doubt=factor.doubt if kind is StepKind.DIVIDE else None)
    summands = value.summands or (Summand(gradient=False),)
    return replace(value, summands=tuple(s.step(hop) for s in summands))


def _counts_another_batch(value: Tensor, other: Tensor) -> bool:
    """Say whether a number counts the rows of other data than those a value is made of.

    The size of the whole data set is no size of the batch: ``n_data / x.size(0)`` is not 1.
    """
    growth = other.growth
    if growth is None or growth.in_samples == 0 or not value.summands or other.is_mask:
        return False
    if value.batch is Batch.SINGLE and all(s.growth is not None and s.growth.in_samples for s in value.summands):
        # a total over the samples, one by one
        return False
    return (value.batch >= Batch.DRAWN) is not (other.batch >= Batch.DRAWN) and other.axes.is_scalar


_ANOTHER = "it is not known whether {} counts the same batch"


def _is_count(value: Tensor) -> bool:
    """Say whether a value is a number that counts positions, of whatever else as well."""
    growth = value.growth
    plain = value.axes.is_scalar and not any(s.site or s.gradient for s in value.summands)
    return plain and growth is not None and growth.exponent(Count.ELEMENTS) == 1


def _has_gradient(value: Tensor) -> bool:
    return any(summand.gradient for summand in value.summands)


def multiply(left: Tensor, right: Tensor, mark: int, texts: tuple[str, str] = ("", "")) -> Tensor:
    """Return ``left * right``; the operand with the loss in it is the value, the other the factor."""
    weights = _weights(left, right)
    if weights is not None:
        return weights
    value, other, text = left, right, texts[1]
    is_number = not _has_gradient(left) and _has_gradient(right) and not left.is_loss
    if (not left.is_loss and right.is_loss) or is_number or not left.summands or (left.is_mask and not right.is_mask):
        value, other, text = right, left, texts[0]
    shown = text if other.is_mask and text else other.text or text
    factor = Factor(other.growth, other.evidence, shown, "a factor with terms of different growth")
    if _counts_another_batch(value, other):
        factor = replace(factor, growth=None, reason=_ANOTHER.format(other.text or text))
    if other.is_mask and value.is_mask:
        return replace(value, axes=broadcast(value.axes, other.axes))
    if _is_count(value) and _is_count(other) and factor.growth is not None:
        # height * width: each counts a part of the positions, together they count them once
        factor = replace(factor, growth=factor.growth.without({Count.ELEMENTS}))
    product = scale(value, factor, StepKind.MULTIPLY, mark)
    if _has_gradient(other):
        product = replace(product, summands=tuple(replace(s, gradient=True) for s in product.summands))
    return replace(
        product,
        axes=_together(value, other),
        batch=max(left.batch, right.batch),
        arithmetic=True,
        is_mask=False,
        made_of=left.made_of | right.made_of,
        evidence=min(left.evidence, right.evidence),
        text=left.text and right.text and f"{left.text} * {right.text}",
    )


_CONSTANT = Summand(gradient=False)


def _is_number_of_rounds(summand: Summand, divisor: Tensor) -> bool:
    """Say whether a divisor is the length of the list over which a term was added up."""
    return bool(divisor.text) and any(
        hop.kind is StepKind.ACCUMULATE
        and hop.growth == Growth.of(Count.ITERATIONS)
        and divisor.text in hop.text.split(" = ")
        for hop in summand.hops
    )


def _sums_positions(summand: Summand) -> bool:
    """Say whether a term is a sum over all positions, however many there are."""
    kinds = (StepKind.MEAN, StepKind.DIVIDE)
    # a function has no mark: a norm, a root
    plain = not any(hop.kind in kinds or not hop.mark for hop in summand.hops)
    return Count.ELEMENTS in summand.undetermined and plain


def _divided(summand: Summand, divisor: Tensor, factor: Factor, mark: int) -> Summand:
    """Return a term over something without axes, or with those of the term."""
    if _is_number_of_rounds(summand, divisor):
        factor = replace(factor, growth=Growth.of(Count.ITERATIONS))
    elif _sums_positions(summand) and factor.growth == SAMPLES * ELEMENTS:
        # labels.numel() counts the positions that a cross entropy sums over, however many there are
        factor = replace(factor, growth=SAMPLES)
        # those of a divergence may be counted class by class
        classes = {Count.CLASSES} if any(Count.CLASSES in hop.axes for hop in summand.hops) else set()
        summand = replace(summand, undetermined=summand.undetermined - {Count.ELEMENTS} | classes)
    (result,) = scale(Tensor((summand,)), factor, StepKind.DIVIDE, mark).summands
    return result


def divide(left: Tensor, right: Tensor, mark: int, text: str = "") -> Tensor:
    """Return ``left / right``."""
    weights = _weights(left, right)
    if weights is not None:
        return weights
    doubt = Doubt.EMPTY if right.may_be_zero else Doubt.LATER_AXIS if right.later_axis else None
    # the text of a count of what a mask keeps is that of the mask
    shown = text if right.may_be_zero else right.text or text
    factor = Factor(right.growth, right.evidence, shown, "a divisor with terms of different growth", doubt)
    if _counts_another_batch(left, right):
        factor = replace(factor, growth=None, reason=_ANOTHER.format(right.text or text))
    summands = tuple(_divided(s, right, factor, mark) for s in left.summands or (_CONSTANT,))
    quotient = replace(left, summands=summands)
    if right.is_loss and any(s.gradient for s in right.summands) and right.growth != ONE:
        quotient = lose(quotient, "division by a loss")
    return replace(
        _settled(quotient, right),
        axes=broadcast(left.axes, right.axes),
        batch=max(left.batch, right.batch),
        arithmetic=True,
        is_mask=False,
        made_of=left.made_of | right.made_of,
        evidence=min(left.evidence, right.evidence),
        text=left.text and right.text and f"{left.text} / {right.text}",
    )


def _settled(quotient: Tensor, divisor: Tensor) -> Tensor:
    """Return a quotient with what its divisor leaves open as well no longer open: both are sums over the same."""
    left_open = [s.undetermined for s in divisor.summands]
    if not left_open or not all(left_open):
        return quotient
    if any(Count.CLASSES in hop.axes for s in quotient.summands for hop in s.hops):
        # what a divisor counts are the classes, over which a divergence does not grow
        return quotient
    same = frozenset.intersection(*left_open)
    return replace(quotient, summands=tuple(replace(s, undetermined=s.undetermined - same) for s in quotient.summands))


def lose(value: Tensor, reason: str) -> Tensor:
    """Return a tensor whose growths are no longer known."""
    return replace(value, summands=tuple(s.lost(reason) for s in value.summands))


def through(value: Tensor, function: Callable[[Growth], Growth | None], reason: str) -> Tensor:
    """Apply a function to a tensor that treats all of it as one number, such as a power."""
    growth = value.growth
    after = None if growth is None else function(growth)
    if after is None:
        return replace(lose(value, reason), arithmetic=True)
    if growth == after:
        return replace(value, arithmetic=True, is_mask=False)
    hop = Hop(StepKind.MULTIPLY, 0, after / growth if growth is not None else after)
    return replace(value, summands=tuple(s.step(hop) for s in value.summands), arithmetic=True, is_mask=False)


def made_of(value: Tensor, operation: str) -> Tensor:
    """Return a tensor that remembers one more operation."""
    return replace(value, made_of=value.made_of | {operation}, arithmetic=True)


def power(value: Tensor, exponent: Fraction) -> Tensor:
    """Return ``value ** exponent``."""
    # a power of what a mask has set to zero is zero at the same positions
    masked = exponent > 0 and not value.axes.is_scalar
    growth = value.growth
    share = DENSITY ** growth.exponent(Count.VALID) if masked and growth is not None else ONE
    result = through(value, lambda growth: (growth / share) ** exponent * share, "a power of terms of different growth")
    return made_of(result, "square") if exponent == 2 else result


def nonlinear(value: Tensor, name: str) -> Tensor:
    """Return a function of a tensor that keeps growth 1 only."""
    if (
        value.is_loss
        and not value.axes.is_scalar
        and any(s.growth and s.growth.exponent(Count.VALID) for s in value.summands)
    ):
        # where the loss was set to zero, its exponential is not
        return replace(lose(value, f"passes through {name}() after a mask"), arithmetic=True)
    result = through(value, lambda growth: growth if growth.in_samples == 0 else None, f"passes through {name}()")
    if not name.startswith("exp"):
        return result
    return made_of(made_of(result, "exp"), OF_A_LOSS) if value.is_loss else made_of(result, "exp")


def logarithm(value: Tensor) -> Tensor:
    """Return a logarithm: its gradient has no scale."""
    return made_of(through(value, lambda _: ONE, "the logarithm of something not known"), "log")


def detach(value: Tensor) -> Tensor:
    """Return a tensor without a gradient."""
    return replace(value, summands=tuple(replace(s, gradient=False) for s in value.summands))


# --- reductions


@dataclass(frozen=True, slots=True)
class _Removal:
    """What a reduction takes away: counts for sure, and whether further positions went with them."""

    counts: frozenset[Count]
    axes: Axes
    undetermined: bool = False
    unclear: bool = False


def _remove(axes: Axes, dims: tuple[int, ...] | None) -> _Removal:
    """Work out which counts a reduction over some axes removes."""
    if dims is None:
        return _Removal(axes.counts, SCALAR, undetermined=axes.more)
    if axes.place is Place.MERGED:
        whole = set(dims) <= {0, -1} and axes.rank == 1
        return _Removal(axes.counts, SCALAR, axes.more, unclear=not whole)
    if axes.place is Place.SOMEWHERE:
        return _Removal(frozenset(), replace(axes, certain=False), unclear=True)
    return _remove_ordered(axes, dims)


def _remove_ordered(axes: Axes, dims: tuple[int, ...]) -> _Removal:
    has_batch = axes.place is Place.FIRST
    if axes.rank is not None:
        dims = tuple(d + axes.rank if d < 0 else d for d in dims)
    positions = axes.counts & _POSITIONS
    if has_batch and any(d < 0 for d in dims) and not positions:
        # the last axis of (N,) is the batch, that of (N, T) is not
        if axes.more:
            return _Removal(frozenset(), replace(axes, certain=False), unclear=True)
        dims = (0,)
    batch_gone = has_batch and 0 in dims
    others = len([d for d in dims if not (has_batch and d == 0)])
    left = None if axes.rank is None else max(axes.rank - len(set(dims)), 0)
    positions_left = left - (has_batch and not batch_gone) if left is not None else None
    gone = axes.counts & {Count.SAMPLES} if batch_gone else frozenset[Count]()
    partly = False
    if others:
        all_gone = positions_left == 0 or (positions_left is None and (others > 1 or Count.CLASSES in positions))
        gone |= positions if all_gone else frozenset()
        partly = not all_gone and bool(positions)
    counts = axes.counts - gone
    if partly:
        counts -= {Count.ELEMENTS}
    place = Place.NONE if batch_gone or not has_batch else Place.FIRST
    after = Axes(place, counts, left, axes.certain, axes.more or partly, axes.paired)
    if left == 0:
        after = SCALAR
    return _Removal(gone, after, undetermined=partly or axes.more)


def reduce(value: Tensor, kind: str, dims: tuple[int, ...] | None, keepdim: bool, mark: int, method: int = 0) -> Tensor:
    """Return a tensor with axes reduced.

    Args:
        value: the tensor.
        kind: ``summing``, ``averaging``, ``choosing``, ``norming`` or ``multiplying``.
        dims: which axes, None for all.
        keepdim: whether reduced axes stay with size 1.
        mark: of the call.
        method: of the name in a bare method call.
    """
    removal = _remove(value.axes, dims)
    if removal.unclear and kind != "choosing":
        reason = "reduced over an axis that may or may not be the batch"
        return replace(lose(value, reason), axes=removal.axes, arithmetic=True)
    if value.axes.paired and kind in ("summing", "norming"):
        return replace(lose(value, "summed over pairs of samples"), axes=removal.axes, arithmetic=True)
    removed = Growth.of(*removal.counts)
    factor = {"summing": removed, "norming": removed ** Fraction(1, 2)}.get(kind, ONE)
    if kind == "multiplying" and removal.counts:
        return replace(lose(value, "a product over entries"), axes=removal.axes)
    step = {"summing": StepKind.SUM, "averaging": StepKind.MEAN}.get(kind)
    evidence = value.evidence
    if not value.is_loss and Count.SAMPLES in removal.counts:
        # data that an unknown call made may have no batch axis, and may be no loss
        known = Evidence.SHAPE if value.axes.certain else Evidence.NAME
        evidence = min(evidence, known if value.is_written_loss else Evidence.GUESS)
    undetermined = (
        frozenset({Count.ELEMENTS}) if removal.undetermined and kind in ("summing", "norming") else frozenset()
    )
    summands = value.summands
    if kind == "summing" and factor != ONE and not summands:
        # entries that are all alike, or that were set one by one: the sum counts them
        summands = (Summand(batch=value.batch, gradient=False),)
    if step is not None and (removal.counts or removal.undetermined or factor != ONE):
        hop = Hop(step, mark, factor, evidence, axes=removal.counts, method=method)
        summands = tuple(s.step(hop, undetermined=undetermined) for s in summands)
    elif factor != ONE:
        hop = Hop(StepKind.MULTIPLY, mark, factor, evidence)
        summands = tuple(s.step(hop, undetermined=undetermined) for s in summands)
    elif undetermined:
        summands = tuple(s.step(Hop(StepKind.MULTIPLY, 0), undetermined=undetermined) for s in summands)
    elif step is not None and dims is None and value.axes == SCALAR and len(value.summands) == 1:
        summands = tuple(s.step(Hop(StepKind.REDUNDANT, mark, method=method)) if _is_fresh(s) else s for s in summands)
    axes = replace(removal.axes, rank=value.axes.rank) if keepdim and removal.axes != SCALAR else removal.axes
    may_be_zero = counts_kept(value) and kind == "summing" and dims is None
    return replace(
        value,
        summands=summands,
        axes=axes,
        is_mask=False,
        may_be_container=False,
        may_be_zero=may_be_zero,
        least_rank=0,
    )


def _is_fresh(summand: Summand) -> bool:
    """Say whether a summand is the value of a loss call with which nothing was done."""
    return summand.site is not None and len(summand.hops) == 1


def normalize_over(value: Tensor, dims: tuple[int, ...] | None) -> Tensor:
    """Return softmax-like values: along the axis they sum to one."""
    if dims is None:
        return replace(value, arithmetic=True)
    removal = _remove(value.axes, dims)
    if removal.unclear:
        return replace(lose(value, "normalized over an axis that may or may not be the batch"), arithmetic=True)
    factor = Growth.of(*removal.counts) ** -1
    if factor == ONE:
        return replace(value, arithmetic=True)
    hop = Hop(StepKind.MULTIPLY, 0, factor)
    return replace(value, summands=tuple(s.step(hop) for s in value.summands), arithmetic=True)


def paired(value: Tensor) -> Tensor:
    """Return something computed of every two rows, of which the first are those of a tensor."""
    return replace(value, axes=replace(value.axes, paired=True))


# --- selection


def select(value: Tensor) -> Tensor:
    """Return ``value[mask]``: one axis, as long as the mask has true entries."""
    axes = Axes(Place.MERGED, frozenset({Count.VALID}), 1, value.axes.certain, paired=value.axes.paired)
    return replace(value, axes=axes, may_be_container=False)


def one_sample(value: Tensor) -> Tensor:
    """Return one row of a batch."""
    counts = value.axes.counts - {Count.SAMPLES}
    rank = None if value.axes.rank is None else max(value.axes.rank - 1, 0)
    axes = SCALAR if rank == 0 else Axes(Place.NONE, counts, rank, value.axes.certain, value.axes.more)
    batch = min(value.batch, Batch.SINGLE)
    summands = tuple(replace(s, batch=min(s.batch, batch)) for s in value.summands)
    return replace(value, axes=axes, batch=batch, summands=summands, may_be_container=False)


def perhaps_one_sample(value: Tensor) -> Tensor:
    """Return an entry of a batch of which it is not known whether it is a sample or a tensor of samples."""
    batch = min(value.batch, Batch.DRAWN)
    summands = tuple(replace(s, batch=min(s.batch, batch)) for s in value.summands)
    place = Place.SOMEWHERE if value.axes.place is Place.FIRST else value.axes.place
    axes = replace(value.axes, place=place, certain=False)
    return replace(value, axes=axes, batch=batch, summands=summands)


def at_most(value: Tensor, batch: Batch) -> Tensor:
    """Return a tensor whose data are at most as variable as ``batch``."""
    summands = tuple(replace(s, batch=min(s.batch, batch)) for s in value.summands)
    return replace(value, batch=min(value.batch, batch), summands=summands)


def with_batch(value: Tensor, batch: Batch) -> Tensor:
    """Return a tensor whose data are at least as variable as ``batch``."""
    if value.batch >= batch:
        return value
    summands = tuple(replace(s, batch=max(s.batch, batch)) for s in value.summands)
    return replace(value, batch=batch, summands=summands)


def stack(entries: Growth | None, value: Tensor, evidence: Evidence) -> Tensor:
    """Return the stack of like tensors: a new first axis that is not the batch, unless it is."""
    if entries is None:
        entries = Growth.of(Count.ITERATIONS)
    counts = frozenset(c for c, _ in entries.powers) | value.axes.counts
    if entries == SAMPLES and value.axes.place is Place.NONE:
        rank = None if value.axes.rank is None else value.axes.rank + 1
        axes = Axes(Place.FIRST, counts, rank, value.axes.certain, value.axes.more)
    elif value.axes.is_scalar:
        axes = Axes(Place.MERGED, counts, 1)
    else:
        axes = Axes(Place.SOMEWHERE, counts, None, value.axes.certain, value.axes.more)
    return replace(value, axes=axes, evidence=min(value.evidence, evidence), may_be_container=False)
