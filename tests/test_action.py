"""The GitHub Action: its steps, taken out of ``action.yml`` and run as a runner would run them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.command import CLEAN, ERROR, NOTE, ROOT, WARNING

yaml = pytest.importorskip("yaml", reason="needs PyYAML, of the extra dev")
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
INSTALL, LINT, UPLOAD = STEPS
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")

needs_bash = pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")


@dataclass(frozen=True)
class Done:
    """What came of a step."""

    status: int
    printed: str
    outputs: dict[str, str]
    summary: str
    path: str


def evaluated(text: str, inputs: dict[str, str]) -> str:
    """Put the inputs into a text as the runner does; nothing else is used by a step that is run here."""

    def value(found: re.Match[str]) -> str:
        context, _, name = found[1].strip().partition(".")
        assert context == "inputs"
        return str(inputs.get(name, ACTION["inputs"][name]["default"]))

    return EXPRESSION.sub(value, text)


def played(step: dict[str, Any], directory: Path, path: str = "", **inputs: str) -> Done:
    """Run a step in a directory; an input is named with underscores."""
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    files = {name: directory / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")}
    for file in files.values():
        file.write_text("")
    (directory / "tmp").mkdir(exist_ok=True)
    environment = {name: evaluated(value, given) for name, value in step.get("env", {}).items()}
    script = directory / "step.sh"
    script.write_text(step["run"])
    ran = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
        cwd=directory / "work",
        env={
            **os.environ,
            **{name: str(file) for name, file in files.items()},
            **environment,
            "PATH": os.pathsep.join(part for part in (path, os.environ["PATH"]) if part),
            "RUNNER_TEMP": str(directory / "tmp"),
            "GITHUB_ACTION_PATH": str(ROOT),
        },
        capture_output=True,
        timeout=500,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    summary, added = files["GITHUB_STEP_SUMMARY"].read_text(), files["GITHUB_PATH"].read_text().strip()
    return Done(ran.returncode, (ran.stdout + ran.stderr).decode(), outputs, summary, added)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Return the directory of a job; the command of this checkout is what is installed."""
    command = tmp_path / "bin" / "lint-reduction"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m lint_reduction "$@"\n')
    command.chmod(0o755)
    (tmp_path / "work").mkdir()
    return tmp_path


def linted(job: Path, **inputs: str) -> Done:
    return played(LINT, job, str(job / "bin"), **inputs)


def results(done: Done) -> list[str]:
    log = json.loads(Path(done.outputs["sarif-file"]).read_text())
    return [result["ruleId"] for result in log["runs"][0]["results"]]


# --- the file


def test_every_input_is_described_and_used() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", json.dumps(STEPS)))
    assert used == set(ACTION["inputs"])
    assert all(part["description"] and "default" in part for part in ACTION["inputs"].values())


def test_no_input_is_pasted_into_a_script() -> None:
    """What a pull request can choose must not become code."""
    for step in (INSTALL, LINT):
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"


def test_findings_are_uploaded_although_the_step_before_failed() -> None:
    assert UPLOAD["if"].removeprefix("${{ ").startswith("always() && inputs.advanced-security == 'true' &&")
    assert "steps.lint.outputs.sarif-file != ''" in UPLOAD["if"]
    assert re.fullmatch(r"github/codeql-action/upload-sarif@v\d+", UPLOAD["uses"])
    assert UPLOAD["with"]["sarif_file"] == ACTION["outputs"]["sarif-file"]["value"]


def test_the_readme_uses_inputs_that_there_are() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (block,) = (yaml.safe_load(block) for block in blocks if "uses:" in block)
    (step,) = (step for step in block["jobs"]["lint-reduction"]["steps"] if "lint-reduction@" in step["uses"])
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert block["jobs"]["lint-reduction"]["permissions"] == {"contents": "read", "security-events": "write"}


# --- the steps


