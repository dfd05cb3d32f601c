"""Accumulation windows: how many backward calls there are for each optimizer step."""

from __future__ import annotations

from lint_reduction.analysis.code import Attr, Compare, Const, If, Var, text, window_size
from lint_reduction.analysis.conversion import as_factor
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.training import Window
from lint_reduction.growth import Count, Growth


def window_of(machine: Machine, statement: If) -> Window | None:
    """Return the window that a condition such as ``(i + 1) % steps == 0`` ends, None for other conditions.

    The number of micro-batches is what is counted, unless it is computed from the batch size: with a nominal
    batch size, ``steps = nominal // batch_size``, there are the fewer of them the larger a batch is.
    """
    divisor = window_size(statement.test)
    if divisor is None and isinstance(statement.test, Compare) and statement.test.op in ("==", ">="):
        counted = statement.test.right
        if isinstance(counted, (Var, Attr)) and machine.libraries.names.count(counted.name) is Count.MICRO_BATCHES:
            divisor = counted
    if divisor is None or divisor == Const(1):
        return None
    growth = as_factor(machine, machine.evaluate(divisor), divisor, divides=False).growth
    if growth is None or growth.in_samples == 0:
        growth = Growth.of(Count.MICRO_BATCHES)
    return Window(id(statement), growth, text(divisor))
