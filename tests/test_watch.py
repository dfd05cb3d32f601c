"""``LossWatch`` in real loops: what each loss is divided by, and that training is as without it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from lint_reduction.verify.readings import Place, Reading, Site, WatchReport
from tests.command import ROOT
from tests.fixture_files import readme_example

pytestmark = pytest.mark.torch

if find_spec("torch"):
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F  # noqa: N812

    from lint_reduction import LossWatch
    from lint_reduction.verify import watch as module

    torch.set_num_threads(1)
else:
    pytest.skip("torch is not installed", allow_module_level=True)

Loss = Callable[["Tensor", "Tensor"], "Tensor"]


def data() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(100, 8, dtype=torch.float64), torch.randint(0, 5, (100,))


def train(loss: Loss, watch: LossWatch | None, sizes: int = 32, samples: int = 100) -> list[Tensor]:
    """Train for an epoch, whose last batch is short, and return the parameters."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 5)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    inputs, targets = data()
    inputs, targets = inputs[:samples], targets[:samples]

    def epoch() -> None:
        for x, y in zip(inputs.split(sizes), targets.split(sizes), strict=True):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()

    if watch is None:
        epoch()
    else:
        with watch:
            epoch()
    return [parameter.detach() for parameter in model.parameters()]


def site_of(loss: Loss, **options: int) -> Site:
    watch = LossWatch()
    train(loss, watch, **options)
    (site,) = watch.report().sites
    return site


criterion = nn.CrossEntropyLoss(reduction="sum") if find_spec("torch") else None

LOSSES: dict[str, tuple[Loss, str, float]] = {
    "sum": (lambda o, y: criterion(o, y), "1", 1),
    "mean": (lambda o, y: F.cross_entropy(o, y), "rows", 0),
    "none, mean": (lambda o, y: F.cross_entropy(o, y, reduction="none").mean(), "rows", 0),
    "sum / B": (lambda o, y: F.cross_entropy(o, y, reduction="sum") / len(y), "rows", 0),
    "sum / 32": (lambda o, y: F.cross_entropy(o, y, reduction="sum") / 32, "the constant 32", 1),
    "mean / B": (lambda o, y: F.cross_entropy(o, y) / len(y), "rows * rows", -1),
    "mean / 4": (lambda o, y: F.cross_entropy(o, y) / 4, "rows * 4", 0),
    "mean over elements": (lambda o, y: F.mse_loss(o, o.detach() + 1), "elements", 0),
    "sum over elements": (lambda o, y: F.mse_loss(o, o.detach() + 1, reduction="sum") / len(y), "rows", 0),
    "doubly divided mean": (lambda o, y: F.mse_loss(o, o.detach() + 1) / len(y), "rows * elements", -1),
    "size_average": (lambda o, y: nn.MSELoss(size_average=False)(o, o.detach() + 1), "1", 1),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.filterwarnings("ignore:size_average")
def test_the_divisor_and_the_exponent_are_read(name: str) -> None:
    loss, divisor, power = LOSSES[name]
    site = site_of(loss)
    assert site.divisors == (divisor,)
    assert site.exponent == pytest.approx(power, abs=1e-9)
    assert (site.calls, len(site.clean), site.remark) == (4, 4, "")


def test_batches_of_one_size_leave_two_answers_and_no_exponent() -> None:
    site = site_of(lambda o, y: F.cross_entropy(o, y, reduction="sum") / 32, samples=96)
    assert site.divisors == ("rows", "the constant 32")
    assert site.exponent is None
    assert "an exponent needs batches of unlike sizes" in str(WatchReport((site,)))
    assert site_of(LOSSES["sum"][0], samples=96).divisors == ("1",)


def test_a_masked_mean_is_told_from_one_over_the_targets_that_count() -> None:
    def ignoring(y: Tensor) -> Tensor:
        return y.masked_fill(torch.arange(len(y)) % 4 == 0, -100)

    assert site_of(lambda o, y: F.cross_entropy(o, ignoring(y))).divisors == ("valid targets",)
    masked = site_of(lambda o, y: F.cross_entropy(o, ignoring(y), reduction="none").mean())
    assert masked.divisors == ("rows",)


def test_a_weighted_mean_is_divided_by_the_weights() -> None:
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).double()
    assert site_of(lambda o, y: F.cross_entropy(o, y, weight)).divisors == ("class weights",)
    assert site_of(lambda o, y: F.cross_entropy(o, y, weight=weight, reduction="none").mean()).divisors == ("rows",)


