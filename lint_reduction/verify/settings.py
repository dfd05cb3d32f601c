"""The numbers and options that a program is configured with: what they count, and what they are by default."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

from lint_reduction.facts import LossFlow
from lint_reduction.growth import ONE, Count, Growth
from lint_reduction.libraries import load_libraries
from lint_reduction.verify.effects import is_step
from lint_reduction.verify.experiment import Scalar
from lint_reduction.verify.modules import Module, Placed
from lint_reduction.verify.uses import evaluated

#: The counts that a configuration fixes and a run of another size does not follow by itself.
_CONFIGURED = (Count.SAMPLES, Count.MICRO_BATCHES, Count.RANKS)
_PER_WINDOW = ONE / Growth.of(Count.MICRO_BATCHES)
_FLAGS: dict[object, Scalar] = {"store_true": False, "store_false": True}


def counted(module: Module, kept: Collection[ast.stmt], flow: LossFlow) -> Iterator[tuple[Placed, Count]]:
    """Yield the expressions in kept statements that count something by what they are called.

    The number of micro-batches of a step is also known by the condition that the step stands under.
    """
    yield from _divisors(module, kept, flow)
    names = load_libraries().names
    window = _window(flow)
    intervals = module.about(_intervals)
    batches = module.about(_given_to_loaders)
    for node in _expressions(kept, {}):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            count = names.count(node.id if isinstance(node, ast.Name) else node.attr)
            if ast.dump(node) == window or ast.dump(node) in intervals:
                count = Count.MICRO_BATCHES
            if count is None and ast.dump(node) in batches:
                count = Count.SAMPLES
            if count in _CONFIGURED and not _is_called(module, node) and not _is_iterated(module, node):
                yield node, count


def _divisors(module: Module, kept: Collection[ast.stmt], flow: LossFlow) -> Iterator[tuple[Placed, Count]]:
    """Yield the numbers written in divisions that are the number of micro-batches, as the analysis has seen."""
    steps = {step.span: step.text for term in flow.terms for step in term.steps if step.growth == _PER_WINDOW}
    for node in _expressions(kept, {}):
        match node:
            case ast.BinOp(op=ast.Div(), right=ast.Constant(value=int() | float() as value) as divisor):
                if any(module.node(span) is node and text == str(value) for span, text in steps.items()):
                    yield divisor, Count.MICRO_BATCHES


def _given_to_loaders(module: Module) -> frozenset[str]:
    """Return what a module gives to something as the size of its batches: variables, as syntax trees."""
    given = set()
    for node in ast.walk(module.tree):
        match node:
            case ast.keyword(arg="batch_size", value=ast.Name() | ast.Attribute() as value):
                given.add(ast.dump(value))
    return frozenset(given)


def _intervals(module: Module) -> frozenset[str]:
    """Return the numbers of rounds after which an optimizer steps, ``if step % every == 0``, as syntax trees."""
    tests = (node.test for node in ast.walk(module.tree) if isinstance(node, ast.If) and any(map(is_step, node.body)))
    parts = (part for test in tests for part in ast.walk(test))
    return frozenset(ast.dump(p.right) for p in parts if isinstance(p, ast.BinOp) and isinstance(p.op, ast.Mod))


def _window(flow: LossFlow) -> str | None:
    """Return the number of rounds between two steps of the optimizer as a syntax tree, None if it is not named."""
    text = "" if flow.window is None else flow.window.text
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return None
    match node:
        case ast.Call(func=ast.Name(id="range"), args=[inner]):
            node = inner
    return ast.dump(node) if isinstance(node, ast.Name | ast.Attribute) else None


def _is_iterated(module: Module, node: ast.expr) -> bool:
    parent = module.parents[node]
    return isinstance(parent, ast.For | ast.comprehension) and parent.iter is node


def _is_called(module: Module, node: ast.expr) -> bool:
    parent = module.parents[node]
    return isinstance(parent, ast.Call) and parent.func is node


def options(statements: Collection[ast.stmt]) -> dict[str, Scalar]:
    """Return the options of a command line that some statements declare, with their defaults; no ambiguous ones."""
    found: dict[str, Scalar] = {}
    twice = set()
    for statement in statements:
        match statement:
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="add_argument")) as call):
                name, default = _option(call)
                twice |= {name} & found.keys()
                if name and not isinstance(default, ast.AST):
                    found[name] = default
    return {name: value for name, value in found.items() if name not in twice}


def _option(call: ast.Call) -> tuple[str, Scalar | ast.AST]:
    """Return the name of an option and its default, which is a node where that is not written out."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
    texts = [_literal(argument) for argument in call.args]
    written = [text for text in texts if isinstance(text, str)]
    long = next((text for text in written if text.startswith("--")), written[0] if written else "")
    given = _literal(keywords["dest"]) if "dest" in keywords else long
    name = given.lstrip("-").replace("-", "_") if isinstance(given, str) else ""
    if "default" in keywords:
        return name, _literal(keywords["default"])
    action = _literal(keywords["action"]) if "action" in keywords else None
    return (name, _FLAGS[action]) if action in _FLAGS else (name, call)


def _literal(node: ast.AST) -> Scalar | ast.AST:
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
    return node


def option_uses(kept: Collection[ast.stmt], values: Mapping[str, Scalar]) -> Iterator[tuple[Placed, Scalar]]:
    """Yield the expressions in kept statements that read an option, with its default."""
    for node in _expressions(kept, {}):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name, ctx=ast.Load()) if owner not in ("self", "cls"):
                if name in values:
                    yield node, values[name]


def _expressions(kept: Collection[ast.stmt], sides: Mapping[ast.AST, bool]) -> Iterator[ast.expr]:
    for statement in kept:
        for part in evaluated(statement, sides):
            yield from (node for node in ast.walk(part) if isinstance(node, ast.expr))
