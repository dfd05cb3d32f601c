"""Source text to ``ModuleCode``: parse, choose the functions that concern a loss, lower, drop the tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from lint_reduction.analysis.code import ModuleCode
from lint_reduction.analysis.parse import Parsed, parse
from lint_reduction.analysis.positions import locate
from lint_reduction.analysis.statements import StatementLowering
from lint_reduction.analysis.tree import Definition, code_fields, index_definitions
from lint_reduction.facts import Span
from lint_reduction.libraries import Libraries

#: What a class of one's own reduces with; its ``forward`` is lowered only if it has one of them.
_REDUCTIONS = frozenset({"sum", "mean", "reduce", "nansum", "nanmean", "div", "mul"})
_CALLED_BY_INSTANCE = ("__init__", "forward", "__call__")
_TOO_COMMON = frozenset({"", *_CALLED_BY_INSTANCE})


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A lowered module, and the tree for as long as places are wanted."""

    module: ModuleCode
    parsed: Parsed
    marked: Sequence[cst.CSTNode | None]

    def locate(self, marks: Iterable[int]) -> dict[int, Span]:
        """Return the spans of some marks; mark 0 has a span that points nowhere."""
        wanted = sorted(set(marks) | {0})
        spans = locate(self.parsed.tree, [self.marked[mark] for mark in wanted], self.parsed.starts)
        return dict(zip(wanted, spans, strict=True))


def lower_module(path: str, text: str, libraries: Libraries) -> Lowered:
    """Parse and lower a module.

    Args:
        path: for messages; kept in the result.
        text: the decoded source.
        libraries: says which names are losses and sinks.

    Raises:
        SourceError: the text cannot be parsed.
    """
    parsed = parse(text)
    definitions = index_definitions(parsed.tree)
    loss_words = libraries.loss_names() | _aliases(parsed, libraries.loss_names())
    wanted = _wanted(definitions, loss_words, libraries)
    lowering = StatementLowering(loss_words, definitions, wanted)
    body = lowering.block(parsed.tree.body)
    module = ModuleCode(path, body, tuple(lowering.functions), frozenset(lowering.batch_sizes))
    return Lowered(module, parsed, lowering.marked)


def sink_words(libraries: Libraries) -> frozenset[str]:
    """Return the names of which one must occur where a loss is trained on."""
    tables = libraries.tables
    words = {"backward", "functional_grad"}
    for sink in tables.sinks:
        for name in (sink.method, sink.function, sink.returns, sink.criterion_of):
            words.add(name.rpartition(".")[2])
    words.discard("__call__")
    words |= {name for name, role in libraries.names.roles.items() if role == "loss_scaler"}
    words |= {"grad", "value_and_grad", "minimize"}
    return frozenset(word for word in words if word)


def _aliases(parsed: Parsed, names: frozenset[str]) -> set[str]:
    """Return other names that losses are imported under: ``from torch.nn import MSELoss as Mse``."""
    found = set()
    stack: list[cst.CSTNode] = list(parsed.tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, cst.ImportFrom) and not isinstance(node.names, cst.ImportStar):
            for alias in node.names:
                if alias.evaluated_alias and alias.evaluated_name in names:
                    found.add(alias.evaluated_alias)
        elif isinstance(node, (cst.SimpleStatementLine, cst.IndentedBlock)):
            stack.extend(node.body)
        elif isinstance(node, (cst.If, cst.Try, cst.FunctionDef, cst.ClassDef)):
            stack.append(node.body)
    return found


def _wanted(definitions: list[Definition], loss_words: frozenset[str], libraries: Libraries) -> set[str]:
    """Return the qualified names of the functions that are worth lowering.

    Those that mention a loss or a sink, those that mention what the former define, what these call,
    and the constructors of their classes, until nothing is new.
    """
    seeds = loss_words | sink_words(libraries)
    chosen = {id(d): d for d in definitions if d.own & seeds}
    carriers = {name for d in chosen.values() for name in _carriers(d, loss_words)}
    chosen.update((id(d), d) for d in definitions if d.own & carriers)
    named: dict[str, list[Definition]] = defaultdict(list)
    mentioning: dict[str, list[Definition]] = defaultdict(list)
    for definition in definitions[1:]:
        named[definition.name].append(definition)
        for name in definition.own:
            mentioning[name].append(definition)
    queue = list(chosen.values())
    while queue:
        definition = queue.pop()
        near = list(_near(definition, named, seeds))
        if definition.name not in _TOO_COMMON:
            near.extend(mentioning[definition.name])
        for other in near:
            if id(other) not in chosen:
                chosen[id(other)] = other
                queue.append(other)
    return {d.qualname for d in chosen.values() if isinstance(d.node, cst.FunctionDef)}


def _near(definition: Definition, named: dict[str, list[Definition]], seeds: frozenset[str]) -> Iterator[Definition]:
    parent = definition.parent
    if parent is not None and parent.parent is not None:
        yield parent
        if isinstance(parent.node, cst.ClassDef):
            yield from (d for d in parent.inner if d.name in ("__init__", "configure_optimizers"))
    if isinstance(definition.node, cst.FunctionDef):
        yield from definition.inner
    if isinstance(definition.node, cst.Module):
        return
    for name in definition.own:
        for callee in named.get(name, ()):
            yield callee
            if isinstance(callee.node, cst.ClassDef):
                yield from (d for d in callee.inner if d.name in _CALLED_BY_INSTANCE and d.own & (seeds | _REDUCTIONS))


def _carriers(definition: Definition, loss_words: frozenset[str]) -> Iterator[str]:
    """Yield the names that a definition binds to an expression that mentions a loss."""
    top = definition.node
    stack: list[cst.CSTNode] = list(top.body) if isinstance(top, cst.Module) else [top.body]
    while stack:
        node = stack.pop()
        if isinstance(node, cst.Return):
            if node.value is not None and _mentions(node.value, loss_words):
                yield definition.name
        elif isinstance(node, (cst.Assign, cst.AnnAssign)):
            if node.value is not None and _mentions(node.value, loss_words):
                yield from _bound_names(node, is_function=isinstance(top, cst.FunctionDef))
        elif isinstance(node, _BLOCKS) and not isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            stack.extend(_children(node))


_BLOCKS = (cst.BaseSuite, cst.BaseStatement, cst.Else, cst.ExceptHandler, cst.Finally)


def _bound_names(node: cst.Assign | cst.AnnAssign, *, is_function: bool) -> Iterator[str]:
    targets = [t.target for t in node.targets] if isinstance(node, cst.Assign) else [node.target]
    for target in targets:
        if isinstance(target, cst.Attribute):
            yield target.attr.value
        elif isinstance(target, cst.Name) and not is_function:
            yield target.value


def _mentions(node: cst.CSTNode, words: Iterable[str]) -> bool:
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, cst.Name) and part.value in words:
            return True
        stack.extend(_children(part))
    return False


def _children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for name in code_fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (item for item in value if isinstance(item, cst.CSTNode))
