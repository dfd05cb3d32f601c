"""The library tables against the libraries: names, signatures, growths, divisors, flags and updates.

What can be said of the tables alone is tested without torch. The rest calls every loss on a batch that
is repeated (never drawn again), and gives every optimizer gradients that are multiplied by a number;
tests of a library that is not installed are skipped.
"""

from __future__ import annotations

import importlib
import inspect
import math
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import pairwise, product
from pathlib import Path

import pytest

from lint_reduction import libraries
from lint_reduction.analysis.criteria import legacy_reduction
from lint_reduction.errors import ConfigError
from lint_reduction.facts import Behavior
from lint_reduction.growth import ONE, Count, Growth
from lint_reduction.libraries import load_libraries
from lint_reduction.libraries.schema import LEGACY, LossModel, OptimizerModel, read_tables

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if find_spec("torch"):
    import torch
    from torch import Tensor

    from tests import loss_inputs

    VARIANTS = sorted(loss_inputs.VARIANTS)
else:
    VARIANTS = []

FOLDER = Path(libraries.__file__).parent
TABLES = load_libraries().tables
LOSSES = load_libraries().losses
TORCH_LOSSES = [name for name in LOSSES if name.startswith("torch.")]
CHOOSING = [name for name, (model, _) in LOSSES.items() if not model.fixed]
DIVISORS = {"numel", "samples", "valid", "target_length"}

#: How far a measured exponent may be off. Losses are repeated, so theirs are exact up to rounding; the
#: small constants of an optimizer (eps) show.
TOLERANCE, UPDATE_TOLERANCE = 1e-3, 0.02

#: Strings and values given as ``reduction``, each accepted by some loss or mistaken for one that is.
GIVEN = (
    *("none", "mean", "sum", "batchmean", "elementwise_mean"),
    *("avg", "average", "Mean", "MEAN", "", "None", "mean_batch", None, True),
)

#: In the tables for the earlier releases that had them.
GONE = {
    "transformers.AdamW": "transformers 5.23",
    "transformers.optimization.AdamW": "transformers 5.23",
    "trl.GKDTrainer.compute_loss": "trl 1.16",
}


def _load(path: Path) -> dict[str, object]:
    values: dict[str, object] = tomllib.loads(path.read_text())
    return values


def _described_torch() -> tuple[int, ...]:
    match = re.search(r"torch (\d+)\.(\d+)", (FOLDER / "torch.toml").read_text())
    assert match is not None
    return tuple(map(int, match.groups()))


