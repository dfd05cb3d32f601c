"""Which definitions have to do with the loss of a finding: a model that does not stays outside of an experiment."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass, field

from lint_reduction.verify.bindings import Names
from lint_reduction.verify.modules import FunctionNode, Module

#: Methods that every model and trainer has: to mention one says nothing.
_COMMON = frozenset("forward train eval to step update main run fit close reset setup init build".split())


@dataclass(frozen=True, slots=True)
class Mentions:
    """The names and attributes that a piece of code mentions."""

    names: frozenset[str]
    attributes: frozenset[str]


@dataclass(eq=False)
class Relevance:
    """The definitions that hold a place on the path of a loss, or mention one that does.

    Attributes:
        places: the nodes on the path whose value is the loss, or is used for it.
        route: the functions that the run passes through on its way: to mention them says nothing.
        names: of relevant functions, classes and variables of a module.
        attributes: of relevant methods, attributes and members of a module.
    """

    places: Collection[ast.AST]
    route: Collection[ast.AST]
    names: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    _modules: list[tuple[Module, Names, list[ast.stmt]]] = field(default_factory=list)
    _holders: set[ast.AST] = field(default_factory=set)
    _mentions: dict[ast.AST, Mentions] = field(default_factory=dict)

    def add(self, module: Module, names: Names) -> None:
        """Take a module into account."""
        statements = [node for node in ast.walk(module.tree) if isinstance(node, ast.stmt)]
        self._modules.append((module, names, statements))
        for place in self.places:
            if place in module.parents:
                self._holders |= {place, *module.around(place)}
        while any(self._spread(*known) for known in self._modules):
            pass

    def concerns(self, module: Module, names: Names, node: ast.AST) -> bool:
        """Say whether a piece of code holds a place on the path, or mentions something that does."""
        if node in self._holders:
            return True
        mentions = self._mentions.get(node)
        if mentions is None:
            mentions = self._mentions[node] = _mentions(node, names)
        return bool(mentions.names & self.names or mentions.attributes & self.attributes)

    def _spread(self, module: Module, names: Names, statements: list[ast.stmt]) -> bool:
        before = len(self.names) + len(self.attributes)
        for statement in statements:
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    if statement not in self.route and self.concerns(module, names, statement):
                        self._add_definition(module, statement)
                case ast.Assign() | ast.AnnAssign():
                    if self.concerns(module, names, statement):
                        self._add_targets(module, statement)
        return len(self.names) + len(self.attributes) > before

    def _add_definition(self, module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        if isinstance(node, FunctionNode) and module.class_of(node) is not None:
            if node.name not in _COMMON and not node.name.startswith("__"):
                self.attributes.add(node.name)
            return
        self.names.add(node.name)
        if node.name not in _COMMON:
            self.attributes.add(node.name)

    def _add_targets(self, module: Module, statement: ast.Assign | ast.AnnAssign) -> None:
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            if isinstance(target, ast.Attribute):
                self.attributes.add(target.attr)
            elif isinstance(target, ast.Name) and isinstance(module.parents[statement], ast.Module):
                self.names.add(target.id)


def _mentions(node: ast.AST, names: Names) -> Mentions:
    called: set[str] = set()
    attributes: set[str] = set()
    aliases = {i.name: i.dotted.rpartition(".")[2] for imported in names.imported.values() for i in imported}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            called |= {inner.id, aliases.get(inner.id, inner.id)}
        elif isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Load):
            attributes.add(inner.attr)
    return Mentions(frozenset(called), frozenset(attributes))
