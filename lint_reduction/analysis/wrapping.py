"""The old ways to make a tensor of data: ``Variable(x)``, ``torch.FloatTensor(x)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lint_reduction.analysis import tensors
from lint_reduction.analysis.attributes import as_leaf
from lint_reduction.analysis.code import Call
from lint_reduction.analysis.conversion import as_tensor
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.sinks import argument
from lint_reduction.analysis.values import Constant, Opaque, Tensor, Value, options_of
from lint_reduction.facts import Batch

_VARIABLE = frozenset({"torch.autograd.Variable", "torch.autograd.variable.Variable"})
_TYPES = ("", "Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_TYPED = frozenset(f"{module}.{name}Tensor" for module in ("torch", "torch.cuda") for name in _TYPES)


def wrap(machine: Machine, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    """Return the tensor that a class is called to make of another one, None if it makes something else.

    Args:
        machine: the interpretation.
        name: of the class.
        call: the call.
        values: its arguments.
    """
    if name in _VARIABLE:
        return _variable(machine, call, values)
    if name in _TYPED and len(values) == 1 and not call.args[0].stars:
        return _typed(machine, values[0])
    return None


def _variable(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``Variable(x)`` is x without the gradient that led to it, a leaf of its own if it is to have one."""
    owner = argument(call, values, (0, "data"))
    wanted = argument(call, values, (1, "requires_grad"))
    if owner is None or not isinstance(wanted, Constant | None):
        return None
    is_leaf = wanted is not None and wanted.value is True
    options = [option.value for option in options_of(owner)]
    if not all(isinstance(v, Opaque) or (isinstance(v, Tensor) and _may_be(v, is_leaf)) for v in options):
        return None
    return machine.lift(owner, lambda v: _as_variable(v, is_leaf))


def _may_be(value: Tensor, is_leaf: bool) -> bool:
    """Say whether a tensor is still known as a Variable: one made to be a weight is not, where it has a gradient."""
    return not is_leaf or (value.batch >= Batch.DRAWN and not value.is_loss)


def _as_variable(value: Value, is_leaf: bool) -> Value:
    if isinstance(value, Tensor):
        return tensors.detach(value)
    return as_leaf(value) if is_leaf and isinstance(value, Opaque) else value


def _typed(machine: Machine, owner: Value) -> Value | None:
    """``torch.FloatTensor(x)`` holds the data of x; of a number it would be a tensor of that size."""
    options = [option.value for option in options_of(owner)]
    if not all(_holds_data(value) for value in options):
        return None
    return machine.lift(owner, lambda v: replace(tensors.detach(as_tensor(machine, v)), may_be_container=False))


def _holds_data(value: Value) -> bool:
    if isinstance(value, Opaque):
        return value.batch >= Batch.DRAWN
    return isinstance(value, Tensor) and not value.is_loss and not value.axes.is_scalar
