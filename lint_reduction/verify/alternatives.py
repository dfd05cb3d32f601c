"""Tests that nothing on the path of a loss decides, and of which one side would make it another loss."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lint_reduction.verify.branches import Sides, assigns
from lint_reduction.verify.modules import FunctionNode, Module, Scope

_STORING = ast.Assign | ast.AugAssign | ast.AnnAssign


@dataclass(frozen=True, slots=True)
class Passed:
    """The names of the functions and classes that a path runs through, but those that methods of many classes have."""

    functions: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()

    @classmethod
    def on(cls, module: Module, path: Collection[ast.AST]) -> Passed:
        """Return those of the nodes of a path in a module."""
        scopes = {module.scope(node) for node in path}
        functions = {scope.name for scope in scopes if not isinstance(scope, ast.Module)}
        classes = {outer.name for node in path for outer in module.around(node) if isinstance(outer, ast.ClassDef)}
        return cls(frozenset(functions - {"__init__", "forward", "__call__"}), frozenset(classes))

    def __or__(self, other: Passed) -> Passed:
        return Passed(self.functions | other.functions, self.classes | other.classes)


def keep_off(sides: Sides, module: Module, path: Collection[ast.AST], end: ast.AST, elsewhere: Passed) -> None:
    """Decide the tests of which one side changes what a path computes, where the path is not on it.

    What is done to a loss is on its path, unless it only scales it by constants.

    Args:
        sides: the tests that are decided; more are added.
        module: the module.
        path: the nodes of the path in it.
        end: the last of them.
        elsewhere: what the path runs through in other modules.
    """
    nodes = list(path)
    passed = Passed.on(module, nodes) | elsewhere
    while more := [node for node in _calls(module, passed) if node not in nodes]:
        nodes += more
        passed |= Passed.on(module, more)
    scopes = {module.scope(node) for node in nodes}
    criteria = _criteria(module, path, passed)
    pending, seen = list(scopes), set[Scope]()
    while pending:
        scope = pending.pop()
        if scope not in seen:
            seen.add(scope)
            pending += _decide(sides.taken, module, scope, nodes, end, criteria)


def _calls(module: Module, passed: Passed) -> Iterator[ast.Call]:
    table = module.about(_Nodes)
    yield from (call for name in passed.functions for call in table.calls.get(name, ()))


class _Nodes:
    """The calls and functions of a module by name, and the nodes of each of its scopes."""

    def __init__(self, module: Module) -> None:
        self.calls: dict[str, list[ast.Call]] = {}
        self.functions: dict[str, list[FunctionNode]] = {}
        self.own: dict[Scope, list[ast.AST]] = {}
        for node in ast.walk(module.tree):
            self.own.setdefault(module.scope(node), []).append(node)
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name)):
                    self.calls.setdefault(name, []).append(node)
            if isinstance(node, FunctionNode):
                self.functions.setdefault(node.name, []).append(node)


def _criteria(module: Module, path: Collection[ast.AST], passed: Passed) -> set[str]:
    """Return the variables and attributes that hold a criterion of the path: it is built there, or its class is."""
    table = module.about(_Nodes)
    storing = [statement for nodes in table.own.values() for statement in nodes if isinstance(statement, _STORING)]
    whole = {module.statement(node) for node in path}
    return {name for s in storing if s in whole or _called(s.value) & passed.classes for name in _kept(s)}


def _decide(
    taken: dict[ast.AST, bool],
    module: Module,
    scope: Scope,
    path: Collection[ast.AST],
    end: ast.AST,
    criteria: set[str],
) -> Iterator[Scope]:
    """Decide the tests of a function, and yield the functions that make what it makes the loss of."""
    on_path = {inner for node in path for inner in (node, *module.around(node))}
    nodes = module.about(_Nodes).own.get(scope, [])
    whole = {module.statement(node) for node in path}
    direct = {name for s in nodes if isinstance(s, _STORING) and s in whole for name in _stored(s)}
    # where a criterion is built on the path, what it returns is on it as well
    direct |= {name for s in nodes if isinstance(s, _STORING) and _called(s.value) & direct for name in _stored(s)}
    # one that is built elsewhere may be used for another term, which a test adds
    calls = [s for s in nodes if isinstance(s, _STORING) and _called(s.value) & criteria]
    direct |= {name for s in calls if not _is_optional(module, s, on_path) for name in _stored(s)}
    carriers = _carriers(nodes, whole, direct, end)
    for node in nodes:
        if not isinstance(node, ast.If) or node in taken or node in on_path or assigns(node.test):
            continue
        if not node.orelse and _alone_reads(node, nodes, direct):
            # a term that is nowhere else made a part of the loss
            taken[node] = True
            continue
        changing = [_changes(block, carriers) for block in (node.body, node.orelse)]
        if all(changing):
            changing = [not _only_scales(block, carriers) for block in (node.body, node.orelse)]
        if changing[0] is not changing[1]:
            taken[node] = changing[1]
    made = {name for s in nodes if isinstance(s, _STORING) and _stored(s) & carriers for name in _called(s.value)}
    yield from (function for name in made for function in module.about(_Nodes).functions.get(name, ()))


def _is_optional(module: Module, statement: ast.stmt, on_path: Collection[ast.AST]) -> bool:
    """Whether a statement stands on a side of a test of its function that the path does not run through."""
    for outer in module.around(statement):
        if isinstance(outer, Scope):
            break
        if isinstance(outer, ast.If) and outer not in on_path:
            return True
    return False


def _carriers(nodes: Sequence[ast.AST], whole: Collection[ast.stmt | None], direct: set[str], end: ast.AST) -> set[str]:
    """Return the variables of a function that hold the loss, a term of it, or something that is computed from it."""
    carriers = set(direct)
    for node in nodes:
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Name | ast.BinOp):
            carriers |= _combined(node.value)
    if end in nodes and not isinstance(end, Scope):
        carriers |= {n.id for n in ast.walk(end) if isinstance(n, ast.Name)}
    statements = [s for s in nodes if isinstance(s, _STORING) and s.value is not None]
    on_path = {s.value for s in statements if s in whole}
    while True:
        more = {name for s in statements if s.value is not None and _read(s.value) & carriers for name in _stored(s)}
        made = [s.value for s in statements if s.value is not None and _stored(s) & carriers]
        made = [value for value in made if value not in on_path or _adds(value)]
        more |= {name for value in made for name in _combined(value)}
        if more <= carriers:
            return carriers
        carriers |= more


def _adds(node: ast.AST) -> bool:
    """Say whether an expression adds something up: the terms are on the path with the total."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)


