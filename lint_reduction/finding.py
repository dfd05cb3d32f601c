"""A finding: one reported mistake, with its path and how sure the analysis is."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lint_reduction.facts import (
    Argument,
    Batch,
    Certainty,
    Doubt,
    Evidence,
    Fate,
    LossFlow,
    LossSite,
    Span,
    Step,
    StepKind,
    Term,
)
from lint_reduction.growth import Growth
from lint_reduction.impact import Severity
from lint_reduction.verdict import Verdict


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


class Applicability(enum.Enum):
    """Whether a fix may change what the program computes."""

    SAFE = "safe"
    """It computes the same."""
    UNSAFE = "unsafe"
    """It computes what was probably meant."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A stretch of the source to replace; an empty one is an insertion.

    Attributes:
        span: what to replace, in the file of the finding.
        replacement: the text to put there.
    """

    span: Span
    replacement: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A way to repair a finding.

    Attributes:
        title: what it does, as an order.
        edits: all of it; they do not overlap.
        applicability: whether it may change what the program computes.
    """

    title: str
    edits: tuple[Edit, ...]
    applicability: Applicability


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
        fix: how it can be repaired, None if no edit of the text can.
        flow: what a rule over flows found it in; its spans are those of ``origin``.
        origin: absolute path of the file that was analyzed when it was found, empty for the file of the finding.
        verdict: what running it came to, None if it was not asked for.
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
    fix: Fix | None = None
    flow: LossFlow | None = field(default=None, compare=False, repr=False)
    origin: str = field(default="", compare=False)
    verdict: Verdict | None = None


def reduction_fix(site: LossSite, reduction: str, applicability: Applicability) -> Fix | None:
    """Return the fix that gives a loss call a reduction by name and takes its deprecated flags away.

    None where that cannot be written: a value is not a literal, or there may be arguments that are not in view.
    """
    arguments = sorted(site.arguments, key=lambda argument: argument.span)
    if site.is_open or not all(_is_inside(argument.span, site.span) for argument in arguments):
        return None
    decisive = [a for a in arguments if a.parameter == "reduction" or a.parameter in site.legacy]
    if any(argument.literal is None for argument in decisive):
        return None
    written = f'reduction="{reduction}"'
    if decisive:
        edits = _replaced(arguments, decisive, written)
    elif arguments:
        edits = [Edit(_after(arguments[-1].span), f", {written}")]
    else:
        at = replace(site.span, line=site.span.end_line, column=site.span.end_column - 1)
        edits = [Edit(replace(at, end_column=at.column), written)]
    return Fix(f"Write {written}", tuple(edits), applicability)


def flag_fix(site: LossSite) -> Fix | None:
    """Return the fix that writes what the deprecated flags of a loss call mean as a reduction.

    None where they are not all literals, or where a reduction that disagrees is given too.
    """
    given = site.argument("reduction")
    agrees = given is None or (given.literal is not None and given.literal.value == site.legacy_value)
    if site.legacy_value is None or not agrees:
        return None
    # in another library a flag of that name may mean something else
    safety = Applicability.SAFE if site.callee.startswith("torch.") else Applicability.UNSAFE
    return reduction_fix(site, site.legacy_value, safety)


def _replaced(arguments: Sequence[Argument], decisive: Sequence[Argument], written: str) -> list[Edit]:
    """Put one argument in the place of several; what stands behind it by position has to be named."""
    first = arguments.index(decisive[0])
    edits = [Edit(decisive[0].span, written)]
    for before, argument in itertools.pairwise(arguments[first:]):
        if argument in decisive:
            start = before.span
            edits.append(Edit(replace(argument.span, line=start.end_line, column=start.end_column), ""))
        elif not argument.keyword:
            edits.append(Edit(_before(argument.span), f"{argument.parameter}="))
    return edits


def _is_inside(span: Span, whole: Span) -> bool:
    """Say whether a span is a part of another one, and not all of it: a place that is not known is all of it."""
    starts = (whole.line, whole.column) < (span.line, span.column)
    return starts and (span.end_line, span.end_column) < (whole.end_line, whole.end_column) and span.path == whole.path


def _before(span: Span) -> Span:
    return replace(span, end_line=span.line, end_column=span.column)


def _after(span: Span) -> Span:
    return replace(span, line=span.end_line, column=span.end_column)


def average_fix(step: Step) -> Fix | None:
    """Return the fix that makes the mean of a sum that is a method call, None for any other step."""
    if step.method is None or step.kind is not StepKind.SUM:
        return None
    return Fix("Replace .sum() by .mean()", (Edit(step.method, "mean"),), Applicability.UNSAFE)


def removal_fix(step: Step) -> Fix | None:
    """Return the fix that takes away a reduction that does nothing, None where it is no method call."""
    if step.method is None:
        return None
    dot = replace(step.method, column=step.method.column - 1)
    whole = replace(dot, end_line=step.span.end_line, end_column=step.span.end_column)
    return Fix("Remove this reduction", (Edit(whole, ""),), Applicability.SAFE)


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
        flow.optimizer is not None and flow.optimizer.learning_rate is None,
        evidence < Evidence.SHAPE,
    ]
    vague = (term.site is None and term.batch <= Batch.ARGUMENT) or flow.certainty is Certainty.OPTIONAL
    # a gradient that nothing in view steps on may be meant for something else
    vague = vague or nothing_steps or _may_be_divided_by_batch(term)
    if vague or evidence is Evidence.GUESS or sum(doubts) > 3:
        return Confidence.LOW
    return Confidence.MEDIUM if any(doubts) else Confidence.HIGH


def undivided(term: Term) -> str:
    """Say that nothing takes away what a term grows with, though something else may divide it."""
    divides = any(step.kind in (StepKind.DIVIDE, StepKind.RESCALE, StepKind.MEAN) for step in term.steps)
    return "no division takes that away" if divides else "nothing divides it"


def _may_be_divided_by_batch(term: Term) -> bool:
    """Say whether a sum over the batch is divided by a later size: that of the batch if time comes first."""
    if term.growth is None or term.growth.in_samples < 1:
        return False
    return any(step.doubt is Doubt.LATER_AXIS for step in term.steps)


def path_of(flow: LossFlow, term: Term, at: Span) -> tuple[Related, ...]:
    """Return the other places on the path of a term: loss, reduction, backward, learning rate."""
    steps = [*term.steps, flow.end, *flow.steps]
    places = [Related(step.kind.value, step.inside or step.span) for step in steps]
    optimizer = flow.optimizer
    if optimizer is not None:
        if optimizer.span is not None:
            places.append(Related("optimizer", optimizer.span))
        if optimizer.learning_rate_span is not None and optimizer.learning_rate_span != optimizer.span:
            places.append(Related("learning rate", optimizer.learning_rate_span))
    return tuple(dict.fromkeys(place for place in places if place.span != at))
