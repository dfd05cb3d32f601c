"""Jupyter notebooks: their code cells in order as one module, and edits of it back into the JSON.

Read and written as text, so that what is not edited keeps every byte. Formats 4 and 3 are understood.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from lint_reduction.errors import SourceError
from lint_reduction.facts import Span
from lint_reduction.source.magics import without_magics

#: Outputs may be large, the code in a notebook may not; reading a larger file would take seconds and gigabytes.
MAX_BYTES = 200_000_000

_NEWLINE = re.compile(r"\r\n|\r|\n")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_SPACE = re.compile(r"[ \t\r\n]*")
#: One character in the raw text of a JSON string; two escapes may be the halves of one.
_CHARACTER = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|[^\\]")
#: A long number is no reason to refuse a notebook, so none is converted to an integer.
_JSON = json.JSONDecoder(parse_int=float)
_PYTHON = ("python", "ipython")


@dataclass(frozen=True, slots=True)
class Cells:
    """Where the code cells of a notebook stand in the module that they make.

    Attributes:
        numbers: 1-based places of the code cells among all cells.
        starts: the line of the module on which each begins.
    """

    numbers: tuple[int, ...]
    starts: tuple[int, ...]

    def place(self, line: int) -> tuple[int, int]:
        """Return the number of the cell that a line of the module stands in, and its line there."""
        index = max(bisect_right(self.starts, line) - 1, 0)
        return self.numbers[index], line - self.starts[index] + 1

    def within(self, span: Span) -> Span:
        """Return a span of the module as one of the cell that it begins in."""
        shift = self.place(span.line)[1] - span.line
        return Span(span.line + shift, span.column, span.end_line + shift, span.end_column, span.path)

    def sources(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield number and text of each cell, given the text of the module."""
        lines = [0, *(newline.end() for newline in _NEWLINE.finditer(text))]
        offsets = [*(lines[start - 1] for start in self.starts), len(text)]
        for number, (first, last) in zip(self.numbers, pairwise(offsets), strict=True):
            yield number, text[first:last]


@dataclass(frozen=True, slots=True)
class Notebook:
    """The code of a notebook.

    Attributes:
        text: the code cells as one module, a blank line between them, without IPython's own syntax.
        cells: where they stand in it.
    """

    text: str
    cells: Cells


def is_notebook(path: str) -> bool:
    """Say whether a file is a notebook, by its name."""
    return path.endswith(".ipynb")


