"""Text to tree: the regions that concern a loss, parsed by libcst."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import libcst as cst

from lint_reduction.analysis.indentation import normalized
from lint_reduction.analysis.outline import Outline, syntax_error
from lint_reduction.analysis.region import Region, cut
from lint_reduction.errors import SourceError
from lint_reduction.facts import Span

#: CPython accepts 200 nested brackets; a syntax that this interpreter is too old for may not pass either.
MAX_DEPTH = 200

_BRACKETS = re.compile(r"[][(){}]")
_OPEN = frozenset("([{")
_PAIRS = frozenset("()[]{}")
_FORMATTED = re.compile("[a-zA-Z]*[fFtT]")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A tree of the regions of a module that were parsed, and where they stand in the file.

    Attributes:
        tree: what libcst made of the regions.
        starts: line in the tree of each top-level statement; None when this interpreter is too old for the file.
        lines: line in the file by line in the tree; None where they are the same.
        left_out: by line in the tree, how many columns further on the file has it.
    """

    tree: cst.Module
    starts: tuple[int, ...] | None
    lines: tuple[int, ...] | None = None
    left_out: Mapping[int, int] = field(default_factory=dict)

    def in_file(self, span: Span) -> Span:
        """Return the span in the file of a span in the tree."""
        if self.left_out:
            column = span.column + self.left_out.get(span.line, 0)
            span = replace(span, column=column, end_column=span.end_column + self.left_out.get(span.end_line, 0))
        if self.lines is None:
            return span
        return replace(span, line=self.lines[span.line - 1], end_line=self.lines[span.end_line - 1])


#: What libcst raises where it does not take a text for a program: from its parser, and from what its nodes must be.
_REJECTED = (cst.ParserSyntaxError, cst.CSTValidationError, cst.CSTLogicError)


def parse(text: str, outline: Outline | None, wanted: frozenset[str] | None) -> Parsed:
    """Parse a module without the bodies of functions that are not wanted.

    Args:
        text: the source.
        outline: made from the same text; None when this interpreter could not parse it.
        wanted: qualified names of the functions to keep, None for all.

    Raises:
        SourceError: it is no Python, or nested too deeply.
    """
    if outline is None:
        return _parse_unguarded(text)
    region = cut(text, outline, wanted)
    if region.lines is not None:
        try:
            return _parsed(region.text, region.starts, region.lines)
        except _REJECTED:
            region = cut(text, outline, None)
    return _parse_whole(region)


def _parsed(text: str, starts: tuple[int, ...] | None, lines: tuple[int, ...] | None = None) -> Parsed:
    normal = normalized(text)
    return Parsed(cst.parse_module(normal.text), starts, lines, normal.left_out)


def _parse_whole(region: Region) -> Parsed:
    try:
        return _parsed(region.text, region.starts)
    except cst.ParserSyntaxError as error:
        # libcst rejects some programs that CPython runs, such as 10,000 adjacent strings
        raise SourceError("this syntax is not supported", error.raw_line, error.raw_column + 1) from None
    except (cst.CSTValidationError, cst.CSTLogicError):
        raise SourceError("this syntax is not supported") from None
    except RecursionError:
        raise SourceError("nested too deeply to be analyzed") from None


def _parse_unguarded(text: str) -> Parsed:
    """Let libcst decide about syntax that this interpreter may be too old for, if that is safe."""
    if bracket_depth(text) > MAX_DEPTH:
        raise SourceError("nested too deeply to be analyzed")
    try:
        return _parsed(text, None)
    except _REJECTED:
        raise syntax_error(text) from None
    except RecursionError:
        raise SourceError("nested too deeply to be analyzed") from None


def bracket_depth(text: str) -> int:
    """Return how many brackets of code stand in each other, or more where this interpreter finds no tokens."""
    try:
        return _deepest(_brackets_of_code(text))
    except (tokenize.TokenError, SyntaxError):
        return _deepest(_BRACKETS.findall(text))


def _deepest(brackets: Iterable[str]) -> int:
    depth = deepest = 0
    for bracket in brackets:
        depth = depth + 1 if bracket in _OPEN else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _brackets_of_code(text: str) -> Iterator[str]:
    prefix_end = (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.OP and token.string in _PAIRS:
            yield token.string
        elif token.type == tokenize.STRING and (token.start == prefix_end or _FORMATTED.match(token.string)):
            # also behind a prefix that this interpreter does not know
            yield from _BRACKETS.findall(token.string)
        prefix_end = token.end if token.type == tokenize.NAME else (0, 0)
