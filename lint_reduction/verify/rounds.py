"""What stands for rounds: the micro-batches of a step, and the samples of a batch that are taken one by one."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from lint_reduction.verify import arithmetic
from lint_reduction.verify.allowed import MOVING
from lint_reduction.verify.bound import stored
from lint_reduction.verify.listed import Listed, sample_in
from lint_reduction.verify.values import BlockedError, Hole, UserError, Value


class Rounds(Listed):
    """Knows which numbers count micro-batches, and which loops go through samples."""

    def operand(self, node: ast.BinOp | ast.AugAssign, right: Value) -> Value:
        """Return what the right side of an operation stands for: a number that is divided by may count something."""
        is_divisor = isinstance(node.op, ast.Div) and type(right) is int
        return self.domain.divisor(self.place(node), right) if is_divisor else right

    def see_window(self, method: Callable[[ast.expr], Value], node: ast.expr) -> Value:
        """Return what the program itself has for the number of micro-batches of a step, None where that is not run."""
        try:
            value = method(node)
        except (BlockedError, UserError):
            return None
        self.domain.see_window(value)
        return value if arithmetic.is_number(value) else None

    def is_constant(self, node: ast.expr) -> bool:
        """Whether an expression is a number written out, or a variable of a module, not a setting of a function."""
        names = self.sources[self.frame.unit].names
        return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in names)

    def has_rows(self, value: Value) -> bool:
        """Whether to iterate over a value is to take the samples of a batch one by one."""
        if not isinstance(value, Hole) or value.path not in self.samples:
            return False
        self.apart.add(value.path)
        if not self.domain.takes_rows or not self.domain.is_tensor(self.settle(value)):
            return False
        self.taken_apart += 1
        return True

    def rows_of(
        self, target: ast.expr, values: Sequence[Value], *, taken: bool, body: ast.AST | None = None
    ) -> Iterator[Value]:
        """Yield the rounds of a loop, each of them one sample if it takes these one by one."""
        outer, around = self.row, self.sample_at
        bound = self.program.note("stored", body or target, lambda: stored(body or target))
        names = frozenset(node.id for node in ast.walk(target) if isinstance(node, ast.Name))
        try:
            for index, value in enumerate(values):
                if taken:
                    self.row = index, names
                if (sample := sample_in(value)) is not None:
                    self.sample_at = sample, bound
                yield value
        finally:
            self.row, self.sample_at = outer, around


def loaded(target: ast.expr) -> str:
    """Return a variable as the syntax tree of its use, empty for any other target."""
    return ast.dump(ast.Name(target.id, ast.Load())) if isinstance(target, ast.Name) else ""


def only_moves(node: ast.expr) -> bool:
    """Whether an expression is a variable, or one that is moved to a device."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MOVING:
        node = node.func.value
    return isinstance(node, ast.Name)
