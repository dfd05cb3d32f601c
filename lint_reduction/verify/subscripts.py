"""Parts of values: of tensors, lists, tables, texts, and of what is not known."""

from __future__ import annotations

import ast

from lint_reduction.verify import arithmetic
from lint_reduction.verify.choices import Choices
from lint_reduction.verify.names import is_key
from lint_reduction.verify.rounds import Rounds
from lint_reduction.verify.values import BlockedError, Class, Hole, Library, Parameters, UserError, Value


class Subscripts(Choices, Rounds):
    """Takes parts of values."""

    def _subscript(self, node: ast.Subscript) -> Value:
        whole = self.evaluate(node.value)
        return self.item(self.iterate(whole) if isinstance(whole, Parameters) else whole, self.index(node.slice))

    def index(self, node: ast.expr) -> Value:
        """Return the value of what stands in brackets."""
        if isinstance(node, ast.Slice):
            bounds = [None if b is None else self.settle(self.evaluate(b)) for b in (node.lower, node.upper, node.step)]
            if self.domain.is_tensor(bounds[0]) or self.domain.is_tensor(bounds[1]):
                bounds = [self.domain.number("int", b) if self.domain.is_tensor(b) else b for b in bounds]
            return slice(*bounds)
        if isinstance(node, ast.Tuple):
            return tuple(self.index(entry) for entry in node.elts)
        value = self.evaluate(node)
        if isinstance(value, Hole) and is_key(value.path):
            return value
        return [self.settle(entry) for entry in value] if isinstance(value, list) else self.settle(value)

    def _part_of_hole(self, whole: Hole, index: Value) -> Value:
        """Return the part of something unknown, None where it is a tensor."""
        if isinstance(index, Hole) and is_key(index.path):
            return Hole.at(f"{whole.path}[{index.path}]")
        if self.is_list(whole) and not isinstance(index, str):
            return self.sample(whole, index)
        if self.domain.is_tensor(index):
            self.see_list(whole)
        if self.domain.is_indexed(whole, index):
            return None
        return Hole.at(f"{whole.path}[{index!r}]" if arithmetic.is_plain(index) else f"{whole.path}[...]")

    def item(self, whole: Value, index: Value) -> Value:
        """Return a part of a value."""
        if isinstance(whole, Library | Class):
            # ``Generic[T]`` is what it is without its parameters
            return whole
        if isinstance(whole, Hole):
            part = self._part_of_hole(whole, index)
            if part is not None:
                return part
            whole = self.settle(whole)
        if self.domain.is_tensor(whole) or (self.domain.is_tensor(index) and not isinstance(whole, dict)):
            return self.domain.item(whole, index)
        if isinstance(whole, dict) and index not in whole and isinstance(index, Hole):
            return self.pick(whole, index)
        if isinstance(whole, dict) and self.domain.is_tensor(index):
            return self.pick(whole, index)
        if isinstance(whole, dict):
            key = self.key(index)
            if key not in whole:
                raise UserError("KeyError")
            return whole[key]
        if isinstance(whole, list | tuple | str | range) and isinstance(index, int | slice):
            try:
                return _sequence(whole[index])
            except (IndexError, ValueError, TypeError) as error:
                raise UserError(type(error).__name__) from None
        raise BlockedError(f"`{arithmetic.name_of(whole)}` has no parts")


def _sequence(value: Value) -> Value:
    return value if isinstance(value, list) or not isinstance(value, tuple) else tuple(value)
