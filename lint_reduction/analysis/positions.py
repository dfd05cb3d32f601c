"""Places of a few nodes, without the position provider.

libcst knows no positions: they are found by writing the code out again. Only the top-level
statements that hold a wanted node are written, and only wanted nodes are recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import libcst as cst
from libcst._nodes.internal import CodegenState

from lint_reduction.analysis.tree import code_fields
from lint_reduction.facts import Span

#: The span of what has no place.
NOWHERE = Span(1, 1, 1, 1)
_PASS = nullcontext()
#: What the fields of a node hold besides nodes. To ask whether something is a node takes longer than to go through it.
_SEQUENCES = frozenset((list, tuple))
_NO_NODES = frozenset((type(None), str, bool, cst.MaybeSentinel))


class _Recorder(AbstractContextManager[None]):
    """Records where the code of one node begins and ends."""

    def __init__(self, state: _State, index: int) -> None:
        self.state = state
        self.index = index
        self.line = state.line
        self.column = state.column

    def __exit__(self, *_: object) -> None:
        self.state.found[self.index] = Span(self.line, self.column, self.state.line, self.state.column)


class _State(CodegenState):
    """Counts lines and columns while code is written out."""

    def __init__(self, module: cst.Module, wanted: dict[int, int]) -> None:
        super().__init__(default_indent=module.default_indent, default_newline=module.default_newline)
        self.wanted = wanted
        self.found: dict[int, Span] = {}
        self.line = 1
        self.column = 1
        self.pending: list[tuple[int, int, int]] = []

    def add_indent_tokens(self) -> None:
        for token in self.indent_tokens:
            self.column += len(token)

    def add_token(self, value: str) -> None:
        if "\n" not in value and "\r" not in value:
            self.column += len(value)
            return
        lines = value.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.line += len(lines) - 1
        self.column = len(lines[-1]) + 1

    def before_codegen(self, node: cst.CSTNode) -> None:
        if id(node) in self.wanted:
            self.pending.append((id(node), self.line, self.column))

    def after_codegen(self, node: cst.CSTNode) -> None:
        if self.pending and self.pending[-1][0] == id(node):
            _, line, column = self.pending.pop()
            index = self.wanted[id(node)]
            # a node that records its own position knows better: its whitespace is not part of it
            self.found.setdefault(index, Span(line, column, self.line, self.column))

    def record_syntactic_position(  # type: ignore[override]  # a plain context manager is enough
        self,
        node: cst.CSTNode,
        *,
        start_node: cst.CSTNode | None = None,
        end_node: cst.CSTNode | None = None,
    ) -> AbstractContextManager[None]:
        index = self.wanted.get(id(node))
        return _PASS if index is None else _Recorder(self, index)


def locate(module: cst.Module, nodes: Sequence[cst.CSTNode | None], starts: tuple[int, ...] | None) -> tuple[Span, ...]:
    """Return the span of each node, a dummy for an entry that is None.

    Args:
        module: the tree that the nodes are of.
        nodes: the wanted nodes.
        starts: line of each top-level statement, counting those on one line; None if not known.
    """
    wanted = {id(node): index for index, node in enumerate(nodes) if node is not None}
    state = _State(module, wanted)
    if starts is None or len(starts) != sum(_small_statements(s) for s in module.body):
        module._codegen(state)
    else:
        _locate_in_statements(module, state, starts)
    return tuple(state.found.get(index, NOWHERE) for index in range(len(nodes)))


def _small_statements(statement: cst.CSTNode) -> int:
    return len(statement.body) if isinstance(statement, cst.SimpleStatementLine) else 1


def _locate_in_statements(module: cst.Module, state: _State, starts: tuple[int, ...]) -> None:
    position = 0
    for statement in module.body:
        start = starts[position]
        position += _small_statements(statement)
        if any(id(node) in state.wanted for node in _nodes(statement)):
            # the white space of an empty line may go on behind a backslash
            leading = getattr(statement, "leading_lines", ())
            state.line = start - sum(1 + line.whitespace.value.count("\\") for line in leading)
            state.column = 1
            statement._codegen(state)


def _nodes(statement: cst.CSTNode) -> Iterator[cst.CSTNode]:
    stack: list[cst.CSTNode] = [statement]
    while stack:
        node = stack.pop()
        yield node
        for name in code_fields(type(node)):
            value = getattr(node, name)
            kind = value.__class__
            if kind in _SEQUENCES:
                stack.extend(value)
            elif kind not in _NO_NODES:
                stack.append(value)
