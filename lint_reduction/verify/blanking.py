"""Blank out the statements of a module that are not kept; what stays, stays where it is."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from lint_reduction.verify.modules import At, Module, Placed, begin, end

_Block = Sequence[ast.stmt]
#: What takes the place of statements before a kept one on its line, so that the indentation stays right.
_NOTHING = b"0;"
_SPACE = b" \t\f"


@dataclass(frozen=True, slots=True)
class _Part:
    """A block of a compound statement.

    Attributes:
        begins: the node that its head is, or the word, where it is none; empty for that of the whole statement.
        block: the statements.
    """

    begins: ast.ExceptHandler | ast.match_case | bytes
    block: _Block


def blank(module: Module, kept: Collection[ast.stmt]) -> str:
    """Return the text of a module with only some statements left.

    Args:
        module: the module.
        kept: the statements to keep, with all that stand around them.
    """
    return _Canvas(module, kept).text()


@dataclass(eq=False)
class _Canvas:
    """The text as it is put together, in bytes."""

    module: Module
    kept: Collection[ast.stmt]
    lines: dict[int, bytearray] = field(default_factory=dict)

    def text(self) -> str:
        self._block(self.module.tree.body)
        made, above = bytearray(), 1
        for number, line in sorted(self.lines.items()):
            made += b"\n" * (number - above) + line
            above = number
        return (made + b"\n" * (len(self.module.lines) - above)).decode()

    def _block(self, block: _Block) -> None:
        last: At | None = None
        for index in [index for index, statement in enumerate(block) if statement in self.kept]:
            at, first = begin(block[index]), _first_on_line(block, index)
            if last is not None and last.line == at.line:
                self._put(last, b";")
            elif first != at and first.line == at.line:
                self._put(first, _NOTHING)
            self._statement(block[index])
            last = end(block[index])

    def _statement(self, statement: ast.stmt) -> None:
        parts = list(_parts(statement))
        start = _start(self.module, statement)
        if not parts:
            self._copy(start, end(statement))
            return
        self._copy(start, self._colon(_last(statement)))
        above: _Block | None = None
        for part in parts:
            if isinstance(part.begins, bytes):
                self._named_part(part.begins, part.block, above)
            else:
                self._copy(self._first(part.begins), self._colon(_last(part.begins)))
                self._body(part.block)
            above = part.block

    def _named_part(self, word: bytes, block: _Block, above: _Block | None) -> None:
        is_kept = any(statement in self.kept for statement in block)
        if above is None:
            self._body(block)
        elif word == b"else" and self._is_elif(block[0]):
            self._block(block)
        elif is_kept or word == b"finally":
            start = self._find(word, end(above[-1]))
            self._copy(start, self._colon(start))
            self._body(block)

    def _first(self, node: ast.ExceptHandler | ast.match_case) -> At:
        if isinstance(node, ast.ExceptHandler):
            return begin(node)
        at = begin(node.pattern)
        for number in range(at.line, 0, -1):
            line = self.module.lines[number - 1][: at.column if number == at.line else None]
            if b"case" in line:
                return At(number, line.rindex(b"case"))
        raise ValueError("a case without its word")

    def _is_elif(self, statement: ast.stmt) -> bool:
        at = begin(statement)
        return self.module.lines[at.line - 1][at.column :].startswith(b"elif")

    def _body(self, block: _Block) -> None:
        if any(statement in self.kept for statement in block):
            self._block(block)
        else:
            self._put(_start(self.module, block[0]), b"pass")

    def _colon(self, after: At) -> At:
        """Return the place behind the colon that ends the head of a block, given where its last node ends."""
        at = self._find(b":", after)
        return At(at.line, at.column + 1)

    def _find(self, word: bytes, after: At) -> At:
        """Return the next place of a word where there is nothing else but comments and punctuation."""
        for number in range(after.line, len(self.module.lines) + 1):
            skipped = after.column if number == after.line else 0
            found = self.module.lines[number - 1][skipped:].partition(b"#")[0].find(word)
            if found >= 0:
                return At(number, skipped + found)
        raise ValueError(f"no {word.decode()} after line {after.line}")

    def _copy(self, first: At, last: At) -> None:
        for number in range(first.line, last.line + 1):
            line = self.module.lines[number - 1]
            start = first.column if number == first.line else 0
            stop = last.column if number == last.line else len(line)
            self._put(At(number, start), line[start:stop])

    def _put(self, at: At, text: bytes) -> None:
        line, original = self.lines.setdefault(at.line, bytearray()), self.module.lines[at.line - 1]
        if not line:
            # the indentation, as it is written
            line += original[: len(original) - len(original.lstrip(_SPACE))][: at.column]
        line += b" " * (at.column - len(line))
        line[at.column : at.column + len(text)] = text


def _first_on_line(block: _Block, index: int) -> At:
    """Return where the first of the statements begins that stand on one line with another one, up to that one."""
    while index and end(block[index - 1]).line == begin(block[index]).line:
        index -= 1
    return begin(block[index])


def _parts(statement: ast.stmt) -> Iterator[_Part]:
    """Yield the blocks of a compound statement in order."""
    if isinstance(statement, ast.Match):
        yield from (_Part(case, case.body) for case in statement.cases)
        return
    for name, word in (("body", b""), ("handlers", b"except"), ("orelse", b"else"), ("finalbody", b"finally")):
        nodes = getattr(statement, name, None)
        if name == "handlers":
            yield from (_Part(handler, handler.body) for handler in nodes or ())
        elif nodes:
            yield _Part(word, nodes)


def _start(module: Module, statement: ast.stmt) -> At:
    """Return where a statement begins, with its decorators."""
    decorators = getattr(statement, "decorator_list", None)
    if not decorators:
        return begin(statement)
    at = begin(decorators[0])
    for number in range(at.line, 0, -1):
        line = module.lines[number - 1][: at.column if number == at.line else None]
        if b"@" in line:
            return At(number, line.rindex(b"@"))
    raise ValueError("a decorator without its sign")


def _last(node: ast.AST) -> At:
    """Return where the last node in the head of a statement or a part of one ends, its beginning if there is none."""
    ends = [begin(node)] if isinstance(node, Placed) else []
    todo = [child for child in ast.iter_child_nodes(node) if not _is_inner(node, child)]
    while todo:
        child = todo.pop()
        if isinstance(child, Placed):
            ends.append(end(child))
        else:
            todo += ast.iter_child_nodes(child)
    return max(ends)


def _is_inner(node: ast.AST, child: ast.AST) -> bool:
    """Say whether a node is no part of the head: a statement in a block, or a decorator above it."""
    return isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case) or child in getattr(
        node, "decorator_list", ()
    )
