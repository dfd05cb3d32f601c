"""Write the indentation of a source text as libcst reads it, so that it reads what CPython does.

Both ignore a form feed before a statement and all that stands before it, and a backslash before a statement that
only ends its line. libcst then forgets them, so that places behind them would be wrong, or refuses the text.
"""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

#: Lines as CPython counts them.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
#: A line that may have to be written otherwise: one that only goes on, or code behind a form feed.
_ODD = re.compile(r"[\r\n][ \t\f]*(?:\\[\r\n]|(?<=\f)[ \t]*[^\s#])")
_BLANK = " \t\f"
_REMARKS = frozenset({tokenize.COMMENT, tokenize.NL})


@dataclass(frozen=True, slots=True)
class Normalized:
    """A source text with indentation that both parsers read alike, and as many lines.

    Attributes:
        text: the source.
        left_out: by line, how many characters its indentation has lost; fewer than none where it has won some.
    """

    text: str
    left_out: Mapping[int, int] = field(default_factory=dict)


def normalized(text: str) -> Normalized:
    """Leave out what stands before the indentation of statements; a text that has no tokens stays as it is."""
    if not _ODD.search("\n" + text):
        return Normalized(text)
    lines: list[str] = _LINE.findall(text)
    left_out: dict[int, int] = {}
    try:
        for first, line in list(_beginnings(lines)):
            before = [one[: len(one) - len(one.lstrip(_BLANK))] for one in lines[first - 1 : line]]
            if first == line and "\f" not in before[0]:
                continue
            widths = [indent.rpartition("\f")[2] for indent in before]
            # CPython takes the first indentation that there is
            indent = next(filter(None, widths), "")
            for number in range(first, line):
                lines[number - 1] = lines[number - 1].lstrip(_BLANK + "\\")
            lines[line - 1] = indent + lines[line - 1][len(before[-1]) :]
            if len(indent) != len(before[-1]):
                left_out[line] = len(before[-1]) - len(indent)
    except (tokenize.TokenError, SyntaxError):
        return Normalized(text)
    return Normalized("".join(lines), left_out)


def _beginnings(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Yield where code, a comment or an empty line begins, backslashes before it included, and where it stands.

    Raises:
        TokenError, SyntaxError: the text has no tokens.
    """
    # without indentation, since the tokenizers of some versions are at odds with the parser about that
    bare = (line.rstrip("\r\n").lstrip(_BLANK) + "\n" for line in lines)
    begin: int | None = 1
    for token in tokenize.generate_tokens(lambda: next(bare, "")):
        if token.type == tokenize.ENDMARKER:
            return
        if begin is not None:
            yield begin, token.start[0]
            begin = token.start[0] + (token.type == tokenize.NL) if token.type in _REMARKS else None
        if token.type == tokenize.NEWLINE:
            begin = token.start[0] + 1
