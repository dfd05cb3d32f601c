"""From an experiment to a measurement: trace it, plan what stands for what is not known, try, and measure.

Works on data from the parent and answers with data; nothing of the sources is ever executed as Python.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace

import torch

from lint_reduction.verify.abstract import Findings
from lint_reduction.verify.bench import Bench
from lint_reduction.verify.calls import looks_like_loss
from lint_reduction.verify.decoding import decode
from lint_reduction.verify.experiment import Experiment
from lint_reduction.verify.exploring import Traces, explore
from lint_reduction.verify.machine import Program
from lint_reduction.verify.measurement import Measurement, Status, Trial
from lint_reduction.verify.names import Size, is_batch
from lint_reduction.verify.planning import Plan, plans, sizes_of
from lint_reduction.verify.synth import Sizes
from lint_reduction.verify.trials import trial_of
from lint_reduction.verify.values import BlockedError, MisfitError, RaisedError

_RECURRENT = re.compile(r"\b(LSTM|GRU|RNN|Transformer\w*|MultiheadAttention)\(")
MAX_LAYOUTS = 3
MAX_TRIALS = 96
#: How often a plan is given sizes that fit better.
MAX_FITS = 4
#: Steps of the interpreter, in all runs, after which no new layout is tried.
MAX_STEPS = 300_000


def run(experiment: Mapping[str, object], device: torch.device, dtype: torch.dtype) -> dict[str, object]:
    """Run an experiment.

    Args:
        experiment: as JSON.
        device: where the last runs take place; layouts are tried on the CPU.
        dtype: of all numbers.

    Returns:
        A ``Measurement``, as JSON.
    """
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            measurement = measure(decode(experiment), device, dtype)
    except BlockedError as error:
        measurement = Measurement(Status.BLOCKED, str(error))
    except Exception as error:  # the answer to anything is a measurement; a bug shows in the reason
        if not isinstance(error, RecursionError | MemoryError):
            measurement = Measurement(Status.BLOCKED, f"internal error: {type(error).__name__}: {error}"[:400])
            return _answer(measurement, device, dtype, start)
        measurement = Measurement(Status.BLOCKED, f"it is nested too deep or too large: {type(error).__name__}")
    return _answer(measurement, device, dtype, start)


def _answer(measurement: Measurement, device: torch.device, dtype: torch.dtype, start: float) -> dict[str, object]:
    measurement = replace(
        measurement,
        dtype=str(dtype).rpartition(".")[2],
        device=str(device),
        seconds=round(time.perf_counter() - start, 4),
    )
    return asdict(measurement) | {"status": measurement.status.value}


def measure(experiment: Experiment, device: torch.device, dtype: torch.dtype) -> Measurement:
    """Run an experiment that is decoded.

    Raises:
        BlockedError: it cannot be run.
    """
    program = Program.of(experiment)
    traces = Traces(program)
    with_lists, is_sure = _with_lists(traces, device, dtype)
    if with_lists is not None and is_sure and with_lists.status is not Status.BLOCKED:
        return with_lists
    try:
        plain = _without_lists(traces, device, dtype)
    except BlockedError:
        if with_lists is None:
            raise
        return with_lists
    if with_lists is None or plain.status is not Status.MEASURED:
        is_better = with_lists is not None and (is_sure or with_lists.status is Status.MEASURED)
        return with_lists if with_lists is not None and is_better else plain
    if with_lists.status is not Status.MEASURED:
        return plain
    # what is iterated over may be a list of samples, or of parts of a batch: both have to say the same
    return replace(with_lists, trials=(*with_lists.trials, *plain.trials))


def _with_lists(traces: Traces, device: torch.device, dtype: torch.dtype) -> tuple[Measurement | None, bool]:
    """Measure with lists of samples, None where nothing is one, or it cannot be run; return whether they are sure."""
    try:
        found = explore(traces, set(), takes_rows=True, takes_lists=True)
        # what is counted is no list of two
        is_sure = all(is_batch(path) or f"len({path})" in found.uses for path in found.lists)
        return (_measured(traces.program, found, device, dtype) if found.lists else None), is_sure
    except BlockedError:
        return None, False


def _without_lists(traces: Traces, device: torch.device, dtype: torch.dtype) -> Measurement:
    """Measure with tensors that follow the batch, wherever they are.

    Raises:
        BlockedError: it cannot be run.
    """
    apart: set[str] = set()
    try:
        measurement = _measured(traces.program, explore(traces, apart, takes_rows=True), device, dtype)
        if measurement.status is not Status.BLOCKED or not apart:
            return measurement
    except BlockedError:
        if not apart:
            raise
    # what looks like the data of a batch may be a list of its parts
    return _measured(traces.program, explore(traces, apart, takes_rows=False), device, dtype)


def _measured(program: Program, found: Findings, device: torch.device, dtype: torch.dtype) -> Measurement:
    """Measure in all ways to fill in what a trace has not found."""
    _check_found(found)
    experiment = program.experiment
    bench = Bench(program, device, dtype)
    trials: list[Trial] = []
    optimizer = ""
    keys: set[str] = set()
    sizes = sizes_of(found)
    in_rounds = experiment.dials[:1] == ("micro_batches",)
    windows = {place: size for place, size in found.divided.items() if in_rounds and size in found.windows}
    follows = Size.MICRO_BATCHES if in_rounds else Size.SAMPLES
    for count, found_plan in enumerate(plans(found, time_first=_takes_time_first(experiment))):
        plan = replace(found_plan, windows=windows, follows=follows)
        if len(keys) >= MAX_LAYOUTS or count >= MAX_TRIALS or bench.steps > MAX_STEPS:
            break
        fitted = None if plan.key in keys else _fitted(bench, plan, sizes)
        if fitted is None:
            continue
        plan = fitted
        keys.add(plan.key)
        for world in (plan, plan.following()) if plan.divisors else (plan,):
            trial, name = trial_of(bench, world, sizes)
            trials.append(trial)
            optimizer = optimizer or name
    if trials:
        unreduced = any(error.unreduced for error in bench.raised)
        return Measurement(Status.MEASURED, "", bench.executed, unreduced, tuple(trials), optimizer)
    if bench.raised:
        error = bench.raised[0]
        return Measurement(Status.RAISED, str(error), bench.executed, error.unreduced)
    return Measurement(Status.BLOCKED, f"no shape fits: {bench.reason}", bench.executed)


def _check_found(found: Findings) -> None:
    if found.trained is None:
        raise BlockedError("the end of the path is not reached")
    if found.direct:
        raise BlockedError(f"`{found.direct}`, which is trained, is not known")
    for path in found.uses:
        if looks_like_loss(path) and path in found.trained:
            raise BlockedError(f"`{path}` looks like a loss and is not known")
    for path in () if found.takes_rows else found.apart:
        if f"len({path})" in found.uses:
            raise BlockedError(f"the samples of `{path}` are taken one by one, and counted")
    if not found.losses and not found.reductions:
        raise BlockedError("no loss is met")
    if not found.trained:
        raise BlockedError("no value that is not known reaches the loss")


def _takes_time_first(experiment: Experiment) -> bool:
    """Whether a recurrent network is in view, and nothing says that it takes samples first."""
    text = "".join(unit.text for unit in experiment.units)
    return _RECURRENT.search(text) is not None and not re.search(r"batch_first\s*=\s*True", text)


def _fitted(bench: Bench, plan: Plan, sizes: Sizes) -> Plan | None:
    """Return a plan that runs on the CPU with one batch and with two, with sizes that fit; None if it does not."""
    cpu = torch.device("cpu")
    for _ in range(MAX_FITS):
        try:
            for times in (1, 2):
                outcome = bench.once(plan, sizes.grown("B", times), device=cpu, update=False)
        except RaisedError as error:
            bench.raised.append(error)
        except MisfitError as error:
            fitted = plan.fitted(error.path, error.axis, error.size)
            if fitted is not None:
                plan = fitted
                continue
            bench.fail(error)
        except BlockedError as error:
            bench.fail(error)
        else:
            return plan.given(outcome.unreached)
        return None
    return None
