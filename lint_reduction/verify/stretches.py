"""How much of each function on the way is run: up to the call that leads on, and from there to the optimizer's step."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lint_reduction.facts import StepKind
from lint_reduction.verify.branches import Sides, is_off
from lint_reduction.verify.effects import is_manual_step, is_step
from lint_reduction.verify.modules import At, FunctionNode, Loop, Module, Placed, Scope, begin, end
from lint_reduction.verify.route import RouteNodes, Spot


@dataclass(eq=False)
class Stretch:
    """What of a function on the route is run.

    Attributes:
        module: where it stands.
        points: the nodes in it that the path runs through, the last one last.
        loop: the innermost loop around the last point, whose statements may run before it in the next round.
        last: where the stretch ends.
    """

    module: Module
    points: tuple[Placed, ...]
    loop: Loop | None
    last: At

    @property
    def begin(self) -> At:
        """Where its first point begins."""
        return begin(self.points[0])

    def leaves_out(self, statement: ast.stmt) -> bool:
        """Say whether a statement of the function comes too late to matter."""
        # what a closure returns goes to the optimizer that calls it
        if begin(statement) <= self.last or isinstance(statement, FunctionNode | ast.ClassDef | ast.Return):
            return False
        return self.loop is None or self.loop not in self.module.around(statement)

    def is_over(self, statement: ast.stmt) -> bool:
        """Say whether a statement of a script is run before the path begins, and in no round of it again."""
        around = (*self.module.around(statement),)
        is_before = begin(statement) < self.begin and self.loop not in around
        # a function may be called in each round
        return is_before and not any(isinstance(outer, FunctionNode) for outer in around)

    def leaves_in_time(self, statement: ast.stmt) -> bool:
        """Say whether a jump stands between the end of the path and the step of the optimizer."""
        jumps = isinstance(statement, ast.Continue | ast.Break)
        return jumps and begin(self.points[-1]) < begin(statement) <= self.last


def stretches_of(route: RouteNodes, sides: Sides, *, leads_to_step: bool) -> dict[Scope, Stretch]:
    """Return what is run of the functions that a run passes through.

    Args:
        route: the path.
        sides: the tests that are decided; those around the steps of the optimizer are added.
        leads_to_step: whether to decide these.
    """
    spots: dict[Scope, list[Spot]] = {}
    for spot in (*route.calls, *(() if route.returns_loss else (route.end,))):
        scope = spot.module.function(spot.node) or spot.module.tree
        spots.setdefault(scope, []).append(spot)
    kinds = (StepKind.WINDOW, StepKind.OPTIMIZER)
    given = {spot.module.statement(spot.node) for spot, kind in route.steps if kind in kinds}
    found: dict[Scope, Stretch] = {}
    for scope, inner in spots.items():
        module = inner[0].module
        points = tuple(sorted((spot.node for spot in inner), key=begin))
        loop = next((n for n in _inside(module, points[-1]) if isinstance(n, Loop)), None)
        step = _step(module, scope, points[-1], loop, sides, given)
        if step is not None and leads_to_step:
            sides.lead_to(module, step)
        last = step or _statement(module, points[-1])
        if step is None and leads_to_step and found and isinstance(scope, FunctionNode):
            # it returns to where the step is
            last = scope
        found[scope] = Stretch(module, points, loop, end(last))
    return found


def _step(
    module: Module, scope: Scope, point: Placed, loop: Loop | None, sides: Sides, given: Collection[ast.stmt | None]
) -> ast.stmt | None:
    """Return the step of the optimizer that belongs to a point of a function."""
    after = end(_statement(module, point))
    steps = [
        statement
        for statement in module.own(scope)
        if begin(statement) > after
        and not is_off(module, statement, sides.taken)
        and (is_step(statement) or statement in given)
    ] or [
        statement
        for statement in module.own(scope)
        if begin(statement) > after and not is_off(module, statement, sides.taken) and is_manual_step(statement)
    ]
    steps.sort(key=begin)
    inner = [s for s in steps if loop is not None and loop in module.around(s)]
    return inner[-1] if inner else next(iter(steps), None)


def _statement(module: Module, node: ast.AST) -> ast.stmt:
    statement = module.statement(node)
    assert statement is not None
    return statement


def _inside(module: Module, node: ast.AST) -> Iterator[ast.AST]:
    for outer in module.around(node):
        if isinstance(outer, Scope):
            return
        yield outer
