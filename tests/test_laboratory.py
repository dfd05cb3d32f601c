"""From the source of a training loop to exponents: every composition measures what it is written to measure."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from importlib.util import find_spec

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")]

if find_spec("torch"):
    import torch

    from lint_reduction.verify import laboratory
    from lint_reduction.verify.experiment import Branch, Callee, Counted, Known, Link, Place, Unit
    from lint_reduction.verify.values import place_of
    from tests.compositions import COMPOSITIONS, Composition
    from tests.experiments import experiment
    from tests.programs import PROGRAMS, Program
else:
    COMPOSITIONS = PROGRAMS = ()

TOLERANCE = 0.02


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tensors this small are slower on several threads."""
    torch.set_num_threads(1)


def measured(source: str, function: str = "train", **options: object) -> dict[str, object]:
    """Return the measurement of a program, through JSON as it goes to a worker."""
    data = json.loads(experiment(source, function, **options).to_json())  # type: ignore[arg-type]
    answer = laboratory.run(data, torch.device("cpu"), torch.float64)
    json.dumps(answer, allow_nan=False)
    return answer


def exponents(answer: dict[str, object], count: str = "samples", what: str = "gradient") -> list[float]:
    """Return the different exponents of all trials, in order."""
    found: list[float] = []
    for trial in answer["trials"]:  # type: ignore[attr-defined]
        for series in trial["series"]:
            value = series["exponent"]
            is_asked = (series["count"], series["what"]) == (count, what)
            if is_asked and not any(abs(value - other) < TOLERANCE for other in found):
                found.append(value)
    return sorted(found)


@pytest.mark.parametrize("composition", COMPOSITIONS, ids=lambda c: c.name)
def test_a_composition_measures_what_it_is(composition: Composition) -> None:
    answer = measured(composition.source, dials=("samples", *composition.others))
    assert answer["site_executed"], answer["reason"]
    if composition.samples is None:
        assert (answer["status"], answer["unreduced_site"]) == ("raised", True)
        return
    assert answer["status"] == "measured", answer["reason"]
    assert exponents(answer) == pytest.approx(sorted(composition.samples), abs=TOLERANCE)
    if composition.update is not None:
        assert exponents(answer, what="update") == pytest.approx([composition.update], abs=TOLERANCE)
    for count, expected in composition.others.items():
        assert exponents(answer, count) == pytest.approx([expected], abs=TOLERANCE)
    assert any(trial["clipped"] for trial in answer["trials"]) == composition.clipped  # type: ignore[attr-defined]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_a_program_is_run_from_where_it_begins_to_where_it_ends(program: Program) -> None:
    answer = measured(program.source, program.function, end=program.end, site=program.site)
    assert answer["status"] == "measured", answer["reason"]
    assert answer["site_executed"]
    assert exponents(answer) == pytest.approx([program.samples], abs=TOLERANCE)
    if program.update is not None:
        assert exponents(answer, what="update") == pytest.approx([program.update], abs=TOLERANCE)


