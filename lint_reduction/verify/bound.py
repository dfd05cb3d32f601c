"""The names that statements bind."""

from __future__ import annotations

import ast


def bound_names(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a module binds, or changes a part of, itself or in what it holds."""
    match statement:
        case ast.FunctionDef(name=bound) | ast.ClassDef(name=bound):
            return {bound}
        case ast.Import(names=aliases):
            return {alias.asname or alias.name.partition(".")[0] for alias in aliases}
        case ast.ImportFrom(names=aliases):
            return {alias.asname or alias.name for alias in aliases}
        case ast.Assign(targets=targets):
            return set().union(*map(_target_names, targets))
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return _target_names(target)
        case ast.If() | ast.With() | ast.Try() | ast.For() | ast.While():
            return _loop_targets(statement).union(*map(bound_names, blocks(statement)))
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=bound), attr=attr))):
            return {bound} if attr in ("append", "extend", "update", "insert") else set()
    return set()


def blocks(statement: ast.stmt) -> list[ast.stmt]:
    """Return all statements that a statement holds, of all its branches."""
    found = [*getattr(statement, "body", ()), *getattr(statement, "orelse", ()), *getattr(statement, "finalbody", ())]
    for handler in getattr(statement, "handlers", ()):
        found += handler.body
    return found


def _loop_targets(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.For):
        return _target_names(statement.target)
    if isinstance(statement, ast.With):
        return set().union(*(_target_names(item.optional_vars) for item in statement.items if item.optional_vars))
    return set()


def _target_names(target: ast.expr) -> set[str]:
    match target:
        case ast.Name(id=bound):
            return {bound}
        case ast.Tuple(elts=entries) | ast.List(elts=entries):
            return set().union(*map(_target_names, entries))
        case ast.Starred(value=inner) | ast.Subscript(value=inner) | ast.Attribute(value=inner):
            return _target_names(inner)
    return set()


def stored(node: ast.AST) -> frozenset[str]:
    """Return the variables that a node binds."""
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
