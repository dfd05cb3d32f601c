"""Which functions of a module can concern a loss; the others are not even parsed by libcst."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lint_reduction.analysis.outline import Definition, Outline, children, top_of
from lint_reduction.libraries import Libraries

#: What a loss of one's own reduces with; the ``forward`` of a class is looked at only if it has one of them.
_REDUCTIONS = frozenset({"sum", "mean", "reduce", "nansum", "nanmean", "div", "mul"})
_ADDING = frozenset({"sum", "mean", "reduce", "nansum", "nanmean", "size", "numel"})
#: How a program says what its options are.
_OPTIONS = frozenset({"add_argument", "ArgumentParser", "parse_args", "DataLoader", "yaml", "OmegaConf"})
_CALLED_BY_INSTANCE = ("__init__", "forward", "__call__")
#: A function that trains, and what gradients are called; and the method that trains.
_GRAD, _BACKWARD = "grad", "backward"
_TOO_COMMON = frozenset({"", *_CALLED_BY_INSTANCE})


@dataclass(frozen=True, slots=True)
class Relevant:
    """What of a module is worth a closer look.

    Attributes:
        functions: qualified names of the functions, None for all of them.
        loss_words: names under which losses may be called in this module.
        window_words: keywords under which a number of micro-batches is handed on.
        anything: whether there is anything to find at all.
        trains: whether something may be trained on here.
    """

    functions: frozenset[str] | None
    loss_words: frozenset[str]
    window_words: frozenset[str]
    anything: bool
    trains: bool = True


def relevant(
    outline: Outline | None,
    libraries: Libraries,
    *,
    inherits: bool = False,
    given: frozenset[str] = frozenset(),
    taken: frozenset[str] | None = None,
) -> Relevant:
    """Choose the functions that can concern a loss.

    Those that mention a loss or train on something, those that mention what the former define, what these
    call, and the constructors of their classes, until nothing is new. Where nothing is trained on, a loss
    written as arithmetic is never reported, so that only what mentions the losses of libraries counts.

    Args:
        outline: of the module, None if it could not be made.
        libraries: says which names are losses and sinks.
        inherits: whether a class has a base in another module that trains on something.
        given: names of losses of the project, which another module may train on for this one.
        taken: the methods here that a trainer may call, None for all that are called like one.
    """
    names = libraries.loss_names()
    if outline is None:
        return Relevant(None, names, libraries.names.window_words, True)
    definitions = outline.definitions
    loss_words = names | _aliases(outline, names) | given
    steps = frozenset(libraries.returns)
    is_trained = inherits or bool(given) or trains(outline, libraries, taken)
    seeds = loss_words | libraries.sink_words() if is_trained else loss_words
    first = [d for d in definitions if d.own & seeds or d.name in steps]
    carriers = {name for d in first for name in _carriers(d, loss_words)}
    first += [d for d in definitions if d.own & carriers and d not in first]
    graph = _Graph(definitions, seeds, is_trained)
    if is_trained:
        # criterion = OwnLoss("sum"), or a script: nothing else mentions what the module itself calls
        first += [d for d in graph.called_from(definitions[0]) if d not in first]
    chosen = graph.closure(first)
    functions = frozenset(d.qualname for d in chosen if d.is_function)
    return Relevant(functions, loss_words, libraries.names.window_words, bool(first), is_trained)


def trains(outline: Outline, libraries: Libraries, taken: frozenset[str] | None = None) -> bool:
    """Say whether something may be trained on in a module, with the methods that a trainer may call there."""
    sinks, steps = libraries.sink_words(), frozenset(libraries.returns) if taken is None else taken
    if any(d.name in steps for d in outline.definitions):
        return True
    training = (d for d in outline.definitions if d.own & sinks and not _differentiates(d))
    return any(
        bool(d.own & sinks - {_GRAD, _BACKWARD})
        or (_BACKWARD in d.own and not _propagates(d))
        or (_GRAD in d.own and _calls_grad(d))
        for d in training
    )


def _propagates(definition: Definition) -> bool:
    """Say whether all that is trained on in a function is given a gradient that was handed in: it is no loss."""
    node = definition.node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    handed = {arg.arg for arg in node.args.args if _GRAD in arg.arg}
    calls = [part for part in ast.walk(node) if isinstance(part, ast.Call) and _last_name(part.func) == _BACKWARD]
    mentions = sum(
        isinstance(part, (ast.Attribute, ast.Name)) and _last_name(part) == _BACKWARD for part in ast.walk(node)
    )
    given = (call.args[0] if call.args else None for call in calls)
    return len(calls) == mentions and all(isinstance(first, ast.Name) and first.id in handed for first in given)


def _differentiates(definition: Definition | None) -> bool:
    """Say whether a definition is in the ``backward`` of a function of one's own: it trains on nothing."""
    while definition is not None:
        decorators = getattr(definition.node, "decorator_list", ())
        if definition.name == _BACKWARD and any(getattr(d, "id", "") == "staticmethod" for d in decorators):
            return True
        definition = definition.parent
    return False