def _combined(node: ast.AST) -> set[str]:
    """Return the variables that an expression scales or adds up; what a function makes of its arguments is another."""
    match node:
        case ast.Name(id=name):
            return {name}
        case ast.BinOp(left=left, right=right):
            return _combined(left) | _combined(right)
        case ast.List(elts=entries) | ast.Tuple(elts=entries) | ast.Dict(values=entries):
            return set().union(*map(_combined, entries))
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name)), args=arguments):
            return {name}.union(*(_combined(a) for a in arguments if not isinstance(a, ast.Name)))
        case ast.Call(args=arguments):
            return set().union(*(_combined(a) for a in arguments if not isinstance(a, ast.Name)))
    return set()


def _alone_reads(node: ast.If, nodes: Sequence[ast.AST], direct: Collection[str]) -> bool:
    """Whether a block is the only place that reads a variable of the path, but for what is stored in it again."""
    inside = set(ast.walk(node))
    again = {n for s in nodes if isinstance(s, _STORING) for n in ast.walk(s) if getattr(n, "id", "") in _stored(s)}
    read = [n for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id in direct]
    read = [n for n in read if n not in again]
    return bool({n.id for n in read if n in inside} - {n.id for n in read if n not in inside})


def _kept(statement: ast.stmt) -> set[str]:
    """Return the variables and attributes that a statement stores to."""
    stores = [
        n for n in ast.walk(statement) if isinstance(n, ast.Name | ast.Attribute) and isinstance(n.ctx, ast.Store)
    ]
    return {n.id if isinstance(n, ast.Name) else n.attr for n in stores}


def _called(node: ast.expr | None) -> set[str]:
    """Return the name of the function whose result an expression is."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name)):
            return {name}
    return set()


def _changes(block: Sequence[ast.stmt], carriers: Collection[str]) -> bool:
    return any(name in carriers for statement in block for name in _stored(statement))


def _only_scales(block: Sequence[ast.stmt], carriers: set[str]) -> bool:
    """Whether all that is done in a block is arithmetic of one variable with numbers that are written out."""
    return all(
        isinstance(s, ast.Assign | ast.AugAssign)
        and len(_read(s.value) | (_read(s.target) if isinstance(s, ast.AugAssign) else set())) == 1
        and _read(s.value) <= carriers
        and not any(isinstance(node, ast.Call | ast.Attribute | ast.Subscript) for node in ast.walk(s))
        for s in block
    )


def _read(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _stored(statement: ast.stmt) -> set[str]:
    """Return the variables that a statement stores to; a definition stores nothing of what is in it."""
    if isinstance(statement, Scope):
        return set()
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
