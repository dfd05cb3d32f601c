"""The static answer: what the analysis claims of a program."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from lint_reduction.analysis import analyze
from lint_reduction.facts import Behavior, Companion, Fate, LossFlow, Term
from lint_reduction.growth import Count, Growth
from lint_reduction.impact import update_growth
from lint_reduction.libraries import load_libraries
from lint_reduction.run.pipeline import with_large_stack
from tests.oracle.program import Program

#: Where a program would stand, if it were a file.
PATH = "/program.py"
#: What grows when a dial is turned, by its name; samples are `Growth.in_samples`.
DIALS = {
    "elements": (Count.ELEMENTS, Count.VALID, Count.WEIGHTS),
    "classes": (Count.CLASSES, Count.ELEMENTS, Count.VALID),
    "micro_batches": (Count.MICRO_BATCHES,),
    "batches": (Count.BATCHES,),
}


@dataclass(frozen=True, slots=True)
class TermClaim:
    """What is claimed of one term: its exponent by dial; a dial that is left open is not in it."""

    exponents: tuple[tuple[str, Fraction], ...]

    def of(self, dial: str) -> Fraction | None:
        """Return the exponent when a dial is turned, None where it is left open."""
        return dict(self.exponents).get(dial)


@dataclass(frozen=True, slots=True)
class FlowClaim:
    """What is claimed of one alternative of an objective.

    Attributes:
        terms: the claims on each term of the program; the last entry is for what no term could be assigned.
        raises: whether backward is said to fail, since something is not reduced.
        update: the exponents of the update, None where nothing is claimed.
        unknown: why the growth of a term is not known.
    """

    terms: tuple[frozenset[TermClaim], ...]
    raises: bool
    update: frozenset[Fraction] | None
    unknown: tuple[str, ...]


def trained(program: Program) -> tuple[LossFlow, ...]:
    """Return the flows that train."""
    libraries = load_libraries()
    facts = with_large_stack(lambda: analyze(PATH, program.text, libraries, absolute=PATH, complete=True))
    return tuple(flow for flow in facts.flows if flow.fate is Fate.TRAINED)


def claims(program: Program, flows: Sequence[LossFlow] | None = None) -> tuple[FlowClaim, ...]:
    """Return what is claimed of each flow that trains."""
    return tuple(_flow(program, flow) for flow in (trained(program) if flows is None else flows))


def _flow(program: Program, flow: LossFlow) -> FlowClaim:
    count = max(1, len(program.alone))
    sets: list[set[TermClaim]] = [set() for _ in range(count + 1)]
    unknown = []
    for term in flow.terms:
        growth = flow.growth(term)
        if growth is None:
            unknown.append(term.reason or "the gradients are divided by something not known")
        else:
            sets[_owner(program, term, count)].add(_claim(program, term, growth))
    return FlowClaim(tuple(map(frozenset, sets)), bool(flow.axes), _update(flow), tuple(unknown))


def _owner(program: Program, term: Term, count: int) -> int:
    """Return the term of the program that a term of the flow stands for, ``count`` where that is not clear."""
    if count == 1:
        return 0
    lines = {step.span.line for step in term.steps} | ({term.site.span.line} if term.site is not None else set())
    owners = {program.owners[line] for line in lines if line in program.owners}
    return owners.pop() if len(owners) == 1 else count


def _claim(program: Program, term: Term, growth: Growth) -> TermClaim:
    found = []
    if growth.exponent(Count.ITERATIONS):
        # rounds of a loop of which nothing is known: they may be samples as well as anything else
        return TermClaim(())
    if Count.SAMPLES not in term.undetermined:
        found.append(("samples", growth.in_samples))
    for dial, counts in DIALS.items():
        if dial == "classes" and (term.site is None or "kl_div" not in term.site.callee.replace("KLDiv", "kl_div")):
            # the entries of a distribution get smaller; only the tables speak of that
            continue
        if not term.undetermined & set(counts) and dial in program.dials:
            found.append((dial, _sum(growth.exponent(count) for count in counts)))
    return TermClaim(tuple(found))


def _sum(powers: Iterable[Fraction]) -> Fraction:
    return sum(powers, Fraction(0))


def _update(flow: LossFlow) -> frozenset[Fraction] | None:
    """Return the exponents in samples of the first update, None where nothing is claimed of it."""
    optimizer = flow.optimizer
    if optimizer is None or optimizer.behavior is None or optimizer.learning_rate is None or flow.axes:
        return None
    growths = [flow.growth(term) for term in flow.terms]
    known = [growth for growth in growths if growth is not None]
    if len(known) < len(growths) or any(growth.exponent(Count.ITERATIONS) for growth in known):
        return None
    if any(Count.SAMPLES in term.undetermined for term in flow.terms):
        return None
    powers = {update_growth(growth, optimizer.learning_rate, optimizer.behavior).in_samples for growth in known}
    scales = {growth.in_samples for growth in known}
    if optimizer.behavior is Behavior.SEARCHING or Companion.CLIPPING in flow.companions:
        return None
    if optimizer.behavior is Behavior.INVARIANT and (len(scales) > 1 or flow.companions):
        return None
    return frozenset(powers)
