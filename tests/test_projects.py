"""Findings in projects of several files are those that the comments expect, wherever the loss is trained on."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from lint_reduction.finding import Confidence
from lint_reduction.run.pipeline import Overrides, lint
from tests.command import run, run_apart
from tests.fixture_files import FIXTURES, expected

PROJECTS = sorted(path for path in FIXTURES.glob("*/project_*") if path.is_dir())


def _found(paths: list[Path]) -> set[tuple[str, int, str]]:
    report = lint(paths, Overrides(isolated=True))
    assert report.crashes == ()
    return {(d.absolute, d.finding.span.line, d.finding.name) for d in report.diagnostics}


def _wanted(project: Path) -> set[tuple[str, int, str]]:
    return {(str(path), e.line, e.name) for path in project.rglob("*.py") for e in expected(path)}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda p: str(p.relative_to(FIXTURES)))
def test_findings_are_those_expected(project: Path) -> None:
    assert _found([project]) == _wanted(project)


def test_there_are_projects_of_both_kinds() -> None:
    silent = [project for project in PROJECTS if not _wanted(project)]
    assert len(PROJECTS) - len(silent) >= 10
    assert len(silent) >= 10


def test_the_order_of_files_changes_nothing() -> None:
    files = sorted(path for project in PROJECTS for path in project.rglob("*.py"))
    assert _found(files) == _found(files[::-1])


def test_a_finding_in_a_file_that_was_not_named_is_reported_there(tmp_path: Path) -> None:
    project = FIXTURES / "unscaled_sum" / "project_function"
    assert _found([project / "train.py"]) == _wanted(project)
    assert _found([project / "losses.py"]) == set()


def test_a_comment_in_the_file_of_the_loss_silences_it(tmp_path: Path) -> None:
    for path in (FIXTURES / "unscaled_sum" / "project_function").glob("*.py"):
        text = path.read_text().replace("# expect: unscaled-sum", "# lint-reduction: ignore[RED101] # was:")
        (tmp_path / path.name).write_text(text)
    assert _found([tmp_path]) == set()


def test_a_comment_at_the_line_that_backward_has_in_another_file_silences_nothing(tmp_path: Path) -> None:
    project = FIXTURES / "unscaled_sum" / "project_function"
    (tmp_path / "train.py").write_text((project / "train.py").read_text())
    backward = (project / "train.py").read_text().splitlines().index("    loss.backward()") + 1
    lines = (project / "losses.py").read_text().splitlines() + [""] * backward
    lines[backward - 1] += "  # lint-reduction: ignore[RED101] another line"
    (tmp_path / "losses.py").write_text("\n".join(lines) + "\n")
    found = _found([tmp_path])
    assert {name for _, _, name in found} >= {"unscaled-sum"}


def test_a_module_that_comes_or_goes_between_two_runs_of_one_process_is_seen(tmp_path: Path) -> None:
    project = FIXTURES / "unscaled_sum" / "project_function"
    train, losses = tmp_path / "train.py", tmp_path / "losses.py"
    train.write_text((project / "train.py").read_text())
    assert _found([train]) == set()
    losses.write_text((project / "losses.py").read_text())
    assert {name for _, _, name in _found([train])} == {"unscaled-sum"}
    losses.unlink()
    assert _found([train]) == set()


def test_modules_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "a.py").write_text("from b import loss\nfrom c import missing\n\n\ndef weight():\n    return 2\n")
    text = """
import torch.nn.functional as F
from a import weight, loss as again
from nowhere import other


def loss(x, y):
    return weight() * F.mse_loss(x, y, reduction="sum")


def train(net, loader, optimizer):
    for x, y in loader:
        (again(net(x), y) + other(x)).backward()
        optimizer.step()
