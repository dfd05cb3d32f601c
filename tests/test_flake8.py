"""The plugin in flake8 itself: the same findings in the same places as the command."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lint_reduction.frontends.flake8 import Plugin
from tests.command import CLEAN, ERROR, NOTE, ROOT, run, run_apart

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENTRY_POINT = "lint_reduction.frontends.flake8:Plugin"
Place = tuple[str, int, int, str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def flake8(project: Path, *arguments: str, stdin: bytes = b"", select: str = "RED") -> subprocess.CompletedProcess[str]:
    """Run flake8 with the plugin, also where the installed package does not name it."""
    pytest.importorskip("flake8")
    installed = {point.value for point in importlib.metadata.entry_points(group="flake8.extension")}
    local = "" if ENTRY_POINT in installed else f"[flake8:local-plugins]\nextension = RED = {ENTRY_POINT}\n"
    (project / ".flake8").write_text(f"[flake8]\n{local}")
    ran = subprocess.run(
        [sys.executable, "-m", "flake8", "--select", select, "-j1", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ran.stderr == b"", ran.stderr.decode()
    return subprocess.CompletedProcess(ran.args, ran.returncode, ran.stdout.decode(), "")


def places(printed: str) -> list[Place]:
    found = re.findall(r"^(?:\./)?(.*?):(\d+):(\d+): (RED\d{3} .*)$", printed, re.MULTILINE)
    return sorted((path, int(line), int(column), text) for path, line, column, text in found)


def reported(*arguments: str) -> list[Place]:
    lines = [json.loads(line) for line in run(*arguments, "--output-format", "json-lines").out.splitlines()]
    return sorted((d["path"], d["line"], d["column"], f"{d['code']} {d['message']}") for d in lines)


def test_the_package_names_the_plugin() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["flake8.extension"]
    assert points == {"RED": ENTRY_POINT}
    assert f"{Plugin.__module__}:{Plugin.__qualname__}" == ENTRY_POINT


def test_findings_are_those_of_the_command(project: Path) -> None:
    (project / "a.py").write_text(ERROR + 'other = nn.MSELoss(reduction="summ")\n')
    (project / "b.py").write_text(f"# ü\n{NOTE}")
    (project / "c.py").write_text("é = '数'; import torch; x = torch.nn.MSELoss(reduction='summ')\n")
    (project / "clean.py").write_text(CLEAN)
    ran = flake8(project)
    assert ran.returncode == 1
    assert places(ran.stdout) == reported(".")
    assert len(places(ran.stdout)) == 4


def test_fixtures_are_found_as_by_the_command(project: Path) -> None:
    for path in sorted((ROOT / "fixtures").glob("*/bad.py")):
        text = path.read_text(encoding="utf-8")
        (project / f"{path.parent.name}.py").write_text(text, encoding="utf-8")
    found = places(flake8(project).stdout)
    assert found == reported(".")
    assert len(found) > 20


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encodings_and_ends_of_lines_move_no_column(project: Path, encoding: str, newline: str) -> None:
    cookie = "# coding: latin-1\n" if encoding == "latin-1" else ""
    text = f"{cookie}é = 'é'; import torch; x = torch.nn.MSELoss(reduction='summ')\n"
    (project / "a.py").write_bytes(text.replace("\n", newline).encode(encoding))
    found = places(flake8(project).stdout)
    assert found == reported(".")
    assert [column for _, _, column, _ in found] == [text.splitlines()[-1].index("torch.nn") + 1]


@pytest.mark.parametrize(
    "comment",
    ["# noqa: RED101", "# lint-reduction: ignore[RED101] why", "# lint-reduction: file-ignore[unscaled-sum]", "# noqa"],
)
def test_comments_silence(project: Path, comment: str) -> None:
    (project / "a.py").write_text(ERROR.replace('"sum")\n', f'"sum")  {comment}\n'))
    assert places(flake8(project).stdout) == []
    told = places(flake8(project, "--disable-noqa").stdout)
    assert [text[:6] for _, _, _, text in told] == ["RED101"]


def test_a_comment_at_the_backward_call_silences(project: Path) -> None:
    (project / "a.py").write_text(ERROR.replace("backward()\n", "backward()  # lint-reduction: ignore[RED101]\n"))
    assert places(flake8(project).stdout) == []


def test_the_configuration_of_each_file_counts(project: Path) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "lint-reduction.toml").write_text('ignore = ["RED101"]\n')
    for name in ("a.py", "sub/a.py"):
        (project / name).write_text(ERROR)
    assert [path for path, *_ in places(flake8(project).stdout)] == ["a.py"]


def test_flake8_chooses_as_well(project: Path) -> None:
    (project / "a.py").write_text(ERROR + 'other = nn.MSELoss(reduction="summ")\n')
    assert [text[:6] for *_, text in places(flake8(project, select="RED3").stdout)] == ["RED303"]


def test_code_from_standard_input(project: Path) -> None:
    ran = flake8(project, "--stdin-display-name", "x.py", "-", stdin=ERROR.encode())
    assert [(path, line, column) for path, line, column, _ in places(ran.stdout)] == [("x.py", 7, 17)]
    assert places(flake8(project, "-", stdin=ERROR.encode()).stdout)[0][0] == "stdin"


def test_a_file_that_is_no_python_is_left_to_flake8(project: Path) -> None:
    (project / "a.py").write_text("import torch.nn.MSELoss\nx = (\n")
    ran = flake8(project, select="RED,E9")
    assert ran.returncode == 1
    assert "E999" in ran.stdout
    assert places(ran.stdout) == []


def test_a_wrong_configuration_is_said_and_not_raised(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    (project / "lint-reduction.toml").write_text("unknown = 1\n")
    ((path, line, column, text),) = places(flake8(project).stdout)
    assert (path, line, column) == ("a.py", 1, 1)
    assert "unknown key 'unknown'" in text


def test_several_processes_find_the_same(project: Path) -> None:
    for name in ("a", "b", "c"):
        (project / f"{name}.py").write_text(ERROR)
    assert places(flake8(project, "-j2").stdout) == reported(".")


def test_the_plugin_needs_no_flake8(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    code = (
        "import sys; from lint_reduction.frontends.flake8 import Plugin\n"
        "found = list(Plugin(None, 'a.py', open('a.py').readlines()).run())\n"
        "print([(line, column, kind is Plugin) for line, column, _, kind in found], 'flake8' in sys.modules)"
    )
    assert run_apart(cwd=project, python=("-c", code)).out == "[(7, 16, True)] False\n"
