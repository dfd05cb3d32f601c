"""Which optimizer steps on a loss: the one that comes next, until the next loss."""

from __future__ import annotations

from dataclasses import dataclass

from lint_reduction.analysis.training import Event, InputGradient, ManualUpdate, OptimizerStep, Sink, ZeroGrad
from lint_reduction.analysis.values import Opaque, OptimizerValue, Value, options_of
from lint_reduction.facts import Behavior, Companion, Fate
from lint_reduction.growth import ONE, Growth


@dataclass(frozen=True, slots=True)
class OptimizerFactDraft:
    """The optimizer of a flow, its places still marks; ``extra`` is what its own step divides by."""

    name: str
    behavior: Behavior | None
    learning_rate: Growth | None
    mark: int
    learning_rate_mark: int
    extra: Growth | None
    trains_inputs: bool
    companions: frozenset[Companion]


def stepping_on(events: list[Event], index: int, sink: Sink) -> OptimizerFactDraft | None:
    """Return what steps on the gradient of a sink: named by it, after it, or earlier in the loop."""
    if sink.optimizer is not None:
        for option in options_of(sink.optimizer):
            return _draft(option.value, ONE, 0, 0)
    steps = _steps_on(events, index)
    if not steps:
        return None
    first = steps[0]
    if isinstance(first, ManualUpdate):
        return OptimizerFactDraft(
            "a step written by hand", Behavior.EQUIVARIANT, ONE, first.mark, 0, first.growth, False, frozenset()
        )
    known = [s for s in steps if isinstance(s, OptimizerStep) and isinstance(s.optimizer, OptimizerValue)]
    # several optimizers may step on one loss: the one that follows the gradient is the loudest
    chosen = min(known[:4], key=_loudness, default=first)
    assert isinstance(chosen, OptimizerStep)
    return _draft(chosen.optimizer, chosen.learning_rate, chosen.mark, chosen.learning_rate_mark)


def _steps_on(events: list[Event], index: int) -> list[OptimizerStep | ManualUpdate]:
    """Return the steps that come next after a sink: those after the next sink are on that one.

    The networks of a GAN take turns, each with an optimizer and a loss of its own.
    """
    steps: list[OptimizerStep | ManualUpdate] = []
    for event in (*events[index + 1 :], *events[:index]):
        if isinstance(event, (OptimizerStep, ManualUpdate)):
            steps.append(event)
        elif steps and isinstance(event, Sink) and event.fate is Fate.TRAINED:
            break
    return steps


def is_thrown_away(events: list[Event], index: int, sink: Sink) -> bool:
    """Say whether the gradient of a sink is set to zero before a step, which is on that of another.

    So it is in adversarial training, where the first gradient moves the images, and in pruning.
    """
    later = events[index + 1 :]
    until = next((i for i, e in enumerate(later) if isinstance(e, (OptimizerStep, ManualUpdate))), len(later))
    zeroed = [e for e in later[:until] if isinstance(e, ZeroGrad) and _is_reached(e, sink, events)]
    if not zeroed:
        return False
    trained = (i for i, e in enumerate(later) if isinstance(e, Sink) and e.fate is Fate.TRAINED)
    following = next((i for i in trained if i > later.index(zeroed[0])), until)
    steps = _steps_on(events, index + 1 + following) if following < until else []
    alone = len({e.optimizer for e in events if isinstance(e, OptimizerStep)}) == 1
    return bool(steps) and all(any(_sets_to_zero(zero, step, alone=alone) for zero in zeroed) for step in steps)


def _is_reached(zero: ZeroGrad, sink: Sink, events: list[Event]) -> bool:
    """Say whether gradients are set to zero behind each sink, or behind a loop of sinks that move data."""
    depth = len(zero.loops)
    if zero.windows or not zero.guards <= sink.guards or sink.loops[:depth] != zero.loops:
        return False
    if depth == len(sink.loops):
        return True
    around = sink.loops[: depth + 1]
    steps = [e for e in events if isinstance(e, (OptimizerStep, ManualUpdate)) and e.loops[: depth + 1] == around]
    return not steps and any(isinstance(e, InputGradient) for e in events)


def _sets_to_zero(zero: ZeroGrad, step: OptimizerStep | ManualUpdate, *, alone: bool) -> bool:
    """Say whether what is set to zero are the gradients of a step: those of its optimizer, or of the one model."""
    if not isinstance(step, OptimizerStep) or zero.owner is None:
        return False
    owners = [option.value for option in options_of(zero.owner)]
    known = any(isinstance(owner, OptimizerValue) for owner in owners)
    return step.optimizer == zero.owner or (alone and not known)


def _loudness(step: OptimizerStep) -> int:
    model = step.optimizer.model if isinstance(step.optimizer, OptimizerValue) else None
    return 0 if model is not None and model.behavior is Behavior.EQUIVARIANT else 1


def _draft(optimizer: Value, rate: Growth | None, mark: int, rate_mark: int) -> OptimizerFactDraft:
    if not isinstance(optimizer, OptimizerValue):
        name = optimizer.name if isinstance(optimizer, Opaque) else "an optimizer"
        return OptimizerFactDraft(name, None, rate, mark, rate_mark, ONE, False, frozenset())
    companions = set()
    if "coupled decay" in optimizer.options:
        companions.add(Companion.COUPLED_DECAY)
    if "accumulator" in optimizer.options:
        companions.add(Companion.INITIAL_ACCUMULATOR)
    model = optimizer.model
    if model is not None and model.first_steps:
        companions.add(Companion.FIRST_STEPS)
    behavior = None if model is None else model.behavior
    return OptimizerFactDraft(
        optimizer.name,
        behavior,
        rate,
        optimizer.mark or mark,
        rate_mark,
        ONE,
        optimizer.trains_inputs,
        frozenset(companions),
    )