# --- the tables alone


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_table_says_first_what_it_describes(path: Path) -> None:
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize(
    "path",
    [p for p in sorted(FOLDER.glob("*.toml")) if p.name not in ("names.toml", "operations.toml")],
    ids=lambda p: p.stem,
)
def test_a_table_loads_and_holds_something(path: Path) -> None:
    """Unknown keys and growths that cannot be parsed are errors of the reader."""
    values = _load(path)
    assert set(values) <= {"loss", "optimizer", "sink", "wrapper", "companion", "alias"}
    tables = read_tables(values, path.name)
    assert tables.losses or tables.optimizers or tables.sinks


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"name": "a.Loss", "colour": "red"}, "colour"),
        ({"name": "a.Loss", "sum": "samples * colours"}, "colours"),
        ({"name": "a.Loss", "mean": "samples^"}, "samples"),
        ({"name": "a.Loss", "accepts": "mean"}, "accepts"),
        ({"source": "https://"}, "name"),
    ],
    ids=["unknown key", "unknown count", "no growth", "wrong type", "no name"],
)
def test_a_wrong_entry_is_refused(entry: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_tables({"loss": [entry]}, "a table")


def test_names_are_unique() -> None:
    losses = [name for loss in TABLES.losses for name in (loss.name, loss.function) if name]
    optimizers = [optimizer.name for optimizer in TABLES.optimizers]
    aliases = [old for old, _ in TABLES.aliases]
    operations = [
        name for listed in _load(FOLDER / "operations.toml").values() if isinstance(listed, list) for name in listed
    ]
    counts = _load(FOLDER / "names.toml")["counts"]
    assert isinstance(counts, dict)
    words = [name for listed in counts.values() for name in listed]
    for names in (losses, optimizers, aliases, operations, words):
        assert len(names) > 10
        assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("model", TABLES.losses, ids=lambda model: model.name or model.function)
def test_a_loss_entry_is_consistent(model: LossModel) -> None:
    assert model.source.startswith("https://")
    assert model.divisor in DIVISORS
    assert set(model.warns) <= set(model.accepts)
    assert model.fixed or model.default in model.accepts
    for name, parameters in (
        (model.name, (*model.positional, *model.keyword_only)),
        (model.function, (*model.function_positional, *model.function_keyword_only)),
    ):
        assert ("reduction" in parameters) == (bool(name) and not model.fixed)
        assert len(parameters) == len(set(parameters))
    if model.function:
        assert set(model.inputs) <= set(model.function_positional)
    mean = model.growths["mean"]
    assert Growth.parse(str(mean)) == mean
    # to sum the unreduced loss is to take away its axes, and batchmean divides that by the samples
    expected = {"mean": mean, "sum": mean * model.none, "batchmean": mean * model.none / Growth.of(Count.SAMPLES)}
    assert model.growths == {reduction: expected[reduction] for reduction in model.growths}


# --- the tables against the libraries


@pytest.fixture(autouse=True)
def _with_torch(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("torch"):
        pytest.importorskip("torch").set_num_threads(1)


def _torch_is_older() -> bool:
    return tuple(map(int, torch.__version__.split(".")[:2])) < _described_torch()


def _find(name: str) -> object:
    """Return what a name of the tables stands for; skip where its library does not have it."""
    path, *rest = name.split(".")
    found: object = pytest.importorskip(path)
    try:
        for part in rest:
            path += f".{part}"
            if not hasattr(found, part):
                importlib.import_module(path)
            found = getattr(found, part)
    except ModuleNotFoundError:
        if name in GONE:
            pytest.skip(f"{name} is no longer in {GONE[name]}")
        if name.startswith("torch.") and _torch_is_older():
            pytest.skip(f"torch {torch.__version__} has no {name}")
        raise
    return found


def _resolve(name: str) -> Callable[..., object]:
    found = _find(name)
    assert callable(found)
    return found


def _parameters(called: Callable[..., object]) -> dict[str, inspect.Parameter]:
    # a deprecated class hides its signature, but not that of __init__
    function = called.__init__ if inspect.isclass(called) else called
    return {name: p for name, p in inspect.signature(function).parameters.items() if name != "self"}


@dataclass(frozen=True, slots=True)
class _Loss:
    """A loss class or function of the tables, with inputs to call it on."""

    model: LossModel
    is_class: bool
    callee: Callable[..., object]
    problem: loss_inputs.Problem

    def prepare(self, given: Mapping[str, object], theta: Tensor, times: Mapping[Count, int]) -> Callable[[], Tensor]:
        """Return the call of the loss; a criterion is built at once."""
        tensors, options = self.problem.arguments(theta, times)
        torch.manual_seed(0)
        call = self.callee(**options, **given) if self.is_class else partial(self.callee, **options, **given)
        assert callable(call)
        return partial(call, *tensors)

    def results(self, theta: Tensor, times: Mapping[Count, int], **given: object) -> object:
        """Return what the loss returns, whatever it warns of."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.prepare(given, theta, times)()

    def grown(self, use: str, theta: Tensor, times: Mapping[Count, int]) -> Tensor:
        """Return the loss of a repeated batch: under a reduction, or ``none.sum()`` and the like."""
        reduction, _, method = use.partition(".")
        result = self.results(theta, times, **({} if self.model.fixed else {"reduction": reduction}))
        value = getattr(result, self.model.output) if self.model.output else result
        assert isinstance(value, Tensor)
        return getattr(value, method.rstrip("()"))() if method else value

    def value(self, use: str, times: Mapping[Count, int] | None = None) -> Tensor:
        """Return the same without a gradient."""
        return self.grown(use, loss_inputs.parameter().detach(), times or {})


def _loss(name: str) -> _Loss:
    model, is_class = LOSSES[name]
    callee = _resolve(name)
    keys = [name, name.rpartition(".")[2], model.function.rpartition(".")[2]]
    problem = next((loss_inputs.PROBLEMS[key] for key in keys if key in loss_inputs.PROBLEMS), None)
    assert problem is not None, f"tests/loss_inputs.py has no inputs for {name}"
    counts = {count for count, _ in model.none.powers} if name.startswith("torch.") else {Count.SAMPLES}
    assert counts <= set(problem.counts())
    return _Loss(model, is_class, callee, problem)


def _axes(model: LossModel) -> Growth:
    """Return the axes of the unreduced loss, further positions included."""
    return model.none * (Growth.of(Count.ELEMENTS) if model.more_positions else ONE)


def _growth(model: LossModel, use: str) -> Growth:
    """Return how a loss grows by the table."""
    if use == "none.mean()":
        return model.growths["mean"]
    if use == "none.sum()":
        return model.growths["mean"] * _axes(model)
    growth = model.growth(use)
    assert growth is not None
    # further positions are summed by all but a mean over everything
    averages = use in ("mean", "elementwise_mean")
    return growth if averages else growth * _axes(model) / model.none


def _exponent(growth: Growth, count: Count) -> float:
    return float(growth.in_samples if count is Count.SAMPLES else growth.exponent(count))


def _uses(model: LossModel) -> list[str]:
    if model.fixed:
        return [model.default]
    return ["none.sum()", "none.mean()", *(reduction for reduction in model.accepts if reduction != "none")]


def _measured(loss: _Loss, use: str) -> dict[Count, list[float]]:
    return {count: loss_inputs.exponents(partial(loss.grown, use), count) for count in loss.problem.counts()}


def _expected(loss: _Loss, use: str) -> dict[Count, object]:
    growth = _growth(loss.model, use)
    doublings = len(loss_inputs.TIMES) - 1
    return {c: pytest.approx([_exponent(growth, c)] * doublings, abs=TOLERANCE) for c in loss.problem.counts()}


@pytest.mark.torch
def test_every_loss_of_torch_is_listed() -> None:
    """Every class called a loss, and all that takes a reduction: a new torch that has more fails here."""

    def takes_reduction(value: object) -> bool:
        try:
            return callable(value) and "reduction" in inspect.signature(value).parameters
        except ValueError:  # written in C, without a signature
            return False

    found = {
        f"{module.__name__}.{name}"
        for module in (torch.nn, torch.nn.functional)
        for name, value in vars(module).items()
        if not name.startswith("_") and ((inspect.isclass(value) and "Loss" in name) or takes_reduction(value))
    }
    assert len(found) > 40
    assert found - set(TORCH_LOSSES) == set()
    assert _torch_is_older() or set(TORCH_LOSSES) - found == set()


@pytest.mark.torch
@pytest.mark.parametrize("name", LOSSES)
def test_parameters_stand_where_the_table_says(name: str) -> None:
    model, is_class = LOSSES[name]
    callee = _resolve(name)
    parameters = _parameters(callee)
    by_position = [n for n, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    by_keyword = [n for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY]
    listed = list(model.positional if is_class else model.function_positional)
    listed_by_keyword = list(model.keyword_only if is_class else model.function_keyword_only)
    if name.startswith("torch.") and _torch_is_older():
        # later releases have added parameters, always at the end
        listed = listed[: len(by_position)]
        listed_by_keyword = [n for n in listed_by_keyword if n in by_keyword]
    assert by_position == listed
    assert by_keyword == listed_by_keyword
    assert {n: p.default for n, p in parameters.items() if n in LEGACY} == dict.fromkeys(model.legacy)
    assert model.fixed or parameters["reduction"].default == model.default
    if is_class:
        called = next(getattr(callee, method) for method in ("forward", "__call__") if hasattr(callee, method))
        assert list(_parameters(called))[: len(model.inputs)] == list(model.inputs)


@pytest.mark.torch
@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_grows_as_the_table_says(name: str) -> None:
    loss = _loss(name)
    uses = _uses(loss.model)
    assert {use: _measured(loss, use) for use in uses} == {use: _expected(loss, use) for use in uses}


@pytest.mark.torch
def test_the_mean_of_a_divergence_shrinks_with_the_classes() -> None:
    """What the growths of ``kl_div`` say: ``mean`` is ``batchmean`` over the classes (and further positions)."""
    loss = _loss("torch.nn.functional.kl_div")
    assert Count.CLASSES in loss.problem.counts()
    for classes in (1, 2, 4):
        values = {use: loss.value(use, {Count.CLASSES: classes}) for use in ("mean", "batchmean")}
        ratio = values["batchmean"] / values["mean"]
        assert ratio.item() == pytest.approx(classes * loss_inputs.C * loss_inputs.T)


@pytest.mark.torch
@pytest.mark.parametrize("name", CHOOSING)
def test_the_unreduced_loss_has_the_axes_that_the_table_says(name: str) -> None:
    loss = _loss(name)
    base = loss.value("none")
    assert base.shape[0] == loss_inputs.N
    for count in loss.problem.counts():
        grown = loss.value("none", {count: 2})
        assert grown.numel() / base.numel() == 2 ** _exponent(_axes(loss.model), count)
    if _axes(loss.model) == Growth.of(Count.SAMPLES):
        assert base.ndim == 1


def _average(word: str, none: Tensor, problem: loss_inputs.Problem) -> Tensor:
    """Return the sum of an unreduced loss over the divisor that a word stands for."""
    tensors, options = problem.arguments(loss_inputs.parameter(), {})
    last = tensors[-1]
    if word == "numel":
        return none.mean()
    if word == "samples":
        return none.sum() / loss_inputs.N
    if word == "target_length":
        return (none / last.clamp(min=1)).mean()
    if word == "weight":
        weight = options["weight"]
        assert isinstance(weight, Tensor)
        return none.sum() / weight.sum()
    valid = last[last != options.get("ignore_index", loss_inputs.IGNORED)]
    if word == "valid":
        return none.sum() / len(valid)
    assert word == "weights"
    weights = options["weight"]
    assert isinstance(weights, Tensor)
    return none.sum() / weights[valid].sum()


def _assert_averages(loss: _Loss, reduction: str, word: str) -> None:
    none, mean = loss.value("none"), loss.value(reduction)
    torch.testing.assert_close(mean, _average(word, none, loss.problem))
    # the inputs must tell the divisor from the number of elements, or the line above says nothing
    assert word in ("numel", "samples") or not torch.isclose(mean, none.mean(), rtol=1e-3)


@pytest.mark.torch
@pytest.mark.parametrize("name", CHOOSING)
def test_mean_divides_the_sum_as_the_table_says(name: str) -> None:
    loss = _loss(name)
    _assert_averages(loss, "mean", loss.model.divisor)
    if "sum" in loss.model.accepts:
        torch.testing.assert_close(loss.value("sum"), loss.value("none").sum())


@pytest.mark.torch
@pytest.mark.parametrize("key", VARIANTS)
def test_weights_and_masks_change_the_divisor_and_not_the_growth(key: str) -> None:
    variant = loss_inputs.VARIANTS[key]
    function = _loss(f"torch.nn.functional.{variant.function}")
    losses = [function]
    if function.model.name and _loss(function.model.name).problem is function.problem:
        module = _loss(function.model.name)
        if set(variant.problem.options) <= {*module.model.positional, *module.model.keyword_only}:
            losses.append(module)
    for loss in losses:
        varied = replace(loss, problem=variant.problem)
        _assert_averages(varied, variant.reduction, variant.divisor)
        for use in (variant.reduction, "sum"):
            assert _measured(varied, use) == _expected(varied, use)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["torch.nn.CrossEntropyLoss", "torch.nn.functional.nll_loss"])
def test_the_mean_of_nothing_is_no_number(name: str) -> None:
    loss = _loss(name)
    scores, targets = loss.problem.inputs
    nothing = replace(targets, data=torch.full_like(targets.data, loss_inputs.IGNORED))
    empty = replace(loss, problem=loss_inputs.Problem((scores, nothing)))
    assert empty.value("mean").isnan()
    assert empty.value("sum") == 0


@pytest.mark.torch
def test_adaptive_softmax_returns_its_mean_beside_the_unreduced_values() -> None:
    loss = _loss("torch.nn.AdaptiveLogSoftmaxWithLoss")
    results = loss.results(loss_inputs.parameter(), {})
    assert isinstance(results, tuple)
    output, mean = results
    torch.testing.assert_close(mean, -output.sum() / loss_inputs.N)


@pytest.mark.torch
@pytest.mark.parametrize("name", [name for name in CHOOSING if name in TORCH_LOSSES])
def test_reductions_are_accepted_and_refused_at_the_first_call(name: str) -> None:
    loss = _loss(name)
    accepted, warned = set(), set()
    for reduction in GIVEN:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call = loss.prepare({"reduction": reduction}, loss_inputs.parameter(), {})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                call()
            except ValueError:
                continue
            except TypeError:
                assert not isinstance(reduction, str)
                continue
        accepted.add(reduction)
        if caught:
            warned.add(reduction)
    assert accepted == set(loss.model.accepts)
    assert warned == set(loss.model.warns)
    if "elementwise_mean" in accepted:
        torch.testing.assert_close(loss.value("elementwise_mean"), loss.value("mean"))


@pytest.mark.torch
@pytest.mark.parametrize("name", [name for name in TORCH_LOSSES if LOSSES[name][0].legacy])
def test_the_old_flags_stand_for_a_reduction_and_win_over_it(name: str) -> None:
    loss = _loss(name)
    assert set(loss.model.legacy) == set(LEGACY)
    values = {reduction: loss.value(reduction) for reduction in ("none", "mean", "sum")}
    effective, expected = {}, {}
    for size_average, reduce, given in product((None, True, False), (None, True, False), ("mean", "sum")):
        flags = {"size_average": size_average, "reduce": reduce}
        result = loss.results(loss_inputs.parameter().detach(), {}, reduction=given, **flags)
        assert isinstance(result, Tensor)
        case = (size_average, reduce, given)
        effective[case] = [r for r, v in values.items() if v.shape == result.shape and torch.allclose(v, result)]
        without_flags = size_average is None and reduce is None
        expected[case] = [given if without_flags else legacy_reduction(size_average, reduce)]
    assert effective == expected


# --- optimizers

STEPS = 8
OPTIMIZERS = {optimizer.name: optimizer for optimizer in TABLES.optimizers if optimizer.name.startswith("torch.")}
DECAYING = [(name, "") for name, model in OPTIMIZERS.items() if model.weight_decay]
DECOUPLED_BY_FLAG = [(name, model.decoupled_flag) for name, model in OPTIMIZERS.items() if model.decoupled_flag]

#: Exponent of the update at each step when the gradients are multiplied.
FOLLOWS = {
    Behavior.EQUIVARIANT: [1.0] * STEPS,
    Behavior.INVARIANT: [0.0] * STEPS,
    Behavior.TRANSITIONAL: [1.0] * 5 + [0.0] * (STEPS - 5),
}


def _updates(name: str, options: Mapping[str, object], factor: float = 1, decay: float = 0) -> list[Tensor]:
    """Return the updates of one weight by fixed gradients, times ``factor`` and with ``decay`` of the weight added."""
    draws = torch.Generator().manual_seed(0)
    start, *gradients = torch.randn((STEPS + 1, 3, 4), generator=draws, dtype=torch.float64)
    weight = torch.nn.Parameter(start.clone())
    optimizer = _resolve(name)([weight], **options)
    assert isinstance(optimizer, torch.optim.Optimizer)
    updates = []
    for gradient in gradients:
        before = weight.detach().clone()
        weight.grad = factor * gradient + decay * before
        if name.endswith("SparseAdam"):
            weight.grad = weight.grad.to_sparse()
        optimizer.step()
        updates.append(weight.detach() - before)
    return updates


def _update_exponents(name: str, **options: object) -> list[list[float]]:
    """Return for each step the exponents from factor 1 to 4 and from 4 to 16."""
    by_factor = [[update.norm().item() for update in _updates(name, options, factor)] for factor in (1, 4, 16)]
    return [[math.log(b / a, 4) for a, b in pairwise(norms)] for norms in zip(*by_factor, strict=True)]


@pytest.mark.torch
def test_every_optimizer_of_torch_is_listed() -> None:
    found = {
        f"torch.optim.{name}"
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }
    assert found - set(OPTIMIZERS) == set()
    assert _torch_is_older() or set(OPTIMIZERS) - found == set()


@pytest.mark.torch
@pytest.mark.parametrize("model", TABLES.optimizers, ids=lambda model: model.name)
def test_options_of_optimizers_are_those_that_the_table_says(model: OptimizerModel) -> None:
    parameters = list(_parameters(_resolve(model.name)))
    position, name = model.learning_rate
    assert parameters[position] == name
    assert ("weight_decay" in parameters) == bool(model.weight_decay)
    for flag, listed in (
        ("decoupled_weight_decay", model.decoupled_flag),
        ("initial_accumulator_value", model.accumulator),
    ):
        assert listed == (flag if flag in parameters else "")


@pytest.mark.torch
@pytest.mark.parametrize("name", [n for n, model in OPTIMIZERS.items() if model.behavior in FOLLOWS])
def test_the_update_follows_the_gradient_as_the_table_says(name: str) -> None:
    model = OPTIMIZERS[name]
    assert _update_exponents(name) == [
        pytest.approx([exponent] * 2, abs=UPDATE_TOLERANCE) for exponent in FOLLOWS[model.behavior]
    ]
    assert model.first_steps == (model.behavior is Behavior.TRANSITIONAL)


@pytest.mark.torch
@pytest.mark.parametrize(("name", "flag"), DECAYING + DECOUPLED_BY_FLAG)
def test_weight_decay_is_coupled_where_the_table_says(name: str, flag: str) -> None:
    """Coupled decay is what adding to the gradient does, at every step."""
    options = {"lr": 0.1, **({flag: True} if flag else {})}
    decayed = torch.stack(_updates(name, {**options, "weight_decay": 0.5}))
    added_to_the_gradient = torch.stack(_updates(name, {**options, "weight_decay": 0}, decay=0.5))
    is_coupled = torch.allclose(decayed, added_to_the_gradient)
    assert is_coupled == (OPTIMIZERS[name].weight_decay == "coupled" and not flag)


@pytest.mark.torch
@pytest.mark.parametrize("name", [n for n, model in OPTIMIZERS.items() if model.accumulator])
def test_an_initial_accumulator_lets_the_gradient_through(name: str) -> None:
    first, *_, last = _update_exponents(name, **{OPTIMIZERS[name].accumulator: 10.0})
    assert min(first) > 0.1
    assert max(last) < min(first)


# --- everything else that the tables name

SINKS = {sink.method or sink.function or sink.criterion_of: sink for sink in TABLES.sinks if not sink.returns}
CALLED = [wrapper.function or wrapper.method for wrapper in TABLES.wrappers]
CALLED += [companion.function or companion.method for companion in TABLES.companions]
HOOKS = [f"{base}.{sink.returns}" for sink in TABLES.sinks if sink.returns for base in sink.bases]


@pytest.mark.torch
@pytest.mark.parametrize("name", sorted({*CALLED, *HOOKS}))
def test_the_call_exists(name: str) -> None:
    assert _parameters(_resolve(name))


@pytest.mark.torch
@pytest.mark.parametrize("name", sorted({new for _, new in TABLES.aliases}))
def test_an_alias_leads_to_something(name: str) -> None:
    assert _find(name)


@pytest.mark.torch
@pytest.mark.parametrize("name", SINKS)
def test_a_sink_takes_its_arguments_where_the_table_says(name: str) -> None:
    sink = SINKS[name]
    parameters = list(_parameters(_resolve(name)))
    if parameters == ["args", "kwargs"]:
        pytest.skip(f"{name} is wrapped and hides its parameters")
    for position, argument in filter(None, (sink.argument, sink.gradient, sink.optimizer)):
        assert argument in parameters
        assert position in (-1, parameters.index(argument))
