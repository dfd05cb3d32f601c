"""Products of matrices and the like, whose axes are those of two tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lint_reduction.analysis import tensors
from lint_reduction.analysis.code import Call
from lint_reduction.analysis.conversion import as_tensor
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.values import BATCH_AXES, PRESUMED_AXES, Constant, Place, Tensor, Unknown, Value
from lint_reduction.facts import Batch
from lint_reduction.growth import Count

#: Operations whose result has an axis of the rows of each operand.
_OF_ROWS = frozenset({"cdist", "pdist", "inner", "outer", "cov", "corrcoef"})


def product(machine: Machine, name: str, left: Tensor, right: Value | None) -> Value:
    """Return a product of two matrices, or a number for every two rows.

    A typical entry grows with nothing, unless the rows themselves are added up.
    """
    other = left if right is None else as_tensor(machine, right)
    if left.is_loss or other.is_loss or isinstance(right, Unknown):
        return machine.unknown(f"passes through {name}()")
    result = replace(tensors.data(max(left.batch, other.batch)), axes=replace(BATCH_AXES, certain=False))
    if name in _OF_ROWS:
        return tensors.paired(result)
    if _is_transposed(left):
        # the columns of one with those of the other: a sum over the samples
        return replace(tensors.lose(result, "a product over the samples"), axes=PRESUMED_AXES)
    return tensors.paired(result) if _is_transposed(other) else result


def contracted(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """Call ``torch.einsum(equation, *operands)``: a product of tensors, summed over the letters left out."""
    equation = values[0] if values else None
    if not isinstance(equation, Constant) or not isinstance(equation.value, str) or "->" not in equation.value:
        return None
    before, _, after = equation.value.replace(" ", "").partition("->")
    letters = before.split(",")
    factors = [as_tensor(machine, value) for value in values[1:]]
    if len(letters) != len(factors) or "." in before or any(isinstance(value, Unknown) for value in values):
        return None
    if any(len(set(names)) < len(names) for names in letters):
        return None
    every = "".join(dict.fromkeys(before.replace(",", "")))
    batches = {names[:1] for names, f in zip(letters, factors, strict=True) if f.axes.place is not Place.NONE}
    total = factors[0]
    for factor in factors[1:]:
        total = tensors.multiply(total, factor, call.mark)
    if len({arg.value for arg in call.args[1:]}) < len(factors):
        total = tensors.made_of(total, "square")
    if len(batches) > 1 or any(f.axes.place is Place.SOMEWHERE for f in factors) or batches - {every[:1]}:
        return _of_several(total, batches, after)
    axes = replace(total.axes, rank=len(every))
    if batches and len(every) == 1:
        axes = replace(axes, counts=axes.counts - {Count.ELEMENTS})
    dims = tuple(i for i, letter in enumerate(every) if letter not in after)
    result = tensors.reduce(replace(total, axes=axes), "summing", dims if after else None, False, call.mark)
    if [letter for letter in every if letter in after] == list(after):
        return result
    return replace(result, axes=replace(result.axes, place=Place.SOMEWHERE))


def _of_several(total: Tensor, batches: set[str], after: str) -> Value:
    """Return a product of tensors with batch axes of their own, of which each letter may be any."""
    axes = replace(PRESUMED_AXES, paired=True)
    if total.is_loss or any(letter not in after for letter in batches):
        return replace(tensors.lose(total, "summed over axes that are not known"), axes=axes)
    return tensors.data(total.batch, axes)


def _is_transposed(value: Tensor) -> bool:
    """Say whether a batch stands on its side."""
    return value.batch >= Batch.ARGUMENT and value.axes.place is Place.SOMEWHERE
