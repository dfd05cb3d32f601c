"""Operators between values: products and quotients carry growth, sums collect terms."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from lint_reduction.analysis import masks, products, reporting, reweighting, tensors
from lint_reduction.analysis.code import Binary, Expr, text
from lint_reduction.analysis.conversion import (
    DIFFERENCE,
    UNCERTAIN,
    as_factor,
    as_tensor,
    is_called_mask,
    may_count,
    name_of,
    named_mask,
    note_number,
)
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.tensors import Factor
from lint_reduction.analysis.values import (
    BATCH_AXES,
    Constant,
    Criterion,
    Gradient,
    Items,
    Opaque,
    Parameters,
    Repeated,
    Shape,
    Summand,
    Tensor,
    Unknown,
    Value,
)
from lint_reduction.facts import Evidence, StepKind
from lint_reduction.growth import ONE, Count

_NUMBERS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod,
}  # fmt: skip


def operate(machine: Machine, expr: Binary, left: Value, right: Value) -> Value:
    """Return ``left op right``."""
    return machine.lift_two(
        left, right, lambda a, b: binary(machine, expr.op, a, b, expr.mark, (expr.left, expr.right))
    )


def binary(
    machine: Machine, op: str, left: Value, right: Value, mark: int, exprs: tuple[Expr | None, Expr | None]
) -> Value:
    """Return ``left op right`` for single values."""
    for operand in (left, right):
        if isinstance(operand, Criterion):
            machine.sites[operand.site.index].used_as_value = True
            return Opaque()
    if isinstance(left, Constant) and isinstance(right, Constant):
        if op in ("*", "/") and any(_is_count(machine, v, e) for v, e in zip((left, right), exprs, strict=True)):
            return _opaques(machine, op, left, right, mark, exprs)
        return _constants(op, left, right)
    if isinstance(left, (Items, Repeated)) or isinstance(right, (Items, Repeated)):
        return _lists(op, left, right)
    left, right = _beside_loss(left, right), _beside_loss(right, left)
    if isinstance(left, Gradient) or isinstance(right, Gradient):
        return _gradients(machine, op, left, right, exprs)
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return _unknowns(op, left, right)
    if not isinstance(left, Tensor) and not isinstance(right, Tensor):
        return _opaques(machine, op, left, right, mark, exprs)
    return _tensors(machine, op, left, right, mark, exprs)


def _is_count(machine: Machine, value: Constant, expr: Expr | None) -> bool:
    """Say whether a constant has the name of a count: ``BATCH_SIZE = 16`` is more than 16."""
    return expr is not None and as_factor(machine, value, expr, divides=False).growth != ONE


def _constants(op: str, left: Constant, right: Constant) -> Value:
    a, b = left.value, right.value
    evidence = min(left.evidence, right.evidence)
    if isinstance(a, str) and isinstance(b, str) and op == "+":
        return Constant(a + b, evidence)
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and op in _NUMBERS:
        try:
            return Constant(_NUMBERS[op](a, b), evidence)
        except (ArithmeticError, ValueError):
            return Opaque()
    return Opaque()


def _lists(op: str, left: Value, right: Value) -> Value:
    if op == "+":
        if isinstance(left, Items) and isinstance(right, Items):
            return Items(left.entries + right.entries, left.is_tuple)
        for side in (left, right):
            if isinstance(side, Repeated):
                return replace(side, count=None)
    if op == "*":
        listed = left if isinstance(left, (Items, Repeated)) else right
        if isinstance(listed, Items) and len(listed.entries) == 1:
            return Repeated(listed.entries[0], ONE)
    return Opaque()


def _beside_loss(value: Value, other: Value) -> Value:
    """Return an operand; beside a loss a number that is made of gradients is a term like any other."""
    trains = isinstance(other, Unknown) or (isinstance(other, Tensor) and _may_train(other))
    if trains and isinstance(value, Gradient) and value.is_measure:
        return Opaque("norm", called=True)
    return value


def _gradients(machine: Machine, op: str, left: Value, right: Value, exprs: tuple[Expr | None, Expr | None]) -> Value:
    gradient, other, expr = (left, right, exprs[1])
    if not isinstance(left, Gradient) or (left.is_measure and isinstance(right, Gradient)):
        gradient, other, expr = (right, left, exprs[0])
    assert isinstance(gradient, Gradient)
    if gradient.is_measure:
        return gradient
    if op in ("+", "-"):
        # added weight decay or momentum changes no growth of the gradient itself
        return gradient
    if op not in ("*", "/") or gradient.growth is None or isinstance(other, Gradient):
        return replace(gradient, growth=None)
    factor = as_factor(machine, other, expr, divides=op == "/")
    note_number(machine, other, factor)
    if factor.growth is None:
        return replace(gradient, growth=None)
    growth = gradient.growth / factor.growth if op == "/" else gradient.growth * factor.growth
    return replace(gradient, growth=growth, text=factor.text or gradient.text)


def _unknowns(op: str, left: Value, right: Value) -> Value:
    """Combine with an unknown loss: in a sum the other terms are still known."""
    unknown, other = (left, right) if isinstance(left, Unknown) else (right, left)
    assert isinstance(unknown, Unknown)
    if op in ("+", "-") and isinstance(other, Tensor):
        return replace(other, summands=(*other.summands, Summand(None, unknown.reason, batch=other.batch)))
    return unknown


def _opaques(
    machine: Machine, op: str, left: Value, right: Value, mark: int, exprs: tuple[Expr | None, Expr | None]
) -> Value:
    """Combine numbers of which at best the name is known: ``args.lr / args.batch_size``."""
    varies = any(isinstance(v, Opaque) and v.varies for v in (left, right))
    if isinstance(left, Parameters) or isinstance(right, Parameters):
        return as_tensor(machine, left if isinstance(left, Parameters) else right)
    if isinstance(left, Shape) or isinstance(right, Shape):
        return Opaque(varies=varies)
    if op in ("*", "/", "//"):
        first = as_factor(machine, left, exprs[0], divides=False)
        second = as_factor(machine, right, exprs[1], divides=op != "*")
        if first.growth is not None and second.growth is not None:
            growth = first.growth * second.growth if op == "*" else first.growth / second.growth
            if growth != ONE:
                shown = text(Binary(op, exprs[0], exprs[1])) if exprs[0] and exprs[1] else ""
                evidence = min(first.evidence, second.evidence)
                return tensors.count(growth, evidence, shown)
        certain = first.growth is not None and second.growth is not None
        return Opaque("" if certain else UNCERTAIN, varies=varies)
    if op == "**" and isinstance(right, Constant) and isinstance(right.value, (int, float)):
        base = as_factor(machine, left, exprs[0], divides=False)
        if base.growth is not None and base.growth != ONE and math.isfinite(right.value):
            growth = base.growth ** Fraction(right.value).limit_denominator(12)
            return tensors.count(growth, base.evidence, base.text)
    if op == "**" and isinstance(left, Opaque) and left.name == DIFFERENCE:
        return _power(machine, as_tensor(machine, left), right)
    if op == "**" and isinstance(left, Opaque) and isinstance(right, Constant):
        return replace(left, name=name_of(exprs[0]) or left.name)
    known = [v for v in (left, right) if isinstance(v, Opaque)]
    if op == "-" and len(known) == 2 and not any(machine.libraries.names.is_uncertain(v.name) for v in known):
        # of two predictions, as far as anybody knows
        called = any(v.called for v in known)
        return Opaque(DIFFERENCE, max(v.batch for v in known), called=called, varies=varies)
    if known and len(known) + isinstance(left, Constant) + isinstance(right, Constant) == 2:
        return Opaque(batch=max(v.batch for v in known), varies=varies, called=any(v.called for v in known))
    return Opaque(varies=varies)


def _tensors(
    machine: Machine, op: str, left: Value, right: Value, mark: int, exprs: tuple[Expr | None, Expr | None]
) -> Value:
    match op:
        case "+" | "-":
            return _sum(machine, op, left, right)
        case "*":
            return _product(machine, left, right, mark, exprs)
        case "/" | "//":
            return _quotient(machine, left, right, mark, exprs)
        case "**":
            return _power(machine, left, right)
        case "&" | "|" | "^":
            return masks.as_mask(tensors.add(as_tensor(machine, left), as_tensor(machine, right)))
    if op == "@":
        return products.product(machine, "matmul", as_tensor(machine, left), right)
    if any(isinstance(v, Tensor) and v.is_loss for v in (left, right)):
        return machine.unknown(f"passes through {op!r}", mark)
    a, b = as_tensor(machine, left), as_tensor(machine, right)
    return replace(tensors.data(max(a.batch, b.batch)), axes=replace(BATCH_AXES, certain=False))


def _sum(machine: Machine, op: str, left: Value, right: Value) -> Value:
    tensor, other = (left, right) if isinstance(left, Tensor) else (right, left)
    assert isinstance(tensor, Tensor)
    if isinstance(other, Tensor):
        total = tensors.add(tensor, other, op)
        # alpha * mask + beta * (1 - mask) is a weight for each class
        return masks.unmasked(total) if _carries_share(tensor) or _carries_share(other) else total
    if isinstance(other, (Constant, Parameters)) or _is_epsilon(machine, tensor, other):
        inverts = op == "-" and isinstance(left, Constant) and left.value == 1
        if _carries_share(tensor) and not (tensor.is_mask and inverts):
            return masks.unmasked(tensor)
        return replace(tensor, arithmetic=True, may_be_zero=False)
    if tensor.is_loss or tensor.axes.is_scalar:
        name = other.name if isinstance(other, Opaque) else ""
        summand = Summand(None, f"{name or 'a term'} is not known", batch=tensor.batch)
        return replace(tensor, summands=(*tensor.summands, summand))
    return tensors.add(tensor, as_tensor(machine, other), op)


def _is_epsilon(machine: Machine, tensor: Tensor, other: Value) -> bool:
    """Say whether a count is kept from being 0 by a number called so: ``mask.sum() + self.eps``."""
    return tensor.may_be_zero and isinstance(other, Opaque) and machine.libraries.names.is_constant(other.name)


def _carries_share(value: Tensor) -> bool:
    """Say whether a value is a mask, or a multiple of one, and nothing that carries a gradient."""
    shares = not value.axes.is_scalar and any(
        s.growth is not None and s.growth.exponent(Count.VALID) for s in value.summands
    )
    return shares and not any(s.gradient or s.site is not None for s in value.summands)


def _is_result(value: Tensor) -> bool:
    """Say whether a value is a loss, or was reduced and may become one."""
    return value.is_loss or (value.axes.is_scalar and bool(value.summands))


def _may_train(value: Tensor) -> bool:
    """Say whether a value is no mere number, such as the size of a batch."""
    return value.is_loss or any(summand.gradient for summand in value.summands)


def _is_data(value: Tensor) -> bool:
    """Say whether a tensor is no loss, nor a sum or mean that may become one."""
    kinds = (StepKind.SUM, StepKind.MEAN)
    return not _is_result(value) and not any(hop.kind in kinds for s in value.summands for hop in s.hops)


def _presumed(value: Tensor) -> bool:
    """Say whether a tensor comes straight from an unknown call."""
    plain = not value.arithmetic and not value.may_be_container and not value.is_mask
    return plain and bool(value.summands) and not value.axes.certain and not value.axes.is_scalar


def _number_in(loss: Tensor, other: Tensor, expr: Expr | None) -> Opaque | None:
    """Return the number for which a part of a batch stands that a loss is multiplied with or divided by.

    A loader may yield counts beside the data: ``batch.ntokens``, ``for x, y, n in loader``. What an unknown
    function makes of data may be one as well.
    """
    if loss.axes.is_scalar and _is_result(loss) and may_count(other):
        return Opaque(name_of(expr), other.batch)
    return None


def _product(machine: Machine, left: Value, right: Value, mark: int, exprs: tuple[Expr | None, Expr | None]) -> Value:
    texts = (text(exprs[0]), text(exprs[1]))
    left, right = _as_masks(machine, left, right, exprs)
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        for loss, weight, shown in ((left, right, texts[1]), (right, left, texts[0])):
            if _may_train(loss) and _is_result(loss) and not weight.is_loss and _presumed(weight):
                return tensors.lose(loss, f"multiplied by the result of {shown}, which is not known")
        for loss, weight, expr in ((left, right, exprs[1]), (right, left, exprs[0])):
            number = _number_in(loss, weight, expr) if _may_train(loss) else None
            factor = Factor() if number is None else as_factor(machine, number, expr, divides=False)
            if factor.growth != ONE:
                return tensors.scale(loss, factor, StepKind.MULTIPLY, mark)
        return reweighting.multiplied(machine, tensors.multiply(left, right, mark, texts), left, right, mark)
    tensor, other, expr = (left, right, exprs[1]) if isinstance(left, Tensor) else (right, left, exprs[0])
    assert isinstance(tensor, Tensor)
    if isinstance(other, Constant) and other.value == 0 and type(other.value) in (int, float):
        # it keeps a graph connected and adds nothing
        return Tensor(axes=tensor.axes, batch=tensor.batch)
    if tensor.is_mask and isinstance(other, Opaque) and other.called:
        # what an unknown function has computed, with a mask
        return tensors.multiply(as_tensor(machine, other), tensor, mark, ("", text(exprs[0 if tensor is left else 1])))
    mask = named_mask(machine, other) if isinstance(other, Opaque) else None
    if mask is not None and not tensor.axes.is_scalar and (tensor.is_loss or tensor.is_written_loss):
        return tensors.multiply(tensor, mask, mark, texts)
    factor = as_factor(machine, other, expr, divides=False)
    note_number(machine, other, factor)
    if factor.growth is None and _is_data(tensor):
        # data times something not known are still data
        factor = Factor()
    return replace(tensors.scale(tensor, factor, StepKind.MULTIPLY, mark), arithmetic=True, is_mask=False)


def _as_masks(
    machine: Machine, left: Value, right: Value, exprs: tuple[Expr | None, Expr | None]
) -> tuple[Value, Value]:
    """Return the operands of a product, what a loss is multiplied with a mask if it is only called one."""
    for loss, other, expr, is_right in ((left, right, exprs[1], True), (right, left, exprs[0], False)):
        if (
            not isinstance(loss, Tensor)
            or not (loss.is_loss or loss.is_written_loss)
            or not is_called_mask(machine, expr)
        ):
            continue
        plain = isinstance(other, Tensor) and not (other.is_mask or other.arithmetic or other.axes.is_scalar)
        if isinstance(other, Opaque) or plain:
            mask = masks.as_mask(as_tensor(machine, other), Evidence.GUESS)
            return (loss, mask) if is_right else (mask, loss)
    return left, right


def _quotient(machine: Machine, left: Value, right: Value, mark: int, exprs: tuple[Expr | None, Expr | None]) -> Value:
    if isinstance(right, Tensor):
        dividend = as_tensor(machine, left)
        if not isinstance(left, Tensor):
            start = as_factor(machine, left, exprs[0], divides=False)
            dividend = tensors.scale(Tensor(), start, StepKind.MULTIPLY, mark)
        if _is_result(dividend) and _presumed(right):
            return tensors.lose(dividend, f"divided by {text(exprs[1])}, which is not known")
        number = _number_in(dividend, right, exprs[1])
        if number is not None:
            return tensors.scale(dividend, as_factor(machine, number, exprs[1], divides=True), StepKind.DIVIDE, mark)
        if not dividend.summands:
            inverse = Factor(right.growth, right.evidence, right.text or text(exprs[1]))
            return tensors.scale(replace(right, summands=(Summand(gradient=False),)), inverse, StepKind.DIVIDE, mark)
        counted = Factor(right.growth, right.evidence, text(exprs[1]) or right.text)
        reporting.note_division(machine, dividend, right, counted, mark)
        if any(frame.asked for frame in machine.frames):
            right = replace(right, may_be_zero=False)
        return tensors.divide(dividend, right, mark, text(exprs[1]))
    assert isinstance(left, Tensor)
    factor = as_factor(machine, right, exprs[1], divides=True)
    note_number(machine, right, factor)
    reporting.note_division(machine, left, right, replace(factor, text=text(exprs[1]) or factor.text), mark)
    if factor.growth is None and _is_data(left):
        factor = Factor()
    return replace(tensors.scale(left, factor, StepKind.DIVIDE, mark), arithmetic=True, is_mask=False)


def _power(machine: Machine, left: Value, right: Value) -> Value:
    if isinstance(left, Tensor) and isinstance(right, Constant):
        exponent = right.value
        if isinstance(exponent, (int, float)) and math.isfinite(exponent):
            return tensors.power(left, Fraction(exponent).limit_denominator(12))
    return tensors.nonlinear(as_tensor(machine, left if isinstance(left, Tensor) else right), "**")
