"""What is measured of each flow of a program is what is claimed of that flow, in the forms that generated ones have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from lint_reduction.analysis import analyze
from lint_reduction.facts import Fate, LossFlow
from lint_reduction.growth import Count, Growth
from lint_reduction.libraries import load_libraries
from lint_reduction.verify.claims import as_finding
from lint_reduction.verify.measurement import Measurement, Status
from lint_reduction.verify.replies import measurement_of
from lint_reduction.verify.slicing import experiment_of

PATH = "/program.py"
HEAD = """\
import torch
import torch.nn as nn
import torch.nn.functional as F
from functools import partial

"""


@dataclass(frozen=True)
class Case:
    """A program with the exponents of its flows, the smallest first."""

    name: str
    text: str
    exponents: tuple[float, ...]
    count: str = "samples"
    what: str = "gradient"


def loop(lines: str, *, before: str = "", given: str = "x, y", after: str = "") -> str:
    """Return a training function with some statements between the model and backward."""
    body = "\n".join(f"        {line}" for line in lines.splitlines())
    first = "\n".join(f"    {line}" for line in before.splitlines())
    last = after or "optimizer.step()\noptimizer.zero_grad()"
    behind = "\n".join(f"        {line}" for line in last.splitlines())
    return (
        "def train(model, loader, flag, other, batch_size):\n"
        f"    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n{first}\n"
        f"    for {given} in loader:\n        out = model(x)\n{body}\n        loss.backward()\n{behind}\n"
    )


CASES = (
    Case(
        "a reduction by a flag",
        loop('loss = F.mse_loss(out, y, reduction="sum" if flag else "mean")'),
        (0, 1),
    ),
    Case(
        "a reduction by a flag, of a divergence",
        loop('loss = F.kl_div(out.log_softmax(-1), y, reduction="mean" if flag else "sum")'),
        (0, 1),
    ),
    Case("a division by a flag", loop("loss = F.mse_loss(out, y).sum()\nif flag:\n    loss = loss / len(x)"), (-1, 0)),
    Case(
        "a division or a constant",
        loop("loss = F.mse_loss(out, y)\nif flag:\n    loss = loss / len(x)\nelse:\n    loss = loss / 10"),
        (-1, 0),
    ),
    Case(
        "a multiplication in front or a constant",
        loop("n = len(x)\nloss = F.mse_loss(out, y)\nif flag:\n    loss = 1.0 / n * loss\nelse:\n    loss = loss / 10"),
        (-1, 0),
    ),
    Case(
        "a division by a flag, of what a criterion of the module returns",
        "criterion = nn.MSELoss(reduction='sum')\n\n"
        + loop("loss = criterion(out, y)\nif flag:\n    loss = loss / len(x)\ntotal = loss\nloss = total"),
        (0, 1),
    ),
    Case(
        "a division by a flag, of what a class returns and a list keeps",
        "class Squared(nn.Module):\n    def forward(self, out, y):\n        return ((out - y) ** 2).sum()\n\n"
        + loop(
            "losses = []\nerror = criterion(out, y)\nif flag:\n    error = error / batch_size\n"
            "losses.append(error)\nloss = torch.stack(losses).sum()",
            before="criterion = Squared()",
        ),
        (0, 1),
    ),
    Case(
        "a division or a constant, of what an attribute returns",
        "class Trainer:\n    def __init__(self, model):\n        self.model = model\n"
        "        self.criterion = nn.SmoothL1Loss(reduction='sum')\n"
        "        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)\n\n"
        "    def fit(self, loader, flag):\n        for x, y in loader:\n"
        "            error = self.criterion(self.model(x), y)\n            if flag:\n"
        "                error /= len(x)\n            else:\n                error = error / 10\n"
        "            loss = torch.stack([error]).sum()\n"
        "            loss.backward()\n            self.optimizer.step()\n            self.optimizer.zero_grad()\n",
        (0, 1),
    ),
    Case(
        "a division in a function around that of the loss",
        "def error(out, y):\n    return ((out - y) ** 2).mean()\n\n"
        "def objective(model, x, y, flag):\n    loss = error(model(x), y)\n    if flag:\n        loss = loss * len(x)\n"
        "    return loss\n\n"
        "def train(model, loader, flag):\n    for x, y in loader:\n        loss = objective(model, x, y, flag)\n"
        "        loss.backward()\n",
        (0, 1),
    ),
    Case(
        "a learning rate set in the groups",
        loop("loss = F.mse_loss(out, y)", before='for g in optimizer.param_groups:\n    g["lr"] /= batch_size'),
        (-1,),
        what="update",
    ),
    Case(
        "a learning rate that is set back",
        loop("loss = F.mse_loss(out, y)", before='for g in optimizer.param_groups:\n    g["lr"] = 0.05').replace(
            "lr=0.1", "lr=0.1 * batch_size"
        ),
        (0,),
        what="update",
    ),
    Case(
        "gradients in the groups of an optimizer that is handed in",
        "def train(model, loader, optimizer):\n    for x, y in loader:\n"
        "        loss = F.mse_loss(model(x), y)\n        loss.backward()\n"
        "        for group in optimizer.param_groups:\n            for p in group['params']:\n"
        "                p.grad.mul_(1.0 / len(x))\n        optimizer.step()\n",
        (-1,),
    ),
    Case(
        "weights beside two outputs of a model",
        "def train(model, loader):\n    for x, y, w in loader:\n        out, aux = model(x)\n"
        "        loss = F.cross_entropy(out, y)\n        errors = -F.log_softmax(aux, -1)[torch.arange(len(y)), y]\n"
        "        loss = loss + (errors * w).sum() / w.sum()\n        loss.backward()\n",
        (0,),
    ),
    Case(
        "weights that a batch has by a number",
        "def train(model, loader):\n    for batch in loader:\n        x, y, w = batch[0], batch[1], batch[2]\n"
        "        out = model(x)\n        valid = y > 0.5\n        errors = F.relu(1 - y * out)\n"
        "        loss = (errors * valid).sum() / valid.sum()\n"
        "        loss = loss + (errors.flatten(1).mean(1) * w).mean()\n"
        "        loss.backward()\n",
        (0,),
    ),
    Case(
        "a gradient that is let go of",
        loop(
            'loss = F.mse_loss(out, y, reduction="sum")',
            after="for p in model.parameters():\n    p.data -= 0.1 * p.grad / len(x)\n    p.grad = None",
        ),
        (0,),
        what="update",
    ),
    Case(
        "labels that pick entries",
        loop("loss = -F.log_softmax(out, -1).gather(-1, y.clamp(min=0).unsqueeze(-1)).sum()"),
        (1,),
        count="elements",
    ),
    Case(
        "labels beside the numbers of rows",
        loop("loss = -F.log_softmax(out, -1)[torch.arange(len(y)), y].sum()"),
        (1,),
    ),
    Case("targets with a logarithm", loop("loss = (y * (y.log() - F.log_softmax(out, -1))).sum()"), (1,)),
    Case(
        "weights of samples",
        loop("loss = (w[:, None] * (out - y) ** 2).mean(0).sum() / batch_size", given="x, y, w"),
        (-1,),
    ),
    Case("elements added one by one", loop("errors = (out - y) ** 2\nloss = sum(errors.flatten()) / len(x)"), (0,)),
    Case(
        "a mask that selects", loop("loss = torch.masked_select((out - y) ** 2, mask).mean()", given="x, y, mask"), (0,)
    ),
    Case(
        "a function with a part of its arguments",
        loop("loss = criterion(out, y)", before='criterion = partial(F.mse_loss, reduction="sum")'),
        (1,),
    ),
    Case(
        "a class that is told not to reduce",
        "class OwnLoss(nn.Module):\n    def __init__(self, reduction):\n        super().__init__()\n"
        "        self.reduction = reduction\n\n    def forward(self, out, y):\n        values = (out - y) ** 2\n"
        '        return values.mean() if self.reduction == "mean" else values\n\n'
        + loop("loss = criterion(out, y).sum(1).mean()", before='criterion = OwnLoss("none")'),
        (0,),
    ),
    Case(
        "a closure",
        "def train(model, loader):\n    optimizer = torch.optim.LBFGS(model.parameters())\n    for x, y in loader:\n"
        "        def closure():\n            optimizer.zero_grad()\n"
        '            loss = F.mse_loss(model(x), y, reduction="sum")\n            loss.backward()\n'
        "            return loss\n        optimizer.step(closure)\n",
        (1,),
    ),
    Case(
        "gradients by a function",
        "def train(model, loader):\n    for x, y in loader:\n"
        '        loss = F.mse_loss(model(x), y, reduction="sum")\n'
        "        grads = torch.autograd.grad(loss, list(model.parameters()))\n"
        "        with torch.no_grad():\n            for p, g in zip(model.parameters(), grads):\n"
        "                p -= 0.1 * g\n",
        (1,),
    ),
)


def flows(text: str) -> list[LossFlow]:
    facts = analyze(PATH, text, load_libraries(), absolute=PATH, complete=True)
    return [flow for flow in facts.flows if flow.fate is Fate.TRAINED]


def measured(text: str) -> Iterator[Measurement]:
    """Run each flow of a program, without the lock."""
    torch = pytest.importorskip("torch")
    from lint_reduction.verify import laboratory

    for flow in flows(text):
        growth = Growth.of(Count.SAMPLES) * Growth.of(Count.ELEMENTS)
        finding = replace(as_finding(flow, PATH), growth=growth)
        experiment = json.loads(experiment_of(finding, PATH, {PATH: text}.get).to_json())
        yield measurement_of(laboratory.run(experiment, torch.device("cpu"), torch.float64))


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_flow_is_run_as_it_is_claimed(case: Case) -> None:
    runs = list(measured(HEAD + case.text))
    assert [run.reason for run in runs if run.status is not Status.MEASURED] == []
    found = {
        round(series.exponent, 3)
        for run in runs
        for trial in run.trials
        for series in trial.series
        if (series.count, series.what) == (case.count, case.what) and series.exponent is not None
    }
    assert sorted(found) == list(case.exponents)
    assert all(run.site_executed for run in runs)


@pytest.mark.torch
def test_the_samples_of_a_batch_that_is_taken_apart_are_gone_through() -> None:
    text = HEAD + (
        "def train(model, loader):\n    for batch in loader:\n        x, y = batch\n        out = model(x)\n"
        "        loss = 0.0\n        for o, t in zip(out, y):\n            loss = loss + F.mse_loss(o, t)\n"
        "        loss.backward()\n"
    )
    (run,) = measured(text)
    assert {round(series.exponent or 0, 3) for trial in run.trials for series in trial.series[:1]} == {1}


TERM_BY_FLAG = {
    "scaled": (
        loop(
            "a = F.mse_loss(out, y) / len(x)\nb = F.l1_loss(out, y)\nb = b / 2\nloss = a\n"
            "if flag:\n    loss = loss + b * len(x)"
        ),
        {(-1,), (-1, 1)},
    ),
    "criterion": (
        loop(
            "a = F.mse_loss(out, y, reduction='none').sum()\nb = criterion(out, y)\nloss = a\n"
            "if flag:\n    loss = loss + b",
            before="criterion = nn.L1Loss()",
        ),
        {(1,), (0, 1)},
    ),
    "criterion of the module": (
        "criterion = nn.L1Loss()\n\n"
        + loop(
            "a = F.mse_loss(out, y, reduction='sum')\nb = criterion(out, y)\nloss = a\nif flag:\n    loss = loss + b"
        ),
        {(1,), (0, 1)},
    ),
    "criterion of both": (
        "criterion = nn.MSELoss(reduction='sum')\n\n"
        + loop(
            "loss = criterion(out, y)\nif flag:\n    extra = criterion(out.tanh(), y)\n    loss = loss + extra / len(x)"
        ),
        {(1,), (0, 1)},
    ),
    "total": (
        "def train(model, loader, flag):\n    criterion = nn.MSELoss(reduction='sum')\n    other = nn.L1Loss()\n"
        "    total = 0.0\n    for x, y in loader:\n        out = model(x)\n        a = criterion(out, y)\n"
        "        b = other(out, y)\n        b /= 2\n        loss = a\n        if flag:\n            loss = loss + b\n"
        "        total = total + loss\n    total.backward()\n",
        {(1,), (0, 1)},
    ),
}


@pytest.mark.torch
@pytest.mark.parametrize(("text", "expected"), TERM_BY_FLAG.values(), ids=TERM_BY_FLAG)
def test_a_term_by_a_flag_is_in_the_flow_that_has_it(text: str, expected: set[tuple[int, ...]]) -> None:
    powers = {
        tuple(power for power, share in trial.series[0].powers if share > 1e-6)
        for run in measured(HEAD + text)
        for trial in run.trials
    }
    assert powers == expected


def test_a_flow_of_which_no_step_is_known_can_be_asked_for() -> None:
    text = HEAD + loop("loss = out.logsumexp(-1) - out.gather(-1, y.unsqueeze(-1)).squeeze(-1)")
    (flow,) = flows(text)
    assert flow.terms[0].steps == ()
    assert as_finding(flow, PATH).span == flow.end.span
