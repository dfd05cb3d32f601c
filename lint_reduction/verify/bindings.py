"""Which statements of a module give a name or an attribute its value, without regard to the order they run in."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from lint_reduction.verify.modules import FunctionNode, Module, Scope

_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
#: Methods that change what they are called on and return nothing that matters.
_MUTATING = frozenset(
    "append extend insert add update setdefault add_param_group set_defaults add_module appendleft".split()
)
#: Methods that give an attribute of the object a value, whose name is the first argument.
_REGISTERING = frozenset({"register_buffer", "register_parameter", "setattr"})


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """One name of an import statement.

    Attributes:
        statement: the statement.
        name: the local name, dotted for ``import a.b``; ``*`` for all names.
        dotted: what it leads to, with leading dots where it is relative.
    """

    statement: ast.stmt
    name: str
    dotted: str


@dataclass(frozen=True, slots=True, eq=False)
class AttributeStore:
    """A statement that gives an attribute of a variable a value, or changes that value.

    Attributes:
        statement: the statement.
        scope: whose variable it is.
        root: the variable; empty for an option of a command line, which ends up in another one.
        attribute: the attribute.
    """

    statement: ast.stmt
    scope: Scope
    root: str
    attribute: str


@dataclass(eq=False)
class Names:
    """The names of a module.

    Attributes:
        module: the module.
        bound: the names that each scope binds.
        definers: the statements that bind a name of a scope, or change what it is bound to.
        members: for each class its statements by the attribute that they define.
        stores: the statements that define an attribute of a variable, by that attribute.
        imported: what each scope imports, by the first part of the local name.
        stars: the imports of all names.
    """

    module: Module
    bound: dict[Scope, set[str]] = field(default_factory=dict)
    definers: dict[tuple[Scope, str], list[ast.stmt]] = field(default_factory=dict)
    members: dict[ast.ClassDef, dict[str, list[ast.stmt]]] = field(default_factory=dict)
    stores: dict[str, list[AttributeStore]] = field(default_factory=dict)
    imported: dict[tuple[Scope, str], list[Imported]] = field(default_factory=dict)
    stars: list[Imported] = field(default_factory=list)

    def __post_init__(self) -> None:
        nodes = list(ast.walk(self.module.tree))
        outer = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
        for node in nodes:
            if isinstance(node, Scope):
                self.bound.setdefault(node, set())
                if isinstance(node, FunctionNode):
                    self.bound[node] |= {argument.arg for argument in arguments(node.args)}
        for node in nodes:
            if isinstance(node, ast.stmt):
                self._add_bindings(node, outer)
        # which variables there are decides whose attribute it is
        for node in nodes:
            if isinstance(node, ast.stmt):
                for path in changes(node):
                    self._add_change(node, path)
                for statement, path in _group_changes(node):
                    self._add_change(statement, path)
                for option in options(node):
                    store = AttributeStore(node, self.module.scope(node), "", option)
                    self.stores.setdefault(option, []).append(store)

    def owner(self, scope: Scope, name: str) -> Scope | None:
        """Return the scope that a name belongs to where it is used, None if it is none of the module."""
        inner = scope
        while True:
            if name in self.bound[scope] and (scope is inner or not isinstance(scope, ast.ClassDef)):
                return scope
            if isinstance(scope, ast.Module):
                return None
            scope = self.module.scope(scope)

    def _add_bindings(self, statement: ast.stmt, outer: set[str]) -> None:
        scope = self.module.scope(statement)
        for name in bindings(statement):
            home: Scope = self.module.tree if name in outer else scope
            self.bound[home].add(name)
            self.definers.setdefault((home, name), []).append(statement)
            if isinstance(home, ast.ClassDef):
                self.members.setdefault(home, {}).setdefault(name, []).append(statement)
        for imported in _imports(statement):
            if imported.name == "*":
                self.stars.append(imported)
                continue
            first = imported.name.partition(".")[0]
            self.bound[scope].add(first)
            self.imported.setdefault((scope, first), []).append(imported)

    def _add_change(self, statement: ast.stmt, path: tuple[str, ...]) -> None:
        scope = self.owner(self.module.scope(statement), path[0])
        if scope is None:
            return
        if len(path) == 1:
            self.definers.setdefault((scope, path[0]), []).append(statement)
            return
        home = self._home(scope, path[0])
        if home is not None:
            self.members.setdefault(home, {}).setdefault(path[1], []).append(statement)
        else:
            self.stores.setdefault(path[1], []).append(AttributeStore(statement, scope, path[0], path[1]))

    def _home(self, scope: Scope, root: str) -> ast.ClassDef | None:
        """Return the class whose ``self`` or ``cls`` a variable is."""
        if not isinstance(scope, FunctionNode):
            return None
        positional = [*scope.args.posonlyargs, *scope.args.args]
        is_first = bool(positional) and positional[0].arg == root
        return self.module.class_of(scope) if is_first else None


def arguments(node: ast.arguments) -> list[ast.arg]:
    """Return all parameters of a function."""
    several = [argument for argument in (node.vararg, node.kwarg) if argument is not None]
    return [*node.posonlyargs, *node.args, *node.kwonlyargs, *several]


def header(statement: ast.stmt) -> list[ast.AST]:
    """Return what of a statement is evaluated by itself: all but the statements in it."""
    inner = (ast.stmt, ast.excepthandler, ast.match_case)
    return [child for child in ast.iter_child_nodes(statement) if not isinstance(child, inner)]


def bindings(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement binds in the scope it stands in."""
    if isinstance(statement, (FunctionNode, ast.ClassDef)):
        yield statement.name
        return
    if isinstance(statement, (ast.AugAssign, ast.Delete)):
        # they bind nothing anew; what they change is a change
        return
    parts = header(statement)
    if isinstance(statement, ast.Match):
        parts += [part for case in statement.cases for part in (case.pattern, case.guard) if part is not None]
    for part in parts:
        yield from _stored(part)


