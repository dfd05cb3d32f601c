"""A batch that is a list of samples: objects, dictionaries or tuples of which nothing is known but their parts."""

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
from torch.nn.utils.rnn import pad_sequence

"""


@dataclass(frozen=True)
class Listed:
    """A program, and what its gradient grows with.

    Attributes:
        text: the program, without the imports; ``{}`` is replaced by each of the divisors.
        sums: what follows a loss that is a sum over the samples, what follows one that is not.
    """

    text: str
    function: str = "train"
    end: str = "backward"
    sums: tuple[str, str] = ("", " / len(batch)")
    site: str = ""


STACKED = """\
def train(model, loader):
    for batch in loader:
        x = torch.stack([item.x for item in batch])
        y = torch.stack([item.y for item in batch])
        loss = F.mse_loss(model(x), y, reduction="sum"){}
        loss.backward()
"""
PROGRAMS = {
    "attributes that are stacked": Listed(STACKED),
    "keys that are stacked": Listed(STACKED.replace("item.x", "item['x']").replace("item.y", "item['y']")),
    "positions that are stacked": Listed(STACKED.replace("item.x", "item[0]").replace("item.y", "item[1]")),
    "pairs that are unpacked": Listed(
        """\
def train(model, loader):
    for batch in loader:
        xs, ys = zip(*batch)
        loss = F.mse_loss(model(torch.stack(xs)), torch.stack(ys), reduction="sum"){}
        loss.backward()
"""
    ),
    "padded sequences": Listed(
        """\
def train(model, loader):
    for batch in loader:
        x = pad_sequence([item["ids"] for item in batch], batch_first=True)
        y = torch.tensor([item["label"] for item in batch])
        loss = F.cross_entropy(model(x), y, reduction="sum"){}
        loss.backward()
"""
    ),
    "padded labels": Listed(
        """\
def train(model, loader):
    for batch in loader:
        x = pad_sequence([item.ids for item in batch], batch_first=True)
        y = pad_sequence([item.labels for item in batch], batch_first=True, padding_value=-100)
        logits = model(x)
        loss = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1), ignore_index=-100, reduction="sum"){}
        loss.backward()
"""
    ),
    "labels that are numbers": Listed(
        """\
class Regressor(nn.Module):
    def __init__(self, embeddings):
        super().__init__()
        self.embeddings = embeddings
        self.decoder = nn.Linear(embeddings.length, 1)
        self.loss_function = nn.MSELoss(reduction="sum")

    def _tensors(self, sentences):
        self.embeddings.embed(sentences)
        found = [sentence.get_embedding().unsqueeze(0) for sentence in sentences]
        return torch.cat(found, 0)

    def _labels(self, sentences):
        indices = [
            torch.tensor([float(label.value) for label in sentence.get_labels("y")], dtype=torch.float)
            for sentence in sentences
        ]
        return torch.cat(indices, 0)

    def forward_loss(self, sentences):
        labels = self._labels(sentences)
        scores = self.decoder(self._tensors(sentences))
        return self.loss_function(scores.squeeze(1), labels){}
""",
        "Regressor.forward_loss",
        "return",
        ("", " / len(sentences)"),
    ),
    "scores of samples": Listed(
        """\
def objective(model, batch):
    total = 0
    for sample in batch:
        total = total + F.cross_entropy(model(sample.x.unsqueeze(0)), sample.y.unsqueeze(0))
    return total{}
""",
        "objective",
        "return",
    ),
    "a network on parts of samples": Listed(
        """\
def objective(model, batch):
    losses = []
    for sample in batch:
        x = sample["image"].float()
        out = model(x)
        losses.append(F.mse_loss(out, sample["target"]))
    return sum(losses){}
""",
        "objective",
        "return",
    ),
    "samples by number": Listed(
        """\
def objective(model, batch):
    total = 0.0
    for i in range(len(batch)):
        total += F.mse_loss(model(batch[i].x), batch[i].y)
    return total{}
""",
        "objective",
        "return",
    ),
    "samples that are filtered and sorted": Listed(
        """\
def objective(model, batch):
    batch = [sample for sample in batch if len(sample) > 0]
    if len(batch) == 0:
        return torch.tensor(0.0, requires_grad=True)
    batch = sorted(batch, key=len, reverse=True)
    scores = model(torch.stack([embed(sample) for sample in batch]))
    gold = torch.tensor([table.index(sample.label) for sample in batch], dtype=torch.long)
    return F.cross_entropy(scores, gold, reduction="sum"){}
""",
        "objective",
        "return",
        site="F.cross_entropy(scores, gold, reduction='sum')",
    ),
    "a list if it is none": Listed(
        """\
def objective(model, batch):
    if not isinstance(batch, list):
        batch = [batch]
    x = torch.stack([s.x for s in batch])
    return F.mse_loss(model(x), torch.stack([s.y for s in batch]), reduction="sum"){}
""",
        "objective",
        "return",
    ),
}


def exponents(listed: Listed, behind: str) -> set[float]:
    torch.set_num_threads(1)
    made = experiment(HEAD + listed.text.replace("{}", behind), listed.function, end=listed.end, site=listed.site)
    answer = laboratory.run(json.loads(made.to_json()), torch.device("cpu"), torch.float64)
    assert answer["status"] == "measured", answer["reason"]
    assert answer["site_executed"]
    series = [s for trial in answer["trials"] for s in trial["series"]]  # type: ignore[attr-defined]
    return {round(s["exponent"], 2) + 0.0 for s in series if (s["count"], s["what"]) == ("samples", "gradient")}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_sum_over_a_list_of_samples_grows(name: str) -> None:
    assert exponents(PROGRAMS[name], PROGRAMS[name].sums[0]) == {1.0}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_divided_by_their_number_does_not(name: str) -> None:
    assert exponents(PROGRAMS[name], PROGRAMS[name].sums[1]) == {0.0}


SCALES = """\
def objective(model, x, y):
    return sum(F.mse_loss(out, y) for out in model(x))
"""
HEADS = """\
class Heads(nn.Module):
    def forward(self, x, y):
        return sum(F.mse_loss(head(x), y) for head in self.heads)
"""


@pytest.mark.parametrize(("text", "function"), [(SCALES, "objective"), (HEADS, "Heads.forward")])
def test_what_is_no_list_of_samples_is_not_taken_for_one(text: str, function: str) -> None:
    assert exponents(Listed(text, function, "return"), "") == {0.0}


LEVELS = """\
def objective(model, levels):
    total = 0
    for level in levels:
        total = total + F.mse_loss(level["prediction"], level["target"])
    return total
"""


def test_what_may_be_a_list_of_levels_is_measured_in_both_ways() -> None:
    assert exponents(Listed(LEVELS, "objective", "return"), "") == {0.0, 1.0}


KEYS = """\
def objective(model, batch):
    for key in batch:
        batch[key] = batch[key].to("cuda")
    return F.mse_loss(model(batch["x"]), batch["y"])
"""


def test_a_dictionary_is_no_list_of_samples() -> None:
    assert exponents(Listed(KEYS, "objective", "return"), "") == {0.0}
