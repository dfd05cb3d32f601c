"""Holds what is claimed of programs against what they measure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tests.oracle.choices import Choices, shrink
from tests.oracle.claims import FlowClaim, claims
from tests.oracle.grammar import generate
from tests.oracle.measured import NOT_SCALAR, ROUNDING, Curve, Measured, Runner, exponents
from tests.oracle.program import Program

Powers = frozenset[Fraction]


@dataclass(frozen=True, slots=True)
class Difference:
    """A claim that is not what was measured, or the other way round."""

    program: Program
    text: str


@dataclass(slots=True)
class Tally:
    """What a run over many programs found."""

    programs: int = 0
    claimed: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[Program, str]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    distinct: set[int] = field(default_factory=set)
    used: Counter[tuple[str, str]] = field(default_factory=Counter)
    offered: set[tuple[str, str]] = field(default_factory=set)

    def reasons(self) -> Counter[str]:
        """Return why growths were not known, names and sizes left out."""
        found: Counter[str] = Counter()
        for reason, count in self.unknown.items():
            found[_NAMED.sub(r"\1 ...\2", reason)] += count
        return found


_NAMED = re.compile(r"(not known what|not known whether|the result of|divided by) .*?( counts.*|, which.*|)$")


def run(seed: int, count: int, runner: Runner) -> Tally:
    """Generate, analyze and run programs, the next one while the last is still running."""
    tally = Tally()
    waiting: Program | None = None
    for index in range(count + 1):
        program = None
        if index < count:
            choices = Choices.of_seed(seed, index)
            program = generate(choices)
            tally.used.update(choices.used)
            tally.offered |= choices.offered
            runner.submit(program)
        if waiting is not None:
            _count(tally, waiting, claims(waiting), runner.answer())
        waiting = program
    return tally


def _count(tally: Tally, program: Program, claimed: tuple[FlowClaim, ...], measured: Measured) -> None:
    tally.programs += 1
    tally.distinct.add(hash(program.text))
    if measured.error:
        tally.broken.append((program, measured.error))
        return
    reasons = {reason for flow in claimed for reason in flow.unknown} or (
        {"no flow that trains"} if not claimed else set()
    )
    tally.claimed += not reasons
    tally.unknown.update(reasons)
    compared: Counter[str] = Counter()
    tally.differences += [Difference(program, text) for text in compare(program, claimed, measured, compared)]
    tally.compared += compared


def compare(
    program: Program, claimed: tuple[FlowClaim, ...], measured: Measured, compared: Counter[str] | None = None
) -> list[str]:
    """Return what does not agree, in words.

    With every setting of its flags a program must measure what one of the flows claims, or a flow must say that it
    does not know; and what a flow claims must be measured with some setting.
    """
    compared = Counter[str]() if compared is None else compared
    if not claimed:
        return []
    found: list[str] = []
    count = max(1, len(program.alone))
    settings = range(len(program.settings))
    raised = [s for s in settings if measured.curves[s, 0, "samples"] == NOT_SCALAR]
    for flow in claimed:
        compared["raises"] += flow.raises
        if flow.raises and not raised:
            found.append("backward is said to fail, and it does not")
    for term in range(count):
        for dial in ("samples", *program.dials):
            key = term + 1 if program.alone else 0
            curves = [measured.curves[s, key, dial] for s in settings]
            wanted = [_of_term(flow, term, dial) for flow in claimed]
            found += _held(f"term {term}, {dial}", _powers(program, curves), wanted, compared)
    if program.alone:
        curves = [measured.curves[s, 0, "samples"] for s in settings]
        wanted = [_of_objective(flow) for flow in claimed]
        found += _held("objective, samples", _powers(program, curves), wanted, compared)
    curves = [measured.curves[s, 0, "update"] for s in settings]
    if program.updates_by_hand or any(c is None for c in curves):
        return found
    return [*found, *_held("update", _powers(program, curves), [flow.update for flow in claimed], compared)]


def _of_objective(flow: FlowClaim) -> Powers | None:
    """Return the exponents that a flow claims of all its terms, None where it leaves something open."""
    powers = [claim.of("samples") for claims_on_term in flow.terms for claim in claims_on_term]
    known = frozenset(power for power in powers if power is not None)
    # a curve of three sizes tells two powers apart
    return None if flow.unknown or flow.raises or None in powers or len(known) > 2 else known


def _of_term(flow: FlowClaim, term: int, dial: str) -> Powers | None:
    """Return the exponents that a flow claims of a term, None where it leaves something open."""
    if flow.unknown or flow.raises or (flow.terms[-1] and len(flow.terms) > 2):
        return None
    powers = [claim.of(dial) for claim in flow.terms[term]]
    known = [power for power in powers if power is not None]
    return frozenset(known) if len(known) == len(powers) else None


def _powers(program: Program, curves: Sequence[Curve]) -> list[Powers | str | None]:
    """Return the exponents in each curve; a reason where there is none."""
    noise = ROUNDING if program.updates_by_hand else 0.0
    return [curve if isinstance(curve, str) else exponents(curve, noise) for curve in curves]


def _held(
    what: str, found: Sequence[Powers | str | None], wanted: Sequence[Powers | None], compared: Counter[str]
) -> Iterator[str]:
    name = what.split(", ")[-1]
    known = {powers for powers in wanted if powers is not None}
    measured = {powers for powers in found if not isinstance(powers, str)}
    failing = len(measured) == 0 or any(isinstance(powers, str) for powers in found)
    for powers in sorted(known, key=sorted):
        compared[name] += 1
        if powers not in measured and not failing:
            yield f"{what}: claimed {_words([powers])}, measured {_words(measured)}"
    if len(known) == len(set(wanted)) and known:
        for other in measured - known:
            if other is not None or not failing:
                yield f"{what}: measured {_words([other])}, claimed {_words(known)}"


def _words(sets: Iterable[Powers | None]) -> str:
    return " | ".join(sorted("no power" if s is None else " + ".join(map(str, sorted(s))) or "nothing" for s in sets))


def shrunk(difference: Difference, runner: Runner) -> Difference:
    """Return a small program that shows the same kind of difference."""
    kind = difference.text.partition(":")[0].split(", ")[-1]
    best = difference

    def fails(given: Sequence[int]) -> Sequence[int] | None:
        nonlocal best
        program = generate(Choices(given))
        measured = runner.measure(program)
        if measured.error:
            return None
        for text in compare(program, claims(program), measured):
            if text.partition(":")[0].split(", ")[-1] == kind:
                best = Difference(program, text)
                return program.choices
        return None

    shrink(difference.program.choices, fails)
    return best


def unchosen(tally: Tally) -> list[tuple[str, str]]:
    """Return the alternatives of productions that were offered and never chosen."""
    return sorted(alternative for alternative in tally.offered if not tally.used[alternative])
