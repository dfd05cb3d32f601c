"""From what a worker answered to a measurement: read as data from a stranger, every field checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from lint_reduction.growth import Count
from lint_reduction.verify.measurement import Measurement, Series, Status, Trial

_T = TypeVar("_T")
_COUNTS = frozenset(count.value for count in Count)
#: No honest answer has more of anything.
_MOST = 1_000


def measurement_of(result: Mapping[str, object]) -> Measurement:
    """Return the measurement that a worker reports.

    Raises:
        ValueError: a field is missing, or is not what it has to be.
    """
    try:
        status = Status(_get(result, "status", str))
    except ValueError:
        raise ValueError(f"no such status: {result.get('status')!r}") from None
    trials = tuple(_trial(entry) for entry in _entries(result, "trials"))
    return Measurement(
        status,
        _get(result, "reason", str),
        _get(result, "site_executed", bool),
        _get(result, "unreduced_site", bool),
        trials,
        _get(result, "optimizer", str),
        _get(result, "dtype", str),
        _get(result, "device", str),
        _number(result.get("seconds", 0.0)),
    )


def _trial(entry: Mapping[str, object]) -> Trial:
    assumptions = _list(entry.get("assumptions", []))
    if not all(isinstance(sentence, str) for sentence in assumptions):
        raise ValueError("an assumption is no text")
    return Trial(
        _get(entry, "layout", str),
        tuple(_series(inner) for inner in _entries(entry, "series")),
        _get(entry, "clipped", bool),
        tuple(map(str, assumptions)),
    )


def _series(entry: Mapping[str, object]) -> Series:
    count = _get(entry, "count", str)
    if count not in _COUNTS:
        raise ValueError(f"no such count: {count!r}")
    sizes = tuple(_whole(size) for size in _list(entry.get("sizes", [])))
    norms = tuple(_number(norm) for norm in _list(entry.get("norms", [])))
    if len(sizes) != len(norms) or not sizes or min(sizes) < 1 or min(norms) < 0:
        raise ValueError("a curve has to have a norm for each size, and positive ones")
    exponent = entry.get("exponent")
    powers = tuple(_power(pair) for pair in _list(entry.get("powers", [])))
    residual = _number(entry.get("residual", 0.0))
    known = None if exponent is None else _number(exponent)
    return Series(count, _get(entry, "what", str), sizes, norms, known, powers, residual)


def _power(pair: object) -> tuple[int, float]:
    values = _list(pair)
    if len(values) != 2:
        raise ValueError("a power and its share are two numbers")
    return _whole(values[0]), _number(values[1])


def _get(mapping: Mapping[str, object], key: str, kind: type[_T]) -> _T:
    value = mapping.get(key)
    if not isinstance(value, kind):
        raise ValueError(f"{key} is no {kind.__name__}: {value!r}")
    return value


def _entries(mapping: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    values = _list(mapping.get(key, []))
    entries = [value for value in values if isinstance(value, Mapping)]
    if len(entries) != len(values):
        raise ValueError(f"an entry of {key} is no mapping")
    return entries


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, (list, tuple)) or len(value) > _MOST:
        raise ValueError("not a list, or one that is too long")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"not a whole number: {value!r}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"not a finite number: {value!r}")
    return float(value)
