"""What loops run over: the value of the loop variable, and what the number of rounds grows with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lint_reduction.analysis import tensors
from lint_reduction.analysis.code import Attr, Call, Comp, Expr, Var, text
from lint_reduction.analysis.code import Items as ItemsExpr
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.state import Loop
from lint_reduction.analysis.values import (
    BATCH_AXES,
    SAMPLE_AXES,
    Alternatives,
    Constant,
    Counting,
    Criterion,
    Dataset,
    Enumerated,
    External,
    Function,
    Instance,
    Items,
    Loader,
    Mapping,
    Object,
    Opaque,
    Options,
    Parameters,
    ParamGroups,
    Place,
    Repeated,
    Shape,
    Tensor,
    Value,
    Zipped,
    join,
    options_of,
)
from lint_reduction.facts import Batch, Evidence
from lint_reduction.growth import ELEMENTS, ONE, SAMPLES, Count, Growth

#: A display with at most so many entries is run entry by entry in a comprehension.
MAX_UNROLLED = 16


@dataclass(frozen=True, slots=True)
class Rounds:
    """One round of a loop: the value of its variable, and how many rounds there are.

    ``count`` is None if nothing is known of the number; ``may_end_early`` if the last accumulation window may
    be shorter; ``parts`` if a round is a part of a batch.
    """

    value: Value
    count: Growth | None
    evidence: Evidence = Evidence.SHAPE
    yields_data: bool = False
    may_end_early: bool = False
    parts: bool = False
    full_batches: bool = False


def rounds_of(machine: Machine, iterable: Value, expr: Expr | None = None, target: Expr | None = None) -> Rounds:
    """Return what a loop over a value does."""
    match iterable:
        case Loader(single, evidence, of_tensors=of_tensors, drops_last=drops_last, is_full=is_full):
            entry = _batch(single, Batch.FIXED if is_full else Batch.LOADER)
            batch: Value = Repeated(replace(entry, may_be_container=False), ONE) if of_tensors else entry
            rounds = Rounds(batch, ONE if is_full else Growth.of(Count.BATCHES), evidence, yields_data=not is_full)
            return replace(rounds, may_end_early=not drops_last, full_batches=drops_last)
        case Dataset():
            sample = replace(tensors.data(Batch.SINGLE, SAMPLE_AXES), may_be_container=True)
            return Rounds(sample, None, yields_data=True)
        case Enumerated(inner):
            inside = rounds_of(machine, inner, expr, _part(target, 1))
            index = Opaque("index", varies=True, is_row=inside.count == SAMPLES)
            return replace(inside, value=Items((index, inside.value), is_tuple=True))
        case Zipped(inners):
            parts = [rounds_of(machine, v, None, _part(target, i)) for i, v in enumerate(inners)]
            data = next((p for p in parts if p.yields_data), parts[0] if parts else Rounds(Opaque(), None))
            return replace(data, value=Items(tuple(p.value for p in parts), is_tuple=True))
        case Counting(count, evidence=evidence):
            return Rounds(Opaque("index", varies=True, is_row=count == SAMPLES), count, evidence)
        case Tensor():
            return _rows(iterable)
        case Opaque():
            return _opaque(machine, iterable, expr, target)
        case External(name):
            return _opaque(machine, Opaque(name.rpartition(".")[2]), expr, target)
        case _:
            return _listed(machine, iterable, expr, target)


def _listed(machine: Machine, iterable: Value, expr: Expr | None, target: Expr | None) -> Rounds:
    match iterable:
        case Items(entries):
            if not entries:
                return Rounds(Opaque(varies=True), ONE)
            return Rounds(join(tuple(o for e in entries for o in options_of(e))), ONE)
        case Repeated(entry, count, evidence, parts=of_batch):
            return Rounds(entry, count, evidence, yields_data=of_batch, parts=of_batch)
        case Mapping(entries):
            return Rounds(
                join(tuple(o for k, _ in entries for o in options_of(Constant(k)))) if entries else Opaque(), ONE
            )
        case Parameters():
            return Rounds(replace(iterable, single=True), ONE)
        case ParamGroups():
            return Rounds(replace(iterable, single=True), ONE)
        case Alternatives(options):
            parts = [rounds_of(machine, option.value, expr, target) for option in options]
            value = join(tuple(o for part in parts for o in options_of(part.value)))
            counts = {part.count for part in parts}
            data = any(part.yields_data for part in parts)
            return Rounds(value, counts.pop() if len(counts) == 1 else None, parts[0].evidence, data)
        case Object(name) if name.endswith(("Dataset", "Subset")) or ".datasets." in name:
            return rounds_of(machine, Dataset())
        case Instance(_, body) if any(base.endswith("Dataset") for base in machine.foreign_bases(body)):
            return rounds_of(machine, Dataset())
        case Function(code) if code.is_generator:
            return Rounds(Opaque(batch=Batch.DRAWN, varies=True), None)
        case Shape() | Options():
            return Rounds(Opaque(varies=True), ONE)
    return Rounds(Opaque(batch=Batch.DRAWN, varies=True), None)


def _part(target: Expr | None, index: int) -> Expr | None:
    if isinstance(target, ItemsExpr) and index < len(target.items):
        return target.items[index]
    return None


def _batch(single: bool, batch: Batch = Batch.LOADER) -> Tensor:
    if single:
        return replace(tensors.data(Batch.SINGLE, replace(BATCH_AXES, certain=False)), may_be_container=True)
    return replace(tensors.data(batch, BATCH_AXES), may_be_container=True)


def _rows(tensor: Tensor) -> Rounds:
    axes = tensor.axes
    if tensor.may_be_container or not axes.certain or axes.place is not Place.FIRST:
        value = tensor
        if not axes.is_scalar:
            value = replace(tensors.perhaps_one_sample(tensor), perhaps_row=True)
        return Rounds(value, None, yields_data=tensor.batch >= Batch.DRAWN)
    return Rounds(tensors.one_sample(tensor), SAMPLES if Count.SAMPLES in axes.counts else ONE)


def _opaque(machine: Machine, iterable: Opaque, expr: Expr | None, target: Expr | None) -> Rounds:
    names = machine.libraries.names
    shown = text(expr) if expr is not None else iterable.name
    roles = {names.role(iterable.name), names.role(shown)}
    if "loader" in roles or (isinstance(target, Var) and names.role(target.name) == "batch"):
        return Rounds(_batch(False), Growth.of(Count.BATCHES), Evidence.NAME, True, may_end_early=True)
    if "dataset" in roles:
        return rounds_of(machine, Dataset())
    if shown in ("params", "parameters"):
        return Rounds(Parameters(single=True), ONE)
    named = [part.name for part in target.items if isinstance(part, Var)] if isinstance(target, ItemsExpr) else []
    yields_data = iterable.called or any(names.role(name) == "batch" for name in named)
    return Rounds(Opaque(batch=Batch.DRAWN, varies=True, called=iterable.called), None, yields_data=yields_data)


def entries_to_unroll(value: Value) -> tuple[Value, ...]:
    """Return the entries of a short list of losses, each of which has a round of its own; empty for other values."""
    if isinstance(value, Zipped) and all(isinstance(inner, Items) for inner in value.inners):
        columns = [inner.entries for inner in value.inners if isinstance(inner, Items)]
        value = Items(tuple(Items(entries, is_tuple=True) for entries in zip(*columns, strict=False)))
    if not isinstance(value, Items) or not 1 < len(value.entries) <= MAX_UNROLLED:
        return ()
    return value.entries if any(_is_loss(entry) for entry in value.entries) else ()


def _is_loss(value: Value) -> bool:
    match value:
        case Criterion():
            return True
        case Tensor():
            return value.is_loss
        case Items(entries):
            return any(_is_loss(entry) for entry in entries)
    return False


def entry_of(machine: Machine, value: Value) -> Value:
    """Return a typical entry of something that can be iterated."""
    return rounds_of(machine, value).value


def length(machine: Machine, value: Value, expr: Expr | None) -> Value:
    """Return ``len(value)``."""
    shown = f"len({text(expr)})" if expr is not None else ""
    match value:
        case Loader(evidence=evidence, is_full=is_full):
            return tensors.count(ONE if is_full else Growth.of(Count.BATCHES), evidence, shown)
        case Dataset():
            return tensors.count(Growth.of(Count.SAMPLES, Count.BATCHES), Evidence.SHAPE, shown)
        case Items(entries):
            return Constant(len(entries))
        case Mapping(entries, None):
            return Constant(len(entries))
        case Repeated(_, count, evidence):
            return tensors.count(number(count), evidence, shown)
        case Tensor():
            return _length_of_tensor(value, shown)
        case Opaque(name):
            return _length_of_opaque(machine, name, expr, shown)
        case Alternatives(options):
            lengths = tuple(o for option in options for o in options_of(length(machine, option.value, expr)))
            return join(lengths)
    return Opaque("ndim" if isinstance(value, Shape) else "length")


def _length_of_tensor(value: Tensor, shown: str) -> Value:
    axes, batch = value.axes, value.batch
    if value.may_be_container and value.has_names:
        return tensors.count(ONE, Evidence.SHAPE, shown)
    if axes.place is Place.FIRST and Count.SAMPLES not in axes.counts:
        return Constant(1)
    if axes.place is Place.FIRST:
        evidence = Evidence.SHAPE if axes.certain else Evidence.NAME
        return tensors.count(SAMPLES, evidence, shown, batch)
    if axes.place is Place.MERGED:
        return tensors.count(Growth.of(*axes.counts), Evidence.SHAPE, shown, batch)
    if axes.place is Place.NONE and axes.certain and axes.counts == {Count.ELEMENTS}:
        return tensors.count(ELEMENTS, Evidence.SHAPE, shown, batch)
    return Opaque("length")


def _length_of_opaque(machine: Machine, name: str, expr: Expr | None, shown: str) -> Value:
    roles = {machine.libraries.names.role(name), machine.libraries.names.role(text(expr))}
    if "loader" in roles:
        return tensors.count(Growth.of(Count.BATCHES), Evidence.NAME, shown)
    if "dataset" in roles:
        return tensors.count(Growth.of(Count.SAMPLES, Count.BATCHES), Evidence.NAME, shown)
    # a list of anything: the batch as well as the layers of a network
    return tensors.count(SAMPLES, Evidence.GUESS, shown)


def length_of_loop(iterable: Expr) -> str:
    """Return the source of the number of rounds of a loop over something: ``len(outputs) = len(targets)``."""
    match iterable:
        case Var() | Attr():
            return f"len({text(iterable)})"
        case Call(Var("zip"), args):
            return " = ".join(filter(None, (length_of_loop(arg.value) for arg in args)))
        case Call(Var("enumerate" | "reversed" | "list" | "tqdm"), args) if args:
            return length_of_loop(args[0].value)
    return ""


def number(count: Growth | None) -> Growth:
    """Return the growth of a number of rounds; one of which nothing is known counts iterations."""
    return Growth.of(Count.ITERATIONS) if count is None else count


def comprehend(machine: Machine, expr: Comp) -> Value:
    """Return the value of a comprehension, its variables left bound."""
    first = expr.clauses[0]
    iterable = machine.evaluate(first.iterable)
    entries = iterable.entries if isinstance(iterable, Items) else ()
    if isinstance(iterable, Mapping) and iterable.rest is None:
        entries = tuple(Constant(key) for key, _ in iterable.entries)
    unrolled = len(expr.clauses) == 1 and not first.conditions and 0 < len(entries) <= MAX_UNROLLED
    if unrolled and expr.kind in ("list", "generator", "dict"):
        values, keys = [], []
        for entry in entries:
            machine.assign(first.target, entry)
            keys.append(machine.evaluate(expr.key) if expr.key is not None else Constant(None))
            values.append(machine.evaluate(expr.element))
        if expr.kind != "dict":
            return Items(tuple(values))
        if all(isinstance(key, Constant) for key in keys):
            pairs = tuple((k.value, v) for k, v in zip(keys, values, strict=True) if isinstance(k, Constant))
            return Mapping(pairs)
        return Mapping((), join(tuple(o for v in values for o in options_of(v))))
    return _comprehend_all(machine, expr)


def _comprehend_all(machine: Machine, expr: Comp) -> Value:
    count: Growth | None = ONE
    evidence = Evidence.SHAPE
    opened = 0
    for clause in expr.clauses:
        iterable = machine.evaluate(clause.iterable)
        rounds = rounds_of(machine, iterable, clause.iterable, clause.target)
        machine.assign(clause.target, rounds.value)
        machine.frame.loops.append(Loop(rounds.count, rounds.evidence, 0, rounds.yields_data))
        opened += 1
        for condition in clause.conditions:
            machine.evaluate(condition)
        if count is None or rounds.count is None or (clause.conditions and rounds.count != ONE):
            count = None
        else:
            # a part of a fixed number is a fixed number
            count *= rounds.count
        evidence = min(evidence, rounds.evidence)
    if expr.key is not None:
        machine.evaluate(expr.key)
    element = machine.evaluate(expr.element)
    del machine.frame.loops[-opened:]
    if expr.kind == "dict":
        return Mapping((), element)
    alone = len(expr.clauses) == 1 and not expr.clauses[0].conditions
    return Repeated(element, count, evidence, length_of_loop(expr.clauses[0].iterable) if alone else "")
