"""Losses that are one number already and are used as if each sample still had its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lint_reduction.analysis.training import Sink
from lint_reduction.analysis.values import SCALAR, Hop, Summand, Tensor
from lint_reduction.facts import Batch, Fate, StepKind
from lint_reduction.growth import Count

if TYPE_CHECKING:
    from lint_reduction.analysis.machine import Machine

#: What a tensor is made of after ``exp`` of a loss.
OF_A_LOSS = "exp of a loss"

_ROWS = frozenset({Count.SAMPLES, Count.VALID})


def _was_reduced(summand: Summand) -> bool:
    """Say whether a loss call, or a reduction after it, has taken the samples away."""
    rows = any(hop.axes & _ROWS for hop in summand.hops)
    return summand.site is not None and summand.gradient and summand.batch > Batch.SINGLE and rows


def is_one_number(value: Tensor) -> bool:
    """Say whether a value is a loss of a batch in which no samples are left."""
    return value.axes == SCALAR and any(_was_reduced(summand) for summand in value.summands)


def multiplied(machine: Machine, product: Tensor, left: Tensor, right: Tensor, mark: int) -> Tensor:
    """Return a product that remembers that a reduced loss is multiplied with itself or with the samples.

    A loss multiplied with a function of itself is an end of its own: wherever it goes, that is not meant.
    """
    for value, weight in ((left, right), (right, left)):
        if not is_one_number(value):
            continue
        if _modulates(weight, value):
            product = _stepped(product, Hop(StepKind.MODULATE, mark))
            end = Hop(StepKind.MODULATE, mark)
            machine.record(Sink(product, Fate.ESCAPED, end, machine.frame.function, note="multiplied with itself"))
            return product
        rows = weight.axes.counts & _ROWS
        if rows and weight.axes.certain and not weight.is_loss and weight.batch > Batch.SINGLE:
            return _stepped(product, Hop(StepKind.PER_SAMPLE, mark, axes=rows))
    return product


def _modulates(weight: Tensor, value: Tensor) -> bool:
    """Say whether a factor is a function of the same loss, as the one of a focal loss."""
    if OF_A_LOSS not in weight.made_of or OF_A_LOSS in value.made_of or not is_one_number(weight):
        return False
    own = {summand.site for summand in value.summands if summand.site is not None}
    return any(summand.site in own for summand in weight.summands if summand.gradient)


def picked(value: Tensor, name: str, mark: int) -> Tensor:
    """Return a loss of which ``sort`` or ``topk`` is to pick samples."""
    if name not in _PICKING or not is_one_number(value):
        return value
    return _stepped(value, Hop(StepKind.PER_SAMPLE, mark, text=f"{name}()"))


_PICKING = frozenset({"topk", "sort", "kthvalue"})


def _stepped(value: Tensor, hop: Hop) -> Tensor:
    return replace(value, summands=tuple(s.step(hop) if _was_reduced(s) else s for s in value.summands))
