"""Which modules are a reason to follow losses into others: those that train on something."""

from __future__ import annotations

from pathlib import Path

import pytest

from lint_reduction.analysis import Project, analyze
from lint_reduction.analysis.outline import outline
from lint_reduction.analysis.relevance import trains
from lint_reduction.analysis.steps import taken_steps
from lint_reduction.libraries import load_libraries

_FUNCTION = "class Scale(torch.autograd.Function):\n    @staticmethod\n    def backward(ctx, grad):\n        "
_TRAINS = {
    "def step(loss):\n    loss.backward()": True,
    "from torch.autograd import grad as g\ndef step(loss, w):\n    return g(loss, w)": True,
    "def step(loss, w):\n    return torch.autograd.grad(loss, w)": True,
    "def step(loss):\n    run = torch.autograd.grad\n    run(loss)": True,
    "def step(loss):\n    gradient = torch.ones_like(loss)\n    loss.backward(gradient)": True,
    "def step(engine, loss, grad):\n    engine.backward(loss)": True,
    "def step(out, grad_out, loss):\n    out.backward(grad_out)\n    loss.backward()": True,
    "def norm(p):\n    return p.grad.norm()": False,
    "def back(out, grad_out):\n    out.backward(grad_out, retain_graph=True)": False,
    _FUNCTION + "return grad * 2": False,
    _FUNCTION + "return kernel.backward(grad)": False,
}


@pytest.mark.parametrize("text", _TRAINS)
def test_what_trains(text: str, tmp_path: Path) -> None:
    lines = outline(text)
    assert lines is not None
    assert trains(lines, load_libraries()) is _TRAINS[text]
    # the bytes of a module that is not parsed say the same, or leave it to the outline
    path = tmp_path / "module.py"
    path.write_text(text)
    assert Project(load_libraries()).trains(str(path)) is _TRAINS[text]


@pytest.mark.parametrize(
    ("base", "taken"),
    [
        ("from torch.nn import Module as Base", False),
        ("from other import Plain as Base", False),
        ("from transformers import Trainer as Base", True),
        ("from other import Own as Base", True),
        ("from other import Runner as Base", True),
        ("from other import *\nclass Base(Own): ...", True),
    ],
)
def test_a_step_is_taken_where_a_base_may_be_a_trainer(base: str, taken: bool, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text(
        "from far import *\nfrom deep import Runner\nfrom plain import Far\n"
        "class Plain(Far): ...\nclass Own(Mine): ...\n"
    )
    (tmp_path / "deep.py").write_text("class Runner:\n    def run(self, x):\n        self.compute_loss(x).backward()\n")
    (tmp_path / "far.py").write_text("from transformers import Seq2SeqTrainer\nclass Mine(Seq2SeqTrainer): ...\n")
    (tmp_path / "plain.py").write_text("class Far: ...\n")
    path = tmp_path / "main.py"
    path.write_text(f"{base}\nclass Model(Base):\n    def compute_loss(self, x):\n        return x.sum()\n")
    lines = outline(path.read_text())
    assert lines is not None
    assert bool(taken_steps(lines, Project(load_libraries()), str(path))) is taken


def test_a_class_in_a_type_test_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("class Wrapped:\n    def backward(self, loss):\n        loss.sum()\n")
    text = (
        "import torch\nfrom other import Wrapped\n"
        "def step(model: Wrapped | torch.nn.Module, x, loss_fn=torch.nn.MSELoss()):\n"
        "    if isinstance(model, Wrapped):\n        model = model.module\n    loss_fn(model(x), x).backward()\n"
    )
    project = Project(load_libraries())
    facts = analyze(
        "main.py", text, project.libraries, project=project, absolute=str(tmp_path / "main.py"), complete=True
    )
    assert facts.flows
    assert not project._units
