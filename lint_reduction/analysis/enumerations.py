"""Enumerations: the members of ``class Reduction(str, Enum)`` are told apart by their values."""

from __future__ import annotations

from collections.abc import Sequence

from lint_reduction.analysis.code import Assign, Call, ClassCode, dotted
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.values import Constant, Opaque, Value

_BASES = frozenset({"enum.Enum", "enum.IntEnum", "enum.StrEnum"})


def is_enumeration(machine: Machine, body: ClassCode) -> bool:
    """Say whether a class of the project is an enumeration."""
    return not _BASES.isdisjoint(machine.foreign_bases(body))


def numbered_member(machine: Machine, body: ClassCode, name: str) -> Value | None:
    """Return the member of an enumeration that ``auto()`` gives a value: a text of its own, None if it does not."""
    for statement in body.body:
        if isinstance(statement, Assign) and any(getattr(t, "name", "") == name for t in statement.targets):
            given = statement.value
            if isinstance(given, Call) and dotted(given.func).rpartition(".")[2] == "auto":
                bases = machine.foreign_bases(body)
                own = name.lower() if "enum.StrEnum" in bases else f"{body.name}.{name}"
                return None if _BASES.isdisjoint(bases) else Constant(own)
    return None


def chosen(values: Sequence[Value]) -> Value:
    """Return the member that ``Reduction(value)`` is: the one of that value."""
    return values[0] if len(values) == 1 else Opaque(called=True)
