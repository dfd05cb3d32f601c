"""Optimizers: what they train, their learning rate, and what in them sees the size of the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lint_reduction.analysis import sinks, tensors
from lint_reduction.analysis.code import Call
from lint_reduction.analysis.conversion import UNCERTAIN, as_factor
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.tensors import Factor
from lint_reduction.analysis.values import (
    Alternatives,
    Constant,
    Function,
    Items,
    Mapping,
    Object,
    Opaque,
    OptimizerValue,
    Parameters,
    ParamGroups,
    Repeated,
    Tensor,
    Value,
)
from lint_reduction.facts import Batch, Evidence
from lint_reduction.growth import ONE, Growth
from lint_reduction.libraries.schema import OptimizerModel, SinkModel

#: A learning rate that may be anything.
_UNCERTAIN = Factor(None, reason="the learning rate is not known")


def default_optimizer(machine: Machine, model: SinkModel, mark: int) -> OptimizerValue:
    """Return the optimizer with which a trainer steps when nobody says which."""
    known = machine.libraries.optimizers.get(model.default_optimizer)
    return OptimizerValue(machine.new_identity(), model.default_optimizer, known, False, frozenset(), mark)


def make_optimizer(
    machine: Machine, name: str, model: OptimizerModel | None, call: Call, values: Sequence[Value]
) -> OptimizerValue:
    """Build an optimizer: what it trains, its learning rate, and what sees the size of the gradient."""
    given = _options(call, values)
    params = sinks.argument(call, values, (0, "params"))
    identity = machine.new_identity()
    _set_learning_rate(machine, identity, _rate_given(machine, model, call, values, params))
    options = set()
    if model is not None:
        decay = given.get("weight_decay")
        coupled = model.weight_decay == "coupled" and _is_zero(given.get(model.decoupled_flag, Constant(0)))
        if coupled and decay is not None and not _is_zero(decay):
            options.add("coupled decay")
        if model.accumulator and not _is_zero(given.get(model.accumulator, Constant(0))):
            options.add("accumulator")
    inputs = params is not None and _is_input(params)
    return OptimizerValue(identity, name, model, inputs, frozenset(options), call.mark)


def _options(call: Call, values: Sequence[Value]) -> dict[str, Value]:
    """Return what is given by name, known ``**options`` unpacked."""
    given: dict[str, Value] = {}
    for arg, value in zip(call.args, values, strict=True):
        if arg.keyword:
            given[arg.keyword] = value
        elif arg.stars == 2 and isinstance(value, Mapping):
            given.update((str(key), entry) for key, entry in value.entries)
    return given


@dataclass(frozen=True, slots=True)
class _Rate:
    """A learning rate as an optimizer is given it, and where."""

    factor: Factor
    mark: int


def _rate_given(
    machine: Machine, model: OptimizerModel | None, call: Call, values: Sequence[Value], params: Value | None
) -> _Rate | None:
    """Return the learning rate that an optimizer is built with, None if there is none in view.

    Groups of parameters may have their own; where they differ it is not known.
    """
    rate = _rate_of_call(machine, model, call, values)
    groups = params.entries if isinstance(params, Items) else (params.entry,) if isinstance(params, Repeated) else ()
    own = [_rate_of_group(machine, group, rate, call.mark) for group in groups if isinstance(group, Mapping)]
    if not own:
        return rate
    if len({None if r is None else r.factor.growth for r in own}) == 1:
        return own[0]
    return _Rate(_UNCERTAIN, call.mark)


def _rate_of_call(machine: Machine, model: OptimizerModel | None, call: Call, values: Sequence[Value]) -> _Rate | None:
    position, name = model.learning_rate if model is not None else (1, "lr")
    found: _Rate | None = None
    for index, (arg, value) in enumerate(zip(call.args, values, strict=True)):
        if arg.keyword == name or (not arg.keyword and not arg.stars and index == position):
            return _Rate(as_factor(machine, value, arg.value, divides=False), arg.mark)
        if arg.stars == 2:
            found = _rate_in(machine, value, name, arg.mark) or found
    return found


def _rate_in(machine: Machine, options: Value, name: str, mark: int) -> _Rate | None:
    """Return the learning rate in a dictionary of options, of which it may be any if they are not known."""
    if not isinstance(options, Mapping):
        return _Rate(_UNCERTAIN, mark)
    entries = dict(options.entries)
    if name in entries:
        return _Rate(as_factor(machine, entries[name], None, divides=False), mark)
    return None if options.rest is None else _Rate(_UNCERTAIN, mark)


def _rate_of_group(machine: Machine, group: Mapping, default: _Rate | None, mark: int) -> _Rate | None:
    own = _rate_in(machine, group, "lr", mark)
    return default if own is None else own


def _set_learning_rate(machine: Machine, identity: int, rate: _Rate | None) -> None:
    if rate is None:
        return
    factor = rate.factor
    value: Value = Opaque(UNCERTAIN)
    if factor.growth is not None:
        value = tensors.count(factor.growth, factor.evidence, factor.text)
    machine.state.heap[(identity, "lr")] = value
    machine.state.heap[(identity, "lr mark")] = Constant(rate.mark)


def _is_zero(value: Value) -> bool:
    return isinstance(value, Constant) and not value.value


def _is_input(params: Value) -> bool:
    """Say whether all that is optimized are tensors made of data, not weights."""
    match params:
        case Tensor(batch=batch):
            return batch > Batch.PARAMETERS
        case Parameters(_, is_data):
            return is_data
        case Items(entries):
            return bool(entries) and all(_is_input(entry) for entry in entries)
        case Mapping(entries):
            return _is_input(dict(entries).get("params", Opaque()))
        case Repeated(entry):
            return _is_input(entry)
        case Alternatives(options):
            return all(_is_input(option.value) for option in options)
    return False


def lambda_lr(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``LambdaLR(optimizer, f)``: the learning rate is multiplied by what f returns."""
    optimizer = sinks.argument(call, values, (0, "optimizer"))
    function = sinks.argument(call, values, (1, "lr_lambda"))
    if isinstance(optimizer, OptimizerValue) and isinstance(function, Function):
        value = machine.call_function(function, (Opaque("epoch", varies=True),), {})
        factor = as_factor(machine, value, None, divides=False)
        scale_learning_rate(machine, optimizer, factor.growth, call.mark)
    return Object("torch.optim.lr_scheduler.LambdaLR", machine.new_identity())


