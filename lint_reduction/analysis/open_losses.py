"""Losses that a module leaves to others: what its functions return that grows with the samples."""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.values import Alternatives, Class, Criterion, Items, Mapping, Tensor, Value, options_of
from lint_reduction.facts import OpenLoss

#: Methods that run when an object is made or called.
_OF_CALLS = frozenset({"__init__", "forward", "__call__"})


def grows(machine: Machine, value: Value) -> bool:
    """Say whether a value is or holds a loss of a library that grows with the samples, or makes one."""
    match value:
        case Tensor(summands):
            growths = (s.growth for s in summands if s.site is not None)
            return any(growth is not None and growth.in_samples > 0 for growth in growths)
        case Criterion(model, _, reduction, identity):
            known = machine.state.heap.get((identity, "reduction"))
            reduction = getattr(known, "value", None) if known is not None else reduction
            growth = model.growth(reduction) if isinstance(reduction, str) else None
            return growth is not None and growth.in_samples > 0
        case Alternatives(options):
            return any(grows(machine, option.value) for option in options)
        case Items(entries):
            return any(grows(machine, entry) for entry in entries)
        case Mapping(entries):
            return any(grows(machine, entry) for _, entry in entries)
    return False


def open_losses(machine: Machine) -> tuple[OpenLoss, ...]:
    """Return what the module that ran leaves to others, and no framework trains on."""
    return tuple(sorted(set(_open_losses(machine)), key=lambda loss: (loss.name, loss.method)))


def _open_losses(machine: Machine) -> Iterator[OpenLoss]:
    variables = machine.frames[0].state.variables
    classes = {name for name, value in variables.items() if any(isinstance(o.value, Class) for o in options_of(value))}
    for qualname in machine.grown:
        name, _, method = qualname.partition(".")
        if name not in classes or method in _OF_CALLS:
            yield OpenLoss(name)
        elif method not in machine.libraries.returns and "." not in method:
            yield OpenLoss(name, method)
    for name, value in variables.items():
        if isinstance(value, (Criterion, Alternatives)) and grows(machine, value):
            yield OpenLoss(name)
