"""Which sides of tests the path of a loss runs through, so that a run can be led there."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lint_reduction.verify.modules import Module, Scope

_LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)


@dataclass(eq=False)
class Sides:
    """The tests that are decided.

    Attributes:
        taken: for an ``if``, ``while``, conditional expression or pattern, whether its first side is the one.
    """

    taken: dict[ast.AST, bool] = field(default_factory=dict)

    def lead_to(self, module: Module, node: ast.AST) -> bool:
        """Decide the tests around a place, unless some are decided otherwise; return whether a run gets there."""
        wanted = dict(_around(module, node))
        if any(self.taken.get(test, side) is not side for test, side in wanted.items()):
            return False
        self.taken |= wanted
        for test, side in _passed(module, node):
            self.taken.setdefault(test, side)
        return True

    def agree(self, module: Module) -> None:
        """Decide the tests of a function that say the same as one that is decided, and of values that stay the same."""
        decided = {}
        for node, side in self.taken.items():
            if isinstance(node, ast.If | ast.IfExp) and node in module.parents:
                text, is_plain = _text(node.test)
                decided[module.scope(node), text] = side is is_plain
        for scope in {scope for scope, _ in decided}:
            for node, text, is_plain in module.about(_Tests).plain(scope):
                if node not in self.taken and (scope, text) in decided:
                    self.taken[node] = decided[scope, text] is is_plain

    def reaches(self, module: Module, node: ast.AST) -> bool:
        """Say whether no test that is decided keeps a run from a place."""
        return all(self.taken.get(test, side) is side for test, side in _around(module, node))


class _Tests:
    """The tests of each function of a module that come out the same wherever they stand."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._known: dict[Scope, list[tuple[ast.If | ast.IfExp, str, bool]]] = {}

    def plain(self, scope: Scope) -> list[tuple[ast.If | ast.IfExp, str, bool]]:
        """Return those of a function, each with its text without negations and whether that says the same."""
        if scope not in self._known:
            stored = _stored_often(scope)
            tests = [node for node in ast.walk(scope) if isinstance(node, ast.If | ast.IfExp)]
            tests = [t for t in tests if _is_plain(t.test, stored) and self._module.scope(t) is scope]
            self._known[scope] = [(test, *_text(test.test)) for test in tests]
        return self._known[scope]


def _around(module: Module, node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Yield the tests around a place with the side that it is on, up to the function that it is in."""
    inner = node
    for outer in module.around(node):
        yield from _side(outer, inner)
        if isinstance(outer, Scope):
            return
        inner = outer


def _side(outer: ast.AST, inner: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    match outer:
        case ast.If() | ast.While() | ast.IfExp() if _assigns(outer.test):
            # it has to be evaluated for what else it does
            return
        case ast.If():
            if inner in outer.body:
                yield outer, True
            elif inner in outer.orelse:
                yield outer, False
        case ast.While():
            if inner in outer.body:
                yield outer, True
        case ast.IfExp():
            if inner is not outer.test:
                yield outer, inner is outer.body
        case ast.Match() if isinstance(inner, ast.match_case):
            for case in outer.cases:
                yield case.pattern, case is inner
                if case is inner:
                    return


def _assigns(test: ast.expr) -> bool:
    return any(isinstance(node, ast.NamedExpr) for node in ast.walk(test))


def _text(test: ast.expr) -> tuple[str, bool]:
    """Return a test without negations, and whether that says the same."""
    is_plain = True
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, is_plain = test.operand, not is_plain
    return ast.dump(test), is_plain


def _is_plain(test: ast.expr, stored: Collection[str]) -> bool:
    """Say whether a test comes out the same wherever it stands: it calls nothing, and its variables do not change."""
    kinds = ast.Name | ast.Attribute | ast.Compare | ast.Constant | ast.UnaryOp | ast.BoolOp
    parts = [node for node in ast.walk(test) if isinstance(node, ast.expr)]
    return all(isinstance(n, kinds) and not (isinstance(n, ast.Name) and n.id in stored) for n in parts)


def _stored_often(scope: Scope) -> set[str]:
    """Return the variables that are bound more than once in a function."""
    counts = Counter(n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    return {name for name, count in counts.items() if count > 1}


def _passed(module: Module, node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """Yield the tests before a place that a run does not get past on one side, with the other side."""
    inner = module.statement(node)
    if inner is None:
        return
    for outer in (*module.around(inner),):
        for block in _blocks(outer):
            if inner in block:
                for statement in block[: block.index(inner)]:
                    if isinstance(statement, ast.If):
                        yield from _left(statement)
        if isinstance(outer, Scope):
            return
        if isinstance(outer, ast.stmt):
            inner = outer


def _left(statement: ast.If) -> Iterator[tuple[ast.AST, bool]]:
    if _leaves(statement.body):
        yield statement, False
        if len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
            yield from _left(statement.orelse[0])
    elif statement.orelse and _leaves(statement.orelse):
        yield statement, True


def _leaves(block: Sequence[ast.stmt]) -> bool:
    last = block[-1]
    if isinstance(last, ast.If):
        return bool(last.orelse) and _leaves(last.body) and _leaves(last.orelse)
    return isinstance(last, _LEAVING)


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def is_main_guard(node: ast.AST) -> bool:
    """Say whether a statement is ``if __name__ == "__main__"``, which holds where a run begins."""
    match node:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()])):
            return True
    return False


def is_off(module: Module, statement: ast.stmt, taken: Mapping[ast.AST, bool]) -> bool:
    """Say whether a statement is on the other side of a test that is decided, or handles an exception."""
    inner: ast.AST = statement
    for outer in module.around(statement):
        if any(taken.get(test, side) is not side for test, side in _side(outer, inner)):
            return True
        if isinstance(outer, ast.ExceptHandler):
            return True
        if isinstance(outer, Scope):
            return False
        inner = outer
    return False
