"""Accumulation windows: how many backward calls there are for each optimizer step."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lint_reduction.analysis.code import (
    Attr,
    Binary,
    Compare,
    Const,
    Expr,
    If,
    Logic,
    Stmt,
    Unary,
    Var,
    text,
    window_counter,
    window_size,
)
from lint_reduction.analysis.conversion import as_factor, is_summed, is_window
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.state import Loop
from lint_reduction.analysis.training import Event, ManualUpdate, OptimizerStep, Sink, Window, ZeroGrad
from lint_reduction.analysis.values import Constant, Opaque, Value, options_of
from lint_reduction.facts import Evidence
from lint_reduction.growth import ONE, Count, Growth

MICRO_BATCHES = Growth.of(Count.MICRO_BATCHES)


# --- conditions


def window_of(machine: Machine, statement: If) -> Window | None:
    """Return the window that a condition such as ``(i + 1) % steps == 0`` ends, None for other conditions.

    The number of micro-batches is what is counted, unless it is computed from the batch size: with a nominal
    batch size, ``steps = nominal // batch_size``, there are the fewer of them the larger a batch is.
    """
    test = resolved(machine, statement.test)
    divisor = window_size(test)
    flushes = isinstance(test, Logic) and test.op == "or"
    if divisor is None:
        divisor, flushes = _counted(machine, test, statement.body), False
    return None if divisor is None else _window(machine, test, divisor, flushes)


def window_outside(machine: Machine, test: Expr) -> Window | None:
    """Return the window at whose end a condition such as ``(i + 1) % steps != 0`` does not hold."""
    test = resolved(machine, test)
    match test:
        case Compare("!=", left, right):
            return _window_of_test(machine, Compare("==", left, right))
        case Binary("%"):
            return _window_of_test(machine, Unary("not", test))
        case Unary("not", operand):
            return _window_of_test(machine, operand)
        case Logic("and", left, right):
            return window_outside(machine, left) or window_outside(machine, right)
    return None


def _window_of_test(machine: Machine, test: Expr) -> Window | None:
    test = resolved(machine, test)
    divisor = window_size(test)
    flushes = isinstance(test, Logic) and test.op == "or"
    return None if divisor is None else _window(machine, test, divisor, flushes)


def resolved(machine: Machine, test: Expr) -> Expr:
    """Return a condition that was given a name before, ``sync = (i + 1) % steps == 0``, in place of the name."""
    if isinstance(test, Var):
        return machine.here.window_tests.get(test.name, test)
    return test


def _window(machine: Machine, test: Expr, divisor: Expr, flushes: bool) -> Window | None:
    value = machine.evaluate(divisor)
    if value == Constant(1):
        return None
    factor = as_factor(machine, value, divisor, divides=False)
    growth = factor.growth
    if growth is None or growth.in_samples == 0 or is_summed(machine, divisor):
        growth = MICRO_BATCHES
    number = value.value if isinstance(value, Constant) and isinstance(value.value, (int, float)) else None
    loops = machine.loops
    restarts = bool(loops) and loops[-1].may_end_early and _counts_rounds(machine, test)
    return Window(text(divisor), growth, _evidence(value), number, loops, restarts and not flushes)


def _evidence(value: Value) -> Evidence:
    """Return how sure it is that there are several micro-batches in a window."""
    options = [option.value for option in options_of(value)]
    if any(isinstance(v, Opaque) and v.is_one for v in options) or Constant(1) in options:
        return Evidence.GUESS
    return Evidence.SHAPE if all(isinstance(v, Constant) for v in options) else Evidence.CONFIGURATION


def _counts_rounds(machine: Machine, test: Expr) -> bool:
    """Say whether what a condition divides is the index of the loop, which begins anew with each epoch."""
    match test:
        case Compare(_, Binary("%", index)) | Unary("not", Binary("%", index)):
            names = [part for part in (index, *_operands(index)) if isinstance(part, Var)]
            values = [machine.evaluate(name) for name in names]
            return any(isinstance(v, Opaque) and v.name == "index" and v.varies for v in values)
    return False


def _operands(expr: Expr) -> tuple[Expr, ...]:
    return (expr.left, expr.right) if isinstance(expr, Binary) else ()


def _counted(machine: Machine, test: Expr, body: tuple[Stmt, ...]) -> Expr | None:
    """Return ``steps`` in ``if seen == steps``, if its name says so or the counter is set back behind it."""
    match test:
        case Compare("==" | ">=", _, Var(name) | Attr(_, name)):
            if machine.libraries.names.count(name) is Count.MICRO_BATCHES:
                return test.right
    return window_counter(test, body)


def beside_one(machine: Machine, test: Expr) -> bool | None:
    """Return the outcome of ``steps > 1`` and its like where steps is the number of micro-batches, else None.

    What is done for a single micro-batch is of no interest.
    """
    if not isinstance(test, Compare) or test.right != Const(1) or not is_window(machine, test.left):
        return None
    return {">": True, "!=": True, "==": False, "<=": False, "<": False}.get(test.op)


# --- from conditions and loops to a number


@dataclass(frozen=True, slots=True)
class Accumulated:
    """How many gradients are added for one step of the optimizer.

    Attributes:
        growth: what their number grows with.
        step: the step.
        text: source of the number, where one is written.
        evidence: how sure it is that there are several.
        unflushed: whether some may be left over at the end of a loop.
    """

    growth: Growth
    step: OptimizerStep
    text: str
    evidence: Evidence
    unflushed: bool


def accumulated(events: Sequence[Event], index: int, sink: Sink, factors: AbstractSet[float]) -> Accumulated | None:
    """Return how many gradients of a sink are added before a step, None for one or a number not known.

    Gradients are added where they are zeroed as rarely as there is a step. A step every few rounds whose
    gradients are zeroed in each round (the generator of a GAN) is no such.

    Args:
        events: what a root did.
        index: position of the sink in it.
        sink: the sink.
        factors: the numbers by which losses and gradients are multiplied or divided somewhere.
    """
    step = next((e for e in events[index + 1 :] if isinstance(e, OptimizerStep)), None)
    if step is None or sink.division.divides is not False:
        return None
    growth, shown, evidence, unflushed = ONE, "", Evidence.SHAPE, False
    window = _window_between(events, sink, step)
    if window is not None:
        if window.number is not None and any(window.number in (f, 1 / f) for f in factors if f):
            # divided by the same number under another name
            return None
        growth, shown, evidence = window.growth, window.text, window.evidence
        unflushed = window.unflushed and not _flushed(events[index + 1 :], window)
    inner = _loops_between(events, sink, step)
    if any(loop.parts for loop in inner) and set(factors) - {1.0, -1.0}:
        # it is not known how many parts there are: one of the numbers may be theirs
        return None
    for loop in inner:
        rounds = MICRO_BATCHES if loop.parts else loop.count
        growth *= Growth.of(Count.ITERATIONS) if rounds is None else rounds
        shown = shown or loop.text
        evidence = min(evidence, loop.evidence)
    return None if growth == ONE else Accumulated(growth, step, shown, evidence, unflushed)


def _window_between(events: Sequence[Event], sink: Sink, step: OptimizerStep) -> Window | None:
    """Return the window at whose end the step is, and the sink is not."""
    outside = {window.key for window in sink.windows}
    window = next((w for w in reversed(step.windows) if w.key not in outside), None)
    if window is None or sink.loops[: len(window.loops)] != window.loops:
        return None
    zeroes = [e for e in events if isinstance(e, ZeroGrad) and e.loops[: len(window.loops)] == window.loops]
    in_window = [any(w.key == window.key for w in e.windows) for e in zeroes]
    return window if in_window and all(in_window) else None


def _loops_between(events: Sequence[Event], sink: Sink, step: OptimizerStep) -> tuple[Loop, ...]:
    """Return the loops that the sink is in and the step is not, if no gradient is zeroed or used in them."""
    common = 0
    for mine, other in zip(sink.loops, step.loops, strict=False):
        if mine != other:
            break
        common += 1
    inner = sink.loops[common:]
    if not inner:
        return ()
    around = sink.loops[: common + 1]
    kinds = (ZeroGrad, OptimizerStep, ManualUpdate)
    if any(isinstance(e, kinds) and e.loops[: len(around)] == around for e in events):
        return ()
    return inner


def _flushed(later: Sequence[Event], window: Window) -> bool:
    """Say whether there is a step behind the loop of a window for what is left over."""
    steps = [e for e in later if isinstance(e, OptimizerStep)]
    return any(e.loops[: len(window.loops)] != window.loops for e in steps)
