"""Cut out of a source text what is not worth parsing.

Of a function that concerns no loss the decorators and the name stay, since nobody runs it. Documentation,
comments and empty lines go, and of a display that is data only the brackets stay. Columns stay as they are, and
a table leads from the lines that are left back to those of the file.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from lint_reduction.analysis.outline import Outline, first_line

#: Lines as CPython counts them; ``str.splitlines`` splits at more characters.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
#: What CPython skips between tokens.
_BLANK = " \t\f\r\n"


@dataclass(frozen=True, slots=True)
class Region:
    """The part of a source text that is parsed.

    Attributes:
        text: what is left of it.
        lines: line in the file by line in ``text``, both beginning at 1; None where they are the same.
        starts: line in ``text`` on which each top-level statement begins.
    """

    text: str
    lines: tuple[int, ...] | None
    starts: tuple[int, ...]


def cut(text: str, outline: Outline, wanted: frozenset[str] | None) -> Region:
    """Leave out the bodies of all functions but the wanted ones.

    Args:
        text: the source.
        outline: made from the same text.
        wanted: qualified names of the functions to keep, None to keep all that there is.
    """
    starts = tuple(first_line(statement) for statement in outline.tree.body)
    if wanted is None:
        return Region(text, None, starts)
    lines = _LINE.findall(text)
    inside = {number for first, last in outline.strings for number in range(first + 1, last + 1)}
    kept: list[str] = []
    numbers: list[int] = []
    line = 1
    for part in sorted(_parts(outline, wanted, lines), key=lambda part: (part.first, -part.last)):
        if part.first >= line:
            _keep_code(lines, range(line, part.first), inside, kept, numbers)
            kept.extend(part.instead)
            numbers.extend((part.first, part.last)[: len(part.instead)])
            line = part.last + 1
    _keep_code(lines, range(line, len(lines) + 1), inside, kept, numbers)
    places = [bisect_left(numbers, start) for start in starts]
    found = (place + 1 for start, place in zip(starts, places, strict=True) if numbers[place : place + 1] == [start])
    return Region("".join(kept), tuple(numbers), tuple(found))


@dataclass(frozen=True, slots=True)
class _Part:
    """Whole lines that are left out, and at most two that stand for the first and the last of them."""

    first: int
    last: int
    instead: tuple[str, ...]


def _keep_code(lines: list[str], among: range, inside: set[int], kept: list[str], numbers: list[int]) -> None:
    """Keep the lines that hold code, or stand in a string or behind a backslash."""
    continued = False
    for number in among:
        line = lines[number - 1]
        bare = line.strip(_BLANK)
        if continued or (bare and bare[0] != "#") or number in inside:
            kept.append(line)
            numbers.append(number)
            continued = bare.endswith("\\")


def _parts(outline: Outline, wanted: frozenset[str], lines: list[str]) -> Iterator[_Part]:
    yield from _unwanted(outline, wanted, lines)
    for definition in outline.definitions:
        yield from _documentation(definition.node.body, lines)
    for display in outline.displays:
        yield from _data(display, lines)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t\f"))]


def _newline(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :]


def _documentation(body: list[ast.stmt], lines: list[str]) -> Iterator[_Part]:
    """Yield the string that a body begins with, if it has its lines for itself."""
    first = body[0] if body else None
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant) or first.end_lineno is None:
        return
    if not isinstance(first.value.value, str):
        return
    begin, end = first.lineno, first.end_lineno
    before = lines[begin - 1].encode()[: first.col_offset].strip()
    behind = lines[end - 1].encode()[first.end_col_offset :].strip()
    continues = begin > 1 and lines[begin - 2].rstrip("\r\n").endswith("\\")
    if not before and not behind and not continues:
        alone = (f'{_indent(lines[begin - 1])}""{_newline(lines[end - 1])}',)
        yield _Part(begin, end, alone if len(body) == 1 else ())


def _data(display: ast.List | ast.Set | ast.Dict, lines: list[str]) -> Iterator[_Part]:
    """Yield a display that goes over several lines; ``...`` in its place is lowered to the same."""
    begin, end = display.lineno, display.end_lineno or display.lineno
    opening = lines[begin - 1].encode()[: display.col_offset].decode()
    closing = lines[end - 1].encode()[: display.end_col_offset].decode()
    first, last = lines[begin - 1][len(opening) :], lines[end - 1][len(closing) :]
    bracketed = first[:1] in ("[", "{") and closing[-1:] in ("]", "}")
    if begin < end and bracketed and not last.rstrip("\r\n").endswith("\\"):
        yield _Part(begin, end, (f"{opening}(...{_newline(lines[begin - 1])}", f"{' ' * (len(closing) - 1)}){last}"))


def _unwanted(outline: Outline, wanted: frozenset[str], lines: list[str]) -> Iterator[_Part]:
    """Yield the functions that are left out, of those that stand in each other the outer one."""
    for definition in outline.definitions:
        node = definition.node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or definition.qualname in wanted:
            continue
        parent = definition.parent
        while parent is not None and not (parent.is_function and parent.qualname not in wanted):
            parent = parent.parent
        begin, end = node.lineno, node.body[-1].end_lineno
        indent = lines[begin - 1][: node.col_offset]
        if parent is None and end is not None and not indent.strip():
            keyword = "def" if isinstance(node, ast.FunctionDef) else "async def"
            yield _Part(begin, end, (f"{indent}{keyword} {node.name}(): ...{_newline(lines[end - 1])}",))
