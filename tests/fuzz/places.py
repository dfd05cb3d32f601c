"""Whether the places in a report are places in the files."""

from __future__ import annotations

import io
import json
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fuzz.pipeline import Failure

_NEWLINE = re.compile(r"\r\n|\r|\n")


def misplaced(diagnostics: Sequence[Mapping[str, Any]], files: Mapping[str, bytes]) -> Iterator[Failure]:
    """Yield the places that are none."""
    from tests.fuzz.pipeline import Failure

    for diagnostic in diagnostics:
        spans = [diagnostic, *diagnostic["related"], *(diagnostic["fix"] or {}).get("edits", ())]
        for span in spans:
            path, cell = span.get("path", diagnostic["path"]), span.get("cell", diagnostic["cell"])
            lines = _lines(files[path], cell) if path in files else []
            problem = _problem(span, lines, exact=diagnostic["code"] != "RED000")
            if problem:
                yield Failure("a place outside of the file", f"{diagnostic['code']}: {problem}")
        for key in ("message", "name", "path"):
            if not diagnostic[key] or _NEWLINE.search(diagnostic[key]):
                yield Failure("a message that is none", f"{diagnostic['code']}: {key}: {diagnostic[key]!r}")


def _problem(span: Mapping[str, Any], lines: Sequence[str], *, exact: bool) -> str:
    first, last = (span["line"], span["column"]), (span["end_line"], span["end_column"])
    if not 1 <= first[0] <= last[0] <= max(1, len(lines)):
        return "line"
    if first[1] < 1 or last < first:
        return "column"
    if exact and (first[1] > len(lines[first[0] - 1]) + 1 or last[1] > len(lines[last[0] - 1]) + 1):
        return "column past the end of its line"
    return ""


def _lines(data: bytes, cell: int | None) -> list[str]:
    if cell is not None:
        try:
            source = json.loads(data.decode("utf-8-sig"))
        except ValueError:
            return []
        cells = source.get("cells") or [c for sheet in source["worksheets"] for c in sheet["cells"]]
        code = cells[cell - 1].get("source", cells[cell - 1].get("input", ""))
        return _NEWLINE.split(code if isinstance(code, str) else "".join(code))
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return _NEWLINE.split(data.decode(encoding))
    except (SyntaxError, ValueError, LookupError):
        return _NEWLINE.split(data.decode("utf-8", errors="replace"))
