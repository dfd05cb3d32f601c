"""``--watch`` in a process of its own: it lints again after each change, until it is interrupted."""

from __future__ import annotations

import builtins
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lint_reduction.run.baseline import VERSION
from tests.command import CLEAN, ERROR, NOTE, ROOT, run

#: How long a round may take, in seconds, on a machine that does other things.
PATIENCE = 60.0
#: A baseline without entries.
NOTHING_KNOWN = json.dumps({"version": VERSION, "entries": []})


class Watching:
    """The command while it watches a directory."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "lint_reduction", "--watch", "--output-format", "concise", *arguments],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def round(self) -> str:
        """Wait for the end of a round, and return what was printed in it."""
        printed = ""
        until = time.monotonic() + PATIENCE
        while "watching for changes" not in printed:
            printed += self.lines.get(timeout=max(until - time.monotonic(), 0.1))
        return printed


Start = Callable[..., Watching]


@pytest.fixture
def start() -> Iterator[Start]:
    pytest.importorskip("watchfiles", reason="needs the extra watch")
    running: list[Watching] = []

    def start(directory: Path, *arguments: str) -> Watching:
        running.append(Watching(directory, *arguments))
        return running[-1]

    yield start
    for watching in running:
        watching.process.kill()
        watching.process.wait(PATIENCE)


def test_every_change_is_linted(tmp_path: Path, start: Start) -> None:
    file = tmp_path / "a.py"
    file.write_text(ERROR)
    watching = start(tmp_path)
    assert "a.py:7:17: RED101" in watching.round()
    file.write_text(CLEAN)
    assert "All checks passed!" in watching.round()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.py").write_text(ERROR)
    while f"{Path('sub/b.py')}:7:17: RED101" not in watching.round():
        pass  # the new directory may be told of in a round of its own
    (tmp_path / "sub" / "b.py").unlink()
    assert "All checks passed!" in watching.round()


def test_what_is_excluded_is_not_watched_but_the_project_may_be_called_so(tmp_path: Path, start: Start) -> None:
    project = tmp_path / "build"
    (project / ".venv").mkdir(parents=True)
    (project / "a.py").write_text(ERROR)
    watching = start(project)
    assert "RED101" in watching.round()
    (project / ".venv" / "b.py").write_text(ERROR)
    (project / "notes.txt").write_text("")
    time.sleep(1)
    (project / "a.py").write_text(CLEAN)
    assert "All checks passed!" in watching.round()


def test_a_file_that_an_editor_replaces_is_still_watched(tmp_path: Path, start: Start) -> None:
    (tmp_path / "a.py").write_text(ERROR)
    watching = start(tmp_path, "a.py")
    assert "RED101" in watching.round()
    for text, told in ((CLEAN, "All checks passed!"), (NOTE, "Found 1 note.")):
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").replace(tmp_path / "a.py")
        assert told in watching.round()


def test_settings_are_read_again_and_wrong_ones_do_not_end_it(tmp_path: Path, start: Start) -> None:
    (tmp_path / "a.py").write_text(ERROR)
    watching = start(tmp_path)
    assert "RED101" in watching.round()
    (tmp_path / "lint-reduction.toml").write_text("unknown = 1\n")
    assert "unknown key 'unknown'" in watching.round()
    (tmp_path / "lint-reduction.toml").write_text('ignore = ["RED101"]\n')
    assert "All checks passed!" in watching.round()


def test_settings_of_the_program_are_read_again(tmp_path: Path, start: Start) -> None:
    reduction = 'yaml.safe_load(open("conf.yaml"))["reduction"]'
    (tmp_path / "a.py").write_text("import yaml\n" + ERROR.replace('"sum"', reduction))
    (tmp_path / "conf.yaml").write_text("reduction: mean\n")
    watching = start(tmp_path)
    assert "All checks passed!" in watching.round()
    (tmp_path / "conf.yaml").write_text("reduction: sum\n")
    assert "a.py:8:17: RED101" in watching.round()


def test_a_baseline_is_read_again_and_what_is_beside_it_is_not_watched(tmp_path: Path, start: Start) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "a.py").write_text(ERROR)
    known = tmp_path / "known" / "baseline.json"
    known.parent.mkdir()
    assert run("baseline", "--no-cache", "--baseline", known, tmp_path / "project").code == 0
    entries = known.read_text()
    known.write_text(NOTHING_KNOWN)
    watching = start(tmp_path / "project", "--baseline", str(known))
    assert "RED101" in watching.round()
    (tmp_path / "known" / "b.py").write_text(ERROR)
    time.sleep(1)
    assert watching.lines.empty()
    known.write_text(entries)
    assert "All checks passed!" in watching.round()


def test_a_baseline_that_the_settings_come_to_name_is_watched(tmp_path: Path, start: Start) -> None:
    (tmp_path / "a.py").write_text(ERROR)
    watching = start(tmp_path)
    assert "RED101" in watching.round()
    (tmp_path / "known.json").write_text(NOTHING_KNOWN)
    (tmp_path / "lint-reduction.toml").write_text('baseline = "known.json"\n')
    assert "RED101" in watching.round()
    (tmp_path / "known.json").write_text("[")
    assert "no JSON" in watching.round()


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts are others there")
def test_an_interrupt_ends_it_without_a_traceback(tmp_path: Path, start: Start) -> None:
    (tmp_path / "a.py").write_text(CLEAN)
    watching = start(tmp_path)
    watching.round()
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(PATIENCE) == 130
    assert "Traceback" not in "".join(watching.lines.queue)


@pytest.mark.parametrize(
    "arguments", [("--fix",), ("--diff",), ("--add-ignore",), ("--verify",), ("-",), ("--stdin-filename", "a.py")]
)
def test_what_does_not_go_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("--watch", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "--watch" in ran.err


def test_a_missing_path_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("watchfiles", reason="needs the extra watch")
    monkeypatch.chdir(tmp_path)
    ran = run("--watch", "nowhere")
    assert (ran.code, ran.err) == (2, "lint-reduction: nowhere: no such file or directory\n")


def test_without_the_extra_the_command_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name == "watchfiles":
            raise ModuleNotFoundError("No module named 'watchfiles'", name="watchfiles")
        return real(name, *arguments, **more)

    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "lint_reduction.frontends.watch", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    ran = run("--watch")
    assert (ran.code, ran.err) == (
        2, "lint-reduction: --watch needs watchfiles: pip install 'lint-reduction[watch]'\n",
    )  # fmt: skip