def set_group_rate(machine: Machine, groups: ParamGroups, value: Value) -> None:
    """``group["lr"] = value``."""
    rate = as_factor(machine, value, None, divides=False)
    machine.state.heap.pop((groups.optimizer.identity, "lr"), None)
    scale_learning_rate(machine, groups.optimizer, rate.growth, groups.optimizer.mark)


def update_groups(machine: Machine, groups: ParamGroups, call: Call, values: Sequence[Value]) -> Value:
    """``group.update(lr=value)``, or with a dictionary."""
    given = _options(call, values)
    for arg, value in zip(call.args, values, strict=True):
        if not arg.keyword and not arg.stars:
            known = isinstance(value, Mapping) and value.rest is None
            given |= {str(k): v for k, v in value.entries} if isinstance(value, Mapping) else {}
            given |= {} if known else {"lr": Opaque(UNCERTAIN)}
    if "lr" in given:
        set_group_rate(machine, groups, given["lr"])
    return Constant(None)


def scale_learning_rate(machine: Machine, optimizer: OptimizerValue, growth: Growth | None, mark: int) -> None:
    """Multiply the learning rate of an optimizer by something of a growth, None if not known."""
    if growth == ONE:
        return
    before, _ = sinks.learning_rate(machine, optimizer)
    known = growth is not None and before is not None
    rate: Value = Opaque(UNCERTAIN)
    if known and growth is not None and before is not None:
        rate = tensors.count(before * growth, Evidence.SHAPE, "")
    machine.state.heap[(optimizer.identity, "lr")] = rate
    machine.state.heap[(optimizer.identity, "lr mark")] = Constant(mark)