@needs_bash
def test_sarif_is_written_although_there_are_findings(job: Path) -> None:
    (job / "work" / "a.py").write_text(ERROR)
    done = linted(job)
    assert done.status == 1, done.printed
    assert done.outputs["status"] == "1"
    assert done.outputs["sarif-file"].endswith(".sarif")
    assert results(done) == ["RED101"]
    assert "::error title=lint-reduction (RED101),file=a.py,line=7," in done.printed
    assert "| error | a.py:7:17 | RED101 unscaled-sum |" in done.summary


@needs_bash
def test_a_clean_run_passes_and_writes_an_empty_log(job: Path) -> None:
    (job / "work" / "a.py").write_text(CLEAN)
    done = linted(job)
    assert (done.status, done.printed, results(done)) == (0, "", [])
    assert "All checks passed!" in done.summary


@needs_bash
def test_a_run_that_goes_wrong_uploads_nothing(job: Path) -> None:
    (job / "work" / "a.py").write_text(ERROR)
    linted(job)
    done = linted(job, args="--select RED999")
    assert (done.status, done.outputs) == (2, {"status": "2"})
    assert "no rule 'RED999'" in done.printed


@needs_bash
def test_several_paths_and_options(job: Path) -> None:
    for name, text in (("a.py", ERROR), ("b.py", NOTE), ("c.py", WARNING)):
        (job / "work" / name).write_text(text)
    assert results(linted(job, inputs="a.py\nb.py")) == ["RED101", "RED101"]
    assert results(linted(job, inputs="a.py b.py", min_severity="error")) == ["RED101"]
    assert linted(job, inputs="c.py").status == 1
    assert linted(job, inputs="c.py", fail_on="error").status == 0
    assert linted(job, inputs="b.py", fail_on="note").status == 1
    assert results(linted(job, args="--ignore  RED101")) == []
    assert results(linted(job, min_confidence="high", args="--ignore RED001")) != []
    done = linted(job, inputs="a.py", annotations="false")
    assert done.printed.startswith("a.py:7:17: RED101 ")


@needs_bash
def test_a_configuration_and_a_baseline(job: Path) -> None:
    (job / "work" / "a.py").write_text(ERROR)
    (job / "work" / "other settings.toml").write_text('ignore = ["RED101"]\n')
    assert results(linted(job, config="other settings.toml")) == []
    entry = {"rule": "RED101", "path": "a.py", "function": "train", "count": 1}
    known = {**entry, "statement": 'criterion = nn . MSELoss ( reduction = "sum" )'}
    (job / "work" / "known.json").write_text(json.dumps({"version": 1, "entries": [known]}))
    done = linted(job, baseline="known.json")
    assert (done.status, results(done)) == (0, ["RED101"])


@needs_bash
@pytest.mark.parametrize("text", ["$(touch hacked)", "`touch hacked`", "; touch hacked", '" && touch hacked #'])
def test_inputs_are_no_code(job: Path, text: str) -> None:
    (job / "work" / "a.py").write_text(CLEAN)
    for name in ("inputs", "args", "config", "diff_only", "version"):
        linted(job, **{name: text})
    assert not (job / "work" / "hacked").exists()


@needs_bash
def test_only_changed_lines(job: Path) -> None:
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    (job / "work" / "a.py").write_text(ERROR)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], cwd=job / "work", check=True, capture_output=True)
    (job / "work" / "b.py").write_text(ERROR)
    done = linted(job, diff_only="HEAD")
    assert done.status == 1
    assert "file=b.py" in done.printed
    assert "file=a.py" not in done.printed


@needs_bash
def test_it_installs_itself_without_torch_and_runs(job: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(job), "hatchling"]
    if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode != 0:
        pytest.skip("pip cannot reach an index, from which the action would install what the package needs")
    done = played(INSTALL, job)
    assert done.status == 0, done.printed
    assert Path(done.path, "lint-reduction").exists()
    assert not list(Path(done.path).parent.glob("lib/python*/site-packages/torch"))
    (job / "work" / "a.py").write_text(ERROR)
    done = played(LINT, job, done.path)
    assert (done.status, results(done)) == (1, ["RED101"])
