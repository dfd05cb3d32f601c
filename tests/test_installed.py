"""Losses of packages that are installed beside a project: found on request, and reported where the project calls."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from lint_reduction.finding import Confidence
from lint_reduction.run.pipeline import Overrides, lint
from lint_reduction.source.environment import environment_of
from tests.command import run

#: A package of losses, as others install it.
LOSSPACK = {
    "losspack/__init__.py": "from .losses import EnergyLoss, energy\nfrom losspack.factory import make_criterion\n",
    "losspack/losses.py": """
import torch
import torch.nn.functional as F
from torch import nn


def energy(prediction, target, reduction="sum"):
    return F.mse_loss(prediction, target, reduction=reduction)


def squared(prediction, target):
    return ((prediction - target) ** 2).sum()


class EnergyLoss(nn.Module):
    def __init__(self, reduction="sum"):
        super().__init__()
        self.reduction = reduction

    def forward(self, prediction, target):
        return energy(prediction, target, reduction=self.reduction)


class Wrapped(nn.Module):
    def __init__(self, size_average=None):
        super().__init__()
        self.inner = nn.L1Loss(size_average=False)

    def forward(self, prediction, target):
        return self.inner(prediction, target)
""",
    "losspack/factory.py": """
from torch import nn


def make_criterion(reduction):
    return nn.MSELoss(reduction=reduction)
""",
    "losspack/training.py": """
import torch


def fit(model, loader, criterion, lr=0.1):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
""",
}

#: Every function calls the next one three times.
_VAST = """
import torch
from vast.m{n} import f as g


def f(a, b):
    s = (a - b).sum()
    return s + g(a, b) + g(b, a) + g(a, a)
"""
VAST = {f"vast/m{i}.py": _VAST.format(n=i + 1) for i in range(60)}

TRAIN = """\
import torch
from torch import nn
from torch.utils.data import DataLoader
{imports}


def train(model: nn.Module, dataset):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    {setup}
    for x, y in DataLoader(dataset, batch_size=32):
        loss = {loss}
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
#: Lines of ``TRAIN`` that findings stand on.
SETUP, LOSS = 9, 11


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def training(imports: str, loss: str, setup: str = "pass") -> str:
    return TRAIN.format(imports=imports, loss=loss, setup=setup)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the packages directory of a project in the current directory, with ``losspack`` in it."""
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    write(root, {"pyproject.toml": "", ".venv/pyvenv.cfg": ""})
    packages = root / ".venv" / "lib" / "python3.11" / "site-packages"
    write(packages, LOSSPACK)
    return packages


def found(path: str = ".", *, follow: bool = True, everything: bool = False) -> list[tuple[str, int, str]]:
    """Return where findings stand, by path, line and code."""
    overrides = Overrides(follow_installed=follow)
    if everything:
        overrides = Overrides(("ALL",), min_confidence=Confidence.LOW, follow_installed=follow)
    report = lint([Path(path)], overrides)
    assert report.crashes == ()
    return [(d.path, d.finding.span.line, d.finding.code) for d in report.diagnostics]


BAD = {
    "function": ("from losspack import energy", "energy(model(x), y)", "pass", LOSS, "RED101"),
    "module": ("import losspack", "losspack.energy(model(x), y)", "pass", LOSS, "RED101"),
    "submodule": ("import losspack.losses as L", "L.energy(model(x), y)", "pass", LOSS, "RED101"),
    "reduction given": ("from losspack import energy", 'energy(model(x), y, "sum")', "pass", LOSS, "RED101"),
    "object": ("from losspack import EnergyLoss", "loss_of(model(x), y)", "loss_of = EnergyLoss()", SETUP, "RED101"),
    "inner criterion": (
        "from losspack.losses import Wrapped", "criterion(model(x), y)", "criterion = Wrapped()", SETUP, "RED101",
    ),
    "factory": (
        "from losspack import make_criterion", "criterion(model(x), y)", 'criterion = make_criterion("sum")', SETUP,
        "RED101",
    ),
    "arithmetic": ("from losspack.losses import squared", "squared(model(x), y)", "pass", LOSS, "RED102"),
}  # fmt: skip


@pytest.mark.parametrize(("imports", "loss", "setup", "line", "code"), BAD.values(), ids=BAD)
def test_a_loss_of_a_package_is_reported_where_the_project_decides(
    site: Path, imports: str, loss: str, setup: str, line: int, code: str
) -> None:
    write(Path(), {"train.py": training(imports, loss, setup)})
    assert found(follow=False) == []
    assert found() == [("train.py", line, code)]
    assert found(everything=True) == [("train.py", line, code)]


GOOD = {
    "a mean": ("from losspack import energy", 'energy(model(x), y, reduction="mean")', "pass"),
    "an object with a mean": ("from losspack import EnergyLoss", "c(model(x), y)", 'c = EnergyLoss(reduction="mean")'),
    "divided": ("from losspack import energy", "energy(model(x), y) / x.numel()", "pass"),
    "a factory of means": ("from losspack import make_criterion", "c(model(x), y)", 'c = make_criterion("mean")'),
    "a name that is not there": ("from losspack import missing", "missing(model(x), y)", "pass"),
    "a package that is not there": ("from nowhere import energy", "energy(model(x), y)", "pass"),
    "a module that is not there": ("import losspack.nothing as L", "L.energy(model(x), y)", "pass"),
    "something of the name in torch": ("from torch.nn.functional import mse_loss as energy", "energy(x, y)", "pass"),
}


@pytest.mark.parametrize(("imports", "loss", "setup"), GOOD.values(), ids=GOOD)
def test_what_is_right_or_not_known_is_silent(site: Path, imports: str, loss: str, setup: str) -> None:
    write(Path(), {"train.py": training(imports, loss, setup)})
    assert found() == []


def test_the_place_in_the_package_is_shown_beside_the_finding(site: Path) -> None:
    write(Path(), {"train.py": training("from losspack import energy", "energy(model(x), y)")})
    out = run("--follow-installed", "train.py", "--unsafe-fixes").out
    assert "train.py:11:16" in out
    assert f"{site.relative_to(Path.cwd()) / 'losspack' / 'losses.py'}:8" in out
    assert "fix:" not in out
    write(Path(), {"lint-reduction.toml": "follow-installed = true"})
    shown = run("facts", "train.py").out
    assert "\n11:16 torch.nn.functional.mse_loss" in shown
    assert "inside line 8 of .venv" in shown


def test_an_object_is_reported_at_the_call_that_hands_over_the_reduction(site: Path) -> None:
    write(
        site,
        {
            "losspack/late.py": """
