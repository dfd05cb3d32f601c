"""Every loss of torch, under every reduction, through the verifier: what it measures is what the library tables say."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from lint_reduction.growth import ONE, Count, Growth
from lint_reduction.libraries import load_libraries
from lint_reduction.verify.losses import BY_CLASS, Loss
from tests.experiments import experiment

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")]

if find_spec("torch"):
    import torch

    from lint_reduction.verify import laboratory

MODELS = {name: model for name, (model, _) in load_libraries().losses.items()}
LOSSES = {name: loss for name, loss in BY_CLASS.items() if name != "NLLLoss2d"}
TOLERANCE = 0.02
#: How the loss is called, what is done to it, and the growth of that, by the growth of the loss unreduced.
USES = {
    "mean": ("mean", "", lambda none: ONE),
    "sum": ("sum", "", lambda none: none),
    "none.sum()": ("none", ".sum()", lambda none: none),
    "none.mean()": ("none", ".mean()", lambda none: ONE),
    "sum / B": ("sum", " / x.size(0)", lambda none: none / Growth.of(Count.SAMPLES)),
}


def program(loss: Loss, reduction: str, behind: str, *, functional: bool) -> str:
    """Return a training loop with a loss."""
    names = [name for name, _ in loss.arguments]
    learned = [name for name, role in loss.arguments if role.is_learned]
    given = ", ".join(f"model_{name}(x)" if name in learned else name for name in names)
    data = ", ".join(name for name in names if name not in learned)
    call = f"F.{loss.function}({given}, reduction='{reduction}')" if functional else f"criterion({given})"
    return (
        "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n"
        + ("" if functional else f"criterion = nn.{loss.name}(reduction='{reduction}')\n\n")
        + f"def train(loader, optimizer):\n    for x, {data or 'y'} in loader:\n"
        f"        loss = {call}{behind}\n        loss.backward()\n        optimizer.step()\n"
    )


def measured(source: str, *dials: str) -> dict[str, object]:
    torch.set_num_threads(1)
    data = json.loads(experiment(source, dials=("samples", *dials)).to_json())
    return laboratory.run(data, torch.device("cpu"), torch.float64)


def exponents(answer: dict[str, object], count: str) -> list[float]:
    trials: list[dict[str, list[dict[str, object]]]] = answer["trials"]  # type: ignore[assignment]
    return [
        s["exponent"]  # type: ignore[misc]
        for trial in trials
        for s in trial["series"]
        if s["count"] == count and str(s["what"]).startswith("gradient") and " of " not in str(s["what"])
    ]


@pytest.mark.parametrize("functional", [False, True], ids=["class", "function"])
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_grows_as_its_table_says(name: str, use: str, functional: bool) -> None:
    reduction, behind, growth_of = USES[use]
    model = MODELS[f"torch.nn.{name}"]
    growth = growth_of(model.none)
    answer = measured(program(LOSSES[name], reduction, behind, functional=functional), "elements")
    assert answer["status"] == "measured", answer["reason"]
    assert answer["site_executed"]
    samples = exponents(answer, "samples")
    assert samples
    assert samples == pytest.approx([float(growth.in_samples)] * len(samples), abs=TOLERANCE)
    if model.more_positions or model.none.exponent(Count.ELEMENTS):
        expected = float(growth.exponent(Count.ELEMENTS))
        if model.more_positions:
            expected = float(growth.in_samples) if use != "sum / B" else 1.0
        elements = exponents(answer, "elements")
        assert elements == pytest.approx([expected] * len(elements), abs=TOLERANCE)


@pytest.mark.parametrize("functional", [False, True], ids=["class", "function"])
@pytest.mark.parametrize("name", LOSSES)
def test_backward_of_an_unreduced_loss_raises(name: str, functional: bool) -> None:
    answer = measured(program(LOSSES[name], "none", "", functional=functional))
    assert (answer["status"], answer["unreduced_site"], answer["site_executed"]) == ("raised", True, True)


@pytest.mark.parametrize("reduction", ["average", "Mean", "batch_mean"])
def test_an_invalid_reduction_raises(reduction: str) -> None:
    answer = measured(program(BY_CLASS["MSELoss"], reduction, "", functional=False))
    assert (answer["status"], answer["unreduced_site"]) == ("raised", False)
    assert "reduction" in str(answer["reason"]) or reduction in str(answer["reason"])


def test_the_batch_mean_of_a_divergence_grows_with_positions() -> None:
    answer = measured(program(BY_CLASS["KLDivLoss"], "batchmean", "", functional=True), "elements")
    assert exponents(answer, "samples") == pytest.approx([0.0] * len(exponents(answer, "samples")), abs=TOLERANCE)
    assert exponents(answer, "elements") == pytest.approx([1.0] * len(exponents(answer, "elements")), abs=TOLERANCE)