BLOCKED = {
    "a criterion that nobody built": (
        "def train(model, loader, criterion):\n    for x, y in loader:\n        criterion(model(x), y).backward()\n",
        "`criterion(model(x), y)`, which is trained, is not known",
    ),
    "a term that looks like a loss": (
        "import torch.nn.functional as F\n\ndef train(model, loader):\n    for x, y in loader:\n"
        "        loss = F.mse_loss(model(x), y) + model.kl_loss()\n        loss.backward()\n",
        "looks like a loss and is not known",
    ),
    "shapes that do not fit": (
        "import torch.nn.functional as F\n\ndef train(model, loader):\n    for x, y in loader:\n"
        "        loss = F.mse_loss(model(x).view(7, 11, 13), y)\n        loss.backward()\n",
        "no shape fits: view: ",
    ),
    "a decorator that may do anything": (
        "import torch.nn.functional as F\n\n@wrap\ndef loss_of(a, b):\n    return F.mse_loss(a, b)\n\n"
        "def train(model, loader):\n    for x, y in loader:\n        loss_of(model(x), y).backward()\n",
        "the decorator `wrap` is not known",
    ),
    "a hook on the output": (
        "import torch.nn.functional as F\n\ndef train(model, loader):\n    for x, y in loader:\n"
        "        out = model(x)\n        out.register_hook(lambda g: g / len(x))\n"
        "        F.mse_loss(out, y, reduction='sum').backward()\n",
        "`register_hook` may change the gradient",
    ),
    "something that scales a loss by a number": (
        "import torch.nn.functional as F\n\ndef train(model, loader, meter):\n    for x, y in loader:\n"
        "        meter.scale(F.mse_loss(model(x), y, reduction='sum'), len(x)).backward()\n",
        "which is trained, is not known",
    ),
    "gradients given to a function that is not known": (
        "import torch\nimport torch.nn.functional as F\n\ndef train(model, loader):\n    for x, y in loader:\n"
        "        F.mse_loss(model(x), y, reduction='sum').backward()\n"
        "        divide_gradients([p.grad for p in model.parameters()], len(x))\n",
        "behind backward: `divide_gradients` is not known",
    ),
    "gradients written to an argument": (
        "import torch\nimport torch.nn.functional as F\n\ndef train(model, loader):\n    for x, y in loader:\n"
        "        F.mse_loss(model(x), y, reduction='sum').backward()\n"
        "        for p in model.parameters():\n            torch.div(p.grad, len(x), out=p.grad)\n",
        "behind backward: what is written to `out` is not known",
    ),
    "a criterion that is changed": (
        "import torch.nn as nn\n\ndef train(model, loader):\n    criterion = nn.MSELoss(reduction='sum')\n"
        "    criterion.forward = other\n    for x, y in loader:\n        criterion(model(x), y).backward()\n",
        "`forward` of a loss is changed",
    ),
    "a non-scalar that a guess made": (
        "import torch.nn.functional as F\n\ndef train(model, loader, w):\n    for x, y in loader:\n"
        "        loss = F.mse_loss(model(x), y) * w[:, None]\n        loss.backward()\n",
        "no unreduced loss made",
    ),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_a_block_says_why(name: str) -> None:
    source, reason = BLOCKED[name]
    answer = measured(source)
    assert answer["status"] == "blocked"
    assert reason in str(answer["reason"])


DECIDED = (
    "from settings import use_sum, LossFunction\n\ndef train(model, loader, n):\n    for x, y in loader:\n"
    "        loss = LossFunction(model(x), y, reduction='sum')\n        if use_sum:\n            loss = loss / n\n"
    "        loss.backward()\n"
)


def found(source: str, text: str, unit: int = 0) -> Place:
    """Return the place of the first node of a text."""
    nodes = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.expr | ast.stmt) and ast.unparse(n) == text)
    return place_of(unit, next(nodes))


def decided(**changes: object) -> dict[str, object]:
    """Return the measurement of a program with a test, a setting and a loss that only the analysis knows."""
    base = experiment(DECIDED, site="LossFunction(model(x), y, reduction='sum')")
    data = json.loads(replace(base, **changes).to_json())  # type: ignore[arg-type]
    return laboratory.run(data, torch.device("cpu"), torch.float64)


CLIPPED_BY_HAND = """import torch
import torch.nn.functional as F

def train(model, loader):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        F.mse_loss(model(x), y, reduction="sum").backward()
        norm = sum(p.grad.norm() ** 2 for p in model.parameters()) ** 0.5
        if norm > 0.1:
            for p in model.parameters():
                p.grad.mul_(0.1 / norm)
        optimizer.step()
"""


def test_a_gradient_that_is_clipped_by_hand_grows_where_it_is_small() -> None:
    answer = measured(CLIPPED_BY_HAND)
    assert exponents(answer) == [pytest.approx(1.0)]
    assert exponents(answer, what="update") == [pytest.approx(0.0, abs=TOLERANCE)]
    assert all(trial["clipped"] for trial in answer["trials"])  # type: ignore[attr-defined]


