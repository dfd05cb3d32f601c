"""The third answer: what the verifier measures of a program, in a locked worker that never executes it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

from lint_reduction.facts import LossFlow
from lint_reduction.growth import Count, Growth
from lint_reduction.verify.claims import as_finding
from lint_reduction.verify.measurement import Measurement, Series, Status, Trial
from lint_reduction.verify.modules import NoExperimentError
from lint_reduction.verify.pool import Pool
from lint_reduction.verify.protocol import Reply
from lint_reduction.verify.protocol import Status as Ended
from lint_reduction.verify.replies import measurement_of
from lint_reduction.verify.slicing import experiment_of
from tests.oracle.claims import PATH
from tests.oracle.program import Program

#: What a rule has to claim for the verifier to turn the dials of a program, and the growth that it speaks of.
_TURNED = {
    "RED101": Growth.of(Count.SAMPLES) * Growth.of(Count.ELEMENTS) * Growth.of(Count.CLASSES),
    "RED401": Growth.of(Count.MICRO_BATCHES),
}
#: A part of a gradient that is smaller than this, at the largest size, is rounding, which leaves less than 1e-12.
_NOTHING = 1e-10
#: What rounding leaves of a gradient that is a sum of the powers that are looked for.
_ROUNDING = 1e-10
#: Exponents that are closer are the same.
CLOSE = 0.02
#: The curves of a measurement by the dials of a program.
_CURVES = {
    "samples": ("samples", "gradient"),
    "update": ("samples", "update"),
    "elements": ("elements", "gradient"),
    "classes": ("classes", "gradient"),
    "micro_batches": ("micro_batches", "gradient"),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured when one dial was turned.

    Attributes:
        exponent: the slope of the norm, None where it is zero.
        powers: those that the gradient is a sum of, empty where it is no sum of whole powers, or not measured as one.
    """

    exponent: float | None
    powers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Verified:
    """What was measured of one flow.

    Attributes:
        readings: by dial, those in which all ways to fill in what is not known agree.
        raises: whether backward fails on a loss that is not reduced.
        reason: why it was not run, empty if it was.
        open: the dials in which the ways differ.
    """

    readings: Mapping[str, Reading]
    raises: bool = False
    reason: str = ""
    open: tuple[str, ...] = ()


class Verifier:
    """A pool of one worker that is kept for all programs. Several may be handed in before the first is answered."""

    def __init__(self) -> None:
        # whatever a worker can run it runs within a second; the clock is for a loaded machine
        self._pool = Pool("cpu", 1, timeout=120.0, recycle=5_000)
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Verifier:
        self._pool.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._pool.__exit__(kind, error, at)

    def submit(self, program: Program, flows: Sequence[LossFlow]) -> Future[tuple[Verified, ...]]:
        """Hand in a program with its flows; what comes of it has an answer for each of them."""
        # here, and not in the other thread: two that parse at once make Python 3.11 fail
        return self._thread.submit(self._verify, program, [_experiments(program, flow) for flow in flows])

    def _verify(self, program: Program, cut: Sequence[tuple[str, ...] | str]) -> tuple[Verified, ...]:
        texts = list(dict.fromkeys(text for texts in cut if isinstance(texts, tuple) for text in texts))
        replies = dict(self._pool.run([json.loads(text) for text in texts]))
        answers = {text: replies[index] for index, text in enumerate(texts)}
        return tuple(
            Verified({}, reason=texts)
            if isinstance(texts, str)
            else _joined(program, [answers[text] for text in texts])
            for texts in cut
        )


def _experiments(program: Program, flow: LossFlow) -> tuple[str, ...] | str:
    """Return the experiments that turn the dials of a program, as JSON, or why there are none."""
    found = []
    for code in ("RED101", *(("RED401",) if "micro_batches" in program.dials else ())):
        finding = replace(as_finding(flow, PATH, code), growth=_TURNED[code])
        try:
            found.append(experiment_of(finding, PATH, {PATH: program.text}.get).to_json())
        except NoExperimentError as error:
            return str(error)
    return tuple(found)


def _joined(program: Program, replies: Sequence[Reply]) -> Verified:
    readings: dict[str, Reading] = {}
    open_dials: list[str] = []
    for reply in replies:
        if reply.status is not Ended.DONE:
            return Verified({}, reason=f"{reply.status.value}: {reply.reason}")
        measurement = measurement_of(reply.result)
        if measurement.status is Status.RAISED and measurement.unreduced_site:
            return Verified({}, raises=True)
        if measurement.unreduced_site:
            # with some shapes backward fails, and with others it does not
            return Verified({}, open=("raises",))
        if measurement.status is not Status.MEASURED:
            return Verified({}, reason=measurement.reason)
        if not measurement.site_executed:
            return Verified({}, reason="the run does not reach the place of the finding")
        by_rounds = reply is not replies[0]
        for dial in ("micro_batches",) if by_rounds else ("samples", "update", "elements", "classes"):
            found = list(_readings(program, measurement, dial))
            if not found:
                continue
            if all(_alike(found[0], other) for other in found[1:]):
                readings[dial] = found[0]
            else:
                open_dials.append(dial)
    if "samples" in open_dials:
        # an update that is clipped is not read, so that it may be left in one way only
        readings.pop("update", None)
    return Verified(readings, open=tuple(open_dials))


def _readings(program: Program, measurement: Measurement, dial: str) -> Iterator[Reading]:
    """Yield what was measured of a dial in each trial that is about a program of this kind."""
    for trial in measurement.trials:
        if (dial == "update" and trial.clipped) or (dial in ("elements", "classes") and not _fits(program, trial)):
            continue
        series = next((s for s in trial.series if (s.count, s.what) == _CURVES[dial]), None)
        if series is not None:
            yield Reading(series.exponent, _powers(series))


def _powers(series: Series) -> frozenset[int]:
    if series.residual > _ROUNDING:
        return frozenset()
    return frozenset(power for power, share in series.powers if share > _NOTHING)


def _fits(program: Program, trial: Trial) -> bool:
    """Whether the outputs of the model have as many axes as those of the program."""
    layouts = [part.rpartition(": ")[2].count("×") + 1 for part in trial.layout.split("; ")]
    wanted = program.layout.rank + (program.layout.kind == "labels")
    return bool(layouts) and max(layouts) == wanted


def _alike(one: Reading, other: Reading) -> bool:
    if one.powers or other.powers or one.exponent is None or other.exponent is None:
        return one.powers == other.powers and (one.exponent is None) == (other.exponent is None)
    return abs(one.exponent - other.exponent) <= CLOSE
