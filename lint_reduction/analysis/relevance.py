"""Which functions of a module can concern a loss; the others are not even parsed by libcst."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lint_reduction.analysis.outline import Definition, Outline, children
from lint_reduction.libraries import Libraries

#: What a loss of one's own reduces with; the ``forward`` of a class is looked at only if it has one of them.
_REDUCTIONS = frozenset({"sum", "mean", "reduce", "nansum", "nanmean", "div", "mul"})
_CALLED_BY_INSTANCE = ("__init__", "forward", "__call__")
_TOO_COMMON = frozenset({"", *_CALLED_BY_INSTANCE})


@dataclass(frozen=True, slots=True)
class Relevant:
    """What of a module is worth a closer look.

    Attributes:
        functions: qualified names of the functions, None for all of them.
        loss_words: names under which losses may be called in this module.
        anything: whether there is anything to find at all.
    """

    functions: frozenset[str] | None
    loss_words: frozenset[str]
    anything: bool


def relevant(outline: Outline | None, libraries: Libraries) -> Relevant:
    """Choose the functions that can concern a loss.

    Those that mention a loss or train on something, those that mention what the former define, what these
    call, and the constructors of their classes, until nothing is new. Where nothing is trained on, a loss
    written as arithmetic is never reported, so that only what mentions the losses of libraries counts.
    """
    names = libraries.loss_names()
    if outline is None:
        return Relevant(None, names, True)
    definitions = outline.definitions
    loss_words = names | _aliases(outline.tree, names)
    sinks = sink_words(libraries)
    steps = frozenset(libraries.returns)
    trains = any(d.own & sinks or d.name in steps for d in definitions)
    seeds = loss_words | sinks if trains else loss_words
    first = [d for d in definitions if d.own & seeds or d.name in steps]
    carriers = {name for d in first for name in _carriers(d, loss_words)}
    first += [d for d in definitions if d.own & carriers and d not in first]
    graph = _Graph(definitions, seeds, trains)
    chosen = graph.closure(first)
    return Relevant(frozenset(d.qualname for d in chosen if d.is_function), loss_words, bool(first))


def sink_words(libraries: Libraries) -> frozenset[str]:
    """Return the names of which one is used where a loss is trained on, unless a trainer calls a step."""
    words = {"backward", "functional_grad"}
    for sink in libraries.tables.sinks:
        for name in (sink.method, sink.function, sink.criterion_of):
            # an engine that is called is known by its class
            words.add(name.removesuffix(".__call__").rpartition(".")[2])
    words |= {name for name, role in libraries.names.roles.items() if role == "loss_scaler"}
    words |= {"grad", "value_and_grad", "minimize"}
    return frozenset(word for word in words if word)


def _aliases(tree: ast.Module, names: frozenset[str]) -> set[str]:
    """Return other names that losses are imported under: ``from torch.nn import MSELoss as Mse``."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {a.asname for node in imports for a in node.names if a.asname and a.name in names}


class _Graph:
    """Who mentions whom."""

    def __init__(self, definitions: tuple[Definition, ...], seeds: frozenset[str], trains: bool) -> None:
        self.seeds = seeds
        self.trains = trains
        self.named: dict[str, list[Definition]] = defaultdict(list)
        self.mentioning: dict[str, list[Definition]] = defaultdict(list)
        self.inner: dict[Definition | None, list[Definition]] = defaultdict(list)
        for definition in definitions[1:]:
            self.named[definition.name].append(definition)
            self.inner[definition.parent].append(definition)
        defined = set(self.named)
        for definition in definitions[1:]:
            for name in definition.own & defined:
                self.mentioning[name].append(definition)

    def closure(self, first: Iterable[Definition]) -> set[Definition]:
        """Return some definitions and all that concern them."""
        chosen = set(first)
        queue = list(chosen)
        while queue:
            definition = queue.pop()
            for other in (*self._around(definition), *self._callers(definition), *self._callees(definition)):
                if other not in chosen:
                    chosen.add(other)
                    queue.append(other)
        return chosen

    def _around(self, definition: Definition) -> Iterator[Definition]:
        parent = definition.parent
        if parent is not None and parent.parent is not None:
            yield parent
            if parent.is_class:
                yield from (d for d in self.inner[parent] if d.name in ("__init__", "configure_optimizers"))
        if definition.is_function:
            yield from self.inner[definition]
        elif definition.is_class and definition.own & self.seeds:
            # it may be a loss by inheritance
            yield from (d for d in self.inner[definition] if d.name in _CALLED_BY_INSTANCE)

    def _callers(self, definition: Definition) -> Iterable[Definition]:
        return () if definition.name in _TOO_COMMON else self.mentioning[definition.name]

    def _callees(self, definition: Definition) -> Iterator[Definition]:
        if definition.parent is None:
            return
        for name in definition.own:
            for callee in self.named.get(name, ()):
                if callee.is_function:
                    if self.trains or callee.own & _REDUCTIONS:
                        yield callee
                elif self.trains:
                    yield callee
                    yield from (d for d in self.inner[callee] if self._is_called(d))

    def _is_called(self, method: Definition) -> bool:
        """Say whether a method runs when an instance is made or called, and may reduce something."""
        return method.name in _CALLED_BY_INSTANCE and bool(method.own & (self.seeds | _REDUCTIONS))


def _carriers(definition: Definition, loss_words: frozenset[str]) -> Iterator[str]:
    """Yield the names that a definition binds to an expression that mentions a loss."""
    stack: list[ast.AST] = list(definition.node.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Return):
            if node.value is not None and _mentions(node.value, loss_words):
                yield definition.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            if node.value is not None and _mentions(node.value, loss_words):
                yield from _bound_names(node, is_function=definition.is_function)
        elif isinstance(node, (ast.stmt, ast.ExceptHandler)) and not isinstance(node, _DEFINITIONS):
            stack.extend(c for c in children(node) if isinstance(c, (ast.stmt, ast.ExceptHandler)))


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _bound_names(node: ast.Assign | ast.AnnAssign, *, is_function: bool) -> Iterator[str]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Attribute):
            yield target.attr
        elif isinstance(target, ast.Name) and not is_function:
            yield target.id


def _mentions(node: ast.AST, words: frozenset[str]) -> bool:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in words:
            return True
        if isinstance(part, ast.Attribute) and part.attr in words:
            return True
    return False
