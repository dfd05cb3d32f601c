"""Values as tensors and as factors: what something not known is taken for."""

from __future__ import annotations

from dataclasses import replace

from lint_reduction.analysis.code import Attr, Call, Expr, Item, Var, dotted, text
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.tensors import Factor, data
from lint_reduction.analysis.values import (
    BATCH_AXES,
    PRESUMED_AXES,
    WEIGHT_AXES,
    Alternatives,
    Constant,
    Items,
    Loader,
    Mapping,
    Opaque,
    Parameters,
    Repeated,
    Tensor,
    Unknown,
    Value,
)
from lint_reduction.facts import Batch, Evidence
from lint_reduction.growth import ONE, SAMPLES, Count, Growth


def as_tensor(machine: Machine, value: Value) -> Tensor:
    """Return the tensor that a value is taken for where a tensor is needed."""
    match value:
        case Tensor():
            return value
        case Opaque(_, batch, called):
            axes = PRESUMED_AXES if called else replace(BATCH_AXES, certain=False)
            return data(batch, axes)
        case Parameters(_, is_data):
            return data(Batch.FIXED if is_data else Batch.PARAMETERS, WEIGHT_AXES)
        case Items(entries) if entries:
            return max((as_tensor(machine, entry) for entry in entries), key=lambda t: t.batch)
        case Repeated(entry):
            return as_tensor(machine, entry)
        case Mapping(entries) if entries:
            return max((as_tensor(machine, entry) for _, entry in entries), key=lambda t: t.batch)
        case Alternatives(options):
            return max((as_tensor(machine, option.value) for option in options), key=lambda t: t.batch)
        case Loader():
            return data(Batch.LOADER)
        case Constant():
            return Tensor(batch=Batch.PARAMETERS)
    return data(Batch.ARGUMENT, PRESUMED_AXES)


def as_factor(machine: Machine, value: Value, expr: Expr | None, *, divides: bool) -> Factor:
    """Return what a value that is no tensor does to a product or, if it divides, to a quotient.

    A number of which nothing is known may be the size of the batch. A product with it is taken for a
    weight unless its name says that it counts; a quotient is not known unless its name says that it
    does not.
    """
    match value:
        case Constant(number) if divides and type(number) in (int, float) and number in machine.batch_sizes:
            # the number that a loader is given elsewhere, so it may stand for the batch
            return Factor(SAMPLES, Evidence.GUESS, text(expr) if expr is not None else str(number))
        case Constant(number) if divides and type(number) in (int, float) and number in machine.windows_in_use:
            return Factor(Growth.of(Count.MICRO_BATCHES), Evidence.CONFIGURATION, text(expr) or str(number))
        case Constant(number) if isinstance(number, (int, float)):
            return _constant_factor(machine, expr)
        case Tensor():
            return Factor(value.growth, value.evidence, value.text or text(expr), _reason(text(expr)))
        case Unknown(reason):
            return Factor(None, reason=reason)
        case Parameters():
            return Factor()
        case Opaque():
            return _opaque_factor(machine, value, expr, divides)
    return Factor(None, reason=_reason(text(expr)))


def _constant_factor(machine: Machine, expr: Expr | None) -> Factor:
    """Return what a constant does: nothing, unless the name it was given counts something."""
    name = _name(expr)
    if not name or expr is None:
        return Factor()
    if dotted(expr) in machine.batch_sizes:
        return Factor(SAMPLES, Evidence.CONFIGURATION, text(expr))
    found = machine.libraries.names.count(name)
    return Factor() if found is None else Factor(Growth.of(found), Evidence.NAME, text(expr))


def _opaque_factor(machine: Machine, value: Opaque, expr: Expr | None, divides: bool) -> Factor:
    names = [name for name in (_name(expr), value.name) if name]
    shown = text(expr) if expr is not None else value.name
    full = dotted(expr) if expr is not None else ""
    if full and full in machine.batch_sizes:
        return Factor(SAMPLES, Evidence.CONFIGURATION, shown)
    if full and full in machine.windows_in_use:
        return Factor(Growth.of(Count.MICRO_BATCHES), Evidence.CONFIGURATION, shown)
    for name in names:
        found = machine.libraries.names.count(name)
        if found is not None:
            return Factor(Growth.of(found), Evidence.NAME, shown)
    uncertain = any(machine.libraries.names.is_uncertain(name) for name in names)
    constant = any(machine.libraries.names.is_constant(name) for name in names)
    if uncertain or value.called or (divides and not constant and not value.varies):
        return Factor(None, reason=_reason(shown))
    return Factor(ONE)


def _reason(shown: str) -> str:
    return f"it is not known what {shown or 'a factor'} counts"


def _name(expr: Expr | None) -> str:
    match expr:
        case Var(name) | Attr(_, name):
            return name
        case Item(base):
            return _name(base)
        case Call(Var("float" | "int" | "max" | "min"), args) if args:
            return _name(args[0].value)
    return ""


def count_by_name(machine: Machine, name: str) -> Growth | None:
    """Return what a variable of this name counts."""
    if name in machine.batch_sizes:
        return SAMPLES
    found = machine.libraries.names.count(name)
    return None if found is None else Growth.of(found)


def is_count(growth: Growth | None) -> bool:
    """Say whether a growth counts samples of the batch, perhaps with other things."""
    return growth is not None and growth.in_samples != 0


def number_of(growth: Growth | None) -> Growth:
    """Return a growth, that of a loop of which nothing is known for None."""
    return Growth.of(Count.ITERATIONS) if growth is None else growth
