"""What is not known of a program is taken for what the path of the loss needs, or keeps it from being run."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")]

if find_spec("torch"):
    import torch

    from lint_reduction.verify import laboratory
    from lint_reduction.verify.experiment import Branch, Callee
    from lint_reduction.verify.values import place_of
    from tests.experiments import experiment

HEAD = "import math\nimport typing\nimport torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n"


@dataclass(frozen=True)
class Known:
    """A program that can be run though some of it is not known.

    Attributes:
        text: the program, without the imports.
        samples: the exponent in samples.
        function: where it begins.
        site: the text of the site, empty for the first loss.
    """

    text: str
    samples: float
    function: str = "train"
    site: str = ""


KNOWN = {
    "a number of the library": Known(
        """\
def train(model, loader):
    for x, y in loader:
        mean, log_scale = model(x)
        loss = (0.5 * math.log(2 * math.pi) + log_scale + (y - mean) ** 2 / log_scale.exp()).sum()
        loss.backward()
""",
        1,
        site="(0.5 * math.log(2 * math.pi) + log_scale + (y - mean) ** 2 / log_scale.exp()).sum()",
    ),
    "an output that is changed in place": Known(
        """\
def train(model, loader):
    for x, y in loader:
        out = model(x)
        out.clamp_(-1, 1)
        F.mse_loss(out, y, reduction="sum").backward()
""",
        1,
    ),
    "a loss chosen by an option": Known(
        """\
def train(model, loader, options):
    loss = {"l1": nn.L1Loss(), "l2": nn.MSELoss(reduction="sum")}[options.get("loss", "l1")]
    for x, y in loader:
        loss(model(x), y).backward()
""",
        1,
        site="nn.MSELoss(reduction='sum')",
    ),
    "an option that is asked twice": Known(
        """\
def train(model, loader, options):
    for x, y in loader:
        loss = F.mse_loss(model(x), y, reduction="none")
        if options.reduction == "mean":
            loss = loss.mean()
        if options.reduction == "sum":
            loss = loss.sum()
        if options.reduction in ("batch", "sum"):
            loss = loss.sum() * len(x)
        loss.backward()
""",
        0,
    ),
    "outputs told apart by an option": Known(
        """\
def train(model, loader, options):
    for x in loader:
        if options.kind == "gaussian":
            mean, log_scale = model(x)
        elif options.kind == "bernoulli":
            log_scale = model(x)
        loss = torch.sum(1 + log_scale - log_scale.exp())
        loss.backward()
""",
        1,
        site="torch.sum(1 + log_scale - log_scale.exp())",
    ),
    "an option by a name that is not known": Known(
        """\
def train(model, loader, options, name):
    optimizer = getattr(options.optimizers, name)(model.parameters())
    for x, y in loader:
        F.mse_loss(model(x), y, reduction="sum").backward()
        optimizer.step()
""",
        1,
    ),
    "attributes by name": Known(
        """\
class Loss(nn.Module):
    def __init__(self, weight=None, reduction="sum"):
        super().__init__()
        self.register_buffer("weight", weight)
        setattr(self, "reduction", reduction)

    def forward(self, x, y):
        return F.binary_cross_entropy_with_logits(x, y, self.weight, reduction=self.reduction)


def train(model, loader):
    criterion = Loss()
    for x, y in loader:
        criterion(model(x), y).backward()
""",
        1,
    ),
    "what cannot be run and is not read": Known(
        """\
def train(model, loader, a):
    size = 2 ** 4096
    table = {a.b: 1}
    for x, y in loader:
        F.mse_loss(model(x), y, reduction="sum").backward()
""",
        1,
    ),
    "a network that is called twice": Known(
        """\
def train(model, loader):
    for x in loader:
        first, second = model(x), model(x)
        loss = F.kl_div(F.log_softmax(first, 1), F.softmax(second, 1), reduction="sum")
        (loss + F.mse_loss(second, first, reduction="sum")).backward()
""",
        1,
    ),
    "a share of a term": Known(
        """\
def train(model, loader, alpha):
    for x, y in loader:
        loss = (1 - alpha) * F.mse_loss(model(x), y, reduction="sum")
        loss.backward()
""",
        1,
    ),
    "a list that somebody fills": Known(
        """\
class Trainer:
    def __init__(self, model):
        self.model = model
        self.loader = []

    def fit(self):
        for self.batch in self.loader:
            x, y = self.batch
            F.mse_loss(self.model(x), y, reduction="sum").backward()
