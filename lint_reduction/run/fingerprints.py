"""What a finding is known by when lines move: its rule, file, function and statement, and which of its twins it is."""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_NO_TEXT = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)
#: As Python ends lines; ``str.splitlines`` knows more ends.
_NEWLINE = re.compile(r"\r\n|\r|\n")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Context:
    """Where a finding is, without its line.

    Attributes:
        function: qualified name of the function or class around it, empty for the module.
        statement: the statement that holds it, with one space between its tokens and no comments.
    """

    function: str = ""
    statement: str = ""


def contexts(text: str, lines: Sequence[int]) -> list[Context]:
    """Return the context of each line of a source; where that does not parse, a line is its own statement."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.Module([], [])
    source = _NEWLINE.split(text)
    return [_context(tree, source, line) for line in lines]


def _context(tree: ast.Module, source: Sequence[str], line: int) -> Context:
    names: list[str] = []
    body: Sequence[ast.AST] = tree.body
    first = last = line
    while True:
        around = next((node for node in body if _first(node) <= line <= _last(node)), None)
        if around is None:
            break
        inner = list(_statements(around))
        if isinstance(around, _SCOPES):
            names.append(around.name)
        if isinstance(around, ast.stmt):
            # of a compound statement only what stands before its body
            first, last = _first(around), min([_first(node) - 1 for node in inner], default=_last(around))
            last = max(last, first)
        body = inner
    return Context(".".join(names), _normalized("\n".join(source[first - 1 : last])))


def _statements(node: ast.AST) -> Iterable[ast.AST]:
    """Yield the statements, and the handlers and cases that hold some, directly within a node."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):
            yield child


def _first(node: ast.AST) -> int:
    if isinstance(node, ast.match_case):
        return int(getattr(node.pattern, "lineno", 0))
    decorators = [int(d.lineno) for d in getattr(node, "decorator_list", ())]
    return min([int(getattr(node, "lineno", 0)), *decorators])


def _last(node: ast.AST) -> int:
    if isinstance(node, ast.match_case):
        return max(_last(inner) for inner in node.body)
    return int(getattr(node, "end_lineno", None) or 0)


def _normalized(text: str) -> str:
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text.strip() + "\n").readline))
    except (tokenize.TokenError, SyntaxError):
        return " ".join(text.split())
    return " ".join(token.string for token in tokens if token.type not in _NO_TEXT)


def fingerprints(keys: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a fingerprint for each key; equal keys get different ones, in their order."""
    seen: Counter[tuple[str, ...]] = Counter()
    made = []
    for key in keys:
        text = "\0".join((*key, str(seen[key])))
        seen[key] += 1
        made.append(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32])
    return made
