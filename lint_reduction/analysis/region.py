"""Cut the functions out of a source text that are not worth parsing.

A function that concerns no loss keeps its decorators and its header; its body becomes ``...``. Columns
stay as they are, and a table leads from the lines that are left back to those of the file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lint_reduction.analysis.outline import Outline, first_line

#: Lines as CPython counts them; ``str.splitlines`` splits at more characters.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


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
        wanted: qualified names of the functions to keep, None to keep all.
    """
    starts = tuple(first_line(statement) for statement in outline.tree.body)
    if wanted is None:
        return Region(text, None, starts)
    lines = _LINE.findall(text)
    bodies = sorted(_bodies(outline, wanted, lines))
    if not bodies:
        return Region(text, None, starts)
    kept: list[str] = []
    numbers: list[int] = []
    line = 1
    for begin, end in bodies:
        kept.extend(lines[line - 1 : begin - 1])
        numbers.extend(range(line, begin))
        source = lines[begin - 1]
        indent = source[: len(source) - len(source.lstrip(" \t\f"))]
        newline = lines[begin - 2][len(lines[begin - 2].rstrip("\r\n")) :]
        kept.append(f"{indent}...{newline}")
        numbers.append(begin)
        line = end + 1
    kept.extend(lines[line - 1 :])
    numbers.extend(range(line, len(lines) + 1))
    place = {number: index for index, number in enumerate(numbers, 1)}
    return Region("".join(kept), tuple(numbers), tuple(place[start] for start in starts))


def _bodies(outline: Outline, wanted: frozenset[str], lines: list[str]) -> Iterator[tuple[int, int]]:
    """Yield first and last line of the body of each function that is left out, of outer functions only."""
    for definition in outline.definitions:
        node = definition.node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or definition.qualname in wanted:
            continue
        parent = definition.parent
        while parent is not None and not (parent.is_function and parent.qualname not in wanted):
            parent = parent.parent
        begin, end = first_line(node.body[0]), node.body[-1].end_lineno
        before = lines[begin - 1][: node.body[0].col_offset]
        if parent is None and end is not None and not before.strip() and begin > node.lineno:
            yield begin, end
