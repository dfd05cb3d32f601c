"""Comments that silence findings: ``# lint-reduction: ignore[RED101] reason`` and ``# noqa: RED101``."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lint_reduction.errors import SourceError
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
    # a single letter is found fastest, and most files have no Q
    return (b"noqa" in data or (b"Q" in data and b"NOQA" in data)) and _NOQA_BYTES.search(data) is not None


def find_suppressions(text: str) -> tuple[Suppression, ...]:
    """Return the suppressions in a source text, in order.

    A comment at the end of a line works on the logical line that it ends or stands in; one on a line of
    its own on the next logical line.
    """
    # most comments that silence something silence other linters: to read all comments takes long
    if "lint-reduction:" not in text and (_CODE.search(text) is None or "noqa" not in text.lower()):
        return ()
    comments, logical = _comments(text)
    found = []
    for span, comment, alone in comments:
        noqa = _NOQA.search(comment)
        for own in _OWN.finditer(comment):
            first, last = _works_on(span.line, alone, logical)
            found.append(Suppression(span, _rules(own), first, last, own["kind"] == "file-ignore"))
        if noqa is not None and not alone:
            codes = tuple(code.upper() for code in _CODE.findall(noqa["codes"]))
            if codes:
                first, last = _works_on(span.line, False, logical)
                found.append(Suppression(span, codes, first, last, False))
    return tuple(found)


def _rules(own: re.Match[str]) -> tuple[str, ...]:
    return tuple(part.strip() for part in (own["rules"] or "").split(",") if part.strip())


def added_suppressions(text: str, wanted: Mapping[int, Collection[str]], reason: str) -> Iterator[tuple[Span, str]]:
    """Yield the edits of a source text that silence some rules on some lines.

    A comment is added at the end of the logical line, after what comments stand there; one of ours that stands in it
    is extended.

    Args:
        text: the source.
        wanted: codes of rules, by line.
        reason: what to write behind them; a comment that gives one keeps it.

    Raises:
        SourceError: this interpreter cannot say where the logical lines end.
    """
    try:
        comments, logical = _tokenized(text)
    except (tokenize.TokenError, SyntaxError):
        raise SourceError("this version of Python cannot split it into lines") from None
    ends = [(newline.start(), newline.end()) for newline in _NEWLINE.finditer(text)]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(text)]
    by_place: dict[tuple[int, int], list[str]] = {}
    for line, codes in sorted(wanted.items()):
        by_place.setdefault(_works_on(line, False, logical), []).extend(sorted(codes))
    for (first, last), codes in by_place.items():
        here = [(span, own) for span, comment, _ in comments if first <= span.line <= last for own in _own(comment)]
        new = list(dict.fromkeys(codes))
        if here:
            yield from _extended(*here[0], new, reason)
        else:
            written = text[starts[last - 1] : stops[last - 1]]
            column = len(written.rstrip()) + 1
            comment = f"# lint-reduction: ignore[{', '.join(new)}] {reason}".rstrip()
            yield Span(last, column, last, len(written) + 1), f"  {comment}"


def _own(comment: str) -> Iterator[re.Match[str]]:
    return (match for match in _OWN.finditer(comment) if match["kind"] == "ignore")


def _extended(span: Span, own: re.Match[str], codes: list[str], reason: str) -> Iterator[tuple[Span, str]]:
    listed = ", ".join(dict.fromkeys((*_rules(own), *codes)))
    more = f" {reason}" if reason and not own.string[own.end() :].strip() else ""
    start, end = own.end("kind"), len(own.string.rstrip()) if more else own.end("kind")
    if own["rules"] is not None:
        start, end = own.start("rules") - 1, end if more else own.end("rules") + 1
    yield Span(span.line, span.column + start, span.line, span.column + end), f"[{listed}]{more}"


def _works_on(line: int, alone: bool, logical: list[tuple[int, int]]) -> tuple[int, int]:
    for first, last in logical:
        if first <= line <= last or (alone and first > line):
            return first, last
    return line, line


def _comments(text: str) -> tuple[list[tuple[Span, str, bool]], list[tuple[int, int]]]:
    """Return the comments with whether each stands alone, and the lines of each logical line."""
    try:
        return _tokenized(text)
    except (tokenize.TokenError, SyntaxError):
        # this interpreter is too old for the syntax: take every line for a logical one
        return _comments_by_line(text)


def _tokenized(text: str) -> tuple[list[tuple[Span, str, bool]], list[tuple[int, int]]]:
    comments: list[tuple[Span, str, bool]] = []
    logical: list[tuple[int, int]] = []
    start = 0
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
