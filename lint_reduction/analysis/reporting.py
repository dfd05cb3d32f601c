"""Numbers read off losses for people: totals over the batches of an epoch, and what they are divided by.

A number read off a loss is the tensor without a gradient, so that nothing about training is decided here: a
total that is divided gives a sink of its own, and the value of the division stays what it is.
"""

from __future__ import annotations

from dataclasses import replace

from lint_reduction.analysis import tensors
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.tensors import Factor
from lint_reduction.analysis.training import Sink
from lint_reduction.analysis.values import Hop, Repeated, Summand, Tensor, Value, options_of
from lint_reduction.facts import Evidence, Fate, StepKind
from lint_reduction.growth import SAMPLES, Count, Growth

_BATCHES = Growth.of(Count.BATCHES)


def is_read_off(value: Value) -> bool:
    """Say whether a value is a number read off a loss, which nothing can be trained on."""
    return isinstance(value, Tensor) and value.is_loss and not any(s.gradient for s in value.summands if s.site)


def note_division(machine: Machine, value: Tensor, divisor: Value, factor: Factor, mark: int) -> None:
    """Record a number for people if a total over batches is divided by a count of them, or of their samples."""
    if factor.growth is None or factor.growth.exponent(Count.BATCHES) != 1 or not is_read_off(value):
        return
    if any(_adds_up_batches(summand) for summand in value.summands):
        for part in _parts(divisor, factor):
            value = tensors.scale(value, part, StepKind.DIVIDE, mark)
        _record(machine, value, mark)


def _parts(divisor: Value, factor: Factor) -> tuple[Factor, ...]:
    """Return the factors of a divisor: in ``len(loader) * batch_size`` each stands for itself."""
    summands = divisor.summands if isinstance(divisor, Tensor) else ()
    multiplied = any(hop.kind is StepKind.MULTIPLY for summand in summands for hop in summand.hops)
    if not multiplied or factor.growth is None:
        return (factor,)
    return replace(factor, growth=_BATCHES), replace(factor, growth=factor.growth / _BATCHES)


def note_total(machine: Machine, added: Value, mark: int) -> None:
    """Record a number for people if what is added up over the batches was divided by their number before."""
    for option in options_of(added):
        value = option.value
        if isinstance(value, Tensor) and is_read_off(value):
            divided = any(_is_over_batches(hop) for summand in value.summands for hop in summand.hops)
            if divided and any(_adds_up_batches(summand) for summand in value.summands):
                _record(machine, value, mark)


def note_mean(machine: Machine, value: Value, mark: int) -> None:
    """Record the mean of a list that has one entry for each batch: ``np.mean(losses)``."""
    if not isinstance(value, Repeated) or value.count is None or value.count.exponent(Count.BATCHES) != 1:
        return
    for option in options_of(value.entry):
        entry = option.value
        if isinstance(entry, Tensor) and is_read_off(entry):
            count = Factor(value.count, value.evidence)
            total = tensors.scale(entry, count, StepKind.ACCUMULATE, mark)
            _record(machine, tensors.scale(total, count, StepKind.DIVIDE, mark), mark)


def _record(machine: Machine, value: Tensor, mark: int) -> None:
    machine.record(Sink(value, Fate.REPORTED, Hop(StepKind.READ, mark), machine.frame.function))


def _adds_up_batches(summand: Summand) -> bool:
    totals = [hop for hop in summand.hops if hop.kind is StepKind.ACCUMULATE]
    return bool(summand.site) and any(hop.growth.exponent(Count.BATCHES) == 1 for hop in totals)


def _is_over_batches(hop: Hop) -> bool:
    return hop.kind is StepKind.DIVIDE and hop.growth.exponent(Count.BATCHES) == -1


def is_doubtful(summand: Summand) -> bool:
    """Say whether a reported number is worth a rule: it follows the batch size, or takes it for a constant."""
    if summand.site is None or summand.growth is None:
        return False
    return summand.growth.in_samples != 0 or any(_is_nominal(hop) for hop in summand.hops)


def _is_nominal(hop: Hop) -> bool:
    return hop.kind is StepKind.MULTIPLY and hop.growth == SAMPLES and hop.evidence < Evidence.SHAPE


def in_full_batches(value: Value) -> Value:
    """Return a number read off where every batch is full: the configured batch size is the one it has."""
    if not isinstance(value, Tensor) or not is_read_off(value):
        return value
    summands = tuple(
        replace(s, hops=tuple(replace(h, evidence=Evidence.SHAPE) if _is_nominal(h) else h for h in s.hops))
        for s in value.summands
    )
    return replace(value, summands=summands)