def test_other_uses_of_the_input_do_not_disturb_the_reading() -> None:
    watch = LossWatch()
    train(lambda o, y: F.cross_entropy(o, y) + F.cross_entropy(o, y, reduction="sum") + o.pow(3).sum(), watch)
    mean, total = watch.report().sites
    assert (mean.divisors, total.divisors) == (("rows",), ("1",))
    assert (mean.place.line, mean.place.path) == (total.place.line, total.place.path)


def test_weighted_losses_give_no_reading() -> None:
    site = site_of(lambda o, y: (F.cross_entropy(o, y, reduction="none") * torch.arange(len(y))).mean())
    assert (len(site.readings), site.clean, site.divisors, site.exponent) == (4, (), (), None)
    assert site.remark.startswith("its losses are weighted, or not all used (cosine 0.")


def test_a_weight_that_changes_gives_no_exponent() -> None:
    weights = iter((1.0, 0.5, 0.25, 0.1))
    site = site_of(lambda o, y: next(weights) * F.cross_entropy(o, y))
    assert (site.divisors, site.exponent) == ((), None)
    assert site.remark.startswith("the coefficient changes")


def test_the_place_is_that_of_the_call_in_the_code_of_the_user() -> None:
    def loss(o: Tensor, y: Tensor) -> Tensor:
        return criterion(o, y)

    _, first = inspect.getsourcelines(loss)
    place = site_of(loss).place
    assert (Path(place.path), place.line, place.loss) == (Path(__file__), first + 1, "cross_entropy")
    assert str(Place("/somewhere/train.py", 3, "mse_loss")) == "/somewhere/train.py:3"


def test_only_each_nth_call_is_read_and_batches_of_new_sizes() -> None:
    watch = LossWatch(every=50)
    train(lambda o, y: F.cross_entropy(o, y), watch, sizes=3)
    (site,) = watch.report().sites
    assert site.calls == 34
    assert [reading.terms for reading in site.readings] == [3, 1]
    assert site.exponent == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="every is 1 or more"):
        LossWatch(every=0)


@pytest.mark.filterwarnings("ignore:size_average")
def test_training_is_as_without_watching() -> None:
    for loss, _, _ in LOSSES.values():
        assert all(map(torch.equal, train(loss, None), train(loss, LossWatch())))


def test_the_scale_of_a_scaler_is_divided_out() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    watch = LossWatch(scaler=scaler)
    train(lambda o, y: scaler.scale(F.cross_entropy(o, y)), watch)
    assert watch.report().sites[0].divisors == ("rows",)


