"""Run calls: evaluate function and arguments, and dispatch on what is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lint_reduction.analysis import builtin_calls, gradients, methods, sinks
from lint_reduction.analysis.attributes import INHERITED, attribute, foreign_bases, inherited_loss, lineage
from lint_reduction.analysis.code import Arg, Attr, Call, Expr, Var, dotted, text
from lint_reduction.analysis.conversion import name_of
from lint_reduction.analysis.criteria import call_criterion, call_loss_name
from lint_reduction.analysis.enumerations import chosen, is_enumeration
from lint_reduction.analysis.homecoming import call_from_home
from lint_reduction.analysis.library_calls import call_library
from lint_reduction.analysis.loaders import loader
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.masks import chosen_by_name
from lint_reduction.analysis.objects import call_instance, instantiate
from lint_reduction.analysis.options import current, option_value
from lint_reduction.analysis.reading import escape
from lint_reduction.analysis.tensors import data
from lint_reduction.analysis.values import (
    PRESUMED_AXES,
    Class,
    Constant,
    Criterion,
    External,
    Function,
    Gradient,
    Instance,
    Items,
    Loader,
    Mapping,
    Method,
    Object,
    Opaque,
    OptimizerValue,
    Options,
    Parameters,
    Partial,
    Repeated,
    Super,
    Tensor,
    Unknown,
    Value,
    options_of,
)
from lint_reduction.facts import Batch
from lint_reduction.growth import Count

#: Functions whose second argument is a type.
_TYPE_TESTS = (External("builtins.isinstance"), External("builtins.issubclass"))


def call_expression(machine: Machine, call: Call) -> Value:
    """Return the value of a call, after doing what it does."""
    func = _called(machine, call.func)
    # a class that something is tested to be does not matter, nor what its module says
    args = call.args[:1] if func in _TYPE_TESTS else call.args
    values = [_unpacked(machine, arg, machine.evaluate(arg.value)) for arg in args]
    values += [Opaque() for _ in call.args[len(args) :]]
    result = call_from_home(
        machine, func, call, lambda: machine.lift(func, lambda f: _call_at(machine, f, call, values))
    )
    methods.write_back(machine, call, func, values, result)
    return _chosen(machine, call, result)


def _chosen(machine: Machine, call: Call, result: Value) -> Value:
    """Return the outcome of a call that may compare, ``confidence.ge(threshold)``: a choice by the names in it."""
    if machine.libraries.operations.get(dotted(call.func).rpartition(".")[2]) != "comparing":
        return result
    compared = [call.func.base] if isinstance(call.func, Attr) else []
    operands = [name_of(expr) for expr in (*compared, *(arg.value for arg in call.args))]
    return machine.lift(result, lambda v: chosen_by_name(machine.libraries.names, v, *operands))


def _call_at(machine: Machine, func: Value, call: Call, values: Sequence[Value]) -> Value:
    """Call a function value, remembering where, for the frame that it may begin."""
    machine.calling = call.mark
    result = call_value(machine, func, call, values)
    machine.calling = 0
    return result


def _unpacked(machine: Machine, arg: Arg, value: Value) -> Value:
    """Return the value of an argument, of ``**settings`` the dictionary that it stands for."""
    if arg.stars == 2 and isinstance(value, Options):
        return Mapping(tuple(current(machine, value)))
    return value


def _called(machine: Machine, func: Expr) -> Value:
    """Return what a call calls; an attribute of something not known is a method of it."""
    if not isinstance(func, Attr):
        return machine.evaluate(func)
    owner = machine.evaluate(func.base)
    if func.name == "backward" and any(isinstance(o.value, Tensor) for o in options_of(owner)):
        # one sink for all alternatives, which stay with the tests that they need
        return Method(owner, func.name)

    def method(value: Value) -> Value:
        if isinstance(value, (Opaque, Object, Loader, OptimizerValue)):
            return Method(value, func.name)
        if isinstance(value, Options) and option_value(machine, value, func.name) is None:
            return Method(value, func.name)
        return attribute(machine, value, func.name)

    return machine.lift(owner, method)


def call_value(machine: Machine, func: Value, call: Call, values: Sequence[Value]) -> Value:
    """Call one function value with evaluated arguments."""
    match func:
        case External():
            return _call_external(machine, func, call, values)
        case Criterion():
            return call_criterion(machine, func, call, values)
        case Function():
            positional, keywords = split(call, values)
            return _call_function(machine, func, call, positional, keywords)
        case Class():
            return _instantiate(machine, func, call, values)
        case Instance():
            positional, keywords = split(call, values)
            result = call_instance(machine, func, positional, keywords)
            if result is None and not _has_forward(machine, func):
                result = _call_inherited(machine, func, call, values)
            if result is None and any(base.endswith("Module") for base in foreign_bases(machine, func.body)):
                machine.with_parameters.add(func.body.name)
            return unknown_call(machine, func.body.name, call, values) if result is None else result
        case Method(Super(owner), name):
            return _call_super(machine, owner, name, call, values)
        case Method(owner, name):
            result = methods.call_method(machine, owner, name, call, values)
            return unknown_call(machine, name, call, values, owner) if result is None else result
        case Partial(inner, args, keywords):
            return _call_partial(machine, inner, args, keywords, call, values)
        case Unknown():
            return func
    return _call_other(machine, func, call, values)


#: A class that inherits from it yields batches as it does.
_LOADER = "torch.utils.data.DataLoader"


def _instantiate(machine: Machine, made: Class, call: Call, values: Sequence[Value]) -> Value:
    if is_enumeration(machine, made.body):
        return chosen(values)
    homes = lineage(machine, made.body)
    if _LOADER in foreign_bases(machine, made.body) and not any("__iter__" in home.methods for home in homes):
        return loader(machine, call, values)
    positional, keywords = split(call, values)
    instance = instantiate(machine, made.body, positional, keywords)
    if not any("__init__" in home.methods for home in homes):
        _inherit(machine, instance, call, values)
    return instance


def _call_super(machine: Machine, owner: Instance, name: str, call: Call, values: Sequence[Value]) -> Value:
    """Call a method that an object has from a loss of a library."""
    if name == "__init__":
        _inherit(machine, owner, call, values)
        return Constant(None)
    known = _call_inherited(machine, owner, call, values) if name in ("forward", "__call__") else None
    return unknown_call(machine, name, call, values) if known is None else known


def _inherit(machine: Machine, instance: Value, call: Call, values: Sequence[Value]) -> None:
    """Build the criterion that an object is by inheritance: ``super().__init__(reduction="sum")``."""
    name = inherited_loss(machine, instance.body) if isinstance(instance, Instance) else ""
    if name and isinstance(instance, Instance):
        criterion = call_loss_name(machine, name, call, values)
        machine.state.heap[(instance.identity, INHERITED)] = criterion
        # what its constructor makes of the flags counts, not what was given
        machine.state.heap.pop((instance.identity, "reduction"), None)
        if _has_forward(machine, instance):
            # it is for its forward to say what becomes of the loss
            escape(machine, criterion, call.mark, "inherited")


def _has_forward(machine: Machine, instance: Instance) -> bool:
    homes = lineage(machine, instance.body)
    return any(name in home.methods for home in homes for name in ("forward", "__call__"))


def _call_inherited(machine: Machine, instance: Instance, call: Call, values: Sequence[Value]) -> Value | None:
    """Call an object as the criterion that it is by inheritance, None if it is none."""
    criterion = machine.state.heap.get((instance.identity, INHERITED))
    reduction = machine.state.heap.get((instance.identity, "reduction"))
    if isinstance(criterion, Criterion) and reduction is not None:
        machine.state.heap[(criterion.identity, "reduction")] = reduction
    return None if criterion is None else machine.lift(criterion, lambda c: call_value(machine, c, call, values))


def _call_other(machine: Machine, func: Value, call: Call, values: Sequence[Value]) -> Value:
    name = func.name if isinstance(func, (Opaque, Object)) else ""
    if isinstance(func, Object) and sinks.call_table_method(machine, func, "__call__", call, values) is not None:
        return Opaque(called=True)
    shown = dotted(call.func).rpartition(".")[2] or name
    if machine.libraries.names.role(shown) == "loss_scaler" or machine.libraries.names.role(name) == "loss_scaler":
        sinks.loss_scaler(machine, call, values)
        return Opaque(called=True)
    return unknown_call(machine, shown, call, values, func if isinstance(func, Tensor) else None)


def _call_external(machine: Machine, func: External, call: Call, values: Sequence[Value]) -> Value:
    name = func.name
    if func.unread:
        machine.may_do_anything(call.mark, text(call))
    if name in machine.libraries.losses:
        return call_loss_name(machine, name, call, values)
    if name.startswith("builtins."):
        result = builtin_calls.call_builtin(machine, name[9:], call, values)
    else:
        result = gradients.function_of_gradient(name, values)
        result = call_library(machine, name, call, values) if result is None else result
    for arg, value in zip(call.args, values, strict=True):
        if arg.keyword == "out" and isinstance(value, Gradient):
            place = gradients.place_of(machine, arg.value)
            gradients.assigned_gradient(machine, Opaque() if result is None else result, call.mark, place)
    return unknown_call(machine, name.rpartition(".")[2], call, values) if result is None else result


def _call_function(
    machine: Machine, func: Function, call: Call, positional: Sequence[Value], keywords: dict[str, Value]
) -> Value:
    if func.code.body is None or not machine.may_run(machine.all_frames.get(func.frame)):
        every = [*positional, *keywords.values()]
        return unknown_call(machine, func.code.name, call, every)
    return machine.call_function(func, positional, keywords)


def _call_partial(
    machine: Machine,
    func: Value,
    args: tuple[Value, ...],
    keywords: tuple[tuple[str, Value], ...],
    call: Call,
    values: Sequence[Value],
) -> Value:
    given = {arg.keyword for arg in call.args if arg.keyword}
    kept = [(name, value) for name, value in keywords if name not in given]
    nowhere = Var("")
    all_args = (*(Arg(nowhere) for _ in args), *call.args, *(Arg(nowhere, name) for name, _ in kept))
    return call_value(machine, func, replace(call, args=all_args), [*args, *values, *(v for _, v in kept)])


def split(call: Call, values: Sequence[Value]) -> tuple[list[Value], dict[str, Value]]:
    """Return positional values and keyword values of a call, known ``*args`` and ``**kwargs`` unpacked."""
    positional: list[Value] = []
    keywords: dict[str, Value] = {}
    for arg, value in zip(call.args, values, strict=True):
        if arg.stars == 1:
            positional.extend(value.entries if isinstance(value, Items) else (Opaque("*", called=True),))
        elif arg.stars == 2:
            if isinstance(value, Mapping):
                keywords.update((str(key), entry) for key, entry in value.entries)
        elif arg.keyword:
            keywords[arg.keyword] = value
        else:
            positional.append(value)
    return positional, keywords


def unknown_call(machine: Machine, name: str, call: Call, values: Sequence[Value], owner: Value | None = None) -> Value:
    """Return what is known of a call of something unknown.

    Data come back as data, a loss as an unknown loss: it may have been reduced, scaled or logged.
    """
    for value in values:
        escape(machine, value, call.mark, f"handed to {name}()")
        _may_change(machine, name, value)
    machine.gathers |= machine.libraries.names.gathers(name)
    loaders = [value for value in values if isinstance(value, Loader)]
    if len(loaders) == 1:
        return loaders[0]
    if name.endswith("_") and any(isinstance(entry, Gradient) for entry in map(_entry, values)):
        # changed in place, in a way that is not known
        machine.rescale(call.mark, None, text(call))
    flat = [v for value in values for v in (value.entries if isinstance(value, Items) else (value,))]
    if owner is not None:
        flat.append(owner)
    tensors = tuple(v for v in flat if isinstance(v, Tensor))
    _note_step(machine, name, call, values, tensors)
    if any(isinstance(v, Unknown) for v in flat) or any(t.is_loss for t in tensors):
        return machine.unknown(f"passes through {name}(), which is not known", call.mark)
    names = machine.libraries.names
    if names.is_optimizer(name):
        return Opaque(name, called=True)
    if names.role(name) == "criterion" or names.is_loss_word(name):
        return Opaque(name, called=True)
    batches = [t.batch for t in tensors if t.summands]
    batches += [v.batch for v in flat if isinstance(v, Opaque) and v.batch is not Batch.ARGUMENT]
    # a model that is called with nothing yields the same each time
    draws = names.is_drawing_word(name) or (not flat and name not in machine.with_parameters)
    varies = machine.in_loop and draws
    varies |= any(isinstance(v, Opaque) and v.varies for v in flat)
    if not batches:
        return Opaque(name, Batch.DRAWN if varies else Batch.ARGUMENT, called=True, varies=varies)
    counts_only = all(t.axes.is_scalar for t in tensors) and bool(tensors)
    if counts_only:
        return Opaque(name, max(batches), called=True)
    return replace(data(max(batches), PRESUMED_AXES), may_be_container=False)


#: Words of functions that change the settings they are handed.
_CHANGING = ("update", "merge", "override", "overwrite", "set")


def _may_change(machine: Machine, name: str, value: Value) -> None:
    """What a function that is not known may have changed in the settings it is handed is not known any more."""
    if isinstance(value, Options) and value.identity and any(word in name.lower().split("_") for word in _CHANGING):
        for key, entry in current(machine, value):
            _may_change(machine, name, entry)
            machine.state.heap[(value.identity, key)] = entry if isinstance(entry, Options) else Opaque(key)


def _entry(value: Value) -> Value:
    """Return a value, or what a list holds."""
    return value.entry if isinstance(value, Repeated) else value


def _note_step(machine: Machine, name: str, call: Call, values: Sequence[Value], tensors: Sequence[Tensor]) -> None:
    """A step that is told the size of the batch divides by it, as far as anybody knows.

    So does a helper that is told it together with the model or the optimizer, and one that is handed weights,
    unless it only looks at them: what it does to their gradients is not known.
    """
    steps = any(word in name.lower() for word in ("step", "update", "sgd", "optimi"))
    told = any(_is_batch_size(machine, value) for value in (tensors if steps else values))
    helps = told and (steps or any(_holds_gradients(machine, value) for value in values))
    weights = any(isinstance(_entry(value), Parameters) for value in values)
    if helps or (weights and not machine.libraries.names.only_looks(name)):
        machine.rescale(call.mark, None, text(call))


def _is_batch_size(machine: Machine, value: Value) -> bool:
    if isinstance(value, Opaque):
        return machine.libraries.names.count(value.name) is Count.SAMPLES
    if not isinstance(value, Tensor) or value.growth is None:
        return False
    return value.axes.is_scalar and value.growth.in_samples != 0


def _holds_gradients(machine: Machine, value: Value) -> bool:
    """Say whether a value is a model, its parameters, or an optimizer."""
    match value:
        case Gradient(is_measure=is_measure):
            return not is_measure
        case Parameters() | OptimizerValue():
            return True
        case Object(name):
            return name.startswith("torch.nn.")
        case Instance(_, body):
            return any(base.endswith("Module") for base in machine.foreign_bases(body))
        case Opaque(name):
            return machine.libraries.names.is_model(name)
    return False
