"""``check_growth`` on small true models: exponents to rounding, and nothing left changed."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import pytest

import lint_reduction
from lint_reduction.errors import ProbeError
from lint_reduction.verify.measure import Kind
from tests.command import ROOT

pytestmark = pytest.mark.torch

if find_spec("torch"):
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F  # noqa: N812
    from torch.utils.checkpoint import checkpoint

    from lint_reduction import assert_growth, check_growth
    from lint_reduction.verify.report import GrowthReport

    torch.set_num_threads(1)
else:
    pytest.skip("torch is not installed", allow_module_level=True)

Step = Callable[["tuple[Tensor, Tensor]"], "Tensor"]


def network(*inner: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), *inner, nn.ReLU(), nn.Linear(16, 5)).double()


def batch(n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, 8, dtype=torch.float64), torch.randint(0, 5, (n,))


def make_steps(model: nn.Module) -> dict[str, Step]:
    return {
        "mean": lambda b: F.cross_entropy(model(b[0]), b[1]),
        "sum": lambda b: F.cross_entropy(model(b[0]), b[1], reduction="sum"),
        "sum / B": lambda b: F.cross_entropy(model(b[0]), b[1], reduction="sum") / len(b[1]),
        "mean / B": lambda b: F.cross_entropy(model(b[0]), b[1]) / len(b[1]),
        "mean * B ** 2": lambda b: F.cross_entropy(model(b[0]), b[1]) * len(b[1]) ** 2,
        "sqrt(sum)": lambda b: F.cross_entropy(model(b[0]), b[1], reduction="sum").sqrt(),
        "mean + weight penalty": lambda b: (
            F.cross_entropy(model(b[0]), b[1]) + 0.01 * sum((p**2).sum() for p in model.parameters())
        ),
        "InfoNCE": lambda b: F.cross_entropy(model(b[0]) @ model(b[0]).T, torch.arange(len(b[1]))),
    }


KINDS = {
    "mean": Kind.MEAN,
    "sum": Kind.SUM,
    "sum / B": Kind.MEAN,
    "mean / B": Kind.DIVIDED_TWICE,
    "mean * B ** 2": Kind.SQUARED,
    "sqrt(sum)": Kind.ROOT,
    "mean + weight penalty": Kind.MEAN,
    "InfoNCE": Kind.MEAN,
}


@pytest.mark.parametrize("name", KINDS)
def test_the_exponent_of_a_composition_is_exact(name: str) -> None:
    report = check_growth(make_steps(network())[name], batch)
    assert report.kind is KINDS[name]
    assert report.exponent == pytest.approx(float(report.kind.power or 0), abs=1e-9)
    assert list(report.groups) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert {group.kind for group in report.groups.values()} == {report.kind}
    assert bool(report.notes) is (name == "sqrt(sum)")


@pytest.mark.parametrize("name", ["mean", "sum"])
def test_batch_normalization_and_dropout_are_measured_in_training(name: str) -> None:
    model = network(nn.BatchNorm1d(16), nn.Dropout(0.5))
    report = check_growth(make_steps(model)[name], batch)
    assert report.kind is KINDS[name]
    assert report.groups["4.weight"].exponent == pytest.approx(float(report.kind.power or 0), abs=1e-9)
    assert report.groups["0.bias"].kind is Kind.UNDEFINED, "batch normalization takes its gradient away"
    assert report.notes == ("the gradient is zero in 0.bias",)


def test_a_mixture_says_which_terms_it_has() -> None:
    model = network()

    def step(b: tuple[Tensor, Tensor]) -> Tensor:
        out = model(b[0])
        return F.cross_entropy(out, b[1]) + 0.01 * out.abs().sum()

    report = check_growth(step, batch)
    assert (report.kind, report.whole.classification.powers) == (Kind.MIXED, (0, 1))
    assert 0.1 < (report.exponent or 0) < 0.3
    assert "(mean + sum)" in str(report)
    assert report.notes[0].startswith("terms are reduced in unlike ways; with 32 samples they are ")


def test_the_terms_of_a_variational_autoencoder_are_told_apart_under_noise() -> None:
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(6, 4).double(), nn.Linear(2, 6).double()

    def step(x: Tensor) -> Tensor:
        mean, log_variance = encoder(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
        return F.mse_loss(decoder(z), x) + divergence

    report = check_growth(step, lambda n: torch.randn(n, 6, dtype=torch.float64))
    assert report.groups["Linear.weight"].classification.powers == (0, 1)
    assert report.groups["Linear.weight (2)"].classification.powers == (0,)
    assert not report.grows_as(0)
    assert not report.grows_as(1)


def test_a_division_by_one_less_is_said_to_be_no_power() -> None:
    layer = nn.Linear(8, 4).double()
    report = check_growth(lambda x: layer(x).var(0).sum(), lambda n: torch.randn(n, 8, dtype=torch.float64))
    assert report.kind is Kind.OTHER
    assert "a division by B - 1" in report.notes[-1]
    large = check_growth(
        lambda x: layer(x).var(0).sum(),
        lambda n: torch.randn(n, 8, dtype=torch.float64),
        sizes=(256, 512, 768, 1024, 1280),
    )
    assert large.kind is Kind.MEAN


@pytest.mark.parametrize("checkpointed", [None, True, False])
def test_what_runs_below_modules_is_repeated_too(checkpointed: bool | None) -> None:
    model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True)

    def step(x: Tensor) -> Tensor:
        if checkpointed is None:
            return model(x).pow(3).sum()
        return checkpoint(model, x.requires_grad_(), use_reentrant=checkpointed).pow(3).sum()

    report = check_growth(step, lambda n: torch.randn(n, 6, 8))
    assert report.exponent == pytest.approx(1, abs=1e-5)
    assert not report.notes


def test_reduced_precision_is_classified_by_the_exponent() -> None:
    model = nn.Linear(8, 4).bfloat16()
    report = check_growth(lambda x: model(x).pow(2).sum(), lambda n: torch.randn(n, 8).bfloat16())
    assert report.kind is Kind.SUM
    assert not report.whole.polynomial


def test_single_precision_is_enough() -> None:
    model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Dropout(0.2), nn.Linear(32, 1))
    for reduction, power in (("mean", 0), ("sum", 1)):
        report = check_growth(
            lambda x, reduction=reduction: F.mse_loss(model(x), x[:, :1], reduction=reduction),
            lambda n: torch.randn(n, 8),
        )
        assert report.grows_as(power)
        assert report.exponent == pytest.approx(power, abs=1e-5)


# --- steps


def test_a_step_may_call_backward_itself() -> None:
    model = network()

    def step(b: tuple[Tensor, Tensor]) -> None:
        model.zero_grad()
        F.cross_entropy(model(b[0]), b[1], reduction="sum").backward()

    assert check_growth(step, batch).kind is Kind.SUM
    assert check_growth(step, batch, parameters=model).kind is Kind.SUM


def test_a_step_may_accumulate_micro_batches() -> None:
    model = network()

    def step(b: tuple[Tensor, Tensor]) -> None:
        for x, y in zip(b[0].split(2), b[1].split(2), strict=True):
            F.cross_entropy(model(x), y).backward()

    assert check_growth(step, batch).kind is Kind.SUM


def test_a_step_may_return_a_mapping() -> None:
    model = network()
    assert check_growth(lambda b: {"loss": F.cross_entropy(model(b[0]), b[1])}, batch).kind is Kind.MEAN


def test_parameters_need_no_module() -> None:
    weight = torch.randn(8, 5, dtype=torch.float64, requires_grad=True)
    unused = torch.zeros(3, requires_grad=True)
    weight.grad = torch.ones_like(weight)

    def step(b: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(b[0] @ weight, b[1], reduction="sum")

    for parameters in (None, [weight, unused], [("w", weight)]):
        report = check_growth(step, batch, parameters=parameters)
        assert report.kind is Kind.SUM
        assert list(report.groups) == ["w" if parameters and len(parameters) == 1 else "parameter 0"]
        assert torch.equal(weight.grad, torch.ones_like(weight))
    assert check_growth(lambda b: step(b).backward(), batch).kind is Kind.SUM
    assert torch.equal(weight.grad, torch.ones_like(weight))


def test_inputs_that_require_a_gradient_are_no_parameters() -> None:
    model = network()
    report = check_growth(
        lambda b: F.cross_entropy(model(b[0]), b[1]), lambda n: (batch(n)[0].requires_grad_(), batch(n)[1])
    )
    assert list(report.groups) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_only_the_parameters_that_are_given_are_measured() -> None:
    model = network()
    penalty = make_steps(model)["mean"]
    report = check_growth(
        lambda b: penalty(b) + model[0](b[0]).pow(2).sum(), batch, parameters=model[2].named_parameters()
    )
    assert list(report.groups) == ["weight", "bias"]
    assert report.kind is Kind.MEAN


def test_a_model_of_many_parameters_is_reported_by_its_parts() -> None:
    blocks = nn.Sequential(*(nn.Linear(8, 8) for _ in range(8)))
    model = nn.ModuleDict({"backbone": blocks, "head": nn.Linear(8, 5)}).double()
    report = check_growth(
        lambda b: F.cross_entropy(model["head"](model["backbone"](b[0])), b[1]), batch, parameters=model
    )
    assert list(report.groups) == ["backbone", "head"]


def test_sparse_gradients_are_measured() -> None:
    table = nn.Embedding(10, 4, sparse=True)
    report = check_growth(lambda i: table(i).pow(2).sum(), lambda n: torch.randint(0, 10, (n, 3)))
    assert report.kind is Kind.SUM


def test_large_parameters_are_measured_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from lint_reduction.verify import probe

    step = make_steps(network())["sum"]
    whole = check_growth(step, batch)
    monkeypatch.setattr(probe, "_CHUNK", 7)
    parts = check_growth(step, batch)
    assert parts.whole.norms == pytest.approx(whole.whole.norms)
    assert parts.kind is whole.kind


# --- what goes wrong


@pytest.mark.parametrize(
    ("end", "complaint"),
    [
        (lambda loss: loss, r"has the shape \(4,\) and is not reduced to one number"),
        (lambda loss: loss.backward(), r"has the shape \(4,\) and is not reduced to one number"),
        (lambda loss: torch.autograd.backward(loss), "is not reduced to one number: grad can be implicitly created"),
    ],
    ids=["returned", "backward", "autograd"],
)
def test_a_loss_that_is_not_reduced_is_named(end: Callable[[Tensor], Tensor | None], complaint: str) -> None:
    model = network()
    with pytest.raises(ProbeError, match=complaint):
        check_growth(lambda b: end(F.cross_entropy(model(b[0]), b[1], reduction="none")), batch)


def test_a_gradient_of_ones_is_a_sum() -> None:
    model = network()

    def step(b: tuple[Tensor, Tensor]) -> None:
        loss = F.cross_entropy(model(b[0]), b[1], reduction="none")
        loss.backward(torch.ones_like(loss))

    assert check_growth(step, batch).kind is Kind.SUM


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        (lambda b: None, "returns no loss and calls no backward"),
        (lambda b: 1.0, "it returns float"),
        (lambda b: b[0].mean(), "depends on no parameter"),
    ],
)
def test_a_step_without_a_loss_is_refused(step: Step, complaint: str) -> None:
    with pytest.raises(ProbeError, match=complaint):
        check_growth(step, batch)


def test_a_step_that_steps_an_optimizer_is_refused_and_its_parameters_are_put_back() -> None:
    model = network()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step(b: tuple[Tensor, Tensor]) -> None:
        F.cross_entropy(model(b[0]), b[1]).backward()
        optimizer.step()

    with pytest.raises(ProbeError, match=r"leave out optimizer\.step"):
        check_growth(step, batch)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("sizes", "complaint"), [((4,), "two different"), ((4, 6), "multiples"), ((4, 8, 8), "different"), ((0, 4), "two")]
)
def test_sizes_that_do_not_do_are_refused(sizes: tuple[int, ...], complaint: str) -> None:
    with pytest.raises(ProbeError, match=complaint):
        check_growth(make_steps(network())["mean"], batch, sizes)


def test_parameters_without_a_gradient_are_refused() -> None:
    model, other = network(), nn.Linear(2, 2)
    with pytest.raises(ProbeError, match="no gradient reaches the parameters"):
        check_growth(make_steps(model)["mean"], batch, parameters=other)
    with pytest.raises(ProbeError, match="no parameters that require a gradient"):
        check_growth(make_steps(model)["mean"], batch, parameters=[])


def test_few_sizes_give_an_exponent_without_a_fit() -> None:
    report = check_growth(make_steps(network())["sum"], batch, (4, 8))
    assert report.kind is Kind.SUM
    assert report.whole.laurent is None
    assert report.notes == ("a mixture of terms is told from other exponents with 5 batch sizes or more",)


def test_a_gradient_that_is_zero_or_not_finite_has_no_exponent() -> None:
    weight = torch.zeros(8, requires_grad=True)
    zero = check_growth(lambda b: (b[0].float() @ weight).pow(2).mean(), batch)
    assert (zero.kind, zero.exponent, zero.notes) == (Kind.UNDEFINED, None, ("the gradient is zero",))
    broken = check_growth(lambda b: (b[0].float() @ weight).sqrt().mean(), batch)
    assert broken.kind is Kind.UNDEFINED
    assert broken.notes == ("the gradient is not finite with 4, 8, 12, 16, 24, 32 samples",)
    assert str(broken).startswith("gradient grows as samples^? (undefined)\n")


def test_noise_that_cannot_be_repeated_is_said() -> None:
    model = network()

    def step(b: tuple[Tensor, Tensor]) -> Tensor:
        noise = torch.randn(len(b[0]) + 1, dtype=torch.float64)
        return F.cross_entropy(model(b[0] + noise[:-1, None]), b[1])

    report = check_growth(step, batch)
    assert report.kind is Kind.OTHER
    assert report.notes[-1] == "random numbers are drawn in the step that cannot be repeated with the samples"


# --- batches

Pair = namedtuple("Pair", "x y")


@dataclass(frozen=True)
class Sample:
    x: object
    y: object
    scale: float = 2.0


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: {"x": x, "y": y, "weight": torch.ones(5).double(), "n": len(y)},
        lambda x, y: Sample(x, y),
        lambda x, y: Pair(x, y),
        lambda x, y: [x, (y, "train")],
        lambda x, y: (list(x), list(y)),
        lambda x, y: (x[None], y),
    ],
    ids=["dictionary", "dataclass", "named tuple", "nested", "list of samples", "samples on a later axis"],
)
def test_batches_of_many_shapes_are_repeated(make: Callable[[Tensor, Tensor], object]) -> None:
    model = network()

    def step(b: object) -> Tensor:
        if isinstance(b, dict):
            total = F.cross_entropy(model(b["x"]), b["y"], b["weight"], reduction="sum")
            return total / b["n"]
        x, y = (b.x, b.y) if isinstance(b, Sample | Pair) else b  # type: ignore[misc]
        y = y[0] if isinstance(y, tuple) else y
        if isinstance(x, list):
            x, y = (torch.stack(x), torch.stack(y)) if isinstance(y, list) else (x, y)
        return F.cross_entropy(model(x.squeeze(0)), y)

    report = check_growth(step, lambda n: make(*batch(n)))
    assert report.exponent == pytest.approx(0, abs=1e-9)


def test_a_tensor_that_looks_like_a_batch_is_left_as_it_is() -> None:
    model = network()

    def make(n: int) -> dict[str, Tensor]:
        x, y = batch(n)
        return {"x": x, "y": y.clamp(max=3), "weight": torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0][:5]).double()}

    report = check_growth(
        lambda b: F.cross_entropy(model(b["x"]), b["y"], b["weight"]), make, sizes=(5, 10, 15, 20, 25)
    )
    assert report.kind is Kind.MEAN


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda n: torch.randn(4, 8), "have the same shapes"),
        (lambda n: 3, "have the same shapes"),
        (lambda n: {"x": torch.randn(n, 8), "boxes": torch.randn(3 * n + 1, 4)}, r"batch\['boxes'\] has the shape"),
        (lambda n: torch.eye(n), r"batch has the shape \(4, 4\) for 4 samples and \(8, 8\) for 8"),
        (lambda n: (torch.randn(n, 8), [0] * (n + 1)), r"batch\[1\] has 5 entries for 4 samples and 9 for 8"),
    ],
    ids=["one size", "no tensor", "ragged", "of pairs", "ragged list"],
)
def test_a_batch_that_cannot_be_repeated_is_refused(make: Callable[[int], object], complaint: str) -> None:
    with pytest.raises(ProbeError, match=complaint):
        check_growth(lambda b: None, make)


# --- what is left behind


def test_nothing_is_left_changed() -> None:
    model = network(nn.BatchNorm1d(16), nn.Dropout(0.5))
    model(batch(4)[0]).sum().backward()
    model[3].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = {name: (p.grad, p.grad.clone()) for name, p in model.named_parameters() if p.grad is not None}
    modes = [module.training for module in model.modules()]
    torch.manual_seed(7)
    random.seed(7)
    numbers = torch.get_rng_state(), random.getstate()
    for parameters in (None, model):
        check_growth(make_steps(model)["mean"], batch, parameters=parameters)
        assert torch.equal(numbers[0], torch.get_rng_state())
        assert random.getstate() == numbers[1]
        assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
        assert [module.training for module in model.modules()] == modes
        for name, parameter in model.named_parameters():
            assert parameter.grad is gradients[name][0]
            assert torch.equal(parameter.grad, gradients[name][1])


def test_an_error_of_the_step_is_raised_as_it_is_and_everything_is_put_back() -> None:
    model = network(nn.BatchNorm1d(16))
    before = model[1].running_mean.clone()

    def step(b: tuple[Tensor, Tensor]) -> Tensor:
        model(b[0])
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        check_growth(step, batch)
    assert torch.equal(model[1].running_mean, before)
    assert not torch.nn.modules.module._global_forward_pre_hooks


def test_two_measurements_are_equal() -> None:
    step = make_steps(network(nn.Dropout(0.5)))["mean"]
    assert check_growth(step, batch) == check_growth(step, batch)


# --- assert_growth and the report


def test_assert_growth_returns_what_it_measured() -> None:
    steps = make_steps(network())
    assert assert_growth(steps["mean"], batch).kind is Kind.MEAN
    assert assert_growth(steps["sum"], batch, samples=1).kind is Kind.SUM
    assert assert_growth(steps["sqrt(sum)"], batch, samples=0.5).kind is Kind.ROOT


def test_the_message_of_a_failed_assertion_is_the_report() -> None:
    with pytest.raises(AssertionError) as error:
        assert_growth(make_steps(network())["sum"], batch)
    lines = str(error.value).splitlines()
    assert lines[:2] == ["expected a gradient that grows as samples^0", "gradient grows as samples^1.00 (sum)"]
    assert "batch size  gradient norm" in lines
    assert "0.weight        1.00  sum" in lines


def test_one_part_that_grows_otherwise_fails_the_assertion() -> None:
    model = network()
    mean = make_steps(model)["mean"]
    extra = nn.Linear(8, 1).double()

    def step(b: tuple[Tensor, Tensor]) -> Tensor:
        return 1e6 * mean(b) + extra(b[0]).sum()

    with pytest.raises(AssertionError, match=r"Linear\.bias +1\.00  sum"):
        assert_growth(step, batch)


def test_how_a_report_is_printed() -> None:
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    report = check_growth(lambda x: (x * weight).sum(), lambda n: torch.ones(n, 1, dtype=torch.float64))
    assert isinstance(report, GrowthReport)
    assert str(report) == (
        "gradient grows as samples^1.00 (sum)\n"
        "\n"
        "batch size  gradient norm\n"
        "         4              4\n"
        "         8              8\n"
        "        12             12\n"
        "        16             16\n"
        "        24             24\n"
        "        32             32"
    )
    assert math.isclose(report.whole.norms[0], 4)


# --- imports


def test_the_package_does_not_import_torch_until_a_name_is_used() -> None:
    code = (
        "import sys, lint_reduction; assert 'torch' not in sys.modules; "
        "lint_reduction.check_growth; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=ROOT)


def test_every_public_name_is_there() -> None:
    for name in lint_reduction.__all__:
        assert getattr(lint_reduction, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lint_reduction.nothing  # noqa: B018
