"""Losses as they are written every day: chosen actions, drawn ones, loops over rows, masks of pairs, time first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")]

if find_spec("torch"):
    import torch

    from lint_reduction.verify import laboratory
    from tests.experiments import experiment

HEAD = """\
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical, Normal

"""


@dataclass(frozen=True)
class Common:
    """A loss and the same with the mean that is meant.

    Attributes:
        text: the program, without the imports; ``{}`` is what is written for a sum, or for the mean.
        grows, fair: what is written for each.
        site: the text of the place, with the same gap.
        function: where the run begins.
        end: what ends it.
    """

    text: str
    grows: str
    fair: str
    site: str = ""
    function: str = "train"
    end: str = "backward"


PROGRAMS = {
    "chosen actions": Common(
        """\
def train(policy, target, memory, optimizer):
    states, actions, rewards, next_states, done = memory.sample()
    q = policy(states).gather(1, actions)
    with torch.no_grad():
        best = target(next_states).max(1)[0].unsqueeze(1)
    expected = rewards + 0.99 * best * (1 - done)
    loss = F.smooth_l1_loss(q, expected, reduction="{}")
    loss.backward()
""",
        "sum",
        "mean",
    ),
    "chosen actions without an axis": Common(
        """\
def train(policy, target, memory, optimizer):
    states, actions, rewards, next_states, done = memory.sample()
    q = policy(states).gather(1, actions.unsqueeze(1)).squeeze(1)
    best = target(next_states).max(1)[0].detach()
    expected = rewards + 0.99 * best * (1 - done)
    loss = ((q - expected) ** 2).{}()
    loss.backward()
""",
        "sum",
        "mean",
        "((q - expected) ** 2).{}()",
    ),
    "chosen actions of whole numbers": Common(
        """\
def train(policy, memory, optimizer):
    states, actions, returns = memory.sample()
    log_probs = F.log_softmax(policy(states), dim=-1)
    chosen = log_probs.gather(-1, actions.long().view(-1, 1)).squeeze(-1)
    loss = -(chosen * returns).{}()
    loss.backward()
""",
        "sum",
        "mean",
        "(chosen * returns).{}()",
    ),
    "targets as vectors": Common(
        """\
def train(model, loader):
    for x, y in loader:
        target = F.one_hot(y, num_classes=10).float()
        loss = F.mse_loss(torch.softmax(model(x), dim=1), target, reduction="{}")
        loss.backward()
""",
        "sum",
        "mean",
    ),
    "targets as vectors of as many classes as there are scores": Common(
        """\
def train(model, loader):
    for x, y in loader:
        out = model(x)
        loss = -(F.one_hot(y, out.size(1)) * F.log_softmax(out, 1)).{}
        loss.backward()
""",
        "sum()",
        "sum(1).mean()",
        "(F.one_hot(y, out.size(1)) * F.log_softmax(out, 1)).{}",
    ),
    "drawn actions": Common(
        """\
def train(policy, loader):
    for states, actions, advantages in loader:
        dist = Categorical(logits=policy(states))
        loss = -(dist.log_prob(actions) * advantages).{}()
        loss.backward()
""",
        "sum",
        "mean",
        "(dist.log_prob(actions) * advantages).{}()",
    ),
    "drawn actions of probabilities": Common(
        """\
def train(policy, loader):
    for states, actions, advantages in loader:
        dist = torch.distributions.Categorical(policy(states).softmax(-1))
        loss = -(dist.log_prob(actions) * advantages).{}() - 0.01 * dist.entropy().mean()
        loss.backward()
""",
        "sum",
        "mean",
        "(dist.log_prob(actions) * advantages).{}()",
    ),
    "rows by number": Common(
        """\
def train(model, loader):
    for x, y in loader:
        out = model(x)
        loss = 0
        for i in range(x.size(0)):
            loss = loss + F.mse_loss(out[i], y[i])
        loss = loss{}
        loss.backward()
""",
        "",
        " / x.size(0)",
        "F.mse_loss(out[i], y[i])",
    ),
    "rows while there are any": Common(
        """\
