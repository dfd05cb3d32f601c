"""Reads an experiment from JSON, checking every part of it: the worker trusts nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lint_reduction.verify.experiment import Branch, Callee, Counted, Experiment, Known, Link, Place, Scalar, Unit
from lint_reduction.verify.values import BlockedError

MAX_ENTRIES = 1_000
MAX_NAME = 400
MAX_UNITS = 40
MAX_TOTAL = 1_000_000


def decode(data: Mapping[str, object]) -> Experiment:
    """Return an experiment.

    Raises:
        BlockedError: the data are none.
    """
    units = tuple(map(_unit, _list(data, "units", MAX_UNITS)))
    if not units or sum(len(unit.text) for unit in units) > MAX_TOTAL:
        raise BlockedError("the experiment has no sources, or too many")
    receiver = data.get("receiver")
    optimizer = data.get("optimizer")
    return Experiment(
        rule=_text(data, "rule"),
        units=units,
        function=_text(data, "function"),
        receiver=None if receiver is None else _pair_of(receiver),
        calls=tuple(map(_place, _list(data, "calls"))),
        end=_place(data.get("end")),
        end_kind=_text(data, "end_kind"),
        end_function=_text(data, "end_function"),
        site=_place(data.get("site")),
        sites=tuple(map(_callee, map(_mapping, _list(data, "sites")))),
        steps=tuple((_string(kind), _place(place)) for kind, place in map(_two, _list(data, "steps"))),
        branches=tuple(
            Branch(_place(e.get("place")), e.get("taken") is True) for e in map(_mapping, _list(data, "branches"))
        ),
        known=tuple(
            Known(_place(e.get("place")), _scalar(e.get("value"))) for e in map(_mapping, _list(data, "known"))
        ),
        optimizer=None if optimizer is None else _place(optimizer),
        optimizer_function=_text(data, "optimizer_function"),
        dials=tuple(map(_string, _list(data, "dials"))),
        counted=tuple(
            Counted(_place(e.get("place")), _text(e, "count")) for e in map(_mapping, _list(data, "counted"))
        ),
        framework_divides=data.get("framework_divides") is True,
    )


def _wrong(what: str) -> BlockedError:
    return BlockedError(f"the experiment is malformed: {what}")


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict) or len(value) > MAX_ENTRIES or not all(isinstance(key, str) for key in value):
        raise _wrong("an entry is no table")
    return value


def _list(data: Mapping[str, object], name: str, most: int = MAX_ENTRIES) -> Sequence[object]:
    value = data.get(name, ())
    if not isinstance(value, list | tuple) or len(value) > most:
        raise _wrong(f"`{name}` is no list, or too long")
    return value


def _two(value: object) -> tuple[object, object]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise _wrong("an entry is no pair")
    return value[0], value[1]


def _string(value: object, most: int = MAX_NAME) -> str:
    if type(value) is not str or len(value) > most:
        raise _wrong("an entry is no text, or too long")
    return value


def _text(data: Mapping[str, object], name: str) -> str:
    return _string(data.get(name, ""))


def _integer(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise _wrong("a number is not allowed")
    return value


def _scalar(value: object) -> Scalar:
    if value is None or type(value) in (bool, float):
        return value  # type: ignore[return-value]
    if type(value) is int and value.bit_length() <= 64:
        return value
    return _string(value)


def _place(value: object) -> Place:
    entry = _mapping(value)
    names = ("unit", "line", "column", "end_line", "end_column")
    return Place(*(_integer(entry.get(name)) for name in names))


def _pair_of(value: object) -> tuple[int, str]:
    unit, name = _two(value)
    return _integer(unit), _string(name)


def _callee(entry: Mapping[str, object]) -> Callee:
    options = tuple((_string(name), _scalar(value)) for name, value in map(_two, _list(entry, "options")))
    return Callee(_place(entry.get("place")), _text(entry, "name"), options, entry.get("is_built") is True)


def _unit(value: object) -> Unit:
    entry = _mapping(value)
    links = tuple(
        Link(_text(link, "name"), _integer(link.get("unit")), _text(link, "member"))
        for link in map(_mapping, _list(entry, "links"))
    )
    return Unit(_string(entry.get("path"), 4_096), _string(entry.get("text"), MAX_TOTAL), links)
