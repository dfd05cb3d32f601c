"""Statements that change parameters or gradients: what the optimizer of a training step does."""

from __future__ import annotations

import ast
from collections.abc import Collection

from lint_reduction.verify.allowed import OPTIMIZER_OPTIONS
from lint_reduction.verify.modules import Module

_NAMES = frozenset(
    "zero_grad unscale_ clip_grad_norm_ clip_grad_value_ clip_grad_norm clip_grad_value clip_gradients".split()
)
#: Methods that let a function change a gradient while it is computed.
HOOKS = frozenset(
    """register_hook register_post_accumulate_grad_hook register_full_backward_hook register_backward_hook
    register_full_backward_pre_hook register_comm_hook register_multi_grad_hook register_step_pre_hook""".split()
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


def clears(statement: ast.stmt) -> bool:
    """Say whether a statement sets gradients to zero, or to nothing."""
    match statement:
        case ast.Expr(value=ast.Call() as call):
            return called(call) in ("zero_grad", "zero_")
        case ast.Assign(targets=[ast.Attribute(attr="grad")], value=ast.Constant(value=None)):
            return True
    return False


def changes_options(statement: ast.stmt) -> bool:
    """Say whether a statement changes an option of an optimizer or of a loss: ``group["lr"] = 0.1``."""
    match statement:
        case ast.Assign(targets=[ast.Attribute(attr="reduction")]):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id="setattr"), args=[_, name, _])):
            return not isinstance(name, ast.Constant) or name.value in ("reduction", *OPTIMIZER_OPTIONS)
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))]):
            return name in OPTIMIZER_OPTIONS
        case ast.AugAssign(target=ast.Subscript(slice=ast.Constant(value=str(name)))):
            return name in OPTIMIZER_OPTIONS
    return False


def is_manual_step(statement: ast.stmt) -> bool:
    """Say whether a statement moves a parameter by its own gradient."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=owner, attr=name)) as call):
            is_in_place = name.endswith("_") and not name.endswith("__")
            return is_in_place and any(_reads_gradient_of(owner, node) for node in call.args)
        case ast.AugAssign(target=target, value=value):
            return _reads_gradient_of(target, value)
        case ast.Assign(targets=[ast.Attribute(attr="data") as target], value=value):
            return _reads_gradient_of(target, value)
    return False


def _reads_gradient_of(target: ast.expr, value: ast.AST) -> bool:
    """Say whether the gradient of a parameter, or of what its ``data`` is of, is in a piece of code."""
    owner = target.value if isinstance(target, ast.Attribute) and target.attr == "data" else target
    read = (node.value for node in ast.walk(value) if isinstance(node, ast.Attribute) and node.attr == "grad")
    return ast.unparse(owner) in set(map(ast.unparse, read))


def called(call: ast.Call) -> str:
    """Return the last name of what a call calls, empty where it has none."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def sets_hook(statement: ast.AST) -> bool:
    """Say whether a statement lets a function change gradients from now on."""
    match statement:
        case ast.Expr(value=ast.Call() as call) | ast.Assign(value=ast.Call() as call):
            return isinstance(call.func, ast.Attribute) and call.func.attr in HOOKS
    return False


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
    if name == "setattr" and len(call.args) == 3 and reads_gradient(call):
        return True
    if name == "step" and isinstance(function, ast.Attribute):
        return not any(part in ast.unparse(function.value).lower() for part in _OTHER_STEPS)
    is_in_place = name.endswith("_") and not name.startswith("__")
    writes = is_in_place or any(keyword.arg == "out" for keyword in call.keywords)
    return writes and reads_gradient(call)


def _writes_gradient(targets: list[ast.expr]) -> bool:
    return any(
        (isinstance(target, ast.Attribute) and target.attr in ("grad", "data"))
        or (isinstance(target, ast.Subscript) and reads_gradient(target.value))
        for target in targets
    )


def reads_gradient(node: ast.AST) -> bool:
    """Say whether ``.grad`` of something is in a piece of code."""
    return any(_is_gradient(inner) for inner in ast.walk(node))


def _is_gradient(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="grad"):
            return True
        case ast.Call(func=ast.Name(id="getattr" | "setattr"), args=[_, ast.Constant(value="grad"), *_]):
            return True
    return False


def stepping_functions(modules: list[Module]) -> frozenset[str]:
    """Return the names of the functions that step themselves."""
    return frozenset().union(*(module.about(_stepping) for module in modules))


def _stepping(module: Module) -> frozenset[str]:
    statements = [node for node in ast.walk(module.tree) if isinstance(node, ast.stmt)]
    steps = [node for node in statements if is_step(node) or is_manual_step(node)]
    return frozenset(function.name for function in map(module.function, steps) if function is not None)


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
