"""Holds three answers against each other: what is claimed of programs, what they measure, what the verifier does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from fractions import Fraction

from tests.oracle.choices import Choices, shrink
from tests.oracle.claims import FlowClaim, claims, trained
from tests.oracle.grammar import generate
from tests.oracle.measured import NOT_SCALAR, ROUNDING, Curve, Measured, Runner, exponents
from tests.oracle.program import Program
from tests.oracle.verified import CLOSE, Reading, Verified, Verifier

Powers = frozenset[Fraction]
_Waiting = tuple[Program, tuple[FlowClaim, ...], "Future[tuple[Verified, ...]] | None"]


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
    to_verify: int = 0
    verified: int = 0
    readings: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    not_run: Counter[str] = field(default_factory=Counter)

    def reasons(self) -> Counter[str]:
        """Return why growths were not known, names and sizes left out."""
        found: Counter[str] = Counter()
        for reason, count in self.unknown.items():
            found[_NAMED.sub(r"\1 ...\2", reason)] += count
        return found

    def reasons_not_run(self) -> Counter[str]:
        """Return why the verifier did not run programs, names and sizes left out."""
        found: Counter[str] = Counter()
        for reason, count in self.not_run.items():
            found[_QUOTED.sub("...", reason)] += count
        return found


_NAMED = re.compile(r"(not known what|not known whether|the result of|divided by) .*?( counts.*|, which.*|)$")
#: Optimizers whose first update is not as that of a gradient of any size.
_UNSCALED = re.compile(r"Adadelta\((?!.*eps)|(?<!\w)(Adam|NAdam|RAdam|RMSprop|Adagrad)\(.*weight_decay")
#: Optimizers that divide a gradient by its own size, and add eps to that.
_ADDS_EPS = re.compile(r"(?<!\w)(Adam|AdamW|NAdam|RAdam|RMSprop|Adagrad|Adamax|Adadelta)\(")
_QUOTED = re.compile(r"`.*`|\[[\d, ]*\]|\b\d+\b")


def run(
    seed: int,
    count: int,
    runner: Runner,
    verifier: Verifier | None = None,
    *,
    first: int = 0,
    tally: Tally | None = None,
) -> Tally:
    """Generate, analyze, run and verify programs, the next one while the last is still running.

    Args:
        seed: of all programs.
        count: how many there are.
        runner: runs them.
        verifier: runs them without executing them, None to leave that out.
        first: the number of the first of them.
        tally: what was found before, to go on with.
    """
    tally = Tally() if tally is None else tally
    waiting: _Waiting | None = None
    for index in range(first, first + count + 1):
        now = None
        if index < first + count:
            choices = Choices.of_seed(seed, index)
            program = generate(choices)
            tally.used.update(choices.used)
            tally.offered |= choices.offered
            runner.submit(program)
            flows = trained(program)
            now = program, claims(program, flows), None if verifier is None else verifier.submit(program, flows)
        if waiting is not None:
            program, claimed, verdicts = waiting
            _count(tally, program, claimed, runner.answer(), () if verdicts is None else verdicts.result())
        waiting = now
    return tally


def _count(
    tally: Tally,
    program: Program,
    claimed: tuple[FlowClaim, ...],
    measured: Measured,
    verified: tuple[Verified, ...] = (),
) -> None:
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
    if verified:
        tally.to_verify += 1
        tally.verified += not any(run.reason for run in verified)
        tally.not_run.update({run.reason for run in verified if run.reason})
        tally.open.update({dial for run in verified for dial in run.open})
        found = compare_verified(program, claimed, measured, verified, tally.readings)
        tally.differences += [Difference(program, text) for text in found]


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


def _of_objective(flow: FlowClaim, dial: str = "samples") -> Powers | None:
    """Return the exponents that a flow claims of all its terms, None where it leaves something open."""
    powers = [claim.of(dial) for claims_on_term in flow.terms for claim in claims_on_term]
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


def compare_verified(
    program: Program,
    claimed: tuple[FlowClaim, ...],
    measured: Measured,
    verified: tuple[Verified, ...],
    compared: Counter[str] | None = None,
) -> list[str]:
    """Return where the verifier does not agree with what running a program measures, or with what is claimed of a flow.

    What it measures of a flow must be measured with some setting of the flags, and be what is claimed of that flow.
    """
    compared = Counter[str]() if compared is None else compared
    found: list[str] = []
    settings = range(len(program.settings))
    raised = [s for s in settings if measured.curves[s, 0, "samples"] == NOT_SCALAR]
    for claim, run in zip(claimed, verified, strict=True):
        compared["raises"] += run.raises
        if run.raises and not raised:
            found.append("verified raises: backward does not fail")
        if not run.reason and not run.open and run.raises != claim.raises and not claim.unknown:
            found.append(f"verified raises: {run.raises}, claimed {claim.raises}")
        for dial, reading in run.readings.items():
            if (0, 0, dial) not in measured.curves or (program.updates_by_hand and dial != "update"):
                # what is written by hand is measured by how it moves the weights
                continue
            if _is_open(program, dial) or (dial == "update" and _hangs_on_eps(program, reading)):
                compared[f"{dial} left out"] += 1
                continue
            curves = [measured.curves[s, 0, dial] for s in settings]
            if any(curve is None for curve in curves):
                continue
            powers = [p for p in _powers(program, curves) if p is not None and not isinstance(p, str)]
            if not powers:
                continue
            compared[dial] += 1
            if not any(_is(reading, p) for p in powers) and len(powers) == len(curves):
                found.append(f"verified {dial}: {_read(reading)}, measured {_words(powers)}")
            wanted = claim.update if dial == "update" else _of_objective(claim, dial)
            if wanted is not None and not _is(reading, wanted):
                found.append(f"verified {dial} of a flow: {_read(reading)}, claimed {_words([wanted])}")
    return found


def _is_open(program: Program, dial: str) -> bool:
    """Whether a program is run by two conventions, or with other numbers that do not scale, and may measure two things.

    To the verifier a data set stays as it is when the batch grows, while here a loader has as many batches as before.
    The first update of Adadelta hangs on its eps, and that of an adaptive optimizer with coupled decay on the weights.
    """
    if dial in ("samples", "update") and ".dataset)" in program.text:
        return True
    return dial == "update" and _UNSCALED.search(program.text) is not None


def _hangs_on_eps(program: Program, reading: Reading) -> bool:
    """Whether an update is no power of the batch, as gradients are so small that the eps of the program counts.

    The verifier leaves it as it is, the worker makes it smaller than every gradient.
    """
    if reading.powers or reading.exponent is None or _ADDS_EPS.search(program.text) is None:
        return False
    return abs(reading.exponent - round(reading.exponent)) > CLOSE


def _is(reading: Reading, powers: Powers) -> bool:
    """Whether what the verifier measured are some powers: exactly, or by the slope where there is only one."""
    if reading.powers:
        return reading.powers == powers
    if reading.exponent is None or len(powers) != 1:
        return reading.exponent is None if not powers else len(powers) > 1
    return abs(reading.exponent - float(*powers)) <= CLOSE


def _read(reading: Reading) -> str:
    exponent = "nothing" if reading.exponent is None else f"{reading.exponent:.2f}"
    return " + ".join(map(str, sorted(reading.powers))) or exponent


def _words(sets: Iterable[Powers | None]) -> str:
    return " | ".join(sorted("no power" if s is None else " + ".join(map(str, sorted(s))) or "nothing" for s in sets))


def shrunk(difference: Difference, runner: Runner, verifier: Verifier | None = None) -> Difference:
    """Return a small program that shows the same kind of difference."""
    kind = difference.text.partition(":")[0].split(", ")[-1]
    best = difference

    def fails(given: Sequence[int]) -> Sequence[int] | None:
        nonlocal best
        program = generate(Choices(given))
        measured = runner.measure(program)
        if measured.error:
            return None
        flows = trained(program)
        claimed = claims(program, flows)
        found = compare(program, claimed, measured)
        if verifier is not None:
            found += compare_verified(program, claimed, measured, verifier.submit(program, flows).result())
        for text in found:
            if text.partition(":")[0].split(", ")[-1] == kind:
                best = Difference(program, text)
                return program.choices
        return None

    shrink(difference.program.choices, fails)
    return best


def unchosen(tally: Tally) -> list[tuple[str, str]]:
    """Return the alternatives of productions that were offered and never chosen."""
    return sorted(alternative for alternative in tally.offered if not tally.used[alternative])