def read_notebook(data: bytes) -> Notebook | None:
    """Return the code of a notebook, None if it is in another language.

    Raises:
        SourceError: it is no notebook of a format that is known.
    """
    found = _code_cells(_decode(data))
    if found is None:
        return None
    text, starts, line = [], [], 1
    for _, source in found:
        # a lone half of a character is no text, and Python would not read it either
        code = without_magics(_SURROGATE.sub("\ufffd", source))
        code += "\n" if code.endswith(("\n", "\r")) else "\n\n"
        starts.append(line)
        line += len(_NEWLINE.findall(code))
        text.append(code)
    return Notebook("".join(text), Cells(tuple(number for number, _ in found), tuple(starts)))


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        limit = f"the limit is {MAX_BYTES / 1e6:.0f} MB"
        raise SourceError(f"too large to be analyzed: {len(data) / 1e6:.1f} MB, {limit}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"not a notebook: not valid utf-8: byte 0x{data[error.start]:02x}", line) from None


def _code_cells(text: str) -> list[tuple[int, str]] | None:
    """Return number and source of the code cells of a notebook in Python, None of one in another language."""
    try:
        document: object = _JSON.decode(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise SourceError(f"not a notebook: invalid JSON: {error.msg.lower()}", error.lineno, error.colno) from None
    except RecursionError:
        raise SourceError("not a notebook: invalid JSON: nested too deeply") from None
    version = document.get("nbformat", 4) if isinstance(document, dict) else None
    if not isinstance(document, dict) or not _cell_lists(document):
        raise SourceError("not a notebook: it has no list of cells")
    if version not in (3, 4):
        raise SourceError("not a notebook of format 3 or 4")
    if not _is_python(document):
        return None
    found = []
    cells = [cell for listed in _cell_lists(document) for cell in listed]
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict):
            raise SourceError(f"not a notebook: cell {number} is not an object")
        if cell.get("cell_type") == "code" and _is_python_cell(cell):
            found.append((number, _source(cell, number)))
    return found


def _cell_lists(document: dict[str, object]) -> list[list[object]]:
    """Return the cells of a notebook: one list, or one for each worksheet of format 3."""
    sheets = document.get("worksheets", [])
    holders = [document] if "cells" in document or not isinstance(sheets, list) else sheets
    listed = [holder.get("cells") for holder in holders if isinstance(holder, dict)]
    return [cells for cells in listed if isinstance(cells, list)]


def _is_python(document: dict[str, object]) -> bool:
    """Say whether a notebook is in Python, as one is that does not say."""
    metadata = document.get("metadata")
    for holder, key in (("kernelspec", "language"), ("language_info", "name")):
        said = metadata.get(holder) if isinstance(metadata, dict) else None
        language = said.get(key) if isinstance(said, dict) else None
        if isinstance(language, str):
            return language.lower().startswith(_PYTHON)
    return True


def _is_python_cell(cell: dict[str, object]) -> bool:
    """Say whether a cell is in the language of the notebook: format 3 and VS Code may say another."""
    metadata = cell.get("metadata")
    editor = metadata.get("vscode") if isinstance(metadata, dict) else None
    said = (cell.get("language"), editor.get("languageId") if isinstance(editor, dict) else None)
    return all(language.lower().startswith(_PYTHON) for language in said if isinstance(language, str))


def _source(cell: dict[str, object], number: int) -> str:
    source = cell.get("source", cell.get("input", ""))
    listed = source if isinstance(source, list) else [source]
    lines = [line for line in listed if isinstance(line, str)]
    if len(lines) != len(listed):
        raise SourceError(f"not a notebook: the source of cell {number} is not text")
    return "".join(lines)


# --- from edits of the module to the JSON


def write_back(data: bytes, edits: Iterable[tuple[Span, str]]) -> bytes:
    """Return a notebook with parts of its code replaced; every byte outside of them stays.

    Args:
        data: the notebook.
        edits: spans of the module that ``read_notebook`` makes, and what to write there; they do not overlap.

    Raises:
        SourceError: it is no notebook in Python.
        ValueError: an edit leaves its cell, or overlaps another.
    """
    notebook = read_notebook(data)
    by_cell: dict[int, list[tuple[Span, str]]] = {}
    for span, new in edits:
        if notebook is None:
            raise SourceError("not a notebook in Python")
        first, last = notebook.cells.place(span.line), notebook.cells.place(span.end_line)
        if first[0] != last[0]:
            raise ValueError(f"an edit reaches from cell {first[0]} into cell {last[0]}")
        by_cell.setdefault(first[0], []).append((notebook.cells.within(span), new))
    text = data.decode("utf-8")
    positions = _source_positions(text) if by_cell else []
    for number in sorted(by_cell, reverse=True):
        if not positions[number - 1]:
            raise ValueError(f"cell {number} is empty")
        text = _edited(text, _source_at(text, positions[number - 1]), by_cell[number])
    return text.encode("utf-8")


@dataclass(frozen=True, slots=True)
class _Literal:
    """A string of the source of a cell: its first raw character and the one after its last, without the quotes."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Source:
    """The source of a cell as it stands in the JSON.

    Attributes:
        literals: the strings that it is made of.
        separator: what stands between two of them, quotes included; None if it is one string and no list.
        value: what they say together.
        raw: where each character of that stands, and where the last one ends.
    """

    literals: tuple[_Literal, ...]
    separator: str | None
    value: str
    raw: tuple[int, ...]

    def cut(self, first: int, last: int, *, removed: bool) -> tuple[int, int]:
        """Return the raw stretch of some characters; of whole lines that are removed, with one separator."""
        if first == last:
            return self.raw[first], self.raw[first]
        starts = [literal.start for literal in self.literals]
        index = bisect_right(starts, self.raw[last - 1]) - 1
        start, end = self.raw[first], min(self.raw[last], self.literals[index].end)
        if removed and start in starts and end == self.literals[index].end:
            if index + 1 < len(starts):
                return start, starts[index + 1]
            if start != starts[0]:
                return self.literals[starts.index(start) - 1].end, end
        return start, end


def _edited(text: str, source: _Source, edits: list[tuple[Span, str]]) -> str:
    """Return the JSON with parts of a cell replaced, the last one first, so that the places of the others stay."""
    lines = [0, *(newline.end() for newline in _NEWLINE.finditer(source.value))]
    if not source.literals:
        raise ValueError("the cell is empty")
    before = len(source.value)
    ends = {literal.end for literal in source.literals}
    for span, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
        if span.end_line > len(lines):
            raise ValueError("an edit leaves its cell")
        first, last = lines[span.line - 1] + span.column - 1, lines[span.end_line - 1] + span.end_column - 1
        if not first <= last <= before:
            raise ValueError("edits overlap, or leave their cell")
        before = first
        start, end = source.cut(first, last, removed=not new)
        written = _written(new, source.separator, ascii_only=text.isascii(), more=end not in ends)
        text = text[:start] + written + text[end:]
    return text


def _written(new: str, separator: str | None, *, ascii_only: bool, more: bool) -> str:
    """Return a text as it stands in JSON; in a list of lines, each becomes a string of its own.

    Args:
        new: the text.
        separator: what stands between two strings, None where there is no list.
        ascii_only: whether to escape all other characters, as the rest of the notebook does.
        more: whether something of the same string follows.
    """
    lines = [new] if separator is None else _LINES.findall(new)
    if separator is not None and more and new.endswith("\n"):
        lines.append("")
    return (separator or "").join(json.dumps(line, ensure_ascii=ascii_only)[1:-1] for line in lines)


def _source_at(text: str, at: int) -> _Source:
    """Return the source that begins at a place: one string, or a list of them."""
    listed = text[at] == "["
    starts = _items(text, at) if listed else [at]
    literals = tuple(_Literal(start + 1, _JSON.raw_decode(text, start)[1] - 1) for start in starts)
    found = [character for literal in literals for character in _CHARACTER.finditer(text, literal.start, literal.end)]
    value = "".join(json.loads(f'"{character[0]}"') for character in found)
    separator = None
    if listed and len(literals) > 1:
        separator = text[literals[0].end : literals[1].start]
    elif listed:
        separator = '",' + text[at + 1 : literals[0].start if literals else at + 1]
    return _Source(literals, separator, value, (*(c.start() for c in found), literals[-1].end if literals else at))


def _source_positions(text: str) -> list[int]:
    """Return where the source of each cell begins, 0 for one that has none."""
    root = _members(text, _skip(text, text.startswith("\ufeff")))
    holders = [root] if "cells" in root else [_members(text, at) for at in _items(text, root["worksheets"])]
    cells = [_members(text, at) for holder in holders for at in _items(text, holder["cells"])]
    return [cell.get("source", cell.get("input", 0)) for cell in cells]


def _members(text: str, at: int) -> dict[str, int]:
    """Return where the values of the object at a place begin, by their keys."""
    found = {}
    at = _skip(text, at + 1)
    while text[at] == '"':
        key, at = _JSON.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        found[str(key)] = at
        at = _next(text, at)
    return found


def _items(text: str, at: int) -> list[int]:
    """Return where the values of the array at a place begin."""
    found = []
    at = _skip(text, at + 1)
    while text[at] != "]":
        found.append(at)
        at = _next(text, at)
    return found


def _next(text: str, at: int) -> int:
    """Return where what follows a value and a comma begins."""
    at = _skip(text, _JSON.raw_decode(text, at)[1])
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    assert space is not None
    return space.end()
