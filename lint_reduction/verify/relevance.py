"""Which definitions have to do with the loss of a finding: a model that does not stays outside of an experiment."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass, field

from lint_reduction.verify.bindings import Names
from lint_reduction.verify.modules import FunctionNode, Module, Work

#: Methods that every model and trainer has: to mention one says nothing.
_COMMON = frozenset("forward train eval to step update main run fit close reset setup init build".split())


_Defining = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True, slots=True)
class Mentioned:
    """The names and attributes that a piece of code mentions."""

    names: frozenset[str]
    attributes: frozenset[str]


class Mentions:
    """What the pieces of a module mention, and which definitions mention something.

    Attributes:
        naming: definitions and assignments by the names that they mention.
        using: the same by attributes.
    """

    def __init__(self, module: Module) -> None:
        imported = module.about(Names).imported.values()
        self._aliases = {i.name: i.dotted.rpartition(".")[2] for entries in imported for i in entries}
        self._known: dict[ast.AST, Mentioned] = {}
        self.naming: dict[str, list[_Defining]] = {}
        self.using: dict[str, list[_Defining]] = {}
        for node in ast.walk(module.tree):
            if isinstance(node, _Defining):
                mentioned = self.of(node)
                for name in mentioned.names:
                    self.naming.setdefault(name, []).append(node)
                for attribute in mentioned.attributes:
                    self.using.setdefault(attribute, []).append(node)

    def of(self, node: ast.AST) -> Mentioned:
        """Return what a piece of code mentions."""
        if node not in self._known:
            self._known[node] = self._find(node)
        return self._known[node]

    def _find(self, node: ast.AST) -> Mentioned:
        called: set[str] = set()
        attributes: set[str] = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                called |= {inner.id, self._aliases.get(inner.id, inner.id)}
            elif isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Load):
                attributes.add(inner.attr)
        return Mentioned(frozenset(called), frozenset(attributes))


@dataclass(eq=False)
class Relevance:
    """The definitions that hold a place on the path of a loss, or mention one that does.

    Attributes:
        places: the nodes on the path whose value is the loss, or is used for it.
        route: the functions that the run passes through on its way: to mention them says nothing.
        work: what finding them may cost.
        names: of relevant functions, classes and variables of a module.
        attributes: of relevant methods, attributes and members of a module.
    """

    places: Collection[ast.AST]
    route: Collection[ast.AST]
    work: Work
    names: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    _modules: list[Module] = field(default_factory=list)
    _holders: set[ast.AST] = field(default_factory=set)
    _todo: list[tuple[Module, _Defining]] = field(default_factory=list)
    _done: set[ast.AST] = field(default_factory=set)

    def add(self, module: Module) -> None:
        """Take a module into account."""
        mentions = module.about(Mentions)
        self._modules.append(module)
        for place in self.places:
            if place in module.parents:
                holders = {place, *module.around(place)}
                self._holders |= holders
                self._todo += [(module, node) for node in holders if isinstance(node, _Defining)]
        for name in self.names & mentions.naming.keys():
            self._todo += [(module, node) for node in mentions.naming[name]]
        for attribute in self.attributes & mentions.using.keys():
            self._todo += [(module, node) for node in mentions.using[attribute]]
        self._spread()

    def concerns(self, module: Module, node: ast.AST) -> bool:
        """Say whether a piece of code holds a place on the path, or mentions something that does."""
        if node in self._holders:
            return True
        mentioned = module.about(Mentions).of(node)
        return bool(mentioned.names & self.names or mentioned.attributes & self.attributes)

    def _spread(self) -> None:
        """Take into account what mentions something that has to do with the loss, and what mentions that."""
        while self._todo:
            module, node = self._todo.pop()
            if node in self._done:
                continue
            self.work.check()
            self._done.add(node)
            if isinstance(node, ast.Assign | ast.AnnAssign):
                self._add_targets(module, node)
            elif node not in self.route:
                self._add_definition(module, node)

    def _add_definition(self, module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        if isinstance(node, FunctionNode) and module.class_of(node) is not None:
            if node.name not in _COMMON and not node.name.startswith("__"):
                self._add_attribute(node.name)
            return
        self._add_name(node.name)
        if node.name not in _COMMON:
            self._add_attribute(node.name)

    def _add_targets(self, module: Module, statement: ast.Assign | ast.AnnAssign) -> None:
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            if isinstance(target, ast.Attribute):
                self._add_attribute(target.attr)
            elif isinstance(target, ast.Name) and isinstance(module.parents[statement], ast.Module):
                self._add_name(target.id)

    def _add_name(self, name: str) -> None:
        if name not in self.names:
            self.names.add(name)
            for module in self._modules:
                self._todo += [(module, node) for node in module.about(Mentions).naming.get(name, ())]

    def _add_attribute(self, attribute: str) -> None:
        if attribute not in self.attributes:
            self.attributes.add(attribute)
            for module in self._modules:
                self._todo += [(module, node) for node in module.about(Mentions).using.get(attribute, ())]
