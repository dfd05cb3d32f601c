"""A finding: one reported mistake, with its path and how sure the analysis is."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from lint_reduction.facts import Batch, Certainty, Evidence, Fate, LossFlow, Span, Step, StepKind, Term
from lint_reduction.growth import Growth
from lint_reduction.impact import Severity


class Confidence(enum.IntEnum):
    """How sure the analysis is. Low ones are reported only on request."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Related:
    """Another place on the path of the loss.

    Attributes:
        role: what happens there, in a word or two: ``backward``, ``learning rate``.
        span: where, in the file of the finding.
        cell: the number of its cell in a notebook, None elsewhere; set in a report, whose lines are those of cells.
    """

    role: str
    span: Span
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One reported mistake.

    Attributes:
        span: where the reduction is decided.
        message: what is wrong and by what, without advice.
        severity: how much it matters.
        confidence: how sure the analysis is.
        advice: one sentence on what to do.
        growth: what the gradient grows with, where the finding is about that.
        related: the path of the loss, in the order in which it is walked.
        code, name: of the rule; filled in by the rule itself.
    """

    span: Span
    message: str
    severity: Severity
    confidence: Confidence
    advice: str = ""
    growth: Growth | None = None
    related: tuple[Related, ...] = ()
    code: str = ""
    name: str = ""


def confidence_of(flow: LossFlow, term: Term, *others: Step) -> Confidence:
    """Compute the confidence of a finding from the evidence on its path, never from a rule's wish.

    Args:
        flow: the flow.
        term: the term that the finding is about.
        others: the steps on the gradient that the finding rests on as well.
    """
    evidence = min((step.evidence for step in others), default=term.evidence)
    evidence = min(evidence, term.evidence)
    nothing_steps = flow.fate is Fate.TRAINED and flow.optimizer is None and flow.end.kind is not StepKind.RETURN
    doubts = [
        term.site is None,
        flow.certainty is not Certainty.ALWAYS,
        flow.functions > 1,
        term.batch <= Batch.ARGUMENT,
        # a gradient that nothing in view steps on may be meant for something else
        nothing_steps,
        nothing_steps,
        nothing_steps,
        flow.optimizer is not None and flow.optimizer.learning_rate is None,
        evidence < Evidence.SHAPE,
    ]
    vague = (term.site is None and term.batch <= Batch.ARGUMENT) or flow.certainty is Certainty.OPTIONAL
    if vague or evidence is Evidence.GUESS or sum(doubts) > 3:
        return Confidence.LOW
    return Confidence.MEDIUM if any(doubts) else Confidence.HIGH


def path_of(flow: LossFlow, term: Term, at: Span) -> tuple[Related, ...]:
    """Return the other places on the path of a term: loss, reduction, backward, learning rate."""
    steps = [*term.steps, flow.end, *flow.steps]
    places = [Related(step.kind.value, step.span) for step in steps]
    optimizer = flow.optimizer
    if optimizer is not None:
        places.append(Related("optimizer", optimizer.span))
        if optimizer.learning_rate_span is not None and optimizer.learning_rate_span != optimizer.span:
            places.append(Related("learning rate", optimizer.learning_rate_span))
    return tuple(dict.fromkeys(place for place in places if place.span != at))
