"""Functions that change gradients, or the options of an optimizer, and calls that hand them what they change."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lint_reduction.verify.bindings import Names
from lint_reduction.verify.effects import called, changes_options, clears, is_effect
from lint_reduction.verify.modules import FunctionNode, Module

#: What tells of an argument that gradients can be reached through it.
_REACHING = frozenset({"parameters", "named_parameters", "param_groups", "grad"})
#: Methods whose owner has gradients, or leads to what has.
_OWNED = frozenset({"parameters", "named_parameters", "zero_grad"})


#: Calls that are given a model, its parameters or an optimizer and change no gradient, by their last name.
HARMLESS = frozenset(
    """print len range enumerate zip list tuple sum any all iter isinstance id type str repr train eval state_dict
    parameters named_parameters modules named_modules children buffers to cpu cuda float half double load_state_dict
    zero_grad step append extend add items keys values item info debug warning error log save size backward""".split()
)


class Methods:
    """The methods of the classes of a module.

    Attributes:
        by_name: them.
    """

    def __init__(self, module: Module) -> None:
        self.by_name: dict[str, list[ast.stmt]] = {}
        for node in ast.walk(module.tree):
            if isinstance(node, FunctionNode) and module.class_of(node) is not None:
                self.by_name.setdefault(node.name, []).append(node)


class Edits:
    """What of a module changes gradients.

    Attributes:
        functions: the names of its functions that do, themselves or by calling one of the others.
        options: the same for functions that change the options of an optimizer.
        trained: the texts of what is trained, or steps: ``model``, ``self.optimizer``, ``params``.
    """

    def __init__(self, module: Module) -> None:
        self._module = module
        nodes = [node for node in ast.walk(module.tree) if isinstance(node, FunctionNode)]
        self.functions = _closed(nodes, {node.name for node in nodes if any(map(edits, _statements(node)))})
        self.options = _closed(nodes, {n.name for n in nodes if any(map(changes_options, _statements(n)))})
        self.trained = frozenset(_trained(module.tree))

    def imported(self, name: str) -> str:
        """Return what a name of the module is called where it is defined."""
        known = self._module.about(Names).imported
        dotted = [i.dotted for (_, first), found in known.items() if first == name for i in found if i.name == name]
        return dotted[0].rpartition(".")[2] if dotted else name

    def is_given(self, call: ast.Call) -> bool:
        """Say whether a call is given something that gradients can be reached through."""
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if isinstance(call.func, ast.Attribute):
            given.append(call.func.value)
        return any(self._reaches(node) for node in given)

    def _reaches(self, node: ast.expr) -> bool:
        if ast.unparse(node) in self.trained:
            return True
        return any(isinstance(inner, ast.Attribute) and inner.attr in _REACHING for inner in ast.walk(node))


def edits(statement: ast.stmt) -> bool:
    """Say whether a statement changes a gradient, apart from clearing it."""
    return is_effect(statement) and not clears(statement)


def call_of(statement: ast.stmt) -> ast.Call | None:
    """Return the call that a statement is, or whose result it assigns; None for any other statement."""
    match statement:
        case ast.Expr(value=ast.Call() as call) | ast.Assign(value=ast.Call() as call):
            return call
    return None


def called_in(statement: ast.stmt) -> str:
    """Return the last name of what a statement calls that is a call, empty for any other."""
    call = call_of(statement)
    return "" if call is None else called(call)


def called_root(call: ast.Call) -> str:
    """Return the variable that what is called is found through, empty if there is none."""
    function: ast.expr = call.func
    while isinstance(function, ast.Attribute | ast.Subscript | ast.Call):
        function = function.func if isinstance(function, ast.Call) else function.value
    return function.id if isinstance(function, ast.Name) else ""


def edits_in(node: ast.AST, names: frozenset[str]) -> bool:
    """Say whether an argument is a function that changes gradients: a lambda, or one of some names."""
    match node:
        case ast.Lambda(body=body):
            return any(edits(ast.Expr(inner)) for inner in ast.walk(body) if isinstance(inner, ast.Call))
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in names
    return False


def _statements(function: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a function and of those in it; calls in expressions count as statements."""
    for node in ast.walk(function):
        if isinstance(node, ast.stmt):
            yield node
        elif isinstance(node, ast.Call):
            yield ast.Expr(node)


def _closed(nodes: list[ast.FunctionDef | ast.AsyncFunctionDef], names: set[str]) -> frozenset[str]:
    """Return the names of some functions and of those that call one of them."""
    # what builds an object changes no other
    names = {name for name in names if not name.startswith("__")}
    nodes = [node for node in nodes if not node.name.startswith("__")]
    calls = {(node.name, frozenset(_called_in(node))) for node in nodes} if names else set()
    while more := {name for name, inner in calls if name not in names and inner & names}:
        names |= more
    return frozenset(names)


def _called_in(function: ast.AST) -> Iterator[str]:
    return (called(node) for node in ast.walk(function) if isinstance(node, ast.Call))


def _trained(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=attr)) if attr in _OWNED:
                yield ast.unparse(owner)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if _mentions_parameters(value):
                    yield name
            case ast.For(target=target, iter=iterated) if _mentions_parameters(iterated):
                yield from (inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name))


def _mentions_parameters(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Attribute) and inner.attr in _OWNED for inner in ast.walk(node))
