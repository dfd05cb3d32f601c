"""Where losses are trained on, and what steps: backward calls, trainers, optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lint_reduction.analysis import tensors
from lint_reduction.analysis.attributes import foreign_bases
from lint_reduction.analysis.code import Call
from lint_reduction.analysis.conversion import as_factor
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.options import add_argument, parsed
from lint_reduction.analysis.training import (
    NO_DIVISION,
    UNKNOWN_DIVISION,
    Companioned,
    Division,
    OptimizerStep,
    Sink,
)
from lint_reduction.analysis.values import (
    SCALAR,
    Alternatives,
    Constant,
    Criterion,
    Function,
    Hop,
    Instance,
    Items,
    Mapping,
    Object,
    Opaque,
    OptimizerValue,
    Option,
    Tensor,
    Unknown,
    Value,
    join,
    options_of,
)
from lint_reduction.facts import Fate, StepKind
from lint_reduction.growth import ONE, Count, Growth
from lint_reduction.libraries.schema import CompanionModel, SinkModel, WrapperModel


def argument(call: Call, values: Sequence[Value], slot: tuple[int, str] | None) -> Value | None:
    """Return the argument at a position or of a name."""
    if slot is None:
        return None
    position, name = slot
    positional = []
    for arg, value in zip(call.args, values, strict=True):
        if arg.keyword == name:
            return value
        if not arg.keyword and not arg.stars:
            positional.append(value)
    return positional[position] if 0 <= position < len(positional) else None


def train(
    machine: Machine,
    value: Value,
    mark: int,
    *,
    gradient: Value | None = None,
    model: SinkModel | None = None,
    optimizer: Value | None = None,
    kind: StepKind = StepKind.BACKWARD,
    division: Division = NO_DIVISION,
) -> None:
    """Record that a value is trained on."""
    options = tuple(
        Option(_objective(o.value, gradient, mark) if isinstance(o.value, Tensor) else o.value, o.guards)
        for o in _while_training(options_of(value))
    )
    for option in options:
        if isinstance(option.value, Criterion):
            machine.sites[option.value.site.index].used_as_value = True
    machine.record(
        Sink(
            join(options),
            Fate.TRAINED,
            Hop(kind, mark),
            machine.frame.function,
            machine.repeats_same_data,
            optimizer,
            model.companions if model is not None else frozenset(),
            kind is StepKind.RETURN,
            windows=machine.windows,
            loops=machine.loops,
            division=division,
            route=machine.route,
            guards=machine.guards,
        )
    )


def _while_training(options: tuple[Option, ...]) -> tuple[Option, ...]:
    """Leave out the alternatives of a model in evaluation, ``"mean" if model.training else "sum"``."""
    evaluating = {test for o in options for test in o.guards if test[0].endswith(".training") and not test[1]}
    return tuple(o for o in options if not o.guards & evaluating) or options


def _objective(value: Tensor, gradient: Value | None, mark: int) -> Tensor:
    """Return the scalar whose gradient ``backward(gradient)`` computes: ``(value * gradient).sum()``."""
    if gradient is None or isinstance(gradient, Constant):
        return value
    is_known = isinstance(gradient, Tensor) and (gradient.axes.certain or not gradient.summands)
    factor = gradient.growth if isinstance(gradient, Tensor) and is_known else None
    if factor is None:
        return replace(tensors.lose(value, "the gradient argument is not known"), axes=SCALAR)
    if value.axes.is_scalar:
        return tensors.scale(value, tensors.Factor(factor), StepKind.MULTIPLY, mark)
    counts = Growth.of(*value.axes.counts)
    hop = Hop(StepKind.ONES, mark, counts * factor, axes=value.axes.counts)
    # ones_like(loss) has all its positions, however many there are
    alike = isinstance(gradient, Tensor) and gradient.axes == value.axes and value.axes.more
    left_open = frozenset({Count.ELEMENTS} if alike else ())
    return replace(value, summands=tuple(s.step(hop, undetermined=left_open) for s in value.summands), axes=SCALAR)


def backward(machine: Machine, owner: Value, call: Call, values: Sequence[Value]) -> Value:
    """Call ``owner.backward(...)``: of a loss, or of an engine that is given one."""
    match owner:
        case Alternatives(options):
            losses = tuple(o for o in options if isinstance(o.value, (Tensor, Unknown)))
            train(machine, join(losses), call.mark, gradient=argument(call, values, (0, "gradient")))
        case Tensor() | Unknown():
            gradient = argument(call, values, (0, "gradient"))
            train(machine, owner, call.mark, gradient=gradient)
        case Criterion(_, site):
            machine.sites[site.index].used_as_value = True
        case _:
            model = next((m for m in _models(machine, owner, "backward") if isinstance(m, SinkModel)), None)
            slot = model.argument if model is not None else (0, "loss")
            given = argument(call, values, slot)
            if given is not None:
                train(machine, given, call.mark, model=model, division=_division(model, owner))
    return Constant(None)


def _division(model: SinkModel | None, owner: Value) -> Division:
    """Return whether the ``backward`` of an object divides by the number of micro-batches.

    One that is handed in from outside may; one that is built here says so in an argument.
    """
    if isinstance(owner, Instance):
        return NO_DIVISION
    if model is None or not isinstance(owner, Object):
        return UNKNOWN_DIVISION
    if model.divides:
        return Division(True, model.method)
    given = owner.argument(*model.divides_by)
    if given is None:
        return UNKNOWN_DIVISION if owner.argument("*", "**") is not None else NO_DIVISION
    if isinstance(given, Constant):
        return NO_DIVISION if given.value in (None, 1) else Division(True, f"{owner.name}({model.divides_by[0]}=...)")
    return Division(True, owner.name)


def _models(machine: Machine, owner: Value, name: str) -> list[SinkModel | WrapperModel | CompanionModel]:
    """Return the table entries for a method of an object."""
    entries = machine.libraries.methods.get(name, ())
    if not entries:
        return []
    if isinstance(owner, Opaque):
        return list(entries)
    names: set[str] = set()
    if isinstance(owner, Object):
        names.add(owner.name)
    elif isinstance(owner, Instance):
        names = foreign_bases(machine, owner.body)
    return [entry for entry in entries if entry.method.rpartition(".")[0] in names]


def call_table_method(machine: Machine, owner: Value, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    """Call a method that the tables know, None if they do not know it."""
    if not values or name not in machine.libraries.methods:
        return None
    result: Value | None = None
    for model in _models(machine, owner, name):
        match model:
            case SinkModel():
                given = argument(call, values, model.argument)
                if given is not None and (not isinstance(owner, Opaque) or _is_tensor(given)):
                    table_sink(machine, model, given, call, values, _division(model, owner))
                    result = Constant(None)
            case WrapperModel():
                if not isinstance(owner, Opaque) or name != "scale" or _is_tensor(values[0]):
                    result = wrapped(machine, model, values)
            case CompanionModel(companion=companion):
                if not isinstance(owner, Opaque) or name != "scale" or _is_tensor(values[0]):
                    machine.record(Companioned(companion, call.mark))
    return result


def _is_tensor(value: Value) -> bool:
    if isinstance(value, Alternatives):
        return any(_is_tensor(option.value) for option in value.options)
    return isinstance(value, (Tensor, Unknown))


def wrapped(machine: Machine, model: WrapperModel, values: Sequence[Value]) -> Value:
    """Return what a wrapper hands back."""
    machine.averages_ranks |= model.averages_ranks
    if model.all and len(values) > 1:
        return Items(tuple(values), is_tuple=True)
    return values[min(model.argument, len(values) - 1)] if values else Opaque()


def table_sink(
    machine: Machine,
    model: SinkModel,
    given: Value,
    call: Call,
    values: Sequence[Value],
    division: Division = NO_DIVISION,
) -> None:
    """Record a sink of the tables: its loss, the optimizer it is given, and whether it steps."""
    gradient = first(argument(call, values, model.gradient))
    optimizer = argument(call, values, model.optimizer)
    for entry in given.entries if isinstance(given, Items) else (given,):
        train(machine, entry, call.mark, gradient=gradient, model=model, optimizer=optimizer, division=division)
    if isinstance(given, Items):
        return
    if model.steps and optimizer is not None:
        step(machine, optimizer, call, ())


def first(value: Value | None) -> Value | None:
    """Return a gradient argument that may stand in a list."""
    return value.entries[0] if isinstance(value, Items) and value.entries else value


def loss_scaler(machine: Machine, call: Call, values: Sequence[Value]) -> None:
    """Call something named like timm's loss scaler: it runs backward and steps."""
    given = argument(call, values, (0, "loss"))
    optimizer = argument(call, values, (1, "optimizer"))
    models = [m for m in machine.libraries.methods.get("__call__", ()) if isinstance(m, SinkModel)]
    if given is not None and _is_tensor(given):
        train(machine, given, call.mark, model=models[0] if models else None, optimizer=optimizer)
        if optimizer is not None:
            step(machine, optimizer, call, ())


