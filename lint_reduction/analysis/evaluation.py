"""Run expressions: what an expression of ``code.py`` stands for."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace

from lint_reduction.analysis import arithmetic, loops
from lint_reduction.analysis.attributes import attribute
from lint_reduction.analysis.calls import call_expression
from lint_reduction.analysis.code import (
    Attr,
    Binary,
    Call,
    Choice,
    Comp,
    Compare,
    Const,
    Expr,
    Formatted,
    Item,
    Lambda,
    Logic,
    Named,
    Pairs,
    Slice,
    Star,
    Unary,
    Var,
)
from lint_reduction.analysis.code import (
    Items as ItemsExpr,
)
from lint_reduction.analysis.code import (
    Opaque as OpaqueExpr,
)
from lint_reduction.analysis.conversion import as_tensor, name_of
from lint_reduction.analysis.indexing import item
from lint_reduction.analysis.machine import Frame, Machine
from lint_reduction.analysis.masks import as_mask, beside_padding, chooses, chosen_by_name, finds_padding
from lint_reduction.analysis.reading import read_as_number
from lint_reduction.analysis.state import UNUSUAL, unusual, visible
from lint_reduction.analysis.tensors import broadcast
from lint_reduction.analysis.values import (
    COMPARISON,
    REDUCTION_NUMBER,
    Alternatives,
    Constant,
    External,
    Function,
    Imported,
    Items,
    Mapping,
    Method,
    Opaque,
    Option,
    Repeated,
    Tensor,
    Unknown,
    Value,
    join,
    options_of,
)
from lint_reduction.facts import Evidence

_COMPARE: dict[str, Callable[[object, object], bool]] = {
    "==": operator.eq, "!=": operator.ne,
    # a member of an enumeration, or a text, is the same wherever it is written
    "is": lambda a, b: type(a) is type(b) and a == b, "is not": lambda a, b: type(a) is not type(b) or a != b,
}  # fmt: skip
_BUILTINS = frozenset(
    """
    abs all any bool bytes callable dict dir divmod enumerate eval filter float format frozenset getattr hasattr
    hash id input int isinstance issubclass iter len list map max min next object open ord pow print property range
    repr reversed round set setattr slice sorted staticmethod str sum super tuple type vars zip
    """.split()
)


def evaluate(machine: Machine, expr: Expr) -> Value:
    """Return what an expression stands for, after doing what it does.

    Raises:
        BudgetExceededError: the root takes too long.
    """
    machine.spend()
    match expr:
        case Const(value):
            return Constant(value)
        case Var(name):
            return read_variable(machine, name)
        case Attr(base, name):
            return machine.lift(evaluate(machine, base), lambda value: attribute(machine, value, name))
        case Call():
            return call_expression(machine, expr)
        case Binary():
            return _binary(machine, expr)
        case Item(base, key):
            return _item(machine, base, key)
        case _:
            return _evaluate_rest(machine, expr)


def _evaluate_rest(machine: Machine, expr: Expr) -> Value:
    match expr:
        case Unary(op, operand):
            return _unary(machine, op, evaluate(machine, operand))
        case Compare(op, left, right):
            outcome = compare(machine, op, evaluate(machine, left), evaluate(machine, right))
            names = machine.libraries.names
            return machine.lift(outcome, lambda v: chosen_by_name(names, v, name_of(left), name_of(right)))
        case Logic(op, left, right):
            return _logic(machine, op, left, right)
        case Choice():
            return _choice(machine, expr)
        case ItemsExpr(kind, items):
            return _display(machine, kind, items)
        case Pairs(pairs):
            return _pairs(machine, pairs)
        case Star(value):
            return evaluate(machine, value)
        case Comp():
            return _comprehension(machine, expr)
        case Lambda(function):
            return Function(function, machine.frame.identity)
        case _:
            return _evaluate_parts(machine, expr)


def _evaluate_parts(machine: Machine, expr: Expr) -> Value:
    match expr:
        case Named(name, value):
            result = evaluate(machine, value)
            machine.state.variables[name] = result
            return result
        case Formatted(parts, mark):
            for part, has_format in parts:
                shown = evaluate(machine, part)
                if has_format:
                    read_as_number(machine, shown, mark, "formatted")
            return Opaque("text")
        case Slice(lower, upper, step):
            ends = [evaluate(machine, e) for e in (lower, upper, step) if e is not None]
            return Opaque("slice", varies=any(isinstance(p, Opaque) and p.varies for p in ends))
        case OpaqueExpr(hidden):
            for inner in hidden:
                evaluate(machine, inner)
    return Opaque()


def read_variable(machine: Machine, name: str) -> Value:
    """Return the value of a name: local, of the functions around, of the module, built in."""
    frame = machine.frame
    value = frame.state.variables.get(name)
    while value is None and frame.parent is not None:
        frame = frame.parent
        value = frame.state.variables.get(name)
    if value is not None:
        return machine.resolve(value) if isinstance(value, Imported) else visible(value, machine.state.path)
    if name == "__name__":
        return Constant("__main__" if frame is machine.frames[0] else "imported")
    if name in _BUILTINS:
        return External(f"builtins.{name}")
    return star_imported(machine, frame, name) or Opaque(name)


def star_imported(machine: Machine, module: Frame, name: str) -> Value | None:
    """Return what a name stands for that a module has by ``from other import *``, None if nothing known."""
    starred = module.state.variables.get("*")
    key = module.identity, name
    if starred is None or key in machine.starred:
        # modules may import everything from each other
        return None
    machine.starred.add(key)
    try:
        return _behind_star(machine, starred, name)
    finally:
        machine.starred.discard(key)


def _behind_star(machine: Machine, starred: Value, name: str) -> Value | None:
    for source in starred.entries if isinstance(starred, Items) else ():
        if isinstance(source, External):
            full = machine.libraries.canonical(f"{source.name}.{name}")
            libraries = machine.libraries
            known = full in libraries.losses or full in libraries.optimizers or full in libraries.functions
            if known or libraries.operation(full) in libraries.operations:
                return External(full)
        elif isinstance(source, Imported):
            found = machine.resolve(Imported(source.path, name, ""))
            if not (isinstance(found, External) and not found.name):
                return found
    entries = starred.entries if isinstance(starred, Items) else ()
    if len(entries) == 1 and isinstance(entries[0], External) and name[:1].isupper():
        # a class that nothing else can have brought
        return External(f"{entries[0].name}.{name}")
    return None


def _binary(machine: Machine, expr: Binary) -> Value:
    # a long sum leans to the left: walk down instead of recursing once a term
    spine = [expr]
    while isinstance(spine[-1].left, Binary):
        spine.append(spine[-1].left)
    value = evaluate(machine, spine[-1].left)
    for operation in reversed(spine):
        right = evaluate(machine, operation.right)
        value = arithmetic.operate(machine, operation, value, right)
    return value


def _item(machine: Machine, base: Expr, key: Expr) -> Value:
    value = evaluate(machine, base)
    keys = tuple(evaluate(machine, k) for k in key.items) if isinstance(key, ItemsExpr) else (evaluate(machine, key),)
    exprs = key.items if isinstance(key, ItemsExpr) else (key,)
    if not keys:
        # x[()] is all of x
        return value
    if isinstance(base, Var) and isinstance(value, Tensor) and value.may_be_container and _is_name(keys):
        machine.state.variables[base.name] = replace(value, has_names=True)
    return machine.lift(value, lambda v: item(machine, v, keys, exprs))


def _is_name(keys: tuple[Value, ...]) -> bool:
    return len(keys) == 1 and isinstance(keys[0], Constant) and isinstance(keys[0].value, str)


def _unary(machine: Machine, op: str, value: Value) -> Value:
    def apply(v: Value) -> Value:
        if op == "not":
            if isinstance(v, Constant):
                return Constant(not v.value, v.evidence)
            known = usually(v)
            machine.frame.asked |= counts_something(machine, v)
            return Opaque(usual=None if known is None else not known)
        if op == "~" and isinstance(v, Opaque) and machine.libraries.names.role(v.name) == "mask":
            return as_mask(as_tensor(machine, v))
        if isinstance(v, Constant) and op == "-" and isinstance(v.value, (int, float)):
            return Constant(-v.value, v.evidence)
        if isinstance(v, Tensor) and op == "~" and not v.is_mask and not v.axes.is_scalar and v.summands:
            return as_mask(v)
        return v

    return machine.lift(value, apply)


#: What a reduction is compared with.
_REDUCTIONS = ("none", "mean", "sum")


def compare(machine: Machine, op: str, left: Value, right: Value) -> Value:
    """Return the outcome of a comparison: a truth value, or a mask for tensors with axes."""

    def apply(a: Value, b: Value) -> Value:
        if isinstance(b, Constant) and isinstance(b.value, (int, float)) and counts_something(machine, a):
            known = _beside_nothing(op, b.value)
            if known is not None:
                machine.frame.asked = True
                return Constant(known)
        if isinstance(a, Constant) and isinstance(b, Constant) and op in _COMPARE:
            if a.value.__class__ is b.value.__class__ or a.value is None or b.value is None:
                holds, evidence = bool(_COMPARE[op](a.value, b.value)), min(a.evidence, b.evidence)
                if evidence is Evidence.CONFIGURATION and b.value in _REDUCTIONS:
                    # the reduction that an option has at first: the other way is taken with another reduction
                    return Opaque(COMPARISON, usual=holds)
                return Constant(holds, evidence)
            return Opaque()
        if op in ("is", "is not", "in", "not in"):
            return _identity(op, a, b)
        varies = any(isinstance(v, Opaque) and v.varies for v in (a, b))
        mean = _mean_compared(a, b)
        if mean is not None and op in ("==", "!="):
            # a reduction that is chosen elsewhere: it is not known to be one that is no mean
            return Opaque(COMPARISON, varies=varies, usual=mean is (op == "=="))
        mask = _mask_of(op, a, b) or _mask_of_unknown(machine, a, b)
        if mask is not None:
            return beside_padding(mask) if finds_padding(machine.libraries.names, op, a, b) else mask
        return Opaque(COMPARISON, varies=varies)

    return machine.lift_two(left, right, apply)


def _mask_of(op: str, left: Value, right: Value) -> Tensor | None:
    """Return the mask that a comparison makes, None if no operand is a tensor with axes.

    Which of two tensors of labels are equal is a choice of pairs, not of positions that hold data.
    """
    operands = [v for v in (left, right) if isinstance(v, Tensor) and v.summands]
    sized = [v for v in operands if not v.axes.is_scalar]
    if not sized:
        return None
    pairs = op in ("==", "!=") and len(sized) == 2
    known = max(sized, key=lambda v: v.batch)
    for other in sized:
        known = replace(known, axes=broadcast(known.axes, other.axes))
    return as_mask(known, choice=pairs or any(chooses(v) for v in operands))


def _mask_of_unknown(machine: Machine, left: Value, right: Value) -> Tensor | None:
    """Return the mask that a comparison of something unknown makes: ``labels != pad_id``, ``labels != -100``."""
    if not isinstance(left, Opaque):
        return None
    named = isinstance(right, Opaque) and machine.libraries.names.role(right.name) == "padding_value"
    number = isinstance(right, Constant) and type(right.value) in (int, float)
    return as_mask(as_tensor(machine, left)) if named or (number and not left.varies) else None


def counts_something(machine: Machine, value: Value) -> bool:
    """Say whether a value is a number of samples or the like, which is only 0 where there is no loss either."""
    if isinstance(value, Tensor):
        growth = value.growth
        return value.axes.is_scalar and not value.is_loss and growth is not None and growth.in_samples > 0
    names = machine.libraries.names
    return isinstance(value, Opaque) and bool(value.name) and names.counts_by_name(value.name)


def _beside_nothing(op: str, limit: float) -> bool | None:
    """Return how a count that is not 0 compares with a number, None unless that asks whether there is anything."""
    if (op in (">", "!=") and limit == 0) or (op in (">", ">=") and limit == 1):
        return True
    if (op in ("<=", "==") and limit == 0) or (op == "<" and limit == 1):
        return False
    return None


def _mean_compared(a: Value, b: Value) -> bool | None:
    """Say whether what is perhaps a reduction, or its number, is compared with the mean; None if with no reduction."""
    if not isinstance(a, Opaque) or not isinstance(b, Constant):
        return None
    if a.name == REDUCTION_NUMBER:
        return b.value == 1
    return b.value == "mean" if b.value in _REDUCTIONS else None


def _identity(op: str, a: Value, b: Value) -> Value:
    if isinstance(b, Constant) and b.value is None and not isinstance(a, (Constant, Opaque, Unknown)):
        return Constant(op == "is not") if op in ("is", "is not") else Opaque()
    if op in ("in", "not in") and isinstance(a, Constant) and isinstance(b, Items):
        entries = [entry.value for entry in b.entries if isinstance(entry, Constant)]
        if len(entries) == len(b.entries):
            return Constant((a.value in entries) == (op == "in"), a.evidence)
    if op in ("in", "not in") and isinstance(a, Constant) and isinstance(b, Mapping) and b.rest is None:
        return Constant((a.value in dict(b.entries)) == (op == "in"), a.evidence)
    return Opaque()


def truth(value: Value) -> bool | None:
    """Return whether a value counts as true, None if that is not known."""
    match value:
        case Constant(constant, evidence):
            # the default of an option says what happens usually, not what happens
            return bool(constant) if evidence is Evidence.SHAPE else None
        case Items(entries):
            return bool(entries)
        case Alternatives(options):
            truths = {truth(option.value) for option in options}
            return truths.pop() if len(truths) == 1 else None
        case Opaque() | Unknown() | Tensor() | Imported() | External() | Method(Opaque()):
            # args.normalize is an option as well as a method, what is imported a flag as well as a function
            return None
        case Mapping(entries, rest):
            return True if entries else None if rest is not None else False
        case Repeated():
            return None
    return True


def known_when(machine: Machine, expr: Expr, test: Value, *, holds: bool) -> list[tuple[str, bool]]:
    """Return the keys of what is known when a condition is true, or false.

    Where the condition asks for a value chosen before, the tests that led to that choice are known too.
    """
    known = machine.tests(expr, holds)
    if isinstance(test, Alternatives):
        leading = [o.guards for o in test.options if truth(o.value) is not (not holds)]
        known += [] if not leading else sorted(frozenset.intersection(*leading) - {UNUSUAL, *known})
    return known


def usually(value: Value) -> bool | None:
    """Return whether a test holds when nobody sets the option that it asks for."""
    return value.usual if isinstance(value, Opaque) else None


def _logic(machine: Machine, op: str, left: Expr, right: Expr) -> Value:
    first = evaluate(machine, left)
    known = truth(first)
    if known is not None and known is (op == "or"):
        return first
    second = evaluate(machine, right)
    if known is not None:
        return second
    if isinstance(first, Opaque) and isinstance(second, (Opaque, Constant)):
        return Opaque()
    if op == "or" and isinstance(first, Tensor):
        first = replace(first, may_be_zero=False)
    return join((*options_of(first), *options_of(second)))


def _choice(machine: Machine, expr: Choice) -> Value:
    test = evaluate(machine, expr.test)
    known = truth(test)
    if known is not None:
        return evaluate(machine, expr.body if known else expr.orelse)
    path = machine.state.path
    options: list[Option] = []
    usual = usually(test)
    for branch, holds in ((expr.body, True), (expr.orelse, False)):
        tests = known_when(machine, expr.test, test, holds=holds)
        if any(path.get(key, value) is not value for key, value in tests):
            continue
        before = dict(path)
        path.update(tests)
        value = evaluate(machine, branch)
        path.clear()
        path.update(before)
        branch_options = tuple(Option(o.value, o.guards | frozenset(tests)) for o in options_of(value))
        options.extend(unusual(branch_options, usual is not None and usual is not holds))
    return join(tuple(options)) if options else Opaque()


def _display(machine: Machine, kind: str, items: tuple[Expr, ...]) -> Value:
    entries: list[Value] = []
    for part in items:
        value = evaluate(machine, part)
        if isinstance(part, Star):
            if not isinstance(value, Items):
                # the length is lost, the kind of entry is kept
                others = tuple(o for v in (*entries, loops.entry_of(machine, value)) for o in options_of(v))
                return Repeated(join(others), None)
            entries.extend(value.entries)
        else:
            entries.append(value)
    return Items(tuple(entries), kind == "tuple")


def _pairs(machine: Machine, pairs: tuple[tuple[Expr | None, Expr], ...]) -> Value:
    entries: dict[object, Value] = {}
    rest: Value | None = None
    for key_expr, value_expr in pairs:
        key = None if key_expr is None else evaluate(machine, key_expr)
        value = evaluate(machine, value_expr)
        if key_expr is None:
            if isinstance(value, Mapping):
                entries.update(dict(value.entries))
                rest = value.rest if value.rest is not None else rest
            else:
                rest = Opaque()
        elif isinstance(key, Constant):
            entries[key.value] = value
        else:
            rest = value if rest is None else join((*options_of(rest), *options_of(value)))
    return Mapping(tuple((key, value) for key, value in entries.items()), rest)  # type: ignore[misc]  # keys are constants


def _comprehension(machine: Machine, expr: Comp) -> Value:
    saved = dict(machine.state.variables)
    try:
        return loops.comprehend(machine, expr)
    finally:
        machine.state.variables = saved
