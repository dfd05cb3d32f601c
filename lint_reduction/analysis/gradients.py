"""Parameters and their gradients: updates written by hand, gradients divided before the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lint_reduction.analysis.code import Arg, Call, Expr, Var
from lint_reduction.analysis.conversion import as_factor, as_tensor
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.operations import Operands, operate
from lint_reduction.analysis.training import Companioned, ManualUpdate
from lint_reduction.analysis.values import (
    Constant,
    Gradient,
    Items,
    Opaque,
    Parameters,
    Repeated,
    Value,
    options_of,
)
from lint_reduction.facts import Companion
from lint_reduction.growth import ONE, Growth

_SCALING = {"div": "/", "div_": "/", "mul": "*", "mul_": "*", "true_divide_": "/", "divide_": "/", "multiply_": "*"}
_UPDATING = frozenset({"add_", "sub_", "add", "sub", "copy_", "addcdiv_", "subtract_"})
_HOOKS = frozenset({"register_hook", "register_post_accumulate_grad_hook"})
_DIRECTION = frozenset({"sign", "norm", "abs", "pow", "sum", "mean", "max", "min", "isnan", "item", "numpy"})


def call_gradient_method(
    machine: Machine, owner: Parameters | Gradient, name: str, call: Call, values: Sequence[Value]
) -> Value | None:
    """Call a method of a parameter or of its gradient."""
    if isinstance(owner, Gradient):
        return _on_gradient(machine, owner, name, call, values)
    if name in _HOOKS and values:
        _hooked(machine, owner, call, values[0])
        return Opaque("handle", called=True)
    if name in _UPDATING:
        for value in values:
            if isinstance(value, Gradient) and not value.of_inputs:
                machine.record(ManualUpdate(call.mark, value.growth))
        return owner
    given = Operands(tuple(values), {}, tuple(arg.value for arg in call.args), call.mark)
    result = operate(machine, name, as_tensor(machine, owner), given)
    return owner if result is None else result


def _on_gradient(machine: Machine, owner: Gradient, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    if name in _SCALING and values:
        divides = _SCALING[name] == "/"
        growth = factor_on_gradient(machine, values[0], call.args[0].value, divides=divides)
        if name.endswith("_") and not owner.of_inputs:
            machine.rescale(call.mark, growth)
        scaled = None if growth is None or owner.growth is None else owner.growth * growth
        return replace(owner, growth=scaled)
    if name == "copy_" and values:
        assigned_gradient(machine, values[0], call.mark)
        return values[0] if isinstance(values[0], Gradient) else owner
    if name in ("clamp_", "clip_", "clamp"):
        machine.record(Companioned(Companion.CLIPPING, call.mark))
        return owner
    if name in _DIRECTION:
        return Opaque(name, called=True)
    return owner


def _hooked(machine: Machine, owner: Parameters, call: Call, hook: Value) -> None:
    """Record what a hook on a parameter makes of its gradient."""
    if owner.is_data:
        return
    before = Gradient()
    inner = replace(call, args=(Arg(Var("")),))
    for option in options_of(machine.call_value(hook, inner, (before,))):
        after = option.value
        if isinstance(after, Constant) and after.value is None:
            # a hook that only looks
            continue
        growth = after.growth if isinstance(after, Gradient) else None
        if growth != ONE:
            machine.rescale(call.mark, growth, standing=True)


def scale_each(machine: Machine, call: Call, values: Sequence[Value], *, divides: bool) -> Value:
    """Call ``torch._foreach_div_(gradients, n)`` or the like."""
    if len(values) > 1 and gradient_in(values[0]) is not None:
        growth = factor_on_gradient(machine, values[1], call.args[1].value, divides=divides)
        machine.rescale(call.mark, growth)
    return Constant(None)


def factor_on_gradient(machine: Machine, value: Value, expr: Expr, *, divides: bool) -> Growth | None:
    """Return the growth by which a product or quotient changes a gradient, None if not known."""
    factor = as_factor(machine, value, expr, divides=divides)
    if factor.growth is None:
        return None
    return factor.growth**-1 if divides else factor.growth


def assigned_gradient(machine: Machine, value: Value, mark: int) -> None:
    """Record ``p.grad = value``."""
    if isinstance(value, Gradient) and not value.of_inputs and value.growth != ONE:
        machine.rescale(mark, value.growth)


def gradient_in(value: Value) -> Gradient | None:
    """Return the gradient in a value that a parameter is moved by."""
    if isinstance(value, Gradient):
        return value
    if isinstance(value, Items):
        return next((e for e in value.entries if isinstance(e, Gradient)), None)
    if isinstance(value, Repeated):
        return gradient_in(value.entry)
    return None
