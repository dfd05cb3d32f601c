"""A mean that counts what a mask leaves out follows the share of what it keeps, however the mask is made."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")]

if find_spec("torch"):
    import torch

    from lint_reduction.verify import laboratory
    from tests.experiments import experiment

TOLERANCE = 1e-3
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n"
#: The statements before the mean, and what is averaged.
MASKS = {
    "handed in": ("l = F.mse_loss(model(x), y, reduction='none')", "(l * mask).mean()"),
    "made of targets": (
        "keep = (y > 0).float()\nl = F.binary_cross_entropy_with_logits(model(x), y, reduction='none')",
        "(l * keep).mean()",
    ),
    "made of targets that are no number": (
        "keep = y != -1\nl = F.mse_loss(model(x), y, reduction='none')",
        "torch.mean(l * keep)",
    ),
    "made of targets below zero": (
        "keep = y >= 0\nl = F.mse_loss(model(x), y.abs(), reduction='none') * keep",
        "l.mean()",
    ),
    "made of lengths": (
        "l = F.mse_loss(model(x), y, reduction='none')\nkeep = torch.arange(y.size(1))[None, :] < lengths[:, None]",
        "(l * keep).mean()",
    ),
    "made of the input": ("keep = x != 0\nl = F.mse_loss(model(x), y, reduction='none')", "(l * keep).mean()"),
    "of whole samples": (
        "keep = (y.sum(-1) > 0).float()\n"
        "l = F.binary_cross_entropy_with_logits(model(x), y, reduction='none') * keep.view(-1, 1)",
        "l.mean()",
    ),
    "filled": (
        "l = F.mse_loss(model(x), y, reduction='none').masked_fill(~mask, 0.0)",
        "l.mean()",
    ),
    "filled where there is padding": (
        "l = F.mse_loss(model(x), y, reduction='none').masked_fill(padding_mask, 0.0)",
        "l.mean()",
    ),
    "chosen": (
        "l = F.mse_loss(model(x), y, reduction='none')\nl = torch.where(y > 0, l, torch.zeros_like(l))",
        "l.mean()",
    ),
    "of classes": (
        "logits = model(x)\nkeep = (y != 0).float().view(-1)\n"
        "l = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1), reduction='none')",
        "(l * keep).mean()",
    ),
}
#: The same with the mean that is meant.
FAIR = {
    "handed in": ("l = F.mse_loss(model(x), y, reduction='none')", "(l * mask).mean()", "loss / mask.mean()"),
    "made of targets": (
        "keep = y > 0\nl = F.binary_cross_entropy_with_logits(model(x), y, reduction='none')",
        "l[keep].mean()",
        "loss",
    ),
    "of whole samples": (
        "keep = (y.sum(-1) > 0).float().view(-1, 1)\n"
        "l = F.binary_cross_entropy_with_logits(model(x), y, reduction='none') * keep",
        "l.mean()",
        "loss / keep.mean()",
    ),
}


def measured(body: str, mean: str, loss: str = "loss") -> dict[str, object]:
    """Return what is measured for a round of training that takes a mean."""
    lines = [*body.splitlines(), f"loss = {mean}", f"loss = {loss}", "loss.backward()"]
    source = f"{HEAD}def train(model, loader):\n    for x, y, mask, padding_mask, lengths in loader:\n"
    source += "".join(f"        {line}\n" for line in lines)
    torch.set_num_threads(1)
    data = json.loads(experiment(source, rule="RED203", site=mean, dials=("valid", "elements", "samples")).to_json())
    answer = laboratory.run(data, torch.device("cpu"), torch.float64)
    assert answer["status"] == "measured", answer["reason"]
    assert answer["site_executed"]
    return answer


def exponents(answer: dict[str, object], count: str) -> list[float]:
    return [
        series["exponent"]
        for trial in answer["trials"]  # type: ignore[attr-defined]
        for series in trial["series"]
        if (series["count"], series["what"]) == (count, "gradient")
    ]


@pytest.mark.parametrize("mask", MASKS)
def test_a_mean_over_masked_positions_follows_those_that_are_kept(mask: str) -> None:
    answer = measured(*MASKS[mask])
    found = exponents(answer, "valid")
    assert found, answer
    assert found == [pytest.approx(1, abs=TOLERANCE)] * len(found)


@pytest.mark.parametrize("mask", FAIR)
def test_a_mean_over_what_is_kept_does_not(mask: str) -> None:
    found = exponents(measured(*FAIR[mask]), "valid")
    assert found
    assert found == [pytest.approx(0, abs=TOLERANCE)] * len(found)


def test_what_leaves_nothing_out_is_not_varied() -> None:
    body = "keep = 1 + (y > 0).float()\nl = F.mse_loss(model(x), y, reduction='none')"
    assert exponents(measured(body, "(l * keep).mean()"), "valid") == []
