"""What is a list of samples: how many it has, and which of them something belongs to."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lint_reduction.verify.machine import Machine
from lint_reduction.verify.names import is_data, is_option
from lint_reduction.verify.rows import is_of_sample, marked, row_of
from lint_reduction.verify.values import Hole, Value, parts

#: How many entries a list has that belongs to a sample.
_OWN = 1


@dataclass(frozen=True, slots=True)
class _Given:
    """What a call is given.

    Attributes:
        names: the variables in its arguments.
        numbered: what is taken of one by another.
        adds_axis: whether one sample is made a batch.
    """

    names: frozenset[str]
    numbered: tuple[tuple[str, str], ...]
    adds_axis: bool


class Listed(Machine):
    """Knows what is a list of samples, and takes it apart."""

    def is_list(self, value: Value) -> bool:
        """Whether a value is a list of samples."""
        return isinstance(value, Hole) and value.path in self.domain.lists

    def listed(self, value: Value, count: int | None = None) -> list[Value] | None:
        """Return the entries of a list of samples, or of a list that belongs to one; None for anything else."""
        if not isinstance(value, Hole):
            return None
        if self.is_list(value):
            return [Hole.at(marked(value.path, index)) for index in range(self.domain.batch())]
        if is_of_sample(value.path):
            if self.domain.is_indexed(value, slice(None)):
                return None
            return [Hole.at(f"{value.path}[{i}]") for i in range(_OWN if count is None else count)]
        if count is None:
            self.see_list(value)
        return None

    def see_list(self, value: Hole) -> None:
        """Note what is taken apart, if it is handed in, and is neither a part of a network nor all batches."""
        path = value.path
        is_own = path.partition(".")[0] in ("self", "cls") or "(" in path or path in self.containers
        if not is_own and not is_option(path) and not is_data(path) and not is_of_sample(path):
            self.domain.see_list(path)

    def sample(self, value: Hole, index: Value) -> Value:
        """Return what an index takes of a list of samples."""
        if isinstance(index, slice):
            entries = self.listed(value)
            whole_slice = all(bound is None or type(bound) is int for bound in (index.start, index.stop, index.step))
            return entries[index] if entries is not None and whole_slice else value
        return Hole.at(marked(value.path, index if type(index) is int else 0))

    def of_sample(self, result: Hole, node: ast.Call) -> Hole:
        """Return what a call gives that is given one sample, or something of one: its row of what it gives for all."""
        if is_of_sample(result.path):
            return result
        given = self.program.note("given", node, lambda: _given(node))
        rows = [row_of(value.path) for name in given.names if isinstance(value := self.held(name), Hole)]
        index = next((row for row in (*rows, *self._numbered(given)) if row is not None), None)
        if index is None and self.sample_at is not None and given.names & self.sample_at[1]:
            index = self.sample_at[0]
        if not isinstance(index, int):
            return result
        return Hole.at(marked(result.path, index, kept=given.adds_axis))

    def row_for(self, result: Hole, arguments: Sequence[Value]) -> Hole:
        """Return what a function gives that nobody knows, for one sample if it is given one."""
        index = sample_in(list(arguments))
        return result if index is None else Hole.at(marked(result.path, index))

    def _numbered(self, given: _Given) -> Iterator[int]:
        """Yield which samples the arguments of a call take out of lists by a number."""
        for name, number in given.numbered:
            if self.is_list(self.held(name)):
                index = self.held(number)
                yield index if type(index) is int else 0

    def held(self, name: str) -> Value:
        """Return what a variable of a function holds, None for any other name."""
        scope = self.frame.scope
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None


def _given(node: ast.Call) -> _Given:
    names, numbered, adds_axis = set(), [], False
    for part in (part for argument in node.args for part in ast.walk(argument)):
        match part:
            case ast.Name(id=name):
                names.add(name)
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Name(id=number)):
                numbered.append((name, number))
            case ast.Attribute(attr="unsqueeze") | ast.Subscript(slice=ast.Constant(value=None)):
                adds_axis = True
    return _Given(frozenset(names), tuple(numbered), adds_axis)


def sample_in(value: Value) -> int | None:
    """Return which sample a round of a loop is given, None where it is none of a list."""
    rows = [row_of(part.path) for part in parts([value], 2) if isinstance(part, Hole)]
    return next((row for row in rows if isinstance(row, int)), None)
