"""Text to tree, guarded: what crashes or stalls the parser is turned away before.

libcst's native parser overruns the stack at some 3,000 nested brackets, which ends the process, and
takes minutes for a sum of 50,000 terms. CPython's own parser rejects both at once, so it goes first.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

import libcst as cst

from lint_reduction.errors import SourceError

#: CPython accepts 200 nested brackets; a syntax that this interpreter is too old for may not pass either.
MAX_DEPTH = 200

_BRACKETS = re.compile(r"[][(){}]")
_OPEN = frozenset("([{")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A tree, and the line on which each top-level statement begins.

    ``starts`` is None when this interpreter is too old for the syntax of the file.
    """

    tree: cst.Module
    starts: tuple[int, ...] | None


def parse(text: str) -> Parsed:
    """Parse a module.

    Raises:
        SourceError: it is no Python, or nested too deeply.
    """
    starts = _guard(text)
    try:
        return Parsed(cst.parse_module(text), starts)
    except cst.ParserSyntaxError as error:
        if starts is not None:
            # libcst rejects some programs that CPython runs, such as 10,000 adjacent strings
            raise SourceError("this syntax is not supported", error.raw_line, error.raw_column + 1) from None
        raise SourceError("invalid syntax", error.raw_line, error.raw_column + 1) from None
    except RecursionError:
        raise SourceError("nested too deeply to be analyzed") from None


def _guard(text: str) -> tuple[int, ...] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            message = (error.msg or "invalid syntax").partition("(<unknown>")[0].strip()
            if "too many nested" in message or "too complex" in message:
                raise SourceError("nested too deeply to be analyzed", error.lineno or 1) from None
            _older_interpreter(text, message, error)
            return None
        except (RecursionError, MemoryError):
            raise SourceError("nested too deeply to be analyzed") from None
        except ValueError as error:
            raise SourceError(str(error)) from None
    return tuple(_first_line(statement) for statement in tree.body)


def _older_interpreter(text: str, message: str, error: SyntaxError) -> None:
    """Let libcst decide about syntax that this interpreter may be too old for, if that is safe."""
    line, column = max(error.lineno or 1, 1), max(error.offset or 1, 1)
    depth = deepest = 0
    for bracket in _BRACKETS.finditer(text):
        depth += 1 if bracket[0] in _OPEN else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise SourceError("nested too deeply to be analyzed", line, column)
    try:
        cst.parse_module(text)
    except cst.ParserSyntaxError:
        raise SourceError(message or "invalid syntax", line, column) from None


def _first_line(statement: ast.stmt) -> int:
    decorators = getattr(statement, "decorator_list", None)
    return int(decorators[0].lineno) if decorators else statement.lineno
