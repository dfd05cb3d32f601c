"""Experiments hold what running a finding needs, each node where it was, and nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lint_reduction.config import Settings
from lint_reduction.errors import SourceError
from lint_reduction.finding import Confidence, Finding
from lint_reduction.growth import Count
from lint_reduction.rules import all_rules
from lint_reduction.run.pipeline import Overrides, lint, lint_alone, make_context
from lint_reduction.source.file import decode, read_bytes
from lint_reduction.source.notebook import read_notebook
from lint_reduction.verify.blanking import blank
from lint_reduction.verify.claims import CLAIMS
from lint_reduction.verify.dials import CONSTANT, NOT_RUN
from lint_reduction.verify.experiment import Experiment, Place
from lint_reduction.verify.modules import NoExperimentError, parse
from lint_reduction.verify.slicing import experiment_of
from tests.fixture_files import FIXED, FIXTURES, rule_folders

BAD = sorted(p for folder in rule_folders() for p in folder.glob("bad*.py") if not p.name.endswith(FIXED))
PROJECTS = sorted(path for path in FIXTURES.glob("*/project_*") if path.is_dir())


def read(path: str) -> str | None:
    try:
        return decode(read_bytes(Path(path)))
    except SourceError:
        return None


@cache
def findings(path: Path) -> list[tuple[str, Finding]]:
    """Return the findings in a file or folder that can be measured, with the file of each."""
    report = lint([path], Overrides(isolated=True, select=("ALL",), min_confidence=Confidence.LOW))
    assert report.crashes == ()
    return [(d.absolute, d.finding) for d in report.diagnostics if d.finding.code in CLAIMS]


def experiments(path: Path) -> Iterator[Experiment]:
    for absolute, finding in findings(path):
        yield experiment_of(finding, absolute, read)


def write(folder: Path, **files: str) -> Path:
    (folder / "pyproject.toml").write_text("")
    for name, text in files.items():
        (folder / f"{name.replace('__', '/')}.py").parent.mkdir(exist_ok=True)
        (folder / f"{name.replace('__', '/')}.py").write_text(text, encoding="utf-8")
    return folder


def only(folder: Path, code: str = "RED101") -> Experiment:
    (found,) = [(path, finding) for path, finding in findings(folder) if finding.code == code]
    return experiment_of(found[1], found[0], read)


def lines(experiment: Experiment, unit: int = 0) -> list[str]:
    return [line.strip() for line in experiment.units[unit].text.splitlines() if line.strip()]


def at(experiment: Experiment, place: Place) -> str:
    """Return the source at a place of an experiment."""
    rows = experiment.units[place.unit].text.encode().split(b"\n")[place.line - 1 : place.end_line]
    rows[-1] = rows[-1][: place.end_column]
    rows[0] = rows[0][place.column :]
    return b"\n".join(rows).decode()


# --- what holds for all of them


def name(path: Path) -> str:
    return str(path.relative_to(FIXTURES))


def test_every_rule_has_dials_or_a_reason() -> None:
    assert {rule.code for rule in all_rules()} == CLAIMS.keys() | NOT_RUN.keys()
    assert not CLAIMS.keys() & NOT_RUN.keys()
    assert CLAIMS.keys() >= CONSTANT
    assert all(NOT_RUN.values())


@pytest.mark.parametrize("path", [*BAD, *PROJECTS], ids=name)
def test_units_parse_and_hold_what_was_there(path: Path) -> None:
    for experiment in experiments(path):
        for unit in experiment.units:
            ast.parse(unit.text)
            original = (read(unit.path) or "").encode().split(b"\n")
            rows = unit.text.encode().split(b"\n")
            assert len(rows) == len(original)
            for row, before in zip(rows, original, strict=True):
                stays = all(byte == 0x20 or before[i : i + 1] == bytes([byte]) for i, byte in enumerate(row))
                assert stays or row.rstrip().endswith(b"pass")


@pytest.mark.parametrize("path", [*BAD, *PROJECTS], ids=name)
def test_places_are_those_of_nodes_that_are_kept_whole(path: Path) -> None:
    for experiment in experiments(path):
        nodes = [_places(unit.text) for unit in experiment.units]
        whole = [experiment.site, *experiment.calls, *(site.place for site in experiment.sites)]
        whole += [place for _, place in experiment.steps] + [known.place for known in experiment.known]
        whole += [counted.place for counted in experiment.counted]
        whole += [] if experiment.end_kind == "return" else [experiment.end]
        whole += [experiment.optimizer] if experiment.optimizer is not None else []
        for place in whole:
            source = read(experiment.units[place.unit].path) or ""
            assert at(experiment, place) == at(_with(experiment, place.unit, source), place)
        for place in (*whole, experiment.end, *(branch.place for branch in experiment.branches)):
            assert (place.line, place.column, place.end_line, place.end_column) in nodes[place.unit]


def _places(text: str) -> set[tuple[int, int, int, int]]:
    nodes = [node for node in ast.walk(ast.parse(text)) if hasattr(node, "lineno")]
    # the end of a statement is that of what is left of it
    return {(n.lineno, n.col_offset, n.end_lineno, n.end_col_offset) for n in nodes}  # type: ignore[attr-defined]


def _with(experiment: Experiment, unit: int, text: str) -> Experiment:
    units = list(experiment.units)
    units[unit] = replace(units[unit], text=text)
    return replace(experiment, units=tuple(units))


@pytest.mark.parametrize("path", [*BAD, *PROJECTS], ids=name)
def test_an_experiment_of_an_experiment_is_the_same(path: Path) -> None:
    for absolute, finding in findings(path):
        first = experiment_of(finding, absolute, read)
        texts = {unit.path: unit.text for unit in first.units}
        again = experiment_of(finding, absolute, lambda p, texts=texts: texts.get(p, read(p)))  # type: ignore[misc]
        assert again == first


@pytest.mark.parametrize("path", [*BAD, *PROJECTS], ids=name)
def test_nothing_is_printed_or_logged(path: Path) -> None:
    for experiment in experiments(path):
        for unit in experiment.units:
            for node in ast.walk(ast.parse(unit.text)):
                if isinstance(node, ast.Expr) and experiment.end_kind != "read":
                    assert not ast.unparse(node).startswith(("print(", "logger.", "logging.", "self.log("))


def test_most_findings_have_an_experiment() -> None:
    assert sum(len(list(experiments(path))) for path in [*BAD, *PROJECTS]) >= 90


# --- what is kept

TRAIN = """
import torch
from torch import nn
import torch.nn.functional as F


