"""What a growth does to training: gradient, optimizer and companions together decide how loud.

The exponent of the gradient decides whether there is something to report; the exponent of the
update decides the severity. Adam divides a factor on the gradient out again, SGD does not. What
else looks at the size of the gradient (clipping, coupled weight decay, a loss scale) lets the
factor back in.

Source: measured with torch 2.13.0, `libraries/torch.toml` names the class of every optimizer.
"""

from __future__ import annotations

import enum
from collections.abc import Set as AbstractSet

from lint_reduction.facts import Batch, Behavior, Companion, Fate, LossFlow, StepKind, Term
from lint_reduction.growth import Growth


class Severity(enum.IntEnum):
    """How much a finding matters. Notes fail a run only if asked for."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()

    def lowered(self) -> Severity:
        """Return the next milder severity."""
        return Severity(max(self - 1, Severity.NOTE))


def trained_growth(flow: LossFlow, term: Term) -> Growth | None:
    """Return what the gradient of a term grows with, None where there is no batch to grow with.

    None as well for a flow that trains nothing, a growth that is not known, weights, a single sample,
    and data that are the same at every step: a full-batch objective has no batch size. LBFGS is made for
    such, so that what is handed in from outside is taken for the whole of the data.
    """
    searches = flow.optimizer is not None and flow.optimizer.behavior is Behavior.SEARCHING
    if flow.fate is not Fate.TRAINED or term.batch < (Batch.DRAWN if searches else Batch.ARGUMENT):
        return None
    return flow.growth(term)


def is_excused(flow: LossFlow, gradient: Growth) -> bool:
    """Say whether the learning rate takes out of the update what the gradient grows with, or may do so.

    Only an optimizer whose update follows the gradient is excused; one that is not in view is taken
    for such. Under Adam the update was invariant before the learning rate was divided. A learning rate
    of which nothing is known may have been divided by the batch size.
    """
    optimizer = flow.optimizer
    if optimizer is None or optimizer.behavior is Behavior.INVARIANT:
        return False
    rate = optimizer.learning_rate
    return rate is None or (gradient * rate).in_samples == 0


def update_growth(gradient: Growth, learning_rate: Growth, behavior: Behavior | None) -> Growth:
    """Return what the update grows with.

    Args:
        gradient: growth of the gradient.
        learning_rate: growth of the learning rate.
        behavior: how the optimizer follows the gradient; an unknown one is taken for SGD.
    """
    if behavior is Behavior.INVARIANT:
        return learning_rate
    return gradient * learning_rate


def severity_of_accumulation(flow: LossFlow) -> Severity:
    """Return how loudly to report gradients that are a number of micro-batches too large or too small.

    Clipping brings back what an invariant optimizer hides: its threshold is that many times too low.
    """
    behavior = None if flow.optimizer is None else flow.optimizer.behavior
    if behavior is Behavior.SEARCHING:
        return Severity.NOTE
    if behavior is Behavior.EQUIVARIANT or Companion.CLIPPING in flow.companions:
        return Severity.ERROR
    return Severity.WARNING


def averages_batch(term: Term) -> bool:
    """Say whether a term is a mean over its own batch, by its loss call or a reduction.

    A sum that is divided may be divided by the size of more than its own batch.
    """
    known = term.growth is not None and not any(step.growth.in_samples for step in term.steps)
    reduces = term.site is not None or term.last(StepKind.MEAN) is not None
    return known and reduces and term.batch not in (Batch.PARAMETERS, Batch.FIXED)


def severity_of_growth(gradient: Growth, behavior: Behavior | None, companions: AbstractSet[Companion]) -> Severity:
    """Return how loudly to report a gradient that follows the batch size.

    An optimizer that is not in view gives a warning: it may be either kind. LBFGS has absolute
    tolerances, with which a sum gets further than a mean, so it never gives more than a note.
    """
    shrinks = gradient.in_samples < 0
    if behavior is Behavior.EQUIVARIANT:
        return Severity.ERROR
    if behavior is Behavior.SEARCHING:
        return Severity.NOTE
    if behavior is Behavior.INVARIANT and not companions and not shrinks:
        return Severity.NOTE
    return Severity.WARNING
