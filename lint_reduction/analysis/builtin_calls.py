"""Functions that are built in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lint_reduction.analysis import gradients, loops, tensors
from lint_reduction.analysis.arithmetic import binary
from lint_reduction.analysis.attributes import attribute
from lint_reduction.analysis.code import Arg, Call, Expr, Var
from lint_reduction.analysis.conversion import as_factor, may_count, name_of
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.options import set_option
from lint_reduction.analysis.reading import read_as_number
from lint_reduction.analysis.settings_files import opened
from lint_reduction.analysis.values import (
    SCALAR,
    Alternatives,
    Class,
    Constant,
    Counting,
    Criterion,
    Enumerated,
    External,
    Function,
    Hop,
    Instance,
    Items,
    Loader,
    Mapping,
    Object,
    Opaque,
    Options,
    Repeated,
    Shape,
    Summand,
    Super,
    Tensor,
    Unknown,
    Value,
    Zipped,
    join,
    merged,
    options_of,
)
from lint_reduction.facts import Batch, Evidence, StepKind
from lint_reduction.growth import ELEMENTS, ONE, Count, Growth


def call_builtin(machine: Machine, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    """Call a built-in function, None if nothing is known of it."""
    handler = _HANDLERS.get(name)
    if handler is not None:
        return handler(machine, call, values)
    if name == "isinstance" and [arg.value for arg in call.args[1:]] == [Var("type")]:
        return machine.lift(values[0], lambda value: _is_type(machine, value))
    if name in ("isinstance", "hasattr", "callable", "issubclass", "any", "all", "print", "id", "hash"):
        if name == "print":
            return Constant(None)
        return Opaque(name)
    if name == "open":
        return opened(machine, call, values) or Opaque(name, called=True)
    if name in ("str", "repr", "format", "input", "type", "vars", "dir"):
        return Opaque(name, called=True)
    return None


def _expr(call: Call, index: int = 0) -> Expr | None:
    return call.args[index].value if len(call.args) > index else None


def _len(machine: Machine, call: Call, values: Sequence[Value]) -> Value:
    return loops.length(machine, values[0], _expr(call)) if values else Opaque()


def _range(machine: Machine, call: Call, values: Sequence[Value]) -> Value:
    ends = list(zip(values, call.args, strict=True))
    if not ends:
        return Counting(None)
    end, arg = ends[1] if len(ends) > 1 else ends[0]
    if isinstance(end, Opaque) and end.name == "ndim" and len(ends) < 3:
        start = ends[0][0] if len(ends) == 2 else Constant(0)
        first = start.value if isinstance(start, Constant) else None
        return Counting(None, axes_from=first if isinstance(first, int) and first >= 0 else None)
    factor = as_factor(machine, end, arg.value, divides=False)
    micro_batches = factor.growth == Growth.of(Count.MICRO_BATCHES)
    if isinstance(end, Constant):
        return Counting(factor.growth if micro_batches and end.value != 1 else ONE)
    if micro_batches:
        is_one = isinstance(end, Opaque) and end.is_one
        return Counting(factor.growth, evidence=Evidence.GUESS if is_one else factor.evidence)
    if isinstance(end, Opaque) and factor.growth == ONE:
        return Counting(None)
    if factor.growth is not None and len(ends) == 3:
        # range(0, n, batch_size): a round is a batch
        return Counting(None)
    return Counting(factor.growth)


def _enumerate(_: Machine, __: Call, values: Sequence[Value]) -> Value:
    return Enumerated(values[0]) if values else Opaque()


def _zip(_: Machine, __: Call, values: Sequence[Value]) -> Value:
    return Zipped(tuple(values))


def _sum(machine: Machine, call: Call, values: Sequence[Value]) -> Value:
    if not values:
        return Opaque()
    total = machine.lift(values[0], lambda v: _sum_of(machine, v, call))
    for start in values[1:2]:
        total = machine.lift_two(total, start, lambda a, b: binary(machine, "+", a, b, call.mark, (None, None)))
    return total


def _sum_of(machine: Machine, value: Value, call: Call) -> Value:
    match value:
        case Items(entries):
            total: Value = Constant(0)
            for entry in entries:
                total = machine.lift_two(total, entry, lambda a, b: binary(machine, "+", a, b, call.mark, (None, None)))
            return total
        case Repeated(entry, count, evidence, length):
            return machine.lift(entry, lambda e: accumulated(e, loops.number(count), evidence, call.mark, length))
        case Tensor():
            return tensors.reduce(value, "summing", (0,), False, call.mark)
        case Unknown():
            return value
        case Mapping(entries, None):
            return _sum_of(machine, Items(tuple(v for _, v in entries)), call)
    return Opaque("sum", called=True)


def accumulated(value: Value, rounds: Growth, evidence: Evidence, mark: int, length: str = "") -> Value:
    """Return the total of a value over the rounds of a loop, ``length`` being the source of their number."""
    if not isinstance(value, Tensor) or rounds == ONE:
        return value
    hop = Hop(StepKind.ACCUMULATE, mark, rounds, evidence, length)
    summands = value.summands
    if rounds == ELEMENTS:
        # a sum over the positions of sums over a part of each
        summands = tuple(s if _sums_positions(s) else s.step(hop) for s in summands)
    else:
        summands = tuple(s.step(hop) for s in summands)
    return replace(value, summands=summands, arithmetic=True)


def _sums_positions(summand: Summand) -> bool:
    return summand.growth is not None and summand.growth.exponent(Count.ELEMENTS) >= 1


def _number(machine: Machine, call: Call, values: Sequence[Value]) -> Value:
    if not values:
        return Constant(0)
    read_as_number(machine, values[0], call.mark, "float()")

    def convert(value: Value) -> Value:
        if isinstance(value, Tensor) and may_count(value):
            return Opaque(name_of(_expr(call)), value.batch, called=True)
        return replace(tensors.detach(value), axes=SCALAR) if isinstance(value, Tensor) else value

    return machine.lift(values[0], convert)


def _same(_: Machine, __: Call, values: Sequence[Value]) -> Value:
    return values[0] if values else Opaque()


def _extremum(machine: Machine, call: Call, values: Sequence[Value]) -> Value:
    counted = [v for v in values if not isinstance(v, Constant)]
    if len(counted) == 1:
        only = counted[0]
        return replace(only, may_be_zero=False) if isinstance(only, Tensor) and len(values) > 1 else only
    if all(isinstance(v, Constant) for v in values) and values:
        return values[0]
    known = [v for v in counted if isinstance(v, Tensor)]
    if len(known) == len(counted) and len({v.growth for v in known}) == 1:
        return known[0]
    return Opaque("max", called=True)


def _list(machine: Machine, call: Call, values: Sequence[Value]) -> Value:
    if not values:
        return Items(())
    value = values[0]
    if isinstance(value, (Items, Repeated, Loader, Alternatives, Opaque, Shape, Tensor)):
        return value
    if isinstance(value, Counting) and value.axes_from is not None:
        return value
    if isinstance(value, Zipped) and all(isinstance(v, Items) for v in value.inners):
        inners = [v.entries for v in value.inners if isinstance(v, Items)]
        return Items(tuple(Items(entries, is_tuple=True) for entries in zip(*inners, strict=False)))
    rounds = loops.rounds_of(machine, value)
    return Repeated(rounds.value, rounds.count, rounds.evidence)


def _dict(_: Machine, call: Call, values: Sequence[Value]) -> Value:
    entries = tuple((arg.keyword, value) for arg, value in zip(call.args, values, strict=True) if arg.keyword)
    if values and not call.args[0].keyword:
        first = values[0]
        if not isinstance(first, Mapping):
            return Mapping(entries, Opaque())
        return Mapping(merged(first.entries, entries), first.rest)
    return Mapping(entries)


def _next(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    if not values:
        return None
    rounds = loops.rounds_of(machine, values[0], _expr(call))
    if isinstance(values[0], Opaque) and isinstance(rounds.value, Opaque):
        return replace(rounds.value, called=True, varies=machine.in_loop)
    if not machine.in_loop:
        # drawn once; in a loop that comes later it is the same batch in every round
        if isinstance(rounds.value, Tensor):
            return tensors.at_most(rounds.value, Batch.ARGUMENT)
        if isinstance(rounds.value, Repeated) and isinstance(rounds.value.entry, Tensor):
            return replace(rounds.value, entry=tensors.at_most(rounds.value.entry, Batch.ARGUMENT))
    return rounds.value


def _getattr(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    if len(values) < 2 or not isinstance(values[1], Constant) or not isinstance(values[1].value, str):
        return Opaque("getattr", called=True)
    name = values[1].value
    found = machine.lift(values[0], lambda v: attribute(machine, v, name))
    if len(values) > 2 and isinstance(found, Opaque):
        return join((*options_of(found), *options_of(values[2])))
    return found


def _setattr(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    if len(values) == 3:
        gradients.set_by_name(machine, call, values[0], values[1], values[2])
    if len(values) == 3 and isinstance(values[0], Instance) and isinstance(values[1], Constant):
        machine.state.heap[(values[0].identity, str(values[1].value))] = values[2]
    if len(values) == 3 and isinstance(values[0], Options):
        set_option(machine, values[0], values[1], values[2])
    if len(values) == 3 and isinstance(values[0], Criterion):
        key = (values[0].identity, "reduction")
        if not isinstance(values[1], Constant):
            machine.state.heap[key] = Opaque("reduction")
        elif values[1].value == "reduction":
            machine.state.heap[key] = values[2]
    return Constant(None)


def _super(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    frame = machine.frame
    if isinstance(frame.owner, Instance) and frame.home is not None:
        return Super(frame.owner, frame.home)
    return Object("builtins.super", machine.new_identity())


def _map(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    if len(values) < 2:
        return None
    rounds = [loops.rounds_of(machine, value) for value in values[1:]]
    inner = replace(call, args=tuple(Arg(Var("")) for _ in rounds))
    result = machine.call_value(values[0], inner, [r.value for r in rounds])
    return Repeated(result, rounds[0].count, rounds[0].evidence)


def _filter(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    return values[1] if len(values) > 1 else None


def _is_type(machine: Machine, value: Value) -> Value:
    """``isinstance(value, type)``: a class of a loss is one, what was made of it is none."""
    if isinstance(value, Class):
        return Constant(True)
    if isinstance(value, External) and value.name in machine.libraries.losses:
        return Constant(value.name.rpartition(".")[2][:1].isupper())
    return Constant(False) if isinstance(value, (Criterion, Instance, Function)) else Opaque("isinstance")


_HANDLERS: dict[str, Callable[[Machine, Call, Sequence[Value]], Value | None]] = {
    "len": _len, "range": _range, "enumerate": _enumerate, "zip": _zip, "sum": _sum, "float": _number,
    "int": _number, "bool": lambda m, c, v: Opaque("bool"), "round": _same, "abs": _same, "max": _extremum,
    "min": _extremum, "list": _list, "tuple": _list, "set": _list, "sorted": _list, "reversed": _same, "iter": _same,
    "dict": _dict, "next": _next, "getattr": _getattr, "setattr": _setattr, "super": _super, "map": _map,
    "filter": _filter,
}  # fmt: skip