def test_what_is_decided_in_advance_is_not_evaluated() -> None:
    site = found(DECIDED, "LossFunction(model(x), y, reduction='sum')")
    test = found(DECIDED, "if use_sum:\n    loss = loss / n")
    divisor = found(DECIDED, "n")
    named = (Callee(site, "torch.nn.functional.mse_loss"),)
    assert decided()["status"] == "blocked"
    taken = decided(sites=named, branches=(Branch(test, True),), known=(Known(divisor, 32),))
    assert (exponents(taken), taken["site_executed"]) == ([pytest.approx(1.0)], True)
    counted = decided(sites=named, branches=(Branch(test, True),), counted=(Counted(divisor, "samples"),))
    assert exponents(counted) == [pytest.approx(0.0, abs=TOLERANCE)]
    left = decided(sites=named, branches=(Branch(test, False),))
    assert exponents(left) == [pytest.approx(1.0)]


def test_a_test_that_a_slice_ends_sooner_is_decided() -> None:
    site = found(DECIDED, "LossFunction(model(x), y, reduction='sum')")
    test = found(DECIDED, "if use_sum:\n    loss = loss / n")
    longer = replace(test, end_line=test.end_line + 2)
    divisor = found(DECIDED, "n")
    named = (Callee(site, "torch.nn.functional.mse_loss"),)
    left = decided(sites=named, branches=(Branch(longer, False),), known=(Known(divisor, 32),))
    counted = (Counted(divisor, "samples"),)
    assert exponents(left) == [pytest.approx(1.0)]
    assert exponents(decided(sites=named, branches=(Branch(longer, False),), counted=counted)) == [pytest.approx(1.0)]


def test_names_are_found_in_other_units() -> None:
    source = (
        "from losses import objective\nimport settings\n\ndef train(model, loader):\n    for x, y in loader:\n"
        "        objective(model(x), y, settings.REDUCTION).backward()\n"
    )
    units = (
        Unit("a.py", source, (Link("objective", 1, "objective"), Link("settings", 2, ""))),
        Unit(
            "b.py",
            "import torch.nn.functional as F\n\ndef objective(a, b, r):\n    return F.l1_loss(a, b, reduction=r)\n",
        ),
        Unit("c.py", "REDUCTION = 'sum'\n"),
    )
    site = found(units[1].text, "F.l1_loss(a, b, reduction=r)", 1)
    data = json.loads(replace(experiment(source), units=units, site=site).to_json())
    answer = laboratory.run(data, torch.device("cpu"), torch.float64)
    assert (answer["status"], answer["site_executed"]) == ("measured", True), answer["reason"]
    assert exponents(answer) == [pytest.approx(1.0)]


def test_two_worlds_are_named() -> None:
    unknown = next(c for c in COMPOSITIONS if c.name == "sum / n")
    told = [a for trial in measured(unknown.source)["trials"] for a in trial["assumptions"]]  # type: ignore[attr-defined]
    assert "`n` is taken as a constant" in told
    assert "`n` is taken to follow the batch" in told


def test_the_same_experiment_gives_the_same_measurement() -> None:
    source = next(p for p in PROGRAMS if p.name == "noise is repeated").source
    first, second = measured(source), measured(source)
    assert first["trials"] == second["trials"]


@pytest.mark.parametrize("composition", COMPOSITIONS, ids=lambda c: c.name)
def test_single_precision_says_the_same(composition: Composition) -> None:
    data = json.loads(experiment(composition.source).to_json())
    answer = laboratory.run(data, torch.device("cpu"), torch.float32)
    if composition.samples is not None:
        assert exponents(answer) == pytest.approx(sorted(composition.samples), abs=TOLERANCE)
        if composition.update is not None:
            assert exponents(answer, what="update") == pytest.approx([composition.update], abs=TOLERANCE)