def train(model, loader, verbose=False):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = 0
    for x, y in loader:
        optimizer.zero_grad()
        {loss}
        loss.backward()
        {step}
        seen += len(x)
        print(seen, loss.item())
    for x, y in loader:
        loss = F.mse_loss(model(x), y)
    return seen
"""


def test_what_comes_after_the_step_is_gone(tmp_path: Path) -> None:
    text = TRAIN.format(loss='loss = F.mse_loss(model(x), y, reduction="sum")', step="optimizer.step()")
    experiment = only(write(tmp_path, train=text))
    assert lines(experiment)[2:] == [
        "def train(model, loader, verbose=False):",
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)",
        "for x, y in loader:",
        "optimizer.zero_grad()",
        'loss = F.mse_loss(model(x), y, reduction="sum")',
        "loss.backward()",
        "optimizer.step()",
    ]
    assert experiment.function == experiment.end_function == experiment.optimizer_function == "train"
    assert at(experiment, experiment.end) == "loss.backward()"


def test_columns_are_bytes(tmp_path: Path) -> None:
    text = TRAIN.format(loss='é = 1; loss = F.mse_loss(model(x), y, reduction="sum") * é', step="optimizer.step()")
    experiment = only(write(tmp_path, train=text))
    assert at(experiment, experiment.site) == 'F.mse_loss(model(x), y, reduction="sum")'
    assert experiment.site.column == len("        é = 1; loss = ".encode())


def test_a_statement_alone_on_its_line_keeps_its_column(tmp_path: Path) -> None:
    text = TRAIN.format(loss='"é"; loss = F.mse_loss(model(x), y, reduction="sum")', step="optimizer.step()")
    experiment = only(write(tmp_path, train=text))
    assert at(experiment, experiment.site) == 'F.mse_loss(model(x), y, reduction="sum")'


def test_the_sides_of_the_path_are_decided_and_the_others_gone(tmp_path: Path) -> None:
    loss = """if verbose:
            loss = F.mse_loss(model(x), y, reduction="sum")
        else:
            loss = F.l1_loss(model(x), y)
        if not verbose:
            loss = loss / 2"""
    experiment = only(write(tmp_path, train=TRAIN.format(loss=loss, step="optimizer.step()")))
    assert [(branch.place.line, branch.taken) for branch in experiment.branches] == [(12, True)]
    assert "loss = F.l1_loss(model(x), y)" not in lines(experiment)
    assert "loss = loss / 2" not in lines(experiment)


def test_what_leaves_before_the_path_is_decided_too(tmp_path: Path) -> None:
    loss = """if x is None:
            continue
        loss = F.mse_loss(model(x), y, reduction="sum")"""
    experiment = only(write(tmp_path, train=TRAIN.format(loss=loss, step="optimizer.step()")))
    assert "continue" not in lines(experiment)


def test_a_test_that_binds_a_name_is_run(tmp_path: Path) -> None:
    loss = """if (loss := F.mse_loss(model(x), y, reduction="sum")) < 1e9:
            pass"""
    experiment = only(write(tmp_path, train=TRAIN.format(loss=loss, step="optimizer.step()")))
    assert experiment.branches == ()
    assert any(line.startswith("if (loss :=") for line in lines(experiment))


def test_the_condition_of_a_window_is_left_to_the_run(tmp_path: Path) -> None:
    text = TRAIN.replace("in loader:\n        optimizer.zero_grad()\n", "in loader:\n").replace(
        "x, y in", "i, (x, y) in"
    )
    text = text.replace("in loader:\n        {loss}", "in enumerate(loader):\n        {loss}")
    step = "if (i + 1) % every == 0:\n            optimizer.step()\n            optimizer.zero_grad()"
    text = text.format(loss="loss = F.mse_loss(model(x), y)", step=step).replace("verbose=False", "every=4")
    experiment = only(write(tmp_path, train=text), "RED401")
    assert experiment.dials == ("micro_batches",)
    assert experiment.branches == ()
    assert {at(experiment, counted.place) for counted in experiment.counted} == {"every"}
    assert "if (i + 1) % every == 0:" in lines(experiment)


def test_a_number_of_samples_is_named(tmp_path: Path) -> None:
    text = TRAIN.format(loss="loss = F.mse_loss(model(x), y) * batch_size", step="optimizer.step()")
    experiment = only(write(tmp_path, train="batch_size = 16\n" + text), "RED103")
    assert [(at(experiment, c.place), c.count) for c in experiment.counted] == [("batch_size", Count.SAMPLES.value)]


def test_the_defaults_of_options_are_known(tmp_path: Path) -> None:
    options = """import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--epochs", type=int, default=10)
