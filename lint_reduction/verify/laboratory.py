"""From an experiment to a measurement: trace it, plan what stands for what is not known, try, and measure.

Works on data from the parent and answers with data; nothing of the sources is ever executed as Python.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import torch

from lint_reduction.verify.abstract import Findings
from lint_reduction.verify.calls import looks_like_loss
from lint_reduction.verify.decoding import decode
from lint_reduction.verify.experiment import Experiment
from lint_reduction.verify.interpreter import Interpreter
from lint_reduction.verify.machine import Program
from lint_reduction.verify.measure import exponent, laurent
from lint_reduction.verify.measurement import Measurement, Series, Status, Trial
from lint_reduction.verify.names import Size
from lint_reduction.verify.planning import Plan, plans, sizes_of
from lint_reduction.verify.running import Run
from lint_reduction.verify.stepping import Update, first_update
from lint_reduction.verify.synth import Maker, Sizes, norm
from lint_reduction.verify.trace import Trace
from lint_reduction.verify.values import BlockedError, MisfitError, RaisedError, UserError

SIZES = (1, 2, 3, 4, 6, 8)
FEW = (1, 2, 4)
#: Steps on the path that come behind backward, and change what is measured.
_BEHIND = {"gradient division", "gradient clipping", "step after several backward calls"}
_RECURRENT = re.compile(r"\b(LSTM|GRU|RNN|Transformer\w*|MultiheadAttention)\(")
#: A factor that makes gradients so small that nothing that bounds them is engaged, and how much more they then grow.
_SMALL, _MORE = 1e-6, 0.25
MAX_LAYOUTS = 3
MAX_TRIALS = 96
#: How often a plan is given sizes that fit better.
MAX_FITS = 4
#: Steps of the interpreter, in all runs, after which no new layout is tried.
MAX_STEPS = 300_000


@dataclass(slots=True)
class Outcome:
    """One run at one size."""

    gradient: torch.Tensor
    norms: dict[str, float]
    update: Update | None
    clipped: bool
    chosen: tuple[str, ...] = ()


@dataclass(slots=True)
class Bench:
    """What all runs of an experiment share."""

    program: Program
    device: torch.device
    dtype: torch.dtype
    failures: list[str] = field(default_factory=list)
    raised: list[RaisedError] = field(default_factory=list)
    executed: bool = False
    steps: int = 0
    weighted: set[int] = field(default_factory=set)

    def once(
        self, plan: Plan, sizes: Sizes, *, device: torch.device, update: bool = True, seed: float = 1.0
    ) -> Outcome:
        """Run it once.

        Args:
            seed: the gradient of the loss with respect to itself.

        Raises:
            BlockedError: it does not run, or gives no gradient.
            RaisedError: it raises what the rule is about.
        """
        maker = Maker(sizes, device, self.dtype)
        world = Run(plan, maker)
        world.weighted = self.weighted
        world.seed = seed
        machine = Interpreter(self.program, world)
        torch.set_grad_enabled(True)
        try:
            machine.begin()
        except UserError as error:
            raise BlockedError(f"it raises {error}") from None
        finally:
            torch.set_grad_enabled(True)
            self.steps += machine.steps
            self.executed = self.executed or self.program.experiment.site in machine.executed
        experiment = self.program.experiment
        is_step = experiment.framework_divides or any(c.count == "micro_batches" for c in experiment.counted)
        if is_step and experiment.end_kind == "backward" and not machine.is_looped:
            # what is called for one micro-batch is called for each
            world.repeat(world.rounds)
        world.settled()
        self._check(world, machine)
        step = first_update(machine, maker) if update else None
        moved = world.moved() if update and step is None else None
        if moved is not None:
            step = Update(norm(moved), "a step written by hand")
        return Outcome(world.gradient, world.norms, step, world.clipped, machine.assumptions())

    def _check(self, world: Run, machine: Interpreter) -> None:
        if not machine.backwards:
            raise BlockedError("the end of the path is not reached")
        if not all(abs(loss) < float("inf") for loss in world.losses):
            raise BlockedError("the loss is not finite")
        if machine.touched:
            raise BlockedError(f"behind backward: {machine.touched}")
        kinds = {kind for kind, _ in self.program.experiment.steps}
        if machine.cut and (world.rounds > 1 or kinds & _BEHIND):
            raise BlockedError(f"behind backward: {machine.cut}")
        gradient = world.gradient
        if not gradient.numel() or not bool(torch.isfinite(gradient).all()):
            raise BlockedError("the gradient is not finite")
        if norm(gradient) <= 10 * torch.finfo(self.dtype).eps * world.seed:
            raise BlockedError("the gradient is zero")


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
    apart: set[str] = set()
    try:
        measurement = _measured(program, explore(program, apart, takes_rows=True), device, dtype)
        if measurement.status is not Status.BLOCKED or not apart:
            return measurement
    except BlockedError:
        if not apart:
            raise
    # what looks like the data of a batch may be a list of its parts
    return _measured(program, explore(program, apart, takes_rows=False), device, dtype)


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
        if plan.is_last_resort and trials:
            break
        fitted = None if plan.key in keys else _fitted(bench, plan, sizes)
        if fitted is None:
            continue
        plan = fitted
        keys.add(plan.key)
        for world in (plan, plan.following()) if plan.divisors else (plan,):
            trial, name = _trial(bench, world, sizes)
            trials.append(trial)
            optimizer = optimizer or name
    if trials:
        unreduced = any(error.unreduced for error in bench.raised)
        return Measurement(Status.MEASURED, "", bench.executed, unreduced, tuple(trials), optimizer)
    if bench.raised:
        error = bench.raised[0]
        return Measurement(Status.RAISED, str(error), bench.executed, error.unreduced)
    reason = bench.failures[0] if bench.failures else "no layout is possible"
    return Measurement(Status.BLOCKED, f"no shape fits: {reason}", bench.executed)


def explore(program: Program, apart: set[str], *, takes_rows: bool) -> Findings:
    """Trace a program, again when the trace has shown what is a tensor and what a structure.

    Args:
        program: the program.
        apart: gets the data of a batch that loops go through.
        takes_rows: whether these loops go through its samples.

    Raises:
        BlockedError: it cannot be traced.
    """
    tensors: frozenset[str] = frozenset()
    structures: frozenset[str] = frozenset()
    failure: BlockedError | None = None
    for _ in range(3):
        world = Trace(tensors, structures, takes_rows=takes_rows)
        machine = Interpreter(program, world)
        failure = None
        try:
            machine.begin()
        except BlockedError as error:
            failure = error
        except UserError as error:
            failure = BlockedError(f"it raises {error}")
        found = world.found
        apart |= machine.apart
        found.apart, found.data = apart, frozenset(machine.samples)
        leads = found.structures
        indexed = {path for path in leads if found.uses[path] & {"tensor", "arithmetic"} or path in found.roles}
        indexed = {path for path in indexed if not _has_named_parts(path, found)}
        if tensors == indexed | tensors and structures == frozenset(leads - indexed) | structures:
            break
        tensors = frozenset(indexed) | tensors
        structures = frozenset(leads - tensors) | structures
    if failure is not None:
        raise failure
    return found


def _has_named_parts(path: str, found: Findings) -> bool:
    """Whether parts of a path are taken by a name, or it is called: then it is no tensor."""
    starts = (f"{path}.", f"{path}(", f"{path}['")
    return any(other.startswith(starts) for other in found.uses)


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
                bench.once(plan, sizes.grown("B", times), device=cpu, update=False)
        except RaisedError as error:
            bench.raised.append(error)
        except MisfitError as error:
            fitted = plan.fitted(error.path, error.axis, error.size)
            if fitted is not None:
                plan = fitted
                continue
            bench.failures.append(str(error))
        except BlockedError as error:
            bench.failures.append(str(error))
        else:
            return plan
        return None
    return None


def _trial(bench: Bench, plan: Plan, sizes: Sizes) -> tuple[Trial, str]:
    """Measure a plan that runs, over all dials that it has."""
    outcomes = [bench.once(plan, sizes.grown("B", times), device=bench.device) for times in SIZES]
    samples = [sizes.base["B"] * times for times in SIZES]
    series = [_series("samples", "gradient", samples, [o.gradient for o in outcomes])]
    clipped = any(outcome.clipped for outcome in outcomes)
    if not clipped and (unbounded := _unbounded(bench, plan, sizes, series[0])):
        series, clipped = [unbounded], True
    updates = [outcome.update for outcome in outcomes if outcome.update is not None]
    if len(updates) == len(SIZES):
        series.append(_series_of_norms("samples", "update", samples, [update.norm for update in updates]))
    if len(outcomes[0].norms) > 1:
        for path in outcomes[0].norms:
            norms = [outcome.norms.get(path, 0.0) for outcome in outcomes]
            series.append(_series_of_norms("samples", f"gradient of {path}", samples, norms))
    series += _other_dials(bench, plan, sizes)
    name = updates[0].optimizer if updates else ""
    return Trial(plan.layout(), tuple(series), clipped, plan.assumptions() + outcomes[0].chosen), name


def _unbounded(bench: Bench, plan: Plan, sizes: Sizes, bounded: Series) -> Series | None:
    """Return the growth of a small gradient where that of a large one is bounded: it is clipped by hand."""
    if bounded.exponent is None or not any(".grad" in unit.text for unit in bench.program.experiment.units):
        return None
    try:
        outcomes = [
            bench.once(plan, sizes.grown("B", times), device=bench.device, update=False, seed=_SMALL) for times in SIZES
        ]
    except (BlockedError, RaisedError):
        return None
    found = _series("samples", "gradient", bounded.sizes, [outcome.gradient / _SMALL for outcome in outcomes])
    grows = found.exponent is not None and found.exponent > bounded.exponent + _MORE
    return found if grows else None


def _other_dials(bench: Bench, plan: Plan, sizes: Sizes) -> list[Series]:
    found: list[Series] = []
    by_mask = bench.program.experiment.rule == "RED203"
    for count, what, at in _dials(plan, sizes, by_mask=by_mask):
        if count not in bench.program.experiment.dials:
            continue
        has_update = count == "micro_batches"
        try:
            outcomes = [bench.once(plan, one, device=bench.device, update=has_update) for one in at]
        except (BlockedError, RaisedError):
            continue
        shown = [_shown(count, one) for one in at]
        found.append(_series_of_norms(count, what, shown, [norm(outcome.gradient) for outcome in outcomes]))
        updates = [outcome.update.norm for outcome in outcomes if outcome.update is not None]
        if has_update and len(updates) == len(at):
            found.append(_series_of_norms(count, "update", shown, updates))
    return found


def _shown(count: str, sizes: Sizes) -> int:
    """Return how many there are of what a dial counts."""
    if count in ("elements", "valid"):
        letter = "T" if "T" in sizes.times else "D"
        return sizes.base[letter] * sizes.times.get(letter, 1)
    sized = {"classes": sizes.size("C"), "micro_batches": sizes.micro_batches, "ranks": sizes.ranks}
    return sized.get(count, sizes.weights)


def _dials(plan: Plan, sizes: Sizes, *, by_mask: bool) -> list[tuple[str, str, list[Sizes]]]:
    """Return the dials besides the samples: the count, what is varied, and the sizes to run."""
    dials: list[tuple[str, str, list[Sizes]]] = []
    letters = plan.letters
    for letter, what in (("T", "gradient"), ("D", "gradient" if "T" not in letters else "gradient over features")):
        if letter in letters:
            dials.append(("elements", what, [sizes.grown(letter, times) for times in FEW]))
    if "T" in letters and ((plan.has_mask if by_mask else plan.has_padding) or sizes.is_written):
        longest, base = max(FEW), sizes.base["T"]
        padded = [replace(sizes.grown("T", times), padding=base * (longest - times)) for times in FEW]
        dials.append(("valid", "gradient", padded))
    if "C" in letters:
        dials.append(("classes", "gradient", [sizes.grown("C", times) for times in FEW]))
    dials.append(("micro_batches", "gradient", [replace(sizes, micro_batches=times) for times in FEW]))
    dials.append(("weights", "gradient", [replace(sizes, weights=times) for times in FEW]))
    dials.append(("ranks", "gradient", [replace(sizes, ranks=times) for times in FEW]))
    return dials


def _series(count: str, what: str, sizes: Sequence[int], gradients: Sequence[torch.Tensor]) -> Series:
    series = _series_of_norms(count, what, sizes, [norm(gradient) for gradient in gradients])
    fit = laurent(sizes, [gradient.double().cpu().tolist() for gradient in gradients])
    powers = tuple(fit.shares.items()) if fit.exact else ()
    return replace(series, powers=powers, residual=fit.residual)


def _series_of_norms(count: str, what: str, sizes: Sequence[int], norms: Sequence[float]) -> Series:
    return Series(count, what, tuple(sizes), tuple(norms), exponent(sizes, norms))
