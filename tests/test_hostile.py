"""Hostile sources: nothing is touched, nothing gets out, and there is an answer in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.command import ROOT
from tests.hostile_sources import FIRST, SECOND

pytestmark = [pytest.mark.torch, pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")]

NAMES = [name for name, _ in FIRST + SECOND]
#: Seconds that a source may take, on a machine that does other things as well.
LIMIT = 20.0


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """Run all sources in a process that records what the interpreter of Python is asked to do."""
    folder = tmp_path_factory.mktemp("canary")
    written, secret = folder / "written", folder / "secret"
    secret.write_text("TOPSECRET")
    environment = os.environ | {"LINT_REDUCTION_SECRET": "ENVSECRET", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.hostile_run", str(written), str(secret)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not Path(written).exists()
    assert secret.read_text() == "TOPSECRET"
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {str(line["name"]): line for line in lines}


def test_names_are_different() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert len(FIRST) == 63
    assert len(SECOND) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_source_touches_nothing(name: str, answers: dict[str, dict[str, object]]) -> None:
    answer = answers[name]
    assert not answer["touched"]
    assert not answer["leaked"]
    assert answer["events"] == []
    assert answer["status"] in ("measured", "raised", "blocked")
    assert "internal error" not in str(answer["reason"])
    assert float(str(answer["seconds"])) < LIMIT
