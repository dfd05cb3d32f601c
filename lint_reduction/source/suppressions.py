"""Comments that silence findings: ``# lint-reduction: ignore[RED101] reason`` and ``# noqa: RED101``."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass

from lint_reduction.facts import Span

_OWN = re.compile(r"#\s*lint-reduction:\s*(?P<kind>file-ignore|ignore)\b\s*(?:\[(?P<rules>[^\]]*)\])?")
_NOQA = re.compile(r"#\s*noqa\s*:\s*(?P<codes>[A-Z]+[0-9]+(?:[\s,]+[A-Z]+[0-9]+)*)", re.IGNORECASE)
_NOQA_BYTES = re.compile(rb"noqa\s*:[^\r\n]*RED[0-9]{3}", re.IGNORECASE)
_NEWLINE = re.compile(r"\r\n|\r|\n")
_CODE = re.compile(r"RED[0-9]{3}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Suppression:
    """A comment that silences some rules.

    Attributes:
        span: of the comment.
        rules: codes and names as written; empty if none is named.
        first, last: the lines on which it works, of the logical line it belongs to.
        whole_file: whether it works on all lines.
    """

    span: Span
    rules: tuple[str, ...]
    first: int
    last: int
    whole_file: bool


def mentions_rules(data: bytes) -> bool:
    """Return False only if no comment in a file with this content can silence anything."""
    if b"lint-reduction:" in data:
        return True
    return (b"noqa" in data or b"NOQA" in data) and _NOQA_BYTES.search(data) is not None


def find_suppressions(text: str) -> tuple[Suppression, ...]:
    """Return the suppressions in a source text, in order.

    A comment at the end of a line works on the logical line that it ends or stands in; one on a line of
    its own on the next logical line.
    """
    if "lint-reduction:" not in text and "noqa" not in text.lower():
        return ()
    comments, logical = _comments(text)
    found = []
    for span, comment, alone in comments:
        own = _OWN.search(comment)
        noqa = _NOQA.search(comment)
        if own is not None:
            rules = tuple(part.strip() for part in (own["rules"] or "").split(",") if part.strip())
            first, last = _works_on(span.line, alone, logical)
            found.append(Suppression(span, rules, first, last, own["kind"] == "file-ignore"))
        elif noqa is not None and not alone:
            codes = tuple(code.upper() for code in _CODE.findall(noqa["codes"]))
            if codes:
                first, last = _works_on(span.line, False, logical)
                found.append(Suppression(span, codes, first, last, False))
    return tuple(found)


def _works_on(line: int, alone: bool, logical: list[tuple[int, int]]) -> tuple[int, int]:
    for first, last in logical:
        if first <= line <= last or (alone and first > line):
            return first, last
    return line, line


def _comments(text: str) -> tuple[list[tuple[Span, str, bool]], list[tuple[int, int]]]:
    """Return the comments with whether each stands alone, and the lines of each logical line."""
    comments: list[tuple[Span, str, bool]] = []
    logical: list[tuple[int, int]] = []
    start = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline=None).readline):
            (line, column), (end_line, end_column) = token.start, token.end
            if token.type == tokenize.COMMENT:
                alone = not start and not token.line[:column].strip()
                comments.append((Span(line, column + 1, end_line, end_column + 1), token.string, alone))
            elif token.type == tokenize.NEWLINE:
                logical.append((start or line, line))
                start = 0
            elif token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT) and not start:
                start = line
    except (tokenize.TokenError, SyntaxError):
        # this interpreter is too old for the syntax: take every line for a logical one
        return _comments_by_line(text)
    return comments, logical


def _comments_by_line(text: str) -> tuple[list[tuple[Span, str, bool]], list[tuple[int, int]]]:
    comments, logical = [], []
    for number, line in enumerate(_NEWLINE.split(text), 1):
        at = line.find("#")
        if line[: at if at >= 0 else None].strip():
            logical.append((number, number))
        if at >= 0:
            span = Span(number, at + 1, number, len(line) + 1)
            comments.append((span, line[at:], not line[:at].strip()))
    return comments, logical
