"""Which flows and sites are worth a place in the file: those that some rule may report."""

from __future__ import annotations

from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.training import SiteRecord
from lint_reduction.analysis.values import Summand, Tensor
from lint_reduction.facts import Batch, Doubt, Fate, StepKind
from lint_reduction.growth import Count, Growth


def certain_axes(tensor: Tensor) -> tuple[Count, ...]:
    """Return the counts that a tensor certainly still has as axes."""
    if not tensor.axes.certain or tensor.batch <= Batch.SINGLE:
        return ()
    if Count.SAMPLES not in tensor.axes.counts and Count.VALID not in tensor.axes.counts:
        return ()
    return tuple(count for count in Count if count in tensor.axes.counts)


def flow_is_of_interest(
    machine: Machine, fate: Fate, tensor: Tensor, summands: tuple[Summand, ...], factor: Growth | None
) -> bool:
    """Say whether some rule may report a flow; the others are most of all flows.

    Args:
        machine: after all roots ran.
        fate: where the flow ends.
        tensor: what arrives there.
        summands: the terms of it.
        factor: growth of what happens to the gradient afterwards, None if it is not known.
    """
    unreduced = bool(certain_axes(tensor))
    if fate is Fate.LOGGED:
        return unreduced and tensor.is_loss
    if any(_is_peculiar(machine, s) for s in summands):
        return True
    if fate is not Fate.TRAINED:
        return False
    grows = (s.growth * factor for s in summands if s.growth is not None and factor is not None)
    return unreduced or any(growth.in_samples != 0 for growth in grows)


_PECULIAR = frozenset({StepKind.REDUNDANT, StepKind.MODULATE, StepKind.PER_SAMPLE})


def _is_peculiar(machine: Machine, summand: Summand) -> bool:
    """Say whether a term is of interest wherever it ends: for a mean over the wrong things, or a doubtful divisor."""
    if any(hop.doubt in (Doubt.CONSTANT, Doubt.EMPTY) or hop.kind in _PECULIAR for hop in summand.hops):
        return True
    growth = summand.growth
    if growth is None:
        return False
    if growth.exponent(Count.CLASSES):
        return True
    averaged = any(hop.kind is StepKind.MEAN for hop in summand.hops)
    if averaged and growth.exponent(Count.VALID) > 0:
        return True
    if summand.site is None:
        return False
    record = machine.sites[summand.site.index]
    if averaged and record.model.divisor == "valid":
        return any(argument.parameter in ("ignore_index", "weight") for argument in record.arguments)
    return "batchmean" in record.reductions and growth.exponent(Count.ELEMENTS) > 0


def site_is_of_interest(record: SiteRecord) -> bool:
    """Say whether some rule may report a loss call for itself."""
    if record.used_as_value or record.tensors > 1 or record.ignored_parameter:
        return True
    inputs = set(record.model.inputs)
    slots = {"reduction", *record.model.legacy}
    return any(a.parameter in slots or (not a.keyword and a.parameter not in inputs) for a in record.arguments)
