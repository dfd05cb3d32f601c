"""Statements that change parameters or gradients: what the optimizer of a training step does."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from lint_reduction.libraries import load_libraries
from lint_reduction.verify.modules import FunctionNode, Module

_NAMES = frozenset(
    "zero_grad unscale_ clip_grad_norm_ clip_grad_value_ clip_grad_norm clip_grad_value clip_gradients".split()
)
#: Methods that let a function change a gradient while it is computed.
HOOKS = frozenset(
    """register_hook register_post_accumulate_grad_hook register_full_backward_hook register_backward_hook
    register_full_backward_pre_hook register_comm_hook register_multi_grad_hook""".split()
)
#: What has a ``step`` and is no optimizer, by a part of its name.
_OTHER_STEPS = ("sched", "prof", "bar", "writer", "env", "warmup", "logger", "timer", "meter", "ema")


def is_effect(statement: ast.stmt) -> bool:
    """Say whether a statement steps, clips, divides or clears gradients."""
    match statement:
        case ast.Expr(value=ast.Call() as call):
            return _is_effect_call(call)
        case ast.Assign(value=ast.Call() as call):
            return _is_effect_call(call) or (_writes_gradient(statement.targets) and reads_gradient(statement))
        case ast.Assign():
            return _writes_gradient(statement.targets) and reads_gradient(statement)
        case ast.AugAssign():
            return reads_gradient(statement)
    return False


def sets_rate(statement: ast.stmt, *, by_any: bool) -> bool:
    """Say whether a statement sets the learning rate of a group of parameters: ``group["lr"] *= batch_size``.

    Args:
        statement: the statement.
        by_any: whether by anything, and not only by something that counts.
    """
    match statement:
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value="lr"))], value=value):
            return by_any or isinstance(value, ast.Constant) or _counts(value)
        case ast.AugAssign(target=ast.Subscript(slice=ast.Constant(value="lr")), value=value):
            return by_any or _counts(value)
    return False


def _counts(node: ast.AST) -> bool:
    """Say whether something in an expression counts by what it is called."""
    called = (getattr(n, "id", "") or getattr(n, "attr", "") or getattr(n, "value", "") for n in ast.walk(node))
    return any(isinstance(name, str) and load_libraries().names.count(name) is not None for name in called if name)


def is_step(statement: ast.stmt) -> bool:
    """Say whether a statement is the step of an optimizer."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="step") as function)):
            return not any(part in ast.unparse(function.value).lower() for part in _OTHER_STEPS)
        case ast.Assign(value=ast.Call(func=ast.Attribute(attr="step") as function)):
            return "opt" in ast.unparse(function.value).lower()
    return False


def _is_effect_call(call: ast.Call) -> bool:
    function = call.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    if name in _NAMES | HOOKS:
        return True
    if name == "step" and isinstance(function, ast.Attribute):
        return not any(part in ast.unparse(function.value).lower() for part in _OTHER_STEPS)
    is_in_place = name.endswith("_") and not name.startswith("__")
    writes = is_in_place or any(keyword.arg == "out" for keyword in call.keywords)
    return writes and reads_gradient(call)


def _writes_gradient(targets: list[ast.expr]) -> bool:
    return any(isinstance(target, ast.Attribute) and target.attr in ("grad", "data") for target in targets)


def reads_gradient(node: ast.AST) -> bool:
    """Say whether ``.grad`` of something is in a piece of code."""
    return any(isinstance(inner, ast.Attribute) and inner.attr == "grad" for inner in ast.walk(node))


def stepping_functions(modules: list[Module]) -> frozenset[str]:
    """Return the names of the functions that step themselves."""
    return frozenset(name for module in modules for name in _stepping(module))


def _stepping(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.stmt) and is_step(node):
            function = module.function(node)
            if isinstance(function, FunctionNode):
                yield function.name


def called_name(statement: ast.stmt) -> str:
    """Return the name of what a statement calls that is nothing but a call, empty for any other."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(value=ast.Name(), attr=name))):
            return name
    return ""


def fills(statement: ast.stmt, names: Collection[str], attributes: Collection[str]) -> bool:
    """Say whether a statement is a call that computes something of the loss, or that builds the base of an object.

    Args:
        statement: the statement.
        names, attributes: what has to do with the loss.
    """
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super"))))):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
            return name in names
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name))):
            return name in attributes
    return False