def _stored(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name is not None:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest is not None:
        yield node.rest
    for child in ast.iter_child_nodes(node):
        # the variables of a comprehension are its own
        if not isinstance(child, ast.comprehension):
            yield from _stored(child)


def changes(statement: ast.stmt) -> Iterator[tuple[str, ...]]:
    """Yield what a statement changes: a variable alone, or followed by the names of an attribute of it."""
    targets: list[ast.expr] = []
    match statement:
        case ast.Assign():
            targets = list(statement.targets)
        case ast.AnnAssign() | ast.AugAssign() | ast.For() | ast.AsyncFor():
            targets = [statement.target]
        case ast.Expr(value=ast.Call() as call):
            yield from _changed_by(call)
    while targets:
        target = targets.pop()
        match target:
            case ast.Tuple() | ast.List():
                targets += target.elts
            case ast.Starred():
                targets.append(target.value)
            case ast.Attribute() | ast.Subscript():
                path = _path(_grouped(target) or target)
                if path:
                    yield path
            case ast.Name() if isinstance(statement, ast.AugAssign):
                yield (target.id,)


def _grouped(node: ast.expr) -> ast.expr | None:
    """Return the optimizer of ``optimizer.param_groups[0]["lr"]``, None for anything else."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute) and node.attr == "param_groups":
            return node.value
        node = node.value
    return None


def _group_changes(node: ast.stmt) -> Iterator[tuple[ast.stmt, tuple[str, ...]]]:
    """Yield the statements in a loop over the groups of an optimizer that change a group, with the optimizer."""
    if not isinstance(node, ast.For):
        return
    groups = node.iter.args[0] if isinstance(node.iter, ast.Call) and node.iter.args else node.iter
    path = _path(_grouped(groups) or ast.Constant(None))
    names = {inner.id for inner in ast.walk(node.target) if isinstance(inner, ast.Name)}
    for statement in ast.walk(node) if path else ():
        if isinstance(statement, ast.stmt) and any(changed[0] in names for changed in changes(statement)):
            yield statement, path


def _changed_by(call: ast.Call) -> Iterator[tuple[str, ...]]:
    function = call.func
    literals = tuple(str(a.value) for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str))
    if isinstance(function, ast.Name) and function.id == "setattr" and len(call.args) == 3:
        path, name = _path(call.args[0]), call.args[1]
        if path:
            # which attribute it is that no literal names shows only when it is run
            yield (path[0], str(name.value)) if isinstance(name, ast.Constant) else path
    if not isinstance(function, ast.Attribute):
        return
    if function.attr == "all_reduce" and call.args:
        path = _path(call.args[0])
        if path:
            yield path
    path = _path(function.value)
    if not path:
        return
    if function.attr in _REGISTERING and literals:
        yield (path[0], literals[0])
    elif function.attr in _MUTATING or (function.attr.endswith("_") and not function.attr.endswith("__")):
        yield path


def options(statement: ast.stmt) -> Iterator[str]:
    """Yield the names under which an option of a command line is known that a statement declares."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="add_argument")) as call):
            given = [keyword.value for keyword in call.keywords if keyword.arg == "dest"] or call.args
            for name in given:
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield name.value.lstrip("-").replace("-", "_")


def _path(node: ast.expr) -> tuple[str, ...]:
    """Return the variable and the last attribute of a chain like ``x.a[0].b``, empty for anything else."""
    last = ""
    while True:
        match node:
            case ast.Subscript():
                node = node.value
            case ast.Attribute():
                # what is done to `x.__dict__` is done to `x`
                last = last or ("" if node.attr.startswith("__") else node.attr)
                node = node.value
            case ast.Name():
                return (node.id, last) if last else (node.id,)
            case _:
                return ()


def _imports(statement: ast.stmt) -> Iterator[Imported]:
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield Imported(statement, alias.asname or alias.name, alias.name)
    elif isinstance(statement, ast.ImportFrom):
        prefix = "." * statement.level + (statement.module or "")
        for alias in statement.names:
            joint = "" if not prefix or prefix.endswith(".") else "."
            dotted = prefix if alias.name == "*" else f"{prefix}{joint}{alias.name}"
            yield Imported(statement, alias.asname or alias.name, dotted)