def step(machine: Machine, optimizer: Value, call: Call, values: Sequence[Value]) -> None:
    """Record ``optimizer.step()``, after running the closure that it is given."""
    for value in values:
        if isinstance(value, Function):
            machine.call_function(value, (), {})
        elif isinstance(value, Tensor) and value.growth is not None and value.growth.in_samples != 0:
            # a trainer that is told the size of the batch divides by it
            machine.rescale(call.mark, None)
    for option in options_of(optimizer):
        growth, mark = learning_rate(machine, option.value)
        machine.record(OptimizerStep(option.value, call.mark, growth, mark, machine.windows, machine.loops))


def learning_rate(machine: Machine, optimizer: Value) -> tuple[Growth | None, int]:
    """Return what the learning rate of an optimizer grows with, and where it gets that."""
    if not isinstance(optimizer, OptimizerValue):
        return ONE, 0
    value = machine.state.heap.get((optimizer.identity, "lr"))
    mark = machine.state.heap.get((optimizer.identity, "lr mark"))
    if value is None:
        return ONE, 0
    factor = as_factor(machine, value, None, divides=False)
    at = mark.value if isinstance(mark, Constant) and isinstance(mark.value, int) else 0
    return factor.growth, at or (0 if factor.growth == ONE else optimizer.mark)


def parser_method(machine: Machine, owner: Object, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    """Call a method of an argument parser: options collect in the heap, parsing returns them."""
    if name == "add_argument":
        add_argument(machine, owner, call, values)
        return Constant(None)
    if name in ("parse_args", "parse_known_args"):
        options = parsed(machine, owner)
        return options if name == "parse_args" else Items((options, Opaque()), is_tuple=True)
    if name in ("add_argument_group", "add_mutually_exclusive_group"):
        return owner
    return None


def returned(value: Value, model: SinkModel) -> Value:
    """Return the loss in what a step of a trainer returns."""
    match value:
        case Mapping(entries, rest) if model.key:
            found = dict(entries).get(model.key)
            return found if found is not None else rest if rest is not None else Opaque()
        case Items(entries) if model.item >= 0 and len(entries) > model.item:
            return entries[model.item]
        case Alternatives(options):
            return join(tuple(Option(returned(o.value, model), o.guards) for o in options))
    return value
