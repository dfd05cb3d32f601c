"""Run statements, and decide which functions to run: the module first, then what nobody called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lint_reduction.analysis import arithmetic, gradients, linking, loops, masks, optimizers, reporting, tensors
from lint_reduction.analysis.accumulation import beside_one, window_of, window_outside
from lint_reduction.analysis.attributes import as_leaf, foreign_bases, set_attribute
from lint_reduction.analysis.builtin_calls import accumulated
from lint_reduction.analysis.calls import call_value
from lint_reduction.analysis.code import (
    Assign,
    Attr,
    Binary,
    Call,
    ClassCode,
    Compare,
    Const,
    Define,
    DefineClass,
    Do,
    Expr,
    For,
    FunctionCode,
    If,
    Import,
    Item,
    Leave,
    Match,
    ModuleCode,
    Return,
    Star,
    Stmt,
    Try,
    Unary,
    Update,
    Var,
    While,
    With,
    last_name,
    text,
)
from lint_reduction.analysis.code import Items as ItemsExpr
from lint_reduction.analysis.conversion import as_tensor
from lint_reduction.analysis.evaluation import counts_something, evaluate, known_when, truth, usually
from lint_reduction.analysis.indexing import size_by_name, sizes
from lint_reduction.analysis.machine import Frame, Hooks, Machine
from lint_reduction.analysis.objects import call_function, stand_in_for, symbolic, unknown_arguments
from lint_reduction.analysis.options import set_option
from lint_reduction.analysis.reading import escape, read_as_number
from lint_reduction.analysis.state import UNUSUAL, Loop, State, merge
from lint_reduction.analysis.training import ManualUpdate, Window
from lint_reduction.analysis.values import (
    COMPARISON,
    Alternatives,
    Class,
    Constant,
    Criterion,
    External,
    Function,
    Gradient,
    Instance,
    Items,
    Mapping,
    Method,
    Object,
    Opaque,
    Option,
    Options,
    Parameters,
    ParamGroups,
    Repeated,
    Shape,
    Tensor,
    Unknown,
    Value,
    join,
    options_of,
)
from lint_reduction.growth import ONE
from lint_reduction.libraries import Libraries

if TYPE_CHECKING:
    from lint_reduction.analysis.project import Project

_NO_GRAD = frozenset(
    {"torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad", "torch.autograd.grad_mode.no_grad"}
)


def machine_for(module: ModuleCode, libraries: Libraries, project: Project | None = None, path: str = "") -> Machine:
    """Return a machine for a module that has not run yet.

    Args:
        module: the module.
        libraries: what is known of other people's code.
        project: the modules around it, None to look at it alone.
        path: absolute path of the module, where its imports begin.
    """
    machine = Machine(module, libraries, _HOOKS, project=project)
    machine.push("", None, State()).path = path
    return machine


def _binary_at(machine: Machine, op: str, left: Value, right: Value, call: Call) -> Value:
    exprs = (
        call.func.base if isinstance(call.func, Attr) else None,
        call.args[0].value if call.args else None,
    )
    return machine.lift_two(left, right, lambda a, b: arithmetic.binary(machine, op, a, b, call.mark, exprs))


def _evaluate_in_method(machine: Machine, method: FunctionCode, home: ClassCode, owner: Instance, expr: Expr) -> Value:
    """Run an expression as it stands in a method that is not run: parameters are not known."""
    if len(machine.frames) > 10:
        return Opaque()
    frame = machine.push(method.qualname, machine.home_of(home), State(heap=machine.state.heap))
    frame.owner, frame.home = owner, home
    try:
        for param in method.params:
            frame.state.variables[param.name] = symbolic(machine, param)
        if method.params:
            frame.state.variables[method.params[0].name] = owner
        return machine.evaluate(expr)
    finally:
        machine.frames.remove(frame)


def execute(machine: Machine, body: Sequence[Stmt]) -> None:
    """Run a block until control leaves it."""
    for statement in body:
        if not machine.state.alive:
            return
        _execute_one(machine, statement)


def _execute_one(machine: Machine, statement: Stmt) -> None:
    match statement:
        case Assign():
            _assign_statement(machine, statement)
        case Do(value):
            machine.evaluate(value)
        case If():
            _if(machine, statement)
        case Return():
            _return(machine, statement)
        case Update():
            _update(machine, statement)
        case For():
            _for(machine, statement)
        case With():
            _with(machine, statement)
        case _:
            _execute_rest(machine, statement)


def _execute_rest(machine: Machine, statement: Stmt) -> None:
    match statement:
        case While():
            _while(machine, statement)
        case Try():
            _try(machine, statement)
        case Leave(kind):
            if kind in ("break", "continue") and machine.frame.loops:
                machine.frame.leaves.append(machine.state.copy())
            machine.state.alive = False
        case Match():
            _match(machine, statement)
        case Define(function):
            _define(machine, function)
        case DefineClass(body):
            for method in body.methods.values():
                _run_defaults(machine, method)
            machine.state.variables[body.name] = Class(body)
            machine.homes[id(body)] = machine.frame
        case Import(bindings):
            linking.run_import(machine, bindings)


def _define(machine: Machine, function: FunctionCode) -> None:
    _run_defaults(machine, function)
    machine.state.variables[function.name] = Function(function, machine.frame.identity)


def _run_defaults(machine: Machine, function: FunctionCode) -> None:
    """Run the defaults of parameters: a criterion may be built there, by a loss call like any other."""
    for param in function.params:
        if param.default is not None:
            machine.evaluate(param.default)


# --- assignments


def _assign_statement(machine: Machine, statement: Assign) -> None:
    value = statement.value
    if len(statement.targets) == 1 and isinstance(value, Binary) and value.op in ("+", "-"):
        # total = total + loss is total += loss
        target = statement.targets[0]
        if isinstance(target, (Var, Attr)) and value.left == target:
            _update(machine, Update(target, value.op, value.right, value.mark))
            return
        if isinstance(target, (Var, Attr)) and value.right == target and value.op == "+":
            _update(machine, Update(target, "+", value.left, value.mark))
            return
    result = machine.evaluate(value)
    if isinstance(result, Opaque):
        result = stand_in_for(machine, statement.annotation) or result
    for target in statement.targets:
        assign(machine, target, result)
    if len(statement.targets) == 1:
        _note_rank(machine, statement.targets[0], value)


def _note_rank(machine: Machine, target: Expr, value: Expr) -> None:
    """After ``n, t, c = x.shape`` the tensor x has so many axes."""
    match value:
        case Attr(Var(name), "shape") | Call(Attr(Var(name), "size"), ()):
            tensor = machine.state.variables.get(name)
            if isinstance(target, ItemsExpr) and isinstance(tensor, Tensor):
                parts = [part for part in target.items if not isinstance(part, Star)]
                machine.state.variables[name] = replace(tensor, least_rank=max(len(parts), tensor.least_rank))


def assign(machine: Machine, target: Expr, value: Value) -> None:
    """Bind a target to a value."""
    match target:
        case Var(name):
            machine.state.variables[name] = size_by_name(machine, name, value)
            machine.state.loop_of[name] = len(machine.frame.loops)
        case Attr(base, name):
            _assign_attribute(machine, base, name, value, target)
        case Item(base, key):
            _assign_item(machine, base, key, value)
        case ItemsExpr(_, items):
            _unpack(machine, items, value)
        case Star(inner):
            assign(machine, inner, Repeated(value, None))


def _assign_attribute(machine: Machine, base: Expr, name: str, value: Value, target: Attr) -> None:
    for option in options_of(machine.evaluate(base)):
        owner = option.value
        match owner:
            case Instance():
                set_attribute(machine, owner, name, value)
            case Criterion() if name == "reduction":
                machine.state.heap[(owner.identity, name)] = value
            case Options(identity=identity) if identity:
                set_option(machine, owner, Constant(name), value)
            case Parameters() if name == "grad":
                gradients.assigned_gradient(machine, value, target.mark, gradients.place_of(machine, base))
            case Gradient() if name == "data":
                gradients.assigned_gradient(machine, value, target.mark, gradients.place_of(machine, base))
            case Parameters() if name == "data":
                _manual_update(machine, value, target.mark)
            case Opaque() if name == "requires_grad":
                if isinstance(value, Constant) and value.value is True:
                    assign(machine, base, as_leaf(owner))
            case Tensor() | Opaque() if name == "grad":
                gradients.assigned_gradient(machine, value, target.mark, gradients.place_of(machine, base))
            case Tensor() | Opaque() if name == "data" and isinstance(value, Gradient):
                _manual_update(machine, value, target.mark)
            case _:
                escape(machine, value, target.mark, "stored in an attribute")


def _manual_update(machine: Machine, value: Value, mark: int) -> None:
    gradient = gradients.gradient_in(value)
    if gradient is not None and not gradient.of_inputs:
        machine.record(ManualUpdate(mark, gradient.growth, machine.loops))


def _assign_item(machine: Machine, base: Expr, key: Expr, value: Value) -> None:
    owner = machine.evaluate(base)
    if isinstance(owner, ParamGroups):
        name = machine.evaluate(key)
        if isinstance(name, Constant) and name.value == "lr":
            optimizers.set_group_rate(machine, owner, value)
    elif isinstance(owner, Gradient):
        gradients.assigned_part(machine, key, value, base)
    elif isinstance(owner, Method) and owner.name == "__dict__" and isinstance(base, Attr):
        name = machine.evaluate(key)
        if isinstance(name, Constant) and isinstance(name.value, str):
            _assign_attribute(machine, base.base, name.value, value, base)
    elif isinstance(owner, Mapping):
        name = machine.evaluate(key)
        if isinstance(name, Constant):
            entries = {**dict(owner.entries), name.value: value}
            assign(machine, base, Mapping(tuple(entries.items()), owner.rest))
        else:
            rest = value if owner.rest is None else join((*options_of(owner.rest), *options_of(value)))
            assign(machine, base, Mapping(owner.entries, rest))
    elif isinstance(owner, Options):
        set_option(machine, owner, machine.evaluate(key), value)
    elif isinstance(owner, Tensor) and owner.is_loss:
        _assign_into_loss(machine, base, key, value, owner)
    else:
        escape(machine, value, 0, "stored in a container")


def _assign_into_loss(machine: Machine, base: Expr, key: Expr, value: Value, owner: Tensor) -> None:
    """``loss[mask] = 0`` leaves out what the mask selects."""
    selector = machine.evaluate(key)
    if isinstance(selector, Tensor) and selector.is_mask and isinstance(value, Constant) and value.value == 0:
        assign(machine, base, masks.keep_masked(owner, selector, 0, "a mask"))
    elif isinstance(value, (Tensor, Unknown)):
        assign(machine, base, machine.unknown("some entries are replaced"))


def _unpack(machine: Machine, targets: tuple[Expr, ...], value: Value) -> None:
    parts = unpacked(machine, value, targets)
    for target, part in zip(targets, parts, strict=True):
        assign(machine, target, part)


def unpacked(machine: Machine, value: Value, targets: tuple[Expr, ...]) -> list[Value]:
    """Return the values that the parts of a target get."""
    number = len(targets)
    starred = next((i for i, t in enumerate(targets) if isinstance(t, Star)), None)
    match value:
        case Items(entries) if starred is None and len(entries) == number:
            return list(entries)
        case Items(entries) if starred is not None and len(entries) >= number - 1:
            tail = number - starred - 1
            middle = entries[starred : len(entries) - tail]
            rest: Value = Items(middle)
            return [*entries[:starred], rest, *entries[len(entries) - tail :]]
        case Alternatives(options):
            columns = [unpacked(machine, option.value, targets) for option in options]
            return [_column(options, [column[i] for column in columns]) for i in range(number)]
        case Shape():
            return sizes(machine, value, [getattr(t, "name", "") for t in targets])
        case Tensor():
            return [_part_of_tensor(value)] * number
        case Unknown():
            return [value] * number
        case Opaque():
            return [Opaque(getattr(t, "name", ""), value.batch, value.called, value.varies) for t in targets]
    entry = loops.entry_of(machine, value)
    return [entry] * number


def _column(options: tuple[Option, ...], values: Sequence[Value]) -> Value:
    """Return what one part of a target gets from several alternatives, each under the tests it needs."""
    parts = zip(options, values, strict=True)
    return join(tuple(Option(o.value, o.guards | option.guards) for option, part in parts for o in options_of(part)))


def _part_of_tensor(value: Tensor) -> Value:
    if value.may_be_container or not value.axes.certain:
        return replace(value, is_part=value.may_be_container)
    if value.is_loss:
        return tensors.one_sample(value)
    return replace(value, axes=replace(value.axes, certain=False))


def _update(machine: Machine, statement: Update) -> None:
    """Run ``target op= value``; in a loop that began after the target was bound, a sum accumulates."""
    added = machine.evaluate(statement.value)
    before = machine.evaluate(statement.target)
    measured = any(isinstance(v, Gradient) and v.is_measure for v in (added, before))
    if not measured and (isinstance(added, Gradient) or isinstance(before, Gradient)):
        _update_gradient(machine, statement, before, added)
        return
    if statement.op in ("+", "-"):
        rounds = machine.rounds_since(statement.target)
        count = loops.number(rounds)
        evidence = machine.loop_evidence()
        length = machine.frame.loops[-1].length if machine.frame.loops else ""
        if machine.in_full_batches:
            added = machine.lift(added, reporting.in_full_batches)
        added = machine.lift(added, lambda v: accumulated(v, count, evidence, statement.mark, length))
        reporting.note_total(machine, added, statement.mark)
    expr = Binary(statement.op, statement.target, statement.value, statement.mark)
    result = arithmetic.operate(machine, expr, before, added)
    if isinstance(result, Constant) and machine.rounds_since(statement.target) != ONE:
        # a counter, which is something else in each round
        result = Opaque(last_name(statement.target), varies=True)
    depth = machine.state.loop_of.get(statement.target.name, 0) if isinstance(statement.target, Var) else 0
    assign(machine, statement.target, result)
    if isinstance(statement.target, Var):
        # it is still the variable that was bound outside
        machine.state.loop_of[statement.target.name] = depth


def _update_gradient(machine: Machine, statement: Update, before: Value, added: Value) -> None:
    if isinstance(before, Gradient):
        if statement.op in ("*", "/") and not before.of_inputs:
            growth = gradients.factor_on_gradient(machine, added, statement.value, divides=statement.op == "/")
            machine.rescale(statement.mark, growth, target=gradients.place_of(machine, statement.target))
        return
    if isinstance(added, Gradient) and not added.of_inputs and statement.op in ("-", "+"):
        machine.record(ManualUpdate(statement.mark, added.growth, machine.loops))


# --- control flow


def _if(machine: Machine, statement: If) -> None:
    if _replaces_zero(statement):
        machine.frame.asked = True
        return
    test = machine.evaluate(statement.test)
    _note_condition(machine, statement.test)
    known = True if _adds_axis(statement) else truth(test)
    if counts_something(machine, test):
        known = machine.frame.asked = True
    if known is None:
        known = beside_one(machine, statement.test)
    path = machine.state.path
    when_true, when_false = (known_when(machine, statement.test, test, holds=holds) for holds in (True, False))
    if known is None:
        if all(path.get(key) is holds for key, holds in when_true):
            known = True
        elif all(path.get(key) is holds for key, holds in when_false):
            known = False
    if known is not None:
        if known:
            _guarded_body(machine, statement)
        else:
            _otherwise(machine, statement)
        return
    frame = machine.frame
    before = frame.state
    usual = usually(test)
    if usual is not None and isinstance(test, Opaque) and test.name == COMPARISON:
        # what is returned for another reduction than the usual one needs it to be chosen
        (when_false if usual else when_true).append(UNUSUAL)
    frame.state = before.copy()
    frame.state.path.update(when_true)
    _guarded_body(machine, statement)
    first = frame.state
    frame.state = before
    frame.state.path.update(when_false)
    _otherwise(machine, statement)
    frame.state = merge(first, frame.state, frozenset(when_true), frozenset(when_false), usual)


def _guarded_body(machine: Machine, statement: If) -> None:
    """Run what a condition guards; it may be the end of an accumulation window."""
    _run_in_window(machine, window_of(machine, statement), statement.body)


def _otherwise(machine: Machine, statement: If) -> None:
    """Run what a condition leads around; what follows ``if (i + 1) % steps: continue`` is the end of a window."""
    window = window_outside(machine, statement.test)
    _run_in_window(machine, window, statement.orelse)
    if window is not None and any(s == Leave("continue") or isinstance(s, Return) for s in statement.body):
        # until the end of the loop or of the function
        machine.frame.windows.append(window)


def _run_in_window(machine: Machine, window: Window | None, body: Sequence[Stmt]) -> None:
    windows = machine.frame.windows
    if window is None:
        execute(machine, body)
        return
    open_before = len(windows)
    windows.append(window)
    execute(machine, body)
    del windows[open_before:]


def _adds_axis(statement: If) -> bool:
    """``if x.ndim == 2: x = x.unsqueeze(0)`` leaves a tensor of three axes, whichever way control goes."""
    match statement:
        case If(Compare("==" | "<", Attr(_, "ndim") | Call(Attr(_, "dim")), Const()), body, ()):
            return all(
                isinstance(s, Assign) and isinstance(s.value, Call) and getattr(s.value.func, "name", "") == "unsqueeze"
                for s in body
            )
    return False


def _replaces_zero(statement: If) -> bool:
    """``if n == 0: n = 1`` only keeps a division from failing."""
    match statement:
        case If(Compare("==" | "<" | "<=", tested, Const(limit)), (Assign((target,), Const(value)),), ()):
            return tested == target and isinstance(limit, (int, float)) and isinstance(value, (int, float))
        case If(Unary("not", tested), (Assign((target,), Const(value)),), ()):
            return tested == target and isinstance(value, (int, float)) and not isinstance(value, bool)
    return False


def _note_condition(machine: Machine, test: Expr) -> None:
    """An unreduced loss has no truth value: ``if loss < best`` raises."""
    operands = [test.left, test.right] if isinstance(test, Compare) and test.op in ("<", ">", "<=", ">=") else []
    for operand in operands:
        if isinstance(operand, Var):
            read_as_number(machine, machine.evaluate(operand), 0, "compared in a condition")


def _return(machine: Machine, statement: Return) -> None:
    value = Constant(None) if statement.value is None else machine.evaluate(statement.value)
    frame = machine.frame
    guards = frozenset(list(frame.state.path.items())[-6:])
    for option in options_of(value):
        frame.returns.append(Option(option.value, option.guards | guards))
    frame.exits.append(frame.state.copy())
    frame.state.alive = False


def _run_loop(machine: Machine, loop: Loop, body: Sequence[Stmt]) -> None:
    """Run the body of a loop once; a ``continue`` meets the end of the body, a ``break`` what follows."""
    frame = machine.frame
    outer_leaves, windows = frame.leaves, len(frame.windows)
    frame.leaves = []
    frame.loops.append(loop)
    execute(machine, body)
    for state in frame.leaves:
        frame.state = merge(frame.state, state)
    frame.loops.pop()
    del frame.windows[windows:]
    frame.leaves = outer_leaves


def _for(machine: Machine, statement: For) -> None:
    iterable = machine.evaluate(statement.iterable)
    rounds = loops.rounds_of(machine, iterable, statement.iterable, statement.target)
    before = machine.state.copy()
    loop = Loop(
        rounds.count,
        rounds.evidence,
        statement.mark,
        rounds.yields_data,
        loops.length_of_loop(statement.iterable),
        rounds.may_end_early,
        rounds.parts,
        text(statement.iterable),
        rounds.full_batches,
    )
    for value in loops.entries_to_unroll(iterable) or (rounds.value,):
        if machine.state.alive:
            machine.frame.loops.append(loop)
            assign(machine, statement.target, value)
            machine.frame.loops.pop()
            _run_loop(machine, loop, statement.body)
    if not machine.state.alive:
        machine.frame.state = before
    execute(machine, statement.orelse)


def _while(machine: Machine, statement: While) -> None:
    machine.evaluate(statement.test)
    before = machine.state.copy()
    _run_loop(machine, Loop(None, machine.loop_evidence(), statement.mark, False), statement.body)
    if not machine.state.alive:
        machine.frame.state = before
    execute(machine, statement.orelse)


def _with(machine: Machine, statement: With) -> None:
    frame = machine.frame
    entered = 0
    saved = [(f, f.no_grad) for f in machine.frames]
    for expr, target in statement.items:
        value = machine.evaluate(expr)
        entered += _disables_gradients(expr, value, machine)
        if _enables_gradients(value):
            for open_frame in machine.frames:
                open_frame.no_grad = 0
        if target is not None:
            assign(machine, target, value)
    frame.no_grad += entered
    execute(machine, statement.body)
    for open_frame, count in saved:
        open_frame.no_grad = count


def _disables_gradients(expr: Expr, value: Value, machine: Machine) -> bool:
    if isinstance(value, (Object, Opaque)) and isinstance(expr, Call):
        func = machine.evaluate(expr.func)
        if isinstance(func, External):
            if func.name in _NO_GRAD:
                return not (expr.args and expr.args[0].value == Const(False))
            if func.name in ("torch.set_grad_enabled", "torch.autograd.set_grad_enabled"):
                return bool(expr.args) and expr.args[0].value == Const(False)
    return False


def _enables_gradients(value: Value) -> bool:
    return isinstance(value, Opaque) and value.name == "enable_grad"


def _try(machine: Machine, statement: Try) -> None:
    frame = machine.frame
    before = frame.state.copy()
    execute(machine, statement.body)
    execute(machine, statement.orelse)
    after = frame.state
    for handler in statement.handlers:
        frame.state = before.copy()
        execute(machine, handler)
        after = merge(after, frame.state)
    frame.state = after
    execute(machine, statement.final)


def _match(machine: Machine, statement: Match) -> None:
    orelse: tuple[Stmt, ...] = ()
    for literal, body in reversed(statement.cases):
        test: Expr = Const(True) if literal is None else Compare("==", statement.subject, literal)
        orelse = body if literal is None and not orelse else (If(test, body, orelse),)
    execute(machine, orelse)


# --- what to run


def run_unused_functions(machine: Machine, frame: Frame) -> None:
    """Run the functions that a frame defined and that nobody called: callbacks, closures."""
    for value in list(frame.state.variables.values()):
        for option in options_of(value):
            function = option.value
            if isinstance(function, Function) and function.frame == frame.identity:
                code = function.code
                if code.body is not None and id(code) not in machine.visited and code.name != "<lambda>":
                    run_with_unknown_arguments(machine, function)


def run_with_unknown_arguments(machine: Machine, function: Function) -> Value:
    """Run a function of which no call is in view."""
    code = function.code
    params = code.params[1:] if function.owner is not None and code.params else code.params
    return call_function(machine, function, (), unknown_arguments(machine, params, code))


_HOOKS = Hooks(
    evaluate=evaluate,
    execute=execute,
    assign=assign,
    call_function=call_function,
    evaluate_in_method=_evaluate_in_method,
    call_value=call_value,
    run_unused_functions=run_unused_functions,
    foreign_bases=foreign_bases,
    resolve=linking.resolve,
    binary=_binary_at,
    tensor=as_tensor,
)
