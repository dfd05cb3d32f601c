"""Parameters and their gradients: updates written by hand, gradients divided before the step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lint_reduction.analysis.code import Attr, Call, Expr, Slice, Var, text
from lint_reduction.analysis.code import Opaque as CodeOpaque
from lint_reduction.analysis.conversion import as_factor, as_tensor, note_number
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.operations import Operands, operate
from lint_reduction.analysis.training import Companioned, ManualUpdate, ZeroGrad
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
_ADDING = frozenset({"add_", "sub_", "add", "sub", "subtract_"})
_UPDATING = _ADDING | {"copy_", "addcdiv_"}
#: What makes a number of a gradient.
_MEASURING = frozenset({"norm", "sum", "mean", "max", "min", "amax", "amin", "std", "var", "dot", "vector_norm"})
#: What says something else of a gradient than how large it is.
_ASKING = frozenset("isnan isinf isfinite numel nelement size dim numpy item tolist any all".split())
#: What changes a gradient other than in proportion.
_NONLINEAR = frozenset({"sign", "sgn", "pow", "sqrt", "rsqrt", "square", "tanh", "normalize", "renorm", "reciprocal"})
#: What changes a gradient in place and leaves its growth as it is.
_KEEPING = _ADDING | {"requires_grad_", "detach_", "nan_to_num_", "masked_fill_", "index_fill_", "lerp_"}
_JOINING = frozenset({"cat", "stack", "concat", "hstack", "vstack"})
_MATHEMATICAL = ("torch", "math", "numpy")


def call_gradient_method(
    machine: Machine, owner: Parameters | Gradient, name: str, call: Call, values: Sequence[Value]
) -> Value | None:
    """Call a method of a parameter or of its gradient."""
    if isinstance(owner, Gradient):
        return _on_gradient(machine, owner, name, call, values)
    if name in _UPDATING:
        _updated(machine, name, call, values)
        return owner
    given = Operands(tuple(values), {}, tuple(arg.value for arg in call.args), call.mark)
    result = operate(machine, name, as_tensor(machine, owner), given)
    return owner if result is None else result


def _updated(machine: Machine, name: str, call: Call, values: Sequence[Value]) -> None:
    """Record ``p.add_(p.grad, alpha=-lr / n)`` as the step that it is."""
    for gradient in values:
        if not isinstance(gradient, Gradient) or gradient.of_inputs or gradient.is_measure:
            continue
        growth = gradient.growth if name in _ADDING or name == "copy_" else None
        for arg, factor in zip(call.args, values, strict=True):
            if name in _ADDING and factor is not gradient:
                by = factor_on_gradient(machine, factor, arg.value, divides=False)
                growth = None if by is None or growth is None else growth * by
        machine.record(ManualUpdate(call.mark, growth, machine.loops))


def _on_gradient(machine: Machine, owner: Gradient, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    place = place_of(machine, call.func)
    if name in _ASKING:
        return owner if owner.is_measure and name in ("item", "tolist") else Opaque(name, called=True)
    if owner.is_measure:
        return owner
    if name in _SCALING and values:
        divides = _SCALING[name] == "/"
        growth = factor_on_gradient(machine, values[0], call.args[0].value, divides=divides)
        if name.endswith("_") and not owner.of_inputs:
            machine.rescale(call.mark, growth, target=place)
        scaled = None if growth is None or owner.growth is None else owner.growth * growth
        return replace(owner, growth=scaled)
    if name == "copy_" and values:
        assigned_gradient(machine, values[0], call.mark, place)
        return values[0] if isinstance(values[0], Gradient) else owner
    if name in ("zero_", "fill_"):
        machine.record(ZeroGrad(machine.windows, machine.loops))
        return owner
    if name in ("clamp_", "clip_", "clamp"):
        machine.record(Companioned(Companion.CLIPPING, call.mark))
        return owner
    if name in _MEASURING:
        return replace(owner, growth=None, is_measure=True)
    if name in _NONLINEAR:
        return replace(owner, growth=None)
    if name.endswith("_") and name not in _KEEPING and not owner.of_inputs:
        # changed in place, in a way that is not known
        machine.rescale(call.mark, None, target=place)
    return owner


def function_of_gradient(name: str, values: Sequence[Value]) -> Value | None:
    """Call ``torch.sign(p.grad)`` or ``math.sqrt(total)``, None for functions that are known otherwise."""
    package, last = name.partition(".")[0], name.rpartition(".")[2]
    gradient = gradient_in(values[0]) if values else None
    if gradient is None or package not in _MATHEMATICAL:
        return None
    if last in _JOINING or (gradient.is_measure and isinstance(values[0], Gradient) and "distributed" not in name):
        return gradient
    if last in _MEASURING or gradient.is_measure:
        return replace(gradient, growth=None, is_measure=True)
    return replace(gradient, growth=None) if last in _NONLINEAR else None


def place_of(machine: Machine, expr: Expr) -> str:
    """Return which gradients an expression stands for: those of a loop over parameters, or a single one."""
    while isinstance(expr, Attr) and (expr.name in ("grad", "data") or expr.name.endswith("_")):
        expr = expr.base
    shown = text(expr)
    depth = machine.state.loop_of.get(expr.name, 0) if isinstance(expr, Var) else 0
    if depth:
        shown = " of ".join(loop.text for loop in machine.frame.loops[:depth])
    calls = "".join(f"{frame.called_at}:" for frame in machine.frames)
    return calls + shown


def scale_each(machine: Machine, call: Call, values: Sequence[Value], *, divides: bool) -> Value:
    """Call ``torch._foreach_div_(gradients, n)`` or the like."""
    if len(values) > 1 and gradient_in(values[0]) is not None:
        growth = factor_on_gradient(machine, values[1], call.args[1].value, divides=divides)
        machine.rescale(call.mark, growth)
    return Constant(None)


def factor_on_gradient(machine: Machine, value: Value, expr: Expr, *, divides: bool) -> Growth | None:
    """Return the growth by which a product or quotient changes a gradient, None if not known."""
    factor = as_factor(machine, value, expr, divides=divides)
    note_number(machine, value, factor)
    if factor.growth is None:
        return None
    return factor.growth**-1 if divides else factor.growth


def assigned_gradient(machine: Machine, value: Value, mark: int, target: str = "") -> None:
    """Record ``p.grad = value``; None or 0 is what ``zero_grad`` does."""
    if isinstance(value, Constant):
        machine.record(ZeroGrad(machine.windows, machine.loops))
        return
    after = [option.value for option in options_of(value) if not isinstance(option.value, Constant)]
    growths = {_growth_of(one) for one in after}
    growth = growths.pop() if len(growths) == 1 else None
    if growth != ONE:
        machine.rescale(mark, growth, target=target)


def _growth_of(value: Value) -> Growth | None:
    if not isinstance(value, Gradient) or value.is_measure:
        return None
    return ONE if value.of_inputs else value.growth


def assigned_part(machine: Machine, key: Expr, value: Value, base: Expr) -> None:
    """Record ``p.grad[...] = value``; to set some entries to a number takes nothing from the others."""
    target = place_of(machine, base)
    if key in (CodeOpaque(), Slice(None, None, None)):
        assigned_gradient(machine, value, getattr(base, "mark", 0), target)
    elif not isinstance(value, Constant) and _growth_of(value) != ONE:
        machine.rescale(getattr(base, "mark", 0), None, target=target)


def set_by_name(machine: Machine, call: Call, owner: Value, name: Value, value: Value) -> None:
    """Record what ``setattr(p, "grad", value)`` does to a gradient."""
    if not isinstance(owner, Parameters) and gradient_in(value) is None:
        return
    if name == Constant("data"):
        gradient = gradient_in(value)
        if gradient is not None and not gradient.of_inputs:
            machine.record(ManualUpdate(call.mark, gradient.growth, machine.loops))
    elif name == Constant("grad"):
        assigned_gradient(machine, value, call.mark, place_of(machine, call.args[0].value))
    elif not isinstance(name, Constant):
        machine.rescale(call.mark, None)


def gradient_in(value: Value) -> Gradient | None:
    """Return the gradient in a value that a parameter is moved by."""
    if isinstance(value, Gradient):
        return value
    if isinstance(value, Items):
        return next((e for e in value.entries if isinstance(e, Gradient)), None)
    if isinstance(value, Repeated):
        return gradient_in(value.entry)
    return None
