"""What an expression needs to be evaluated: variables and attributes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from lint_reduction.verify.bindings import arguments

_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(slots=True)
class Uses:
    """The variables and attributes that expressions use.

    Attributes:
        is_boundary: says of a call that what comes back does not hang on its arguments, as far as anybody can tell.
        sides: conditional expressions whose outcome is decided.
        known: expressions whose value is known, so that nothing is needed for them.
        names: variables.
        attributes: attributes of anything.
    """

    is_boundary: Callable[[ast.Call], bool]
    sides: Mapping[ast.AST, bool] = field(default_factory=dict)
    known: Collection[ast.AST] = ()
    names: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)

    def add(self, node: ast.AST, own: frozenset[str] = frozenset()) -> None:
        """Add what a node uses.

        Args:
            node: an expression, or a part of one.
            own: the variables of the lambdas and comprehensions around it.
        """
        if node in self.known:
            return
        match node:
            case ast.Name(id=name):
                if name not in own and not isinstance(node.ctx, ast.Store):
                    self.names.add(name)
                return
            case ast.Attribute(attr=attribute):
                self.attributes.add(attribute)
            case ast.IfExp() if node in self.sides:
                self.add(node.body if self.sides[node] else node.orelse, own)
                return
            case ast.Lambda():
                for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)):
                    self.add(default, own)
                self.add(node.body, own | {argument.arg for argument in arguments(node.args)})
                return
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                targets = [name for g in node.generators for name in ast.walk(g.target) if isinstance(name, ast.Name)]
                own = own | {name.id for name in targets}
            case ast.Call():
                self._add_attribute_by_name(node)
                if self.is_boundary(node):
                    self.add(node.func, own)
                    return
        for child in ast.iter_child_nodes(node):
            self.add(child, own)

    def _add_attribute_by_name(self, call: ast.Call) -> None:
        match call:
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(name)), *_]):
                self.attributes.add(name)


def evaluated(statement: ast.stmt, sides: Mapping[ast.AST, bool]) -> list[ast.AST]:
    """Return what of a statement is evaluated when it is reached, apart from the statements in it."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            defaults = [d for d in (*statement.args.defaults, *statement.args.kw_defaults) if d is not None]
            return [*statement.decorator_list, *defaults]
        case ast.ClassDef():
            return [*statement.decorator_list, *statement.bases, *statement.keywords]
        case ast.If() | ast.While():
            return [] if statement in sides else [statement.test]
        case ast.For() | ast.AsyncFor():
            return [statement.iter]
        case ast.With() | ast.AsyncWith():
            return [item.context_expr for item in statement.items]
        case ast.Match():
            if any(case.pattern in sides for case in statement.cases):
                return []
            guards = [case.guard for case in statement.cases if case.guard is not None]
            return [statement.subject, *guards, *(case.pattern for case in statement.cases)]
        case ast.Try():
            return []
        case ast.AnnAssign():
            return [statement.target, *([statement.value] if statement.value is not None else [])]
    return list(ast.iter_child_nodes(statement))


def changed(statement: ast.stmt) -> str:
    """Return the variable that a statement changes what is in it, empty if none: it is read for that."""
    match statement:
        case ast.AugAssign(target=ast.Name(id=name)):
            return name
    return ""


def chain_of(node: ast.AST) -> list[str]:
    """Return the parts of ``a.b.c``, nothing for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []
