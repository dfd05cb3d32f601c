"""What a finding is about is one term of an objective: its own gradient is measured, beside that of the whole."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from lint_reduction.verify.measurement import OTHERS, OWN

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")]

if find_spec("torch"):
    import torch

    from lint_reduction.verify import laboratory
    from tests.experiments import experiment

TOLERANCE = 1e-3
SUM = "F.mse_loss(out, y, reduction='sum')"
HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n"


def measured(
    body: str, *, site: str = SUM, dials: tuple[str, ...] = ("samples",), behind: str = ""
) -> dict[str, object]:
    """Return what is measured for a round of training, one statement on each line."""
    lines = [*body.splitlines(), "loss.backward()", *behind.splitlines(), "optimizer.step()"]
    source = (
        f"{HEAD}def train(model, loader):\n    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        f"    for x, y in loader:\n" + "".join(f"        {line}\n" for line in lines)
    )
    torch.set_num_threads(1)
    data = json.loads(experiment(source, site=site, dials=dials).to_json())
    answer = laboratory.run(data, torch.device("cpu"), torch.float64)
    assert answer["status"] == "measured", answer["reason"]
    assert answer["site_executed"]
    return answer


def exponents(answer: dict[str, object], what: str = OWN, count: str = "samples") -> list[float | None]:
    """Return the exponent of one curve in each trial that has it."""
    series = [s for trial in answer["trials"] for s in trial["series"]]  # type: ignore[attr-defined]
    return [s["exponent"] for s in series if (s["what"], s["count"]) == (what, count)]


def close(exponent: float) -> object:
    return pytest.approx(exponent, abs=TOLERANCE)


def check(answer: dict[str, object], own: float, others: float | None = None, count: str = "samples") -> None:
    """Check the exponent of a term, the same in all trials, and that of the others."""
    found = exponents(answer, count=count)
    assert found, answer
    assert found == [close(own)] * len(found)
    if others is not None:
        assert exponents(answer, OTHERS, count) == [close(others)] * len(found)


def test_a_small_term_is_seen_beside_a_large_one() -> None:
    answer = measured(f"out = model(x)\nloss = 1e-6 * {SUM} + 1000 * F.l1_loss(out, y)")
    check(answer, 1, 0)
    good = measured(f"out = model(x)\nloss = 1e-6 * {SUM} / len(x) + 1000 * F.l1_loss(out, y)")
    check(good, 0, 0)


def test_the_mean_of_a_divergence_is_seen_beside_a_cross_entropy() -> None:
    body = "out = model(x)\nloss = F.cross_entropy(out, y) + 0.01 * {}"
    site = "F.kl_div(F.log_softmax(out, 1), F.softmax(teacher(x), 1), reduction='{}')"
    mean, batchmean = site.format("mean"), site.format("batchmean")
    check(measured(body.format(mean), site=mean, dials=("classes",)), -1, count="classes")
    flat = exponents(measured(body.format(batchmean), site=batchmean, dials=("classes",)), count="classes")
    assert all(exponent is not None and abs(exponent) < 0.75 for exponent in flat)


def test_what_is_added_in_place_is_another_term() -> None:
    check(measured(f"out = model(x)\nloss = {SUM}\nloss += F.l1_loss(out, y)"), 1, 0)


def test_a_term_is_divided_with_the_whole() -> None:
    check(measured(f"out = model(x)\nloss = ({SUM} + F.l1_loss(out, y, reduction='sum')) / len(x)"), 0, 0)


def test_what_is_done_with_the_gradient_is_done_with_that_of_a_term() -> None:
    behind = "for p in model.parameters():\n    p.grad /= len(x)"
    answer = measured(f"out = model(x)\nloss = {SUM} + F.l1_loss(out, y, reduction='sum')", behind=behind)
    check(answer, 0, 0)


def test_a_criterion_is_a_term_wherever_it_is_called() -> None:
    body = "crit = nn.MSELoss(reduction='sum')\nout = model(x)\nloss = crit(out, y) + F.l1_loss(out, y)"
    check(measured(body, site="nn.MSELoss(reduction='sum')"), 1, 0)


def test_a_term_that_gives_no_gradient_has_no_exponent() -> None:
    answer = measured(f"out = model(x)\nloss = 0 * {SUM} + F.l1_loss(out, y)")
    found = exponents(answer)
    assert found
    assert set(found) == {None}


def test_what_is_all_of_the_objective_is_no_term() -> None:
    assert exponents(measured(f"out = model(x)\nloss = {SUM}")) == []