import torch.nn.functional as F


class Late:
    def __call__(self, x, y, reduction="mean"):
        return F.mse_loss(x, y, reduction=reduction)
"""
        },
    )
    text = training("from losspack.late import Late", 'late(model(x), y, reduction="sum")', "late = Late()")
    write(Path(), {"train.py": text})
    assert found() == [("train.py", LOSS, "RED101")]


def test_two_calls_of_one_function_are_kept_apart(site: Path) -> None:
    text = training("from losspack import energy", 'energy(x, y, reduction="mean")')
    second = training("", 'energy(model(x), y, reduction="sum")').replace("def train", "def again")
    write(Path(), {"train.py": text + second})
    offset = len(text.splitlines())
    assert found() == [("train.py", offset + LOSS, "RED101")]


def test_a_loss_of_the_project_that_a_package_trains_on_is_reported_where_it_is(site: Path) -> None:
    text = """\
from losspack.training import fit
from torch import nn
from torch.utils.data import DataLoader


def main(dataset):
    fit(nn.Linear(2, 2), DataLoader(dataset, batch_size=8), nn.MSELoss(reduction="sum"))


def fine(dataset):
    fit(nn.Linear(2, 2), DataLoader(dataset, batch_size=8), nn.MSELoss())


def other(loss):
    loss.backward()
"""
    write(Path(), {"train.py": text})
    assert found() == [("train.py", 7, "RED101")]


def test_a_package_that_trains_on_its_own_loss_is_reported_at_the_call(site: Path) -> None:
    text = """\
from losspack import EnergyLoss
from losspack.training import fit
from torch import nn
from torch.utils.data import DataLoader


def main(dataset, first):
    nn.L1Loss()(first, 0 * first).backward()
    fit(nn.Linear(2, 2), DataLoader(dataset, batch_size=8), EnergyLoss())