""",
        1,
        "Trainer.fit",
    ),
    "generic classes that share a base": Known(
        """\
T = typing.TypeVar("T")


class Protocol(typing.Generic[T]):
    def loss(self, x, y):
        return None


class Batches(Protocol[T]):
    pass


class Base(Protocol[T]):
    def loss(self, x, y):
        return F.mse_loss(x, y, reduction="sum")


class Trainer(Batches[T], Base[T]):
    def fit(self, model, loader):
        for x, y in loader:
            self.loss(model(x), y).backward()
""",
        1,
        "Trainer.fit",
    ),
    "a model by its method": Known(
        """\
class Model(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.layer = nn.Linear(size, 1)
        self.criterion = nn.MSELoss(reduction="sum")

    def forward_loss(self, batch):
        x, y = batch
        return self.criterion(self.layer(x), y), len(x)


class Trainer:
    def __init__(self, model):
        self.model = model

    def fit(self, loader):
        for batch in loader:
            loss, count = self.model.forward_loss(batch)
            loss.backward()
""",
        1,
        "Trainer.fit",
    ),
    "arguments that are handed on": Known(
        """\
class Base:
    def __init__(self, data, reduction="sum"):
        self.rows, self.columns = data.shape
        self.table = data.frame.describe()
        self.reduction = reduction


class Trainer(Base):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def fit(self, model, loader):
        for x, y in loader:
            F.mse_loss(model(x), y).mul(self.columns).backward()
""",
        0,
        "Trainer.fit",
    ),
    "columns of a batch": Known(
        """\
def train(model, loader, columns):
    for x in loader:
        out = model(x)
        chosen = [column for column in columns if column in (1, 2) or True]
        F.mse_loss(out[:, chosen], x[:, chosen], reduction="sum").backward()
""",
        1,
    ),
    "the key of a dictionary": Known(
        """\
from settings import KEYS


def train(model, loader):
    for batch in loader:
        F.mse_loss(model(batch), batch[KEYS.TARGET_KEY], reduction="sum").backward()
""",
        1,
    ),
    "weights of classes, computed": Known(
        """\
def train(model, loader, counts):
    weight = torch.tensor([w if w > 0 else 1.0 for w in counts])
    for x, y in loader:
        F.cross_entropy(model(x), y, weight=weight, reduction="sum").backward()
""",
        1,
    ),
    "a number that decides a test": Known(
        """\
class Trainer:
    def __init__(self, model, extra):
        self.model, self.extra = model, extra

    def fit(self, loader, extra):
        for x, y in loader:
            loss = F.mse_loss(self.model(x), y, reduction="sum")
            if extra > 0:
                loss = loss + extra * loss
            loss.backward()
""",
        1,
        "Trainer.fit",
    ),
    "a mask of what is compared": Known(
        """\
def train(model, loader, ignored=-1):
    for x, y, labels in loader:
        valid = labels != ignored
        loss = F.mse_loss(model(x), y, reduction="none")[valid].sum() / valid.sum()
        loss.backward()
""",
        0,
    ),
    "parameters of two models": Known(
        """\
def train(model, other, loader):
    optimizer = torch.optim.SGD(list(model.parameters()) + list(other.parameters()), lr=0.1)
    for x, y in loader:
        F.mse_loss(other(model(x)), y, reduction="sum").backward()
        optimizer.step()
""",
        1,
    ),
}


def test_what_is_chosen_is_told() -> None:
    told = {name: measured(KNOWN[name])["trials"][0]["assumptions"] for name in KNOWN}  # type: ignore[index]
    assert "`options.kind` is 'gaussian'" in told["outputs told apart by an option"]
    assert "`model` is an object of `Model`" in told["a model by its method"]


def measured(known: Known) -> dict[str, object]:
    """Return the measurement of a program."""
    text = HEAD + known.text
    data = json.loads(experiment(text, known.function, site=known.site).to_json())
    return laboratory.run(data, torch.device("cpu"), torch.float64)


def exponents(answer: dict[str, object]) -> set[float]:
    """Return the exponents of the gradient in samples, rounded."""
    trials: list[dict[str, object]] = answer["trials"]  # type: ignore[assignment]
    series = [s for trial in trials for s in trial["series"]]  # type: ignore[attr-defined]
    return {round(s["exponent"], 2) + 0.0 for s in series if (s["count"], s["what"]) == ("samples", "gradient")}


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_not_known_is_taken_for_what_it_may_be(name: str) -> None:
    answer = measured(KNOWN[name])
    assert answer["status"] == "measured", answer["reason"]
    assert answer["site_executed"]
    assert exponents(answer) == {KNOWN[name].samples}


BLOCKED = {
    "a value that is read though nothing makes it": (
        """\
def train(model, loader, a):
    weight = 2 ** 4096
    for x, y in loader:
        (F.mse_loss(model(x), y, reduction="sum") * weight).backward()
""",
        "an integer gets too large",
    ),
    "a table whose losses are all off the path": (
        """\
def train(model, loader, options):
    loss = {"l1": nn.L1Loss(), "l2": nn.MSELoss()}[options.loss]
    for x, y in loader:
        (loss(model(x), y) + F.huber_loss(model(x), y)).backward()
""",
        "a key is not known",
    ),
    "a method of one of two classes": (
        """\
class First:
    def forward_loss(self, x, y):
        return F.mse_loss(x, y, reduction="sum")


class Second:
    def forward_loss(self, x, y):
        return F.l1_loss(x, y)


def train(model, loader):
    for x, y in loader:
        model.forward_loss(x, y).backward()
""",
        "`model.forward_loss(x, y)`, which is trained, is not known",
    ),
    "a loss by a name that is not known": (
        """\
def train(model, loader, name):
    for x, y in loader:
        (F.mse_loss(model(x), y) + getattr(F, name)(model(x), y)).backward()
""",
        "the name of an attribute is not known",
    ),
    "a method that a derived class has": (
        """\
import abc


class Trainer(abc.ABC):
    @abc.abstractmethod
    def kl_loss(self):
        pass

    def fit(self, model, loader):
        for x, y in loader:
            (F.mse_loss(model(x), y) + self.kl_loss()).backward()
""",
        "`Trainer.kl_loss()` looks like a loss and is not known",
    ),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_what_may_be_anything_keeps_it_from_being_run(name: str) -> None:
    text, reason = BLOCKED[name]
    site = "F.huber_loss(model(x), y)" if "huber" in text else ""
    base = experiment(HEAD + text, "Trainer.fit" if "Trainer" in text else "train", site=site)
    sites = tuple(Callee(place_of(0, call), name) for call, name in losses_by_function(HEAD + text))
    data = json.loads(replace(base, sites=sites).to_json())
    answer = laboratory.run(data, torch.device("cpu"), torch.float64)
    assert answer["status"] == "blocked"
    assert reason in str(answer["reason"])


def losses_by_function(source: str) -> Iterator[tuple[ast.Call, str]]:
    """Yield the calls of losses in a source with their full names, as an experiment tells them."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="F"), attr=name)):
                yield node, f"torch.nn.functional.{name}"


def test_what_a_decided_test_asks_for_is_there() -> None:
    text = (
        "import torch.nn.functional as F\n\ndef train(model, loader, mask=None):\n    for x, y in loader:\n"
        "        loss = F.mse_loss(model(x), y, reduction='none')\n        if mask is not None:\n"
        "            loss = loss * mask\n        loss.sum().backward()\n"
    )
    test = next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.If))
    data = json.loads(replace(experiment(text), branches=(Branch(place_of(0, test), True),)).to_json())
    answer = laboratory.run(data, torch.device("cpu"), torch.float64)
    assert (answer["status"], exponents(answer)) == ("measured", {1.0}), answer["reason"]
    assert any("`mask` is a mask" in sentence for sentence in answer["trials"][0]["assumptions"])  # type: ignore[index]


def test_a_test_is_decided_though_its_other_side_is_cut_away() -> None:
    text = (
        "import torch.nn.functional as F\n\ndef train(model, loader, weight=1.0):\n    for x, y in loader:\n"
        "        loss = F.mse_loss(model(x), y, reduction='none')\n        if weight != 1:\n"
        "            loss = loss.sum()\n"
    )
    whole = text + "        else:\n            loss = loss.mean()\n        loss.backward()\n"
    cut = text + "\n\n        loss.backward()\n"
    test = next(node for node in ast.walk(ast.parse(whole)) if isinstance(node, ast.If))
    base = experiment(cut)
    data = json.loads(replace(base, branches=(Branch(place_of(0, test), True),)).to_json())
    answer = laboratory.run(data, torch.device("cpu"), torch.float64)
    assert (answer["status"], exponents(answer)) == ("measured", {1.0}), answer["reason"]
