"""The hooks of pre-commit, run by pre-commit from the working tree in an environment that it makes itself."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import CLEAN, ERROR, NOTE, ROOT

HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
SAFE = "import torch\n\nloss = torch.nn.MSELoss(size_average=False)\n"


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where pre-commit keeps its environments, for all tests."""
    if importlib.util.find_spec("pre_commit") is None:
        pytest.skip("needs pre-commit, of the extra dev")
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git, and this to be a working tree of it")
    directory = tmp_path_factory.mktemp("pre-commit")
    fetched = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(directory), "hatchling"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    if fetched.returncode != 0:
        pytest.skip("pip cannot reach an index, from which pre-commit would install the package")
    return directory


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "readme.txt").write_text(ERROR)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def hook(home: Path, repository: Path, name: str, *files: str) -> tuple[int, str]:
    """Run a hook on some files and return its status and what it printed."""
    git(repository, "add", ".")
    ran = subprocess.run(
        [sys.executable, "-m", "pre_commit", "try-repo", str(ROOT), name, "--verbose", "--files", *files],
        cwd=repository,
        env={**os.environ, "PRE_COMMIT_HOME": str(home), "PRE_COMMIT_COLOR": "never"},
        capture_output=True,
        timeout=590,
        check=False,
    )
    return ran.returncode, (ran.stdout + ran.stderr).decode()


def test_the_readme_names_the_hooks() -> None:
    (block,) = re.findall(r"```yaml\nrepos:\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert re.findall(r"- id: (\S+)", block) == re.findall(r"^- id: (\S+)", HOOKS, re.MULTILINE)


def test_the_hook_reports_and_leaves_alone_what_is_excluded(home: Path, repository: Path) -> None:
    (repository / "bad.py").write_text(ERROR)
    (repository / "clean.py").write_text(CLEAN)
    (repository / "old").mkdir()
    (repository / "old" / "bad.py").write_text(ERROR)
    (repository / "lint-reduction.toml").write_text('extend-exclude = ["old"]\n')
    files = ("bad.py", "clean.py", "old/bad.py", "readme.txt")
    status, printed = hook(home, repository, "lint-reduction", *files)
    assert status == 1, printed
    assert "bad.py:7:17" in printed
    assert "Found 1 error." in printed
    assert "old" not in printed.partition("hook id")[2]
    assert (repository / "bad.py").read_text() == ERROR


def test_the_hook_lets_notes_pass(home: Path, repository: Path) -> None:
    (repository / "note.py").write_text(NOTE)
    status, printed = hook(home, repository, "lint-reduction", "note.py")
    assert status == 0, printed
    assert "note[RED101]" in printed


def test_the_fixing_hook_repairs_and_stops_the_commit(home: Path, repository: Path) -> None:
    (repository / "old.py").write_text(SAFE)
    status, printed = hook(home, repository, "lint-reduction-fix", "old.py")
    assert status == 1, printed
    assert "files were modified by this hook" in printed
    assert (repository / "old.py").read_text() == SAFE.replace("size_average=False", 'reduction="sum"')