"""
    write(Path(), {"train.py": text})
    assert found() == [("train.py", 9, "RED101")]


def test_nothing_is_said_about_the_package_itself(site: Path) -> None:
    text = training("from losspack.losses import Wrapped", "c(model(x), y) / x.numel()", "c = Wrapped()")
    write(Path(), {"train.py": text})
    # size_average is deprecated, in the package
    assert found(everything=True) == []


def test_a_comment_at_the_call_silences_it(site: Path) -> None:
    text = training("from losspack import energy", "energy(model(x), y)  # lint-reduction: ignore[RED101] wanted")
    write(Path(), {"train.py": text})
    assert found() == []


def test_modules_of_the_project_come_first(site: Path) -> None:
    write(Path(), {
        "losspack.py": "import torch.nn.functional as F\n\n\ndef energy(a, b):\n    return F.mse_loss(a, b)\n",
        "train.py": training("from losspack import energy", "energy(model(x), y)"),
    })  # fmt: skip
    assert found() == []


def test_a_user_who_describes_a_loss_is_believed(site: Path) -> None:
    table = '[[loss]]\nfunction = "losspack.energy"\ninputs = ["prediction", "target"]\ndefault = "mean"\n'
    write(Path(), {"train.py": training("import losspack", "losspack.energy(model(x), y)")})
    assert found() == [("train.py", LOSS, "RED101")]
    write(Path(), {"lint-reduction.toml": table})
    assert found() == []


LAYOUTS = {
    "a single file": ({"onefile.py": LOSSPACK["losspack/losses.py"]}, "from onefile import energy"),
    "a namespace package": (
        {"spacious/losses.py": LOSSPACK["losspack/losses.py"]}, "from spacious.losses import energy",
    ),
    "an installed link": (
        {"link.pth": "# a comment\nimport sys; sys.exit(1)\n\n../../../src/linked\n/not/there\n"},
        "from linked import energy",
    ),
    "an installed link to another project": ({"link.pth": "../../../../../elsewhere"}, "from other import energy"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "imports"), LAYOUTS.values(), ids=LAYOUTS)
def test_packages_in_any_layout_are_found(site: Path, files: dict[str, str], imports: str) -> None:
    write(site, files)
    write(Path(".venv/src/linked"), {"linked/__init__.py": LOSSPACK["losspack/losses.py"]})
    write(Path("../elsewhere"), {"other.py": LOSSPACK["losspack/losses.py"]})
    write(Path(), {"train.py": training(imports, "energy(model(x), y)")})
    assert found() == [("train.py", LOSS, "RED101")]


BROKEN = {
    "binary": b"\0\1\2\3",
    "not utf-8": b"# caf\xe9\n",
    "no Python": b"def energy(:\n",
    "an empty file": b"",
    "too large": b"import torch\n" + b"x = 1\n" * 100_000,
    "deeply nested": b"import torch\nenergy = " + b"(" * 5000 + b")" * 5000 + b"\n",
    "itself": b"from broken import energy\n",
    "generated at run time": b"import torch\ndef __getattr__(name):\n    return torch\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_not_known(site: Path, data: bytes) -> None:
    (site / "broken.py").write_bytes(data)
    (site / "broken.pth").write_bytes(data)
    write(Path(), {"train.py": training("from broken import energy", "energy(model(x), y)")})
    assert found() == []


def test_code_is_never_run(site: Path) -> None:
    write(site, {"harmful.py": "import torch, pathlib\npathlib.Path('ran').touch()\ndef energy(a, b):\n    ...\n"})
    write(Path(), {"train.py": training("from harmful import energy", "energy(model(x), y)")})
    assert found() == []
    assert not Path("ran").exists()
    assert "harmful" not in sys.modules


def test_a_large_package_costs_no_more_than_its_budget(site: Path) -> None:
    write(site, VAST)
    own = training("", 'nn.functional.mse_loss(model(x), y, reduction="sum")', "f(dataset, model)")
    write(Path(), {"train.py": "from vast.m0 import f\n" + own})
    started = time.monotonic()
    assert found() == [("train.py", 1 + LOSS, "RED101")]
    assert time.monotonic() - started < 20


def test_a_package_takes_nothing_away_from_the_project(site: Path) -> None:
    write(site, VAST)
    write(Path(), {
        "own.py": "import torch.nn.functional as F\n\n\ndef own(a, b):\n    return F.l1_loss(a, b, reduction='sum')\n",
        "train.py": training("from vast.m0 import f; from own import own", "own(model(x), y)", "f(dataset, model)"),
    })  # fmt: skip
    assert found() == [("own.py", 5, "RED101")]


# Which environment counts.


def test_the_active_environment_comes_before_that_of_the_project(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path.cwd()
    active = tmp_path / "active" / "lib" / "python3.12" / "site-packages"
    active.mkdir(parents=True)
    assert environment_of(root).directories == (str(site),)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "active"))
    assert environment_of(root).directories == (str(active),)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "gone"))
    assert environment_of(root).directories == (str(site),)


def test_without_one_it_is_that_of_this_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "x"), str(tmp_path / "site-packages"), "a.zip"])
    assert environment_of(tmp_path).directories == ()
    (tmp_path / "site-packages").mkdir()
    assert environment_of(tmp_path).directories == (str(tmp_path / "site-packages"),)


def test_what_is_installed_from_the_project_is_a_part_of_it(site: Path) -> None:
    root = Path.cwd()
    write(site, {"own.pth": str(root / "lib")})
    write(root, {"lib/own/__init__.py": LOSSPACK["losspack/losses.py"]})
    write(root, {"app/setup.py": "", "app/train.py": training("from own import energy", "energy(model(x), y)")})
    environment = environment_of(root)
    assert environment.holds(str(site / "losspack" / "__init__.py"))
    assert not environment.holds(str(root / "lib" / "own" / "__init__.py"))
    assert found("app") == [("lib/own/__init__.py", 8, "RED101")]


# The option and the setting.


def test_the_setting_and_the_option(site: Path) -> None:
    write(Path(), {"train.py": training("from losspack import energy", "energy(model(x), y)")})
    assert run("train.py").code == 0
    assert run("--follow-installed", "train.py").code == 1
    write(Path(), {"pyproject.toml": "[tool.lint-reduction]\nfollow-installed = true\n"})
    assert run("train.py").code == 1
    assert run("--no-follow-installed", "train.py").code == 0
    write(Path(), {"pyproject.toml": '[tool.lint-reduction]\nfollow-installed = "yes"\n'})
    ran = run("train.py")
    assert ran.code == 2
    assert "follow-installed must be true or false" in ran.err