args = parser.parse_args()
"""
    text = options + TRAIN.format(loss='loss = F.mse_loss(model(x), y, reduction="sum")', step="optimizer.step()")
    experiment = only(write(tmp_path, train=text.replace("lr=0.1", "lr=args.lr")))
    assert [(at(experiment, known.place), known.value) for known in experiment.known] == [("args.lr", 0.5)]
    assert not any("epochs" in line for line in lines(experiment))


def test_a_model_is_not_kept_and_a_loss_is(tmp_path: Path) -> None:
    classes = """from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 4)

    def forward(self, x):
        return self.body(x)


class TotalLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.distance = nn.MSELoss(reduction="sum")

    def forward(self, x, y):
        return self.distance(x, y)
"""
    text = """import torch

model = Net()
criterion = TotalLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in torch.utils.data.DataLoader(data, batch_size=4):
    criterion(model(x), y).backward()
    optimizer.step()
"""
    experiment = only(write(tmp_path, train=classes + text))
    kept = lines(experiment)
    assert [line for line in kept if line.startswith("class")] == ["class TotalLoss(nn.Module):"]
    assert "return self.distance(x, y)" in kept


def test_the_forward_of_a_class_that_trains_itself_is_not_kept(tmp_path: Path) -> None:
    text = """import lightning.pytorch as pl
import torch
from torch import nn


