"""Ends of a loss that train nothing: numbers for people, values that leave what is in view."""

from __future__ import annotations

from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.training import Sink
from lint_reduction.analysis.values import Alternatives, Criterion, Hop, Items, Mapping, Tensor, Value
from lint_reduction.facts import Fate, StepKind


def read_as_number(machine: Machine, value: Value, mark: int, note: str) -> None:
    """Record that a loss is read as one number: ``.item()``, ``float()``, a number format."""
    if isinstance(value, Tensor) and value.is_loss:
        hop = Hop(StepKind.READ, mark)
        machine.record(Sink(value, Fate.LOGGED, hop, machine.frame.function, note=note))
    elif isinstance(value, Alternatives):
        for option in value.options:
            read_as_number(machine, option.value, mark, note)
    elif isinstance(value, Criterion):
        machine.sites[value.site.index].used_as_value = True


def escape(machine: Machine, value: Value, mark: int, note: str) -> None:
    """Record that losses leave what is in view."""
    match value:
        case Tensor() if value.is_loss:
            hop = Hop(StepKind.READ, mark)
            machine.record(Sink(value, Fate.ESCAPED, hop, machine.frame.function, note=note))
        case Criterion(_, site):
            machine.sites[site.index].called = True
        case Items(entries):
            for entry in entries:
                escape(machine, entry, mark, note)
        case Mapping(entries):
            for _, entry in entries:
                escape(machine, entry, mark, note)
        case Alternatives(options):
            for option in options:
                escape(machine, option.value, mark, note)
