"""Values as tensors and as factors: what something not known is taken for."""

from __future__ import annotations

from dataclasses import replace

from lint_reduction.analysis.code import (
    Attr,
    Binary,
    Call,
    Const,
    Expr,
    Item,
    Unary,
    Var,
    dotted,
    last_name,
    text,
)
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.masks import as_mask
from lint_reduction.analysis.tensors import Factor, data
from lint_reduction.analysis.values import (
    BATCH_AXES,
    PRESUMED_AXES,
    WEIGHT_AXES,
    Alternatives,
    Constant,
    External,
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
from lint_reduction.facts import Batch, Doubt, Evidence
from lint_reduction.growth import ONE, SAMPLES, Count, Growth

#: Name of a number that was computed from others, of which some may count anything.
UNCERTAIN = "uncertain_count"

#: Name of a difference of two things of which nothing is known.
DIFFERENCE = "difference"


def as_tensor(machine: Machine, value: Value) -> Tensor:
    """Return the tensor that a value is taken for where a tensor is needed."""
    match value:
        case Tensor():
            return value
        case Opaque(name, batch, called):
            axes = PRESUMED_AXES if called else replace(BATCH_AXES, certain=False)
            made_of = frozenset({DIFFERENCE} if name == DIFFERENCE else ())
            return replace(data(batch, axes), made_of=made_of)
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
        case Constant(number) if isinstance(number, (int, float)):
            named = _constant_factor(machine, expr)
            if not divides or named.growth != ONE or isinstance(number, bool):
                return named
            if number in machine.batch_sizes:
                # the number that a loader is given elsewhere, so it may stand for the batch
                return _configured(machine, text(expr) if expr is not None else str(number), Evidence.GUESS)
            if number in machine.here.windows:
                return Factor(Growth.of(Count.MICRO_BATCHES), Evidence.CONFIGURATION, text(expr) or str(number))
            return named
        case Tensor():
            return Factor(value.growth, value.evidence, value.text or text(expr), _reason(text(expr)))
        case Unknown(reason):
            return Factor(None, reason=reason)
        case Parameters():
            return Factor()
        case Opaque():
            return _opaque_factor(machine, value, expr, divides)
        case External(name):
            # from config import batch_size
            return _opaque_factor(machine, Opaque(name.rpartition(".")[2]), expr, divides)
    return Factor(None, reason=_reason(text(expr)))


def _configured(machine: Machine, shown: str, evidence: Evidence = Evidence.CONFIGURATION) -> Factor:
    """Return what the batch size that a loader is given does; without a shorter last batch, it is that of each."""
    if machine.here.full_batches:
        return Factor(SAMPLES, Evidence.SHAPE, shown)
    return Factor(SAMPLES, evidence, shown, doubt=Doubt.CONSTANT)


def _constant_factor(machine: Machine, expr: Expr | None) -> Factor:
    """Return what a constant does: nothing, unless the name it was given counts something."""
    name = name_of(expr)
    if not name or expr is None:
        return Factor()
    if is_summed(machine, expr):
        return Factor(_WINDOW_SAMPLES, Evidence.CONFIGURATION, text(expr))
    if dotted(expr) in machine.batch_sizes:
        return _configured(machine, text(expr))
    if is_window(machine, expr):
        return Factor(Growth.of(Count.MICRO_BATCHES), Evidence.CONFIGURATION, text(expr))
    found = machine.libraries.names.count(name)
    return Factor() if found is None else Factor(Growth.of(found), Evidence.NAME, text(expr))


def _opaque_factor(machine: Machine, value: Opaque, expr: Expr | None, divides: bool) -> Factor:
    names = [name for name in (name_of(expr), value.name) if name]
    shown = text(expr) if expr is not None else value.name
    full = dotted(expr) if expr is not None else ""
    if is_summed(machine, expr):
        return Factor(_WINDOW_SAMPLES, Evidence.CONFIGURATION, shown)
    if full and full in machine.batch_sizes:
        return _configured(machine, shown)
    if expr is not None and is_window(machine, expr):
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


def is_window(machine: Machine, expr: Expr) -> bool:
    """Say whether an expression is a number of rounds after which an optimizer steps, by its last name."""
    return last_name(expr) in machine.here.window_names


#: What ``nominal`` counts in ``seen += len(x)``, ``if seen >= nominal: optimizer.step()``.
_WINDOW_SAMPLES = Growth.of(Count.SAMPLES, Count.MICRO_BATCHES)


def is_summed(machine: Machine, expr: Expr | None) -> bool:
    """Say whether an expression is a number of samples after which an optimizer steps, by its last name."""
    return expr is not None and last_name(expr) in machine.here.summed_windows


def note_number(machine: Machine, value: Value, factor: Factor) -> None:
    """Remember a number that a loss or a gradient is multiplied by or divided by, if it counts nothing."""
    if factor.growth == ONE and isinstance(value, Constant) and isinstance(value.value, (int, float)):
        machine.trace.factors.add(float(value.value))


def _reason(shown: str) -> str:
    return f"it is not known what {shown or 'a factor'} counts"


def name_of(expr: Expr | None) -> str:
    """Return the name under which an expression finds a value, empty if there is none."""
    match expr:
        case Var(name) | Attr(_, name):
            return name
        case Item(_, Const(str() as key)):
            return key
        case Item(base):
            return name_of(base)
        case Call(Var("float" | "int" | "max" | "min"), args) if args:
            return name_of(args[0].value)
    return ""


def named_mask(machine: Machine, value: Opaque) -> Tensor | None:
    """Return the mask that something not known is by its name, None if it is called otherwise."""
    names = machine.libraries.names
    if value.called or names.role(value.name) != "mask" or names.counts_by_name(value.name):
        return None
    return as_mask(replace(as_tensor(machine, value), text=value.name), Evidence.GUESS)


def may_count(value: Tensor) -> bool:
    """Say whether a tensor may be a number that counts something: a part of a batch, made by an unknown function."""
    plain = not value.is_loss and not value.is_mask and not value.axes.is_scalar
    return plain and (value.may_be_container or not value.axes.certain)


_KEEPING = frozenset({"linear", "widening", "squeezing", "flattening"})


def is_called_mask(machine: Machine, expr: Expr | None) -> bool:
    """Say whether an expression has the name of a mask: ``mask``, ``~pad_mask[:, 1:]``, ``batch["mask"].float()``."""
    names, operations = machine.libraries.names, machine.libraries.operations
    match expr:
        case Var(name) | Attr(_, name) | Item(_, Const(str() as name)):
            return names.role(name) == "mask"
        case Item(base):
            return is_called_mask(machine, base)
        case Unary(_, operand) | Binary("-", Const(1), operand):
            return is_called_mask(machine, operand)
        case Call(Attr(base, name)) if operations.get(name) in _KEEPING:
            return is_called_mask(machine, base)
    return False


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
