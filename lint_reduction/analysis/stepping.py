"""Which optimizer steps on a loss: the one that comes next, until the next loss."""

from __future__ import annotations

from dataclasses import dataclass

from lint_reduction.analysis.training import Event, ManualUpdate, OptimizerStep, Sink
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