class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 4)
        self.criterion = nn.MSELoss(reduction="sum")

    def forward(self, x):
        return self.body(x)

    def training_step(self, batch, index):
        loss = self.criterion(self(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
"""
    experiment = only(write(tmp_path, net=text))
    assert experiment.receiver == (0, "Net")
    assert experiment.end_kind == "return"
    assert experiment.optimizer_function == "Net.configure_optimizers"
    assert at(experiment, experiment.end).startswith("def training_step(self, batch, index):")
    assert not any("forward" in line or "body" in line or "log" in line for line in lines(experiment))


def test_a_closure_is_kept_with_what_it_returns(tmp_path: Path) -> None:
    text = """import torch
import torch.nn.functional as F


def train(model, loader):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y, reduction="sum")
            loss.backward()
            return loss
        optimizer.step(closure)
"""
    experiment = only(write(tmp_path, train=text))
    assert experiment.end_function == "train.closure"
    assert at(experiment, experiment.calls[0]) == "optimizer.step(closure)"
    assert "return loss" in lines(experiment)


def test_packages_are_linked_one_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "kit").mkdir()
    loss = 'loss = F.mse_loss(model(x), y, reduction="sum", weight=kit.weights.weight())'
    text = "import kit.weights\n" + TRAIN.format(loss=loss, step="optimizer.step()")
    experiment = only(write(tmp_path, train=text, kit__weights="def weight():\n    return 2\n"))
    (package,) = experiment.units[0].links
    assert (package.name, package.member) == ("kit", "")
    folder = experiment.units[package.unit]
    assert folder.text == ""
    (link,) = folder.links
    assert link.name == "weights"
    assert lines(experiment, link.unit) == ["def weight():", "return 2"]


def test_the_step_in_a_helper_is_kept(tmp_path: Path) -> None:
    text = """import torch
import torch.nn.functional as F


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def update(self):
        self.optimizer.step()

    def fit(self, loader):
        for x, y in loader:
            loss = F.mse_loss(self.model(x), y, reduction="sum")
            loss.backward()
            self.update()
"""
    kept = lines(only(write(tmp_path, trainer=text)))
    assert kept[-1] == "self.update()"
    assert "self.optimizer.step()" in kept


def test_a_step_by_hand_is_kept(tmp_path: Path) -> None:
    text = """import torch
import torch.nn.functional as F


def train(model, loader, lr):
    for x, y in loader:
        model.zero_grad()
        F.mse_loss(model(x), y, reduction="sum").backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= lr * p.grad
"""
    assert lines(only(write(tmp_path, train=text)))[-1] == "p -= lr * p.grad"


def test_a_notebook_is_the_text_of_its_cells() -> None:
    path = FIXTURES / "notebooks" / "train.ipynb"
    data = path.read_bytes()
    notebook = read_notebook(data)
    assert notebook is not None
    (result,) = lint_alone(data, "train.ipynb", str(path), make_context(Settings(), Overrides(isolated=True)))
    measured = [finding for finding in result.findings if finding.flow is not None]
    assert measured
    for finding in measured:
        experiment = experiment_of(finding, str(path), lambda _: notebook.text)
        assert at(experiment, experiment.site) in notebook.text
        assert experiment.units[0].path == str(path)


def test_nothing_large_is_imported() -> None:
    code = "import sys; import lint_reduction.verify.slicing; print({'torch', 'libcst'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_method_that_may_add_a_term_is_kept_with_its_class(tmp_path: Path) -> None:
    text = TRAIN.format(
        loss='loss = F.mse_loss(net(x), y, reduction="sum") + net.decoder.penalty()', step="optimizer.step()"
    )
    decoder = "from torch import nn\n\n\nclass Decoder(nn.Module):\n    def penalty(self):\n        return 0\n\n"
    decoder += "    def draw(self):\n        return 1\n"
    text = text.replace("import torch\n", "import torch\nfrom decoders import Decoder\n", 1)
    text = text.replace("    seen = 0\n", "    net = Net(model, Decoder())\n    seen = 0\n")
    text += "\n\nclass Net:\n    def __init__(self, model, decoder):\n        self.model = model\n"
    text += "        self.decoder = decoder\n\n    def __call__(self, x):\n        return self.model(x)\n"
    experiment = only(write(tmp_path, a=text, decoders=decoder))
    unit = next(i for i, unit in enumerate(experiment.units) if unit.path.endswith("decoders.py"))
    assert "def penalty(self):" in lines(experiment, unit)
    assert "def draw(self):" not in lines(experiment, unit)


def test_a_base_class_is_kept_though_it_is_imported_with_all_others(tmp_path: Path) -> None:
    bases = "import torch.nn as nn\n\n\nclass Steps(nn.Module):\n    def clip(self):\n        return None\n"
    text = (
        "import torch\nimport torch.nn.functional as F\nfrom bases import *\n\n\nclass Trainer(Steps):\n"
        "    def fit(self, model, loader):\n        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "        for x, y in loader:\n            optimizer.zero_grad()\n"
        '            F.mse_loss(model(x), y, reduction="sum").backward()\n            optimizer.step()\n'
    )
    experiment = only(write(tmp_path, a=text, bases=bases))
    unit = next(i for i, unit in enumerate(experiment.units) if unit.path.endswith("bases.py"))
    assert "class Steps(nn.Module):" in lines(experiment, unit)


# --- why there is none


def reason(folder: Path, code: str) -> str:
    report = lint([folder], Overrides(isolated=True, select=("ALL",)))
    (found,) = [(d.absolute, d.finding) for d in report.diagnostics if d.finding.code == code]
    with pytest.raises(NoExperimentError) as error:
        experiment_of(found[1], found[0], read)
    return str(error.value)


def test_a_rule_over_sites_has_no_experiment(tmp_path: Path) -> None:
    text = "from torch import nn\n\ncriterion = nn.MSELoss(size_average=True)\n"
    assert "how the loss is built" in reason(write(tmp_path, a=text), "RED301")


def test_a_file_that_is_gone_has_no_experiment(tmp_path: Path) -> None:
    text = TRAIN.format(loss='loss = F.mse_loss(model(x), y, reduction="sum")', step="optimizer.step()")
    ((path, finding),) = [found for found in findings(write(tmp_path, a=text)) if found[1].code == "RED101"]
    for content in (None, "def", "\0"):
        with pytest.raises(NoExperimentError, match="cannot be read or parsed"):
            experiment_of(finding, path, lambda _, content=content: content)  # type: ignore[misc]


def test_what_is_not_run_has_no_experiment(tmp_path: Path) -> None:
    text = TRAIN.format(loss='loss = F.mse_loss(model(x), y, reduction="sum")', step="optimizer.step()")
    folder = write(tmp_path, a=text.replace("def train", "async def train"))
    assert "is not run" in reason(folder, "RED101")


def test_what_handles_an_exception_is_not_run(tmp_path: Path) -> None:
    text = TRAIN.format(loss='loss = F.mse_loss(model(x), y, reduction="sum")', step="optimizer.step()")
    builds = "    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
    handled = "    try:\n        optimizer = make(model)\n    except ValueError:\n    " + builds
    experiment = only(write(tmp_path, a=text.replace(builds, handled)))
    assert experiment.optimizer is None
    assert "pass" in lines(experiment)


# --- blanking

_SOURCE = '''
@decorated(
    "é"
)  # a comment: with a colon
class Größe(Basis, metaclass=Meta):  # else
    """Text über mehrere
    Zeilen."""
    a = "ö"; b = 2; c = 3

    async def f(self, x: "dict[str, int]" = {"a": 1}, *, y=lambda: 0) -> None:
        if x:  # if: else
            return "ß"
        elif y: pass; a = 1
        else:
            b = 2
        try:
            é = (1,
                 2); ü = 3
        except (A, B) as error:
            c = 4
        else:
            d = 5
        finally:
            e = 6

\tdef_ = 1 if True else 2
for i, (x, y) in enumerate("äöü"):
\twhile x: y = 1; z = "ü"
\telse:
\t\tz = 2
match x:
    case {"a": 1, **rest} if rest:
        a = 1
    case (1 | 2):
        pass
    case _: b = 2
with open("é") as f, g:  # with:
    if a: b = 1
    else:  # else: if
        if c: d = 1
'''.replace("\tdef_", "def_")


@given(st.sets(st.integers(0, 60)))
def test_blanking_moves_nothing(chosen: set[int]) -> None:
    module = parse("a.py", _SOURCE)
    assert module is not None
    statements = [node for node in ast.walk(module.tree) if isinstance(node, ast.stmt)]
    kept: set[ast.stmt] = set()
    for index, statement in enumerate(statements):
        if index in chosen:
            kept |= {n for n in (statement, *module.around(statement)) if isinstance(n, ast.stmt)}
    text = blank(module, kept)
    assert text.count("\n") == _SOURCE.count("\n")
    left = {_shape(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)}
    assert {_shape(statement) for statement in kept} <= left
    other = [shape for shape in left - {_shape(statement) for statement in kept} if shape[0] not in ("Pass", "Expr")]
    assert other == []
    again = parse("a.py", text)
    assert again is not None
    assert blank(again, {n for n in ast.walk(again.tree) if isinstance(n, ast.stmt)}) == text


def _shape(node: ast.stmt) -> tuple[str, int, int]:
    return type(node).__name__, node.lineno, node.col_offset


def test_keeping_everything_keeps_all_but_comments() -> None:
    module = parse("a.py", _SOURCE)
    assert module is not None
    kept = {node for node in ast.walk(module.tree) if isinstance(node, ast.stmt)}
    assert ast.dump(ast.parse(blank(module, kept))) == ast.dump(module.tree)
