"""The command that runs what is found: what it prints, how it exits, and that the README shows what is true.

``REWRITE_README=1 pytest tests/test_verify_command.py`` writes the example of the README anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest

from lint_reduction.verify.pool import Pool
from tests.command import run
from tests.fixture_files import ROOT

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(find_spec("torch") is None, reason="what is found is run with torch"),
]
TRAIN = """\
import torch
from torch import nn


def train(model, loader):
    criterion = nn.MSELoss(reduction="sum")
    optimizer = torch.optim.{optimizer}
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
"""
SGD, ADAM = "SGD(model.parameters(), lr=0.1)", "Adam(model.parameters(), lr=1e-3)"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, optimizer: str = SGD, name: str = "train.py") -> None:
    (folder / name).write_text(TRAIN.format(optimizer=optimizer))


def verdict(*arguments: str) -> dict[str, object]:
    document = json.loads(run(*arguments, "--output-format", "json").out)
    found: dict[str, object] = document["diagnostics"][0]["verdict"]
    return found


def test_a_sum_under_sgd_is_confirmed(project: Path) -> None:
    write(project)
    ran = run("verify", "train.py")
    assert ran.code == 1
    assert "verdict: confirmed on cpu: gradient ~ samples^1.00" in ran.out
    assert "update ~ samples^1.00 with SGD(lr=0.1)" in ran.out
    assert "┤" in ran.out


def test_check_can_verify_as_well(project: Path) -> None:
    write(project)
    found = verdict("train.py", "--verify")
    assert found["outcome"] == "confirmed"
    curves = found["curves"]
    assert isinstance(curves, list)
    first = curves[0]
    assert (first["count"], first["what"]) == ("samples", "gradient")
    assert abs(first["exponent"] - 1) < 1e-6
    assert len(first["sizes"]) == len(first["norms"]) >= 4


def test_adam_takes_the_factor_out(project: Path) -> None:
    write(project, ADAM)
    assert verdict("verify", "train.py")["outcome"] == "muted"


def test_a_result_is_kept_and_asked_for_again(project: Path) -> None:
    write(project)
    assert verdict("verify", "train.py")["cached"] is False
    again = verdict("verify", "train.py")
    assert again["cached"] is True
    assert again["outcome"] == "confirmed"
    assert verdict("verify", "train.py", "--no-cache")["cached"] is False


def test_without_a_cache_nothing_is_left_behind(project: Path) -> None:
    write(project)
    run("verify", "train.py", "--no-cache")
    assert [path.name for path in project.iterdir()] == ["train.py"]


def test_results_are_kept_where_the_user_keeps_them(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path_factory.mktemp("kept")
    monkeypatch.setenv("LINT_REDUCTION_CACHE_DIR", str(kept))
    write(project)
    run("verify", "train.py")
    assert [path.name for path in project.iterdir()] == ["train.py"]
    assert len(list((kept / "verify").glob("*.json"))) == 1


def test_what_a_repository_brings_with_it_is_not_believed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = project / ".lint_reduction_cache"
    monkeypatch.setenv("LINT_REDUCTION_CACHE_DIR", str(forged))
    write(project)
    run("verify", "train.py")
    [entry] = (forged / "verify").glob("*.json")
    entry.write_text(entry.read_text().replace('"exponent": 1.0', '"exponent": 0.0'))
    monkeypatch.delenv("LINT_REDUCTION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "home"))
    assert verdict("verify", "train.py", "--drop-refuted") == {
        **verdict("verify", "train.py", "--no-cache"),
        "cached": False,
    }


@pytest.mark.parametrize("told", ["settings", "option"])
def test_no_folder_for_files_is_one_for_verdicts(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    user = tmp_path_factory.mktemp("user")
    monkeypatch.setenv("LINT_REDUCTION_CACHE_DIR", str(user))
    if told == "settings":
        (project / "pyproject.toml").write_text('[tool.lint-reduction]\ncache-dir = "kept"\n')
    write(project)
    run("verify", "train.py", *(["--cache-dir", "kept"] if told == "option" else []))
    assert list((project / "kept").iterdir())
    assert not (project / "kept" / "verify").exists()
    assert len(list((user / "verify").glob("*.json"))) == 1


@pytest.mark.skipif(os.name != "posix", reason="folders have modes on POSIX systems")
def test_a_folder_that_others_write_into_is_not_used(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path_factory.mktemp("kept")
    kept.chmod(0o777)
    monkeypatch.setenv("LINT_REDUCTION_CACHE_DIR", str(kept))
    write(project)
    ran = run("verify", "train.py", "--output-format", "json")
    note = f"results are not kept in {kept}: others can write into it"
    assert ran.err == f"lint-reduction: {note}\n"
    assert json.loads(ran.out)["notes"] == [note]
    assert list(kept.iterdir()) == []


def test_what_happened_to_workers_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project)
    monkeypatch.setattr(Pool, "notes", ("workers were replaced: 1 took too long",))
    ran = run("verify", "train.py", "--output-format", "json")
    assert json.loads(ran.out)["notes"] == ["workers were replaced: 1 took too long"]
    assert ran.err == "lint-reduction: workers were replaced: 1 took too long\n"
    assert run("facts", "--verify", "train.py").err == ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "train.py", "--drop-refuted"),
        ("train.py", "--drop-refuted"),
        ("train.py", "--verify-device", "cpu"),
        ("facts", "train.py", "--verify-timeout", "3"),
    ],
)
def test_how_to_verify_is_said_only_where_it_is_done(project: Path, arguments: tuple[str, ...]) -> None:
    write(project)
    ran = run(*arguments)
    option = next(argument for argument in arguments if argument.startswith("--"))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"lint-reduction: {option} says how to verify: it needs --verify\n"


def test_a_finding_of_another_kind_has_no_verdict(project: Path) -> None:
    (project / "a.py").write_text("import torch\nl = torch.nn.MSELoss(size_average=True)\n")
    assert verdict("verify", "a.py") is None


def test_what_is_read_from_standard_input_can_be_run(project: Path) -> None:
    ran = run("verify", "-", stdin=TRAIN.format(optimizer=SGD).encode())
    assert "verdict: confirmed" in ran.out


def test_a_notebook_is_run_cell_by_cell(project: Path) -> None:
    first, second = TRAIN.format(optimizer=SGD).split("\n\n\n")
    cells = [nbformat.v4.new_code_cell(text) for text in (first, second, "train(net, data)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), project / "train.ipynb")
    ran = run("verify", "train.ipynb")
    assert "train.ipynb:cell 2:2:17" in ran.out
    assert "verdict: confirmed" in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--verify", "--fix"), "--verify cannot be combined with --fix, --diff or --add-ignore"),
        (("--verify", "--verify-device", "abacus"), "abacus"),
        (("--verify", "--verify-timeout", "0"), "--verify-timeout"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(project: Path, arguments: tuple[str, ...], message: str) -> None:
    write(project)
    ran = run("train.py", *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == 1


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a block of the README, with what it prints."""
    for console in re.findall(r"```console\n(.*?)```", block, re.DOTALL):
        for part in re.split(r"(?m)^\$ ", console)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


def test_the_example_of_the_readme_is_true(project: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    match = re.search(r"<!-- verify -->\n(.*?)<!-- /verify -->", readme, re.DOTALL)
    assert match is not None
    program = re.search(r"```python\n# train\.py\n(.*?)```", match[1], re.DOTALL)
    assert program is not None
    (project / "train.py").write_text(program[1])
    block = match[1]
    for command, printed in commands(match[1]):
        name, *arguments = command.split()
        assert name == "lint-reduction"
        really = run(*arguments).out
        if os.environ.get("REWRITE_README"):
            block = block.replace(f"$ {command}\n{printed}", f"$ {command}\n{really}")
        else:
            assert really == printed, command
    if os.environ.get("REWRITE_README"):
        (ROOT / "README.md").write_text(readme.replace(match[1], block))
