"""Arithmetic of plain numbers, texts and lists, each result bounded before it is computed."""

from __future__ import annotations

import ast
import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from lint_reduction.verify.allowed import (
    DICT_METHODS,
    LIST_METHODS,
    MATH_CONSTANTS,
    MAX_INTEGER_BITS,
    MAX_LENGTH,
    MAX_TEXT,
    TEXT_METHODS,
    TUPLE_METHODS,
)
from lint_reduction.verify.values import BlockedError, Text, UserError, Value

#: How deep the lists are that are compared.
MAX_NESTING = 1

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}


def is_number(value: Value) -> bool:
    """Whether a value is a plain number."""
    return type(value) in (bool, int, float)


def is_plain(value: Value) -> bool:
    """Whether a value can be compared as it is."""
    return value is None or type(value) in (bool, int, float, str)


def distinct(entries: list[Value]) -> Value:
    """Return the entries of a set as a list: of plain values that are equal the first, and everything else."""
    found: dict[Value, Value] = {}
    for index, entry in enumerate(entries):
        if isinstance(entry, list | dict):
            raise UserError("TypeError")
        found.setdefault(entry if is_plain(entry) else (None, index), entry)
    return list(found.values())


def binary(kind: ast.operator, left: Value, right: Value) -> Value:
    """Return the value of a binary operation on plain values.

    Raises:
        BlockedError: the operands are of other types, or the result is too large.
        UserError: a division by zero.
    """
    if isinstance(left, str | Text) or isinstance(right, str | Text):
        return _text(kind, left, right)
    if isinstance(left, list | tuple) or isinstance(right, list | tuple):
        return _sequence(kind, left, right)
    if isinstance(left, dict) and isinstance(right, dict) and isinstance(kind, ast.BitOr):
        return {**left, **right}
    function = BINARY.get(type(kind))
    if function is None or isinstance(kind, ast.MatMult):
        raise BlockedError(f"the operator {type(kind).__name__} is not allowed")
    if not (is_number(left) and is_number(right)):
        raise BlockedError(f"`{name_of(left)}` and `{name_of(right)}` are no numbers")
    if isinstance(left, int) and isinstance(right, int):
        _check_integers(kind, left, right)
    try:
        result = function(left, right)
    except (ZeroDivisionError, OverflowError, TypeError, ValueError) as error:
        raise UserError(type(error).__name__) from None
    if isinstance(result, complex):
        raise BlockedError("a number is complex")
    return result


def _check_integers(kind: ast.operator, left: int, right: int) -> None:
    bits = left.bit_length() + right.bit_length()
    if isinstance(kind, ast.Pow):
        bits = left.bit_length() * abs(right) if abs(right) <= MAX_INTEGER_BITS else MAX_INTEGER_BITS + 1
    if isinstance(kind, ast.Pow | ast.Mult) and bits > MAX_INTEGER_BITS:
        raise BlockedError("an integer gets too large")


def _text(kind: ast.operator, left: Value, right: Value) -> Value:
    if isinstance(kind, ast.Add) and isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > MAX_TEXT:
            raise BlockedError("a text gets too long")
        return left + right
    if isinstance(kind, ast.Add | ast.Mod | ast.Mult):
        return Text()
    raise BlockedError("texts are not computed with")


def _sequence(kind: ast.operator, left: Value, right: Value) -> Value:
    if isinstance(kind, ast.Add) and isinstance(left, list) and isinstance(right, list):
        _check_length(len(left) + len(right))
        return [*left, *right]
    if isinstance(kind, ast.Add) and isinstance(left, tuple) and isinstance(right, tuple):
        _check_length(len(left) + len(right))
        return (*left, *right)
    if isinstance(kind, ast.Mult):
        entries, times = (left, right) if isinstance(left, list | tuple) else (right, left)
        if isinstance(entries, list | tuple) and type(times) is int:
            _check_length(len(entries) * max(times, 0))
            return list(entries) * times if isinstance(entries, list) else tuple(entries) * times
    raise BlockedError("lists are only added and repeated")


def _check_length(length: int) -> None:
    if length > MAX_LENGTH:
        raise BlockedError("a list gets too long")


def compare(kind: ast.cmpop, left: Value, right: Value) -> bool:
    """Return the outcome of a comparison of plain values.

    Raises:
        BlockedError: they cannot be compared.
    """
    if isinstance(kind, ast.Is | ast.IsNot):
        same = left is right or (is_plain(left) and is_plain(right) and type(left) is type(right) and left == right)
        return same == isinstance(kind, ast.Is)
    if isinstance(kind, ast.In | ast.NotIn):
        return _contains(right, left) == isinstance(kind, ast.In)
    function = COMPARISONS[type(kind)]
    if is_number(left) and is_number(right):
        return bool(function(left, right))
    if isinstance(kind, ast.Eq | ast.NotEq):
        return _equal(left, right) == isinstance(kind, ast.Eq)
    if isinstance(left, str) and isinstance(right, str):
        return bool(function(left, right))
    raise BlockedError(f"`{name_of(left)}` and `{name_of(right)}` are not compared")


def _equal(left: Value, right: Value, depth: int = 0) -> bool:
    if depth > MAX_NESTING:
        raise BlockedError("lists are nested too deep")
    if is_plain(left) and is_plain(right):
        return left == right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        same = isinstance(left, list) == isinstance(right, list) and len(left) == len(right)
        return same and all(_equal(a, b, depth + 1) for a, b in zip(left, right, strict=True))
    return left is right


def _contains(whole: Value, part: Value) -> bool:
    if isinstance(whole, str) and isinstance(part, str):
        return part in whole
    if isinstance(whole, list | tuple | dict | range) and not isinstance(part, list | tuple):
        return any(_equal(entry, part) for entry in whole)
    raise BlockedError(f"`in` is not asked of `{name_of(whole)}`")


def name_of(value: Value) -> str:
    """Return how a value is called in a reason: never its contents."""
    path = getattr(value, "path", None) or getattr(value, "name", None)
    return path if isinstance(path, str) else type(value).__name__


def mathematics(name: str, arguments: Sequence[Value]) -> Value:
    """Return the value of a function of ``math`` in the table for plain numbers, None if they are none.

    Raises:
        UserError: it has no value there.
    """
    if name == "prod":
        arguments = arguments[0] if arguments and isinstance(arguments[0], list | tuple) else arguments
    if not arguments or not all(is_number(value) for value in arguments):
        return None
    numbers: list[Any] = list(arguments)
    if name == "prod":
        return functools.reduce(lambda a, b: binary(ast.Mult(), a, b), numbers)
    try:
        return getattr(math, name)(*map(float, numbers))
    except (ValueError, OverflowError, TypeError) as error:
        raise UserError(type(error).__name__) from None


def constant_of(library: str, name: str) -> Value:
    """Return a constant of a library of mathematics, None if it has no such one."""
    if library in ("math", "numpy", "torch") and name in MATH_CONSTANTS:
        return getattr(math, name)
    return None


def methods_of(value: Value) -> frozenset[str]:
    """Return the methods that a plain value has."""
    if isinstance(value, list):
        return LIST_METHODS
    if isinstance(value, dict):
        return DICT_METHODS
    if isinstance(value, tuple):
        return TUPLE_METHODS | {"numel"}
    if isinstance(value, str | Text):
        return TEXT_METHODS
    if isinstance(value, int | float):
        return frozenset({"item"})
    return frozenset()
