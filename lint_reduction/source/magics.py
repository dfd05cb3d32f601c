"""What IPython understands and Python does not, blanked so that every other character keeps its place."""

from __future__ import annotations

import re

#: Cell magics that run the rest of the cell as Python, in this kernel.
_PYTHON_CELLS = frozenset("capture debug ipytest prun pypy python python3 time timeit".split())
_CELL_MAGIC = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r(?!\n)|\n))*[ \t]*%%(?P<name>\w+)")
_NOT_NEWLINE = re.compile(r"[^\r\n]")
_STRING = r"""(?:'(?:[^'\\\r\n]|\\.)*'|"(?:[^"\\\r\n]|\\.)*")"""
#: Commands that work without a sign before them.
_COMMAND = r"(?:pip3?|conda|mamba|uv|cd|ls)[ \t]+(?!(?:and|as|else|for|if|in|is|not|or)\b)[\w./~]"
#: A cell without any of these holds none of it.
_SUSPECT = re.compile(rf"(?:\A|[\r\n])[ \t]*(?:[%!?/,;]|{_COMMAND}) | =[ \t]*[%!] | \?[ \t;]*(?:[\r\n]|\Z)", re.VERBOSE)
_LINE = re.compile(
    rf"""
    (?P<indent>[ \t]*)(?![ \t])
    (?:
        [%!?/,;]                                                   # %magic, !shell, ?help, /call
      | (?P<target>(?:[^\#=\r\n'"]|{_STRING})*=[ \t]*)[%!]         # files = !ls
      | (?:[^\#\r\n'"]|{_STRING})*\?[ \t;]*(?=[\r\n]|\Z)           # name?
      | {_COMMAND}                                                 # pip install
    )
    """,
    re.VERBOSE,
)
#: The rest of a magic, over the lines that a backslash joins to it.
_REST = re.compile(r"(?:[^\r\n\\]|\\(?:\r\n|[\s\S])|\\\Z)*")
#: A piece of a line of Python: what is in strings and comments is not looked at.
_PIECE = re.compile(
    r"""
    (?P<text>\"{3}(?:[^\\]|\\[\s\S])*?(?:\"{3}|\Z) | '{3}(?:[^\\]|\\[\s\S])*?(?:'{3}|\Z)
      | \"(?:[^"\\\r\n]|\\(?:\r\n|[\s\S]))*\"? | '(?:[^'\\\r\n]|\\(?:\r\n|[\s\S]))*'?)
  | (?P<comment>\#[^\r\n]*)
  | (?P<open>[(\[{]) | (?P<close>[)\]}])
  | \\(?:\r\n|[\s\S])?
  | (?P<newline>\r\n|\r|\n)
  | [^"'\#()\[\]{}\\\r\n]+
    """,
    re.VERBOSE,
)


def without_magics(source: str) -> str:
    """Return the source of a cell as Python: as long, line for line, with IPython's own syntax blanked.

    A magic or a shell command leaves ``_``, the last output of IPython, where a statement or a value must stand:
    nothing is known of it. A cell in another language leaves nothing.
    """
    cell = _CELL_MAGIC.match(source)
    if cell is not None:
        end = _REST.match(source, cell.end()).end()  # type: ignore[union-attr]  # it matches nothing as well
        if cell["name"] not in _PYTHON_CELLS:
            return _NOT_NEWLINE.sub(" ", source)
        return _NOT_NEWLINE.sub(" ", source[:end]) + without_magics(source[end:])
    return source if _SUSPECT.search(source) is None else "".join(_pieces(source))


def _pieces(source: str) -> list[str]:
    """Return the source in pieces, with those blanked that begin a statement and are IPython's."""
    pieces: list[str] = []
    at = depth = 0
    fresh = True
    while at < len(source):
        magic = _LINE.match(source, at) if fresh else None
        if magic is not None:
            start = magic.end("target") if magic["target"] is not None else magic.end("indent")
            end = _REST.match(source, start).end()  # type: ignore[union-attr]  # as above
            pieces += [source[at:start], "_", _NOT_NEWLINE.sub(" ", source[start + 1 : end])]
            at, fresh = end, False
            continue
        piece = _PIECE.match(source, at)
        assert piece is not None
        depth = max(depth + (piece["open"] is not None) - (piece["close"] is not None), 0)
        fresh = piece["newline"] is not None and not depth
        pieces.append(piece[0])
        at = piece.end()
    return pieces