def test_reduced_precision_is_read() -> None:
    def loss(o: Tensor, y: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return F.cross_entropy(o.bfloat16(), y)

    site = site_of(loss)
    assert site.divisors == ("rows",)
    assert site.exponent == pytest.approx(0, abs=0.01)


def test_losses_without_a_gradient_are_not_watched() -> None:
    watch = LossWatch()
    x, y = data()
    with watch:
        F.cross_entropy(x, y)
        with torch.no_grad():
            F.cross_entropy(x.clone().requires_grad_(), y)
    assert watch.report().sites == ()
    assert str(watch.report()) == "no loss of torch was called with a gradient"
    with watch:
        F.cross_entropy(x.requires_grad_(), y)
    assert watch.report().sites[0].remark == "no gradient arrived"


def test_a_mistake_in_a_call_is_raised_as_without_watching() -> None:
    x, y = data()
    x.requires_grad_()
    with LossWatch():
        with pytest.raises(TypeError):
            F.cross_entropy(x, y, colour="red")
        with pytest.raises(ValueError, match="is not a valid value for reduction"):
            F.cross_entropy(x, y, reduction="avg")


def test_where_the_sum_cannot_be_computed_training_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("too large")

    monkeypatch.setattr(module, "_of_the_sum", fail)
    site = site_of(lambda o, y: F.cross_entropy(o, y))
    assert (site.readings, site.remark) == (Site(site.place).readings, "RuntimeError: too large")


def test_transforms_of_functions_go_on_without_a_reading() -> None:
    x, y = data()
    expected = torch.func.grad(lambda x: F.cross_entropy(x, y))(x)
    watch = LossWatch()
    with watch:
        assert torch.equal(torch.func.grad(lambda x: F.cross_entropy(x, y))(x), expected)
    (site,) = watch.report().sites
    assert site.remark.startswith("RuntimeError: ")


def test_other_threads_are_not_watched() -> None:
    watch = LossWatch()
    x, y = data()
    x.requires_grad_()
    with watch:
        thread = threading.Thread(target=lambda: F.cross_entropy(x, y).backward())
        thread.start()
        thread.join()
    assert watch.report().sites == ()


@pytest.mark.parametrize("loss", sorted(module._losses(), key=lambda function: function.__name__))
def test_every_loss_of_the_tables_can_be_left_unreduced(loss: Callable[..., Tensor]) -> None:
    known = module._losses()[loss]
    assert {"reduction", *known.inputs} <= set(known.signature.parameters)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("kl_div", lambda x: F.kl_div(x.log_softmax(1), torch.full_like(x, 0.2), reduction="batchmean")),
        ("gaussian_nll_loss", lambda x: F.gaussian_nll_loss(x, torch.zeros_like(x), torch.ones_like(x))),
        ("triplet_margin_loss", lambda x: F.triplet_margin_loss(x, x.detach() + 1, x.detach() - 1)),
        ("cosine_embedding_loss", lambda x: F.cosine_embedding_loss(x.detach() + 1, x, torch.ones(len(x)))),
        ("binary_cross_entropy", lambda x: F.binary_cross_entropy(x.sigmoid(), torch.full_like(x, 0.3))),
        (
            "ctc_loss",
            lambda x: F.ctc_loss(
                x[None].expand(6, -1, -1).log_softmax(2), torch.ones(len(x), 2).long(), [6] * len(x), [2] * len(x)
            ),
        ),
    ],
)
def test_means_of_other_losses_have_the_exponent_zero(name: str, call: Callable[[Tensor], Tensor]) -> None:
    site = site_of(lambda o, _: call(o))
    assert site.place.loss == name
    assert len(site.clean) == 4, site.remark
    assert site.exponent == pytest.approx(0, abs=1e-6)


def test_how_a_report_is_printed() -> None:
    short, full = Reading(1 / 4, 1.0, {"rows": 4, "elements": 4}), Reading(1 / 32, 1.0, {"rows": 32, "elements": 32})
    first, second = Site(Place("train.py", 7, "cross_entropy"), 9), Site(Place("train.py", 12, "mse_loss"), 2)
    first.readings.extend((full, short))
    assert str(WatchReport((first, second))) == (
        "place        loss           calls  read  coefficient      divided by  exponent\n"
        "train.py:7   cross_entropy      9     2  0.03125 to 0.25  rows            0.00\n"
        "train.py:12  mse_loss           2     0  ?                ?                  ?\n"
        "\n"
        "note: train.py:12 mse_loss: no gradient arrived"
    )


def test_the_example_of_the_readme_prints_what_is_printed_there(tmp_path: Path) -> None:
    program, command, expected = readme_example("watch")
    _, name = command.removeprefix("$ ").split()
    (tmp_path / name).write_text(program)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, name], cwd=tmp_path, env=environment, check=True, timeout=120, capture_output=True, text=True
    )
    assert result.stdout.splitlines() == expected
