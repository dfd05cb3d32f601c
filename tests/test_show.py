"""What the command says of itself: the files and settings of a run, completions for shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lint_reduction.config import KNOWN_KEYS, TABLE_KEYS, read_settings
from lint_reduction.frontends.commands import COMPLETION
from tests.command import CLEAN, ERROR, ROOT, Ran, run, run_apart

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- files


def test_the_files_of_a_run_are_shown_and_not_linted(project: Path) -> None:
    for name in ("a.py", "b.ipynb", "c.txt", "sub/d.py", "build/e.py", "old/f.py"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(ERROR)
    (project / "lint-reduction.toml").write_text('extend-exclude = ["old"]\n')
    wanted = "".join(f"{Path(name)}\n" for name in ("a.py", "b.ipynb", "sub/d.py"))
    assert run("--show-files") == Ran(0, wanted, "")
    assert run("check", "old/f.py", "--show-files").out == f"{Path('old/f.py')}\n"
    assert run("check", "old/f.py", "--show-files", "--force-exclude") == Ran(0, "", "")


def test_a_missing_path_is_an_error_all_the_same(project: Path) -> None:
    assert run("nowhere.py", "--show-files").code == 2
    assert run("-", "--show-files").code == 2


# --- settings

CONFIGURATION = """\
select = ["RED1"]
ignore = ["RED105"]
extend-exclude = ["old/"]
min-confidence = "low"
per-file-ignores = { "tests/*" = ["RED301"] }
fixed-batch-size = true
counts = { samples = ["n_graphs"], elements = ["n \\"atoms\\""] }

[[loss]]
function = "mylib.energy"
inputs = ["prediction", "target"]
default = "sum"

[[sink]]
method = "Trainer.back"
argument = [0, "loss"]
steps = true
"""


def test_settings_are_a_configuration_that_says_the_same(project: Path) -> None:
    (project / "lint-reduction.toml").write_text(CONFIGURATION)
    ran = run("--show-settings")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"# settings of .\n# from {project / 'lint-reduction.toml'}\n")
    shown = read_settings(tomllib.loads(ran.out), project, "")
    written = read_settings(tomllib.loads(CONFIGURATION), project, "")
    for name in ("select", "ignore", "extend_exclude", "min_confidence", "per_file_ignores", "counts", "tables"):
        assert getattr(shown, name) == getattr(written, name), name
    assert shown.fixed_batch_size is True


def test_every_setting_is_shown(project: Path) -> None:
    (project / "lint-reduction.toml").write_text('select = ["RED1"]\nbaseline = "known.json"\ncache-dir = "kept"\n')
    shown = tomllib.loads(run("--show-settings").out)
    assert set(shown) == set(KNOWN_KEYS) - set(TABLE_KEYS)


def test_the_rules_that_run_are_shown(project: Path) -> None:
    (project / "lint-reduction.toml").write_text('select = ["RED1"]\n')
    rules = run("--show-settings", "--ignore", "RED10", "--extend-select", "RED303").out.splitlines()[-1]
    assert rules == "# rules that run: RED121, RED122, RED123, RED124, RED303"
    assert run("--show-settings", "--select", "RED001").out.endswith("# rules that run: RED001\n")


def test_the_command_line_wins_in_what_is_shown(project: Path) -> None:
    shown = tomllib.loads(run("--show-settings", "--min-severity", "error", "--fail-on", "note").out)
    assert (shown["min-severity"], shown["fail-on"], shown["min-confidence"]) == ("error", "note", "medium")


def test_settings_are_those_of_the_path(project: Path) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "lint-reduction.toml").write_text('select = ["RED303"]\n')
    (project / "sub" / "a.py").write_text(CLEAN)
    for path in ("sub", "sub/a.py", "sub/new.py"):
        assert 'select = ["RED303"]' in run(path, "--show-settings").out
    assert 'select = ["RED303"]' in run("--show-settings", "--stdin-filename", "sub/new.py").out
    assert "# no configuration: the defaults" in run("--show-settings").out
    assert "# no configuration: the defaults" in run("sub", "--show-settings", "--isolated").out


def test_wrong_settings_are_an_error(project: Path) -> None:
    (project / "lint-reduction.toml").write_text("unknown = 1\n")
    assert run("--show-settings").code == 2


# --- completions


def completions(words: str, at: int, kind: str = "bash_complete") -> list[str]:
    environment = {COMPLETION: kind, "COMP_WORDS": words, "COMP_CWORD": str(at)}
    ran = run_apart(environment=environment)
    assert (ran.code, ran.err) == (0, "")
    return ran.out.splitlines()


def test_options_and_commands_are_completed() -> None:
    assert completions("lint-reduction --sel", 1) == ["plain,--select"]
    assert completions("lint-reduction expl", 1)[0] == "plain,explain"
    assert completions("lint-reduction check --show", 2) == ["plain,--show-files", "plain,--show-settings"]
    assert completions("lint-reduction src --min-s", 2) == ["plain,--min-severity"]
    assert completions("lint-reduction --fail-on ", 2) == ["plain,note", "plain,warning", "plain,error"]
    assert completions("lint-reduction check ", 2) == ["file,"]


def script(shell: str) -> str:
    ran = run("generate-shell-completion", shell)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    text = script(shell)
    assert COMPLETION in text
    assert "lint-reduction" in text
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=text, text=True, check=True, capture_output=True)


def test_another_shell_is_refused() -> None:
    assert run("generate-shell-completion", "csh").code == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script(project: Path) -> None:
    command = project / "lint-reduction"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m lint_reduction "$@"\n')
    command.chmod(0o755)
    (project / "completion.bash").write_text(script("bash"))
    typed = (
        "source completion.bash\nCOMP_WORDS=(lint-reduction --sel) COMP_CWORD=1\n"
        '_lint_reduction_completion lint-reduction --sel lint-reduction\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "PATH": f"{project}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(["bash", "-c", typed], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "--select\n"