"""
    (tmp_path / "b.py").write_text(text)
    assert _found([tmp_path]) <= {(str(tmp_path / "b.py"), 8, "unscaled-sum")}


def test_facts_name_the_file_that_a_loss_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES / "unscaled_sum" / "project_function")
    text = run("facts", "train.py").out
    assert "losses.py:11:12 torch.nn.functional.mse_loss" in text
    assert "  trained at line 13\n" in text
    assert "loss at line 11 of losses.py" in text


def test_a_loss_that_is_handed_on_is_found_from_a_notebook(tmp_path: Path) -> None:
    project = FIXTURES / "unscaled_sum" / "project_handed_on"
    for name in ("losses.py", "engine.py"):
        (tmp_path / name).write_text((project / name).read_text())
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": (project / "main.py").read_text()}
    notebook = {"cells": [cell | {"execution_count": None}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "main.ipynb").write_text(json.dumps(notebook))
    wanted = {(str(tmp_path / "losses.py"), line, name) for _, line, name in _wanted(project)}
    assert _found([tmp_path]) == wanted


def test_a_loss_that_is_handed_on_by_a_broken_module_is_not_found(tmp_path: Path) -> None:
    project = FIXTURES / "unscaled_sum" / "project_handed_on"
    for path in project.glob("*.py"):
        (tmp_path / path.name).write_text(path.read_text())
    with (tmp_path / "main.py").open("a") as file:
        file.write("\nbroken = (\n")
    assert _found([tmp_path]) == set()


def _everything(root: Path) -> set[tuple[str, int, str]]:
    overrides = Overrides(select=("ALL",), min_confidence=Confidence.LOW, isolated=True)
    report = lint([root], overrides)
    assert report.crashes == ()
    return {(os.path.relpath(d.absolute, root), d.finding.span.line, d.finding.name) for d in report.diagnostics}


def _break(module: Path) -> None:
    with module.open("a") as file:
        file.write("\nbroken = (\n")


#: The trainer that divides knows the model, and the model does not know it: who reads neither cannot tell.
UNSEEN = {("project_annotated_nearer", "counting.py")}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda p: str(p.relative_to(FIXTURES)))
def test_a_module_that_cannot_be_read_brings_no_finding_in_another(tmp_path: Path, project: Path) -> None:
    wanted = _everything(project)
    for module in sorted(project.rglob("*.py")):
        if (project.name, module.name) not in UNSEEN:
            broken = tmp_path / module.stem / module.parent.name
            shutil.copytree(project, broken)
            _break(broken / module.relative_to(project))
            found = _everything(broken)
            assert {one for one in found if one[0] != str(module.relative_to(project))} <= wanted


HELPERS = """\
import torch


def make_optimizer(parameters, batch_size):
    return torch.optim.SGD(parameters, lr=0.1 / batch_size)


def rescale(model, n):
    for parameter in model.parameters():
        parameter.grad /= n


def prepare(model, n):
    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: gradient / n)


class Base:
    def __init__(self, model):
        self.model = model

    def rescale(self):
        rescale(self.model, 32)
"""
TRAIN = """\
import helpers
import torch
from torch import nn
from torch.utils.data import DataLoader


def train(model: nn.Module, data):
    BEFORE
    criterion = nn.MSELoss(reduction="sum")
    optimizer = OPTIMIZER
    for x, y in DataLoader(data, batch_size=32, drop_last=True):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        AFTER
        optimizer.step()
"""
METHOD = """\
import torch
from helpers import Base
from torch import nn


class Trained(Base):
    def NAME(self, batch):
        x, y = batch
        loss = nn.functional.mse_loss(self.model(x), y, reduction="sum")
        BACKWARD
        return loss
"""


@pytest.mark.parametrize(
    "changes",
    [
        {"OPTIMIZER": "helpers.make_optimizer(model.parameters(), 32)"},
        {"AFTER": "helpers.rescale(model, 32)"},
        {"BEFORE": "helpers.prepare(model, 32)"},
        {"NAME": "training_step"},
        {"NAME": "fit", "BACKWARD": "loss.backward(); self.rescale(); torch.optim.SGD(self.model, lr=0.1).step()"},
    ],
    ids=" ".join,
)
def test_what_a_module_that_cannot_be_read_may_do_is_not_known(tmp_path: Path, changes: dict[str, str]) -> None:
    text = METHOD if "NAME" in changes else TRAIN
    usual = {
        "BEFORE": "pass",
        "AFTER": "pass",
        "BACKWARD": "pass",
        "OPTIMIZER": "torch.optim.SGD(model.parameters(), 1)",
    }
    for name, code in (usual | changes).items():
        text = text.replace(name, code)
    (tmp_path / "train.py").write_text(text)
    (tmp_path / "helpers.py").write_text(HELPERS)
    _break(tmp_path / "helpers.py")
    assert {name for path, _, name in _everything(tmp_path) if path == "train.py"} == set()


def test_names_that_are_handed_on_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from b import *\nfrom c import loss\n")
    (tmp_path / "b.py").write_text("from a import *\nfrom a import train\n")
    text = "from torch.nn import MSELoss\n\n\ndef loss(x, y):\n    return MSELoss(reduction='sum')(x, y)\n"
    (tmp_path / "c.py").write_text(text)
    (tmp_path / "main.py").write_text("from a import loss, train\nfrom b import loss as again\n\ntrain(loss, again)\n")
    assert _found([tmp_path]) == set()


@pytest.mark.parametrize(
    "packages",
    [{"a": "from .Base import Base\n"}, {"a": "from b.Base import Base\n", "b": "from a.Base import Base\n"}],
    ids=["from itself", "from one another"],
)
def test_names_from_modules_that_a_package_lacks_end(tmp_path: Path, packages: dict[str, str]) -> None:
    for name, text in packages.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    head = "from a import Base\nfrom torch.nn import MSELoss\n\n\nclass Model(Base):\n    def loss(self, x, y):\n"
    (tmp_path / "main.py").write_text(f"{head}        return MSELoss(reduction='sum')(x, y)\n")
    ran = run_apart(".", "--isolated", cwd=tmp_path, timeout=30)
    assert (ran.code, ran.err) == (0, "")