def _calls_grad(definition: Definition) -> bool:
    """Say whether a definition has a use for ``autograd.grad``; most that are called so are attributes of tensors."""
    for node in ast.walk(definition.node):
        if isinstance(node, ast.Call) and _last_name(node.func) == _GRAD:
            return True
        if isinstance(node, ast.Attribute) and node.attr == _GRAD and _last_name(node.value) in ("autograd", "func"):
            return True
        if isinstance(node, ast.alias) and node.name == _GRAD:
            return True
    return False


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def requested(outline: Outline, libraries: Libraries, names: frozenset[str]) -> Relevant:
    """Choose the functions that concern what an importer names: those and what they call.

    Args:
        outline: of the module that is imported.
        libraries: says which names are losses.
        names: the names that the importer uses.
    """
    loss_names = libraries.loss_names()
    loss_words = loss_names | _aliases(outline, loss_names)
    seeds = loss_words | libraries.sink_words()
    graph = _Graph(outline.definitions, seeds, trains=True)
    chosen: set[Definition] = set()
    queue = [d for d in outline.definitions[1:] if d.name in names and d.parent is outline.definitions[0]]
    while queue:
        definition = queue.pop()
        if definition not in chosen:
            chosen.add(definition)
            queue += graph.needs(definition)
    words = seeds | _ADDING | _OPTIONS | {"step"} | {name.rpartition(".")[2] for name in libraries.optimizers}
    steps = frozenset(libraries.returns)
    goals = [d for d in chosen if d.own & words or d.name in steps or _returns_comparison(d) or _sets_options(d)]
    carriers = {name for d in goals for name in _carriers(d, loss_words)}
    goals += [d for d in chosen if d.own & carriers and d not in goals]
    kept = graph.leading_to(goals, chosen)
    functions = frozenset(d.qualname for d in kept if d.is_function)
    return Relevant(functions, loss_words, libraries.names.window_words, bool(chosen))


def _returns_comparison(definition: Definition) -> bool:
    """Say whether a function may make a mask."""
    returned = (node.value for node in definition.node.body if isinstance(node, ast.Return) and node.value is not None)
    return any(isinstance(part, ast.Compare) for value in returned for part in ast.walk(value))


def _sets_options(definition: Definition) -> bool:
    """Say whether a function may change the settings that it is handed: ``config["reduction"] = "mean"``."""
    node = definition.node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    handed = {arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)} - {"self", "cls"}
    stores = (
        p for p in ast.walk(node) if isinstance(p, (ast.Subscript, ast.Attribute)) and isinstance(p.ctx, ast.Store)
    )
    return any(_root_name(store) in handed for store in stores)


def _root_name(node: ast.expr) -> str:
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def imported_bases(outline: Outline) -> Iterator[str]:
    """Yield the dotted names of the bases of classes that are imported at the top of a module."""
    imports = top_of(outline).imports
    for definition in outline.definitions:
        for base in bases_of(definition):
            first, _, rest = base.partition(".")
            if first in imports:
                yield f"{imports[first]}.{rest}" if rest else imports[first]


def bases_of(definition: Definition) -> Iterator[str]:
    """Yield the bases of a class as they are written, without what is in brackets."""
    for base in definition.node.bases if isinstance(definition.node, ast.ClassDef) else ():
        names: list[str] = []
        node = base.value if isinstance(base, ast.Subscript) else base
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            yield ".".join([node.id, *reversed(names)])


def _aliases(outline: Outline, names: frozenset[str]) -> set[str]:
    """Return other names that losses are imported under: ``from torch.nn import MSELoss as Mse``."""
    imports = (node for node in outline.imports if isinstance(node, ast.ImportFrom))
    return {a.asname for node in imports for a in node.names if a.asname and a.name in names}


class _Graph:
    """Who mentions whom."""

    def __init__(self, definitions: Sequence[Definition], seeds: frozenset[str], trains: bool) -> None:
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

    def needs(self, definition: Definition) -> Iterator[Definition]:
        """Yield what a definition needs to be understood: inner ones, methods, bases, and what it calls."""
        if definition.is_class:
            yield from self.inner[definition]
            yield from (d for name in definition.own for d in self.named.get(name, ()) if d.is_class)
        elif definition.is_function:
            yield from self.inner[definition]
            yield from self._callees(definition)

    def leading_to(self, goals: Iterable[Definition], among: set[Definition]) -> set[Definition]:
        """Return what of some definitions is or leads to one of the goals, and the constructors of its classes."""
        kept = set(goals)
        queue = list(kept)
        while queue:
            definition = queue.pop()
            before = [*self._around(definition), *self._callers(definition)]
            if definition.name in _CALLED_BY_INSTANCE and definition.parent is not None:
                before += self._callers(definition.parent)
            for other in before:
                if other in among and other not in kept:
                    kept.add(other)
                    queue.append(other)
        return kept

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
        return iter(()) if definition.parent is None else self.called_from(definition)

    def called_from(self, definition: Definition) -> Iterator[Definition]:
        """Yield the functions that a definition may call, and those of the classes that it may make."""
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