def train(model, loader):
    for x, y in loader:
        out = model(x)
        loss, i = 0.0, 0
        while i < len(out):
            loss += F.cross_entropy(out[i : i + 1], y[i : i + 1])
            i += 1
        loss = loss{}
        loss.backward()
""",
        "",
        " / len(out)",
        "F.cross_entropy(out[i:i + 1], y[i:i + 1])",
    ),
    "a closure": Common(
        """\
def train(model, x, y):
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y, reduction="{}")
        loss.backward()
        return loss

    optimizer.step(closure)
""",
        "sum",
        "mean",
    ),
    "what is on a diagonal": Common(
        """\
def train(model, loader):
    for x, y in loader:
        z = model(x)
        c = z.t() @ z / len(z)
        c.fill_diagonal_(0)
        loss = c.pow(2).sum(){}
        loss.backward()
""",
        " * len(z)",
        "",
        "c.pow(2).sum()",
    ),
    "chosen words of sequences": Common(
        """\
def train(model, loader):
    for ids, advantages in loader:
        log_probs = torch.log_softmax(model(ids), dim=-1)
        chosen = torch.gather(log_probs, 2, ids.unsqueeze(-1)).squeeze(-1)
        loss = -(chosen.sum(1) * advantages).{}()
        loss.backward()
""",
        "sum",
        "mean",
        "(chosen.sum(1) * advantages).{}()",
    ),
    "time first": Common(
        """\
class Net(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim)
        self.out = nn.Linear(dim, vocab)

    def forward(self, src, trg):
        outputs, hidden = self.rnn(self.emb(src))
        return self.out(outputs)


def train(model: Net, loader):
    criterion = nn.CrossEntropyLoss(ignore_index=0, reduction="{}")
    for src, trg in loader:
        output = model(src, trg)
        output = output[1:].view(-1, output.shape[-1])
        loss = criterion(output, trg[1:].view(-1))
        loss.backward()
""",
        "sum",
        "mean",
        "nn.CrossEntropyLoss(ignore_index=0, reduction='{}')",
    ),
}


def exponents(common: Common, gap: str) -> set[float]:
    torch.set_num_threads(1)
    source = HEAD + common.text.replace("{}", gap)
    site = common.site.replace("{}", gap)
    made = experiment(source, common.function, end=common.end, site=site)
    answer = laboratory.run(json.loads(made.to_json()), torch.device("cpu"), torch.float64)
    assert answer["status"] == "measured", answer["reason"]
    assert answer["site_executed"]
    whats = ("gradient", "gradient of this term")
    curves = []
    for trial in answer["trials"]:  # type: ignore[attr-defined]
        found = [s for s in trial["series"] if s["count"] == "samples" and s["what"] in whats]
        curves.append(found[-1])
    return {round(curve["exponent"], 2) + 0.0 for curve in curves}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_sum_grows(name: str) -> None:
    assert exponents(PROGRAMS[name], PROGRAMS[name].grows) == {1.0}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_mean_does_not(name: str) -> None:
    assert exponents(PROGRAMS[name], PROGRAMS[name].fair) == {0.0}


def told(text: str) -> dict[str, object]:
    torch.set_num_threads(1)
    return laboratory.run(json.loads(experiment(HEAD + text).to_json()), torch.device("cpu"), torch.float64)


def test_what_is_only_asked_for_its_size_is_no_prediction() -> None:
    answer = told(
        "def train(model, loader):\n    for x, y in loader:\n"
        "        loss = F.mse_loss(model(x), y, reduction='sum') / x.size(0)\n        loss.backward()\n"
    )
    assumptions = answer["trials"][0]["assumptions"]  # type: ignore[index]
    assert "`x` is an input of shape samples × features" in assumptions
    assert "`model(x)` is a prediction of shape samples × features" in assumptions


def test_the_way_that_comes_farthest_says_why_nothing_runs() -> None:
    answer = told(
        "def train(model, loader):\n    for x, y in loader:\n        out = model(x)\n"
        "        same = torch.einsum('btd,btd->b', out, out)\n"
        "        loss = F.mse_loss(out.view(7, 11), y, reduction='sum') + same.sum()\n        loss.backward()\n"
    )
    assert answer["status"] == "blocked"
    assert str(answer["reason"]).startswith("no shape fits: view: ")
