"""Command lines and configuration classes: options, and the values they have when nobody sets them.

A text has its default as value; a flag remembers it, so that what happens only when it is set is known
for an option; a number keeps only its name, since people change numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lint_reduction.analysis.code import Call
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.values import Constant, Object, Opaque, Options, Value
from lint_reduction.facts import Evidence


def default_value(name: str, value: Value | None) -> Value:
    """Return the value of an option with a default."""
    if isinstance(value, Constant) and isinstance(value.value, bool):
        return Opaque(name, usual=value.value)
    if isinstance(value, Constant) and isinstance(value.value, str):
        return Constant(value.value, Evidence.CONFIGURATION)
    return Opaque(name, is_one=isinstance(value, Constant) and value.value == 1)


def add_argument(machine: Machine, parser: Object, call: Call, values: Sequence[Value]) -> None:
    """Note one option of an argument parser."""
    names: list[str] = []
    keywords: dict[str, Value] = {}
    for arg, value in zip(call.args, values, strict=True):
        if arg.keyword:
            keywords[arg.keyword] = value
        elif isinstance(value, Constant) and isinstance(value.value, str):
            names.append(value.value)
    destination = keywords.get("dest")
    if isinstance(destination, Constant):
        name = str(destination.value)
    else:
        long = [n for n in names if n.startswith("--")] or names
        name = long[0].lstrip("-").replace("-", "_") if long else ""
    action = keywords.get("action")
    flag = isinstance(action, Constant) and action.value in ("store_true", "store_false")
    default = (
        Constant(action.value == "store_false") if flag and isinstance(action, Constant) else keywords.get("default")
    )
    value = default_value(name, default)
    if name:
        machine.state.heap[(parser.identity, f"option {name}")] = value


def parsed(machine: Machine, parser: Object) -> Options:
    """Return the options of an argument parser after parsing."""
    found = tuple(
        (name.removeprefix("option "), value)
        for (identity, name), value in machine.state.heap.items()
        if identity == parser.identity and name.startswith("option ")
    )
    return tracked(machine, Options(found, identity=machine.new_identity()))


def tracked(machine: Machine, options: Options) -> Options:
    """Return options whose values are kept in the heap from now on, where a program may change them."""
    machine.tracked.add(options.identity)
    for name, value in options.defaults:
        machine.state.heap[(options.identity, name)] = value
    return options


def option_value(machine: Machine, options: Options, name: str) -> Value | None:
    """Return the value of an option, None if there is none of that name."""
    changed = machine.state.heap.get((options.identity, name)) if options.identity else None
    return dict(options.defaults).get(name) if changed is None else changed


def set_option(machine: Machine, options: Options, name: Value, value: Value) -> None:
    """Give an option a value; where it is not known which one, none is known any more."""
    if not options.identity:
        return
    if isinstance(name, Constant):
        machine.state.heap[(options.identity, str(name.value))] = value
        return
    for known, _ in options.defaults:
        machine.state.heap[(options.identity, known)] = Opaque(known)


def current(machine: Machine, options: Options) -> Iterator[tuple[str, Value]]:
    """Yield the options and the values that they have now."""
    for name, default in options.defaults:
        yield name, option_value(machine, options, name) or default
