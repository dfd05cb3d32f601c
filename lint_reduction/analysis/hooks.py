"""Functions that others call with modules, parameters and gradients: hooks, and ``model.apply(f)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lint_reduction.analysis.code import Arg, Call, Var, text
from lint_reduction.analysis.gradients import place_of
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.training import Rescale
from lint_reduction.analysis.values import (
    Constant,
    Function,
    Gradient,
    Items,
    Mapping,
    Opaque,
    Parameters,
    Partial,
    Value,
    options_of,
)
from lint_reduction.growth import ONE

_WITH_PARAMETER = "register_post_accumulate_grad_hook"
_WITH_GRADIENT = "register_hook"
_BEFORE_STEP = "register_step_pre_hook"
_OF_MODULE = frozenset({"register_full_backward_hook", "register_full_backward_pre_hook", "register_backward_hook"})
HOOKS = _OF_MODULE | {_WITH_PARAMETER, _WITH_GRADIENT, _BEFORE_STEP}


def hooked(machine: Machine, owner: Value, name: str, call: Call, hook: Value) -> Value:
    """Record what a hook makes of every gradient from now on."""
    if not isinstance(owner, Parameters) or not owner.is_data:
        _run(machine, owner, name, call, hook)
    return Opaque("handle", called=True)


def _run(machine: Machine, owner: Value, name: str, call: Call, hook: Value) -> None:
    events = machine.trace.events
    start = len(events)
    given = _given(owner, name)
    inner = replace(call, args=tuple(Arg(Var("")) for _ in given))
    after = [option.value for option in options_of(machine.call_value(hook, inner, given))]
    kept = [e for e in events[start:] if not isinstance(e, Rescale)]
    changes = [e for e in events[start:] if isinstance(e, Rescale)]
    events[start:] = kept
    # a hook that returns nothing only looks, or changes in place what it is given
    if name in (_WITH_PARAMETER, _BEFORE_STEP) or all(v == Constant(None) for v in after):
        for change in changes:
            machine.record(replace(change, standing=True))
        after = [] if isinstance(hook, (Function, Partial)) else after
    for value in after:
        growth = value.growth if isinstance(value, Gradient) and isinstance(owner, Parameters) else None
        looks = value == Constant(None) or (isinstance(value, Gradient) and value.growth == ONE)
        if not looks:
            machine.rescale(call.mark, growth, standing=True, target=place_of(machine, call.func))


def _given(owner: Value, name: str) -> tuple[Value, ...]:
    """Return what a hook is called with."""
    if name == _WITH_PARAMETER:
        return (Parameters(single=True),)
    if name == _BEFORE_STEP:
        return owner, Items((), is_tuple=True), Mapping(())
    if name in _OF_MODULE:
        passed = Items((Gradient(),), is_tuple=True)
        return (owner, passed) if name == "register_full_backward_pre_hook" else (owner, passed, passed)
    return (Gradient(),)


def applied(machine: Machine, owner: Value, call: Call, values: Sequence[Value]) -> None:
    """Run the function in ``model.apply(f)`` if it mentions gradients: it is called with each module."""
    function = values[0].func if isinstance(values[0], Partial) else values[0]
    if isinstance(function, Function):
        code = function.code
        if "grad" in code.identifiers or code.name == "<lambda>":
            machine.call_value(values[0], replace(call, args=(Arg(Var("")),)), (owner,))
    elif "grad" in text(call.args[0].value).lower():
        machine.rescale(call.mark, None)
