"""Who analyzes a file, in which order, in how many processes changes nothing; one that dies is one file's trouble."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lint_reduction.run import executors, pipeline, rows
from lint_reduction.run.invocation import Invocation
from lint_reduction.run.pipeline import Overrides
from lint_reduction.run.report import Report
from tests.command import CLEAN, ERROR, ROOT, run, run_apart
from tests.fixture_files import FIXTURES

PROJECTS = sorted(path for path in FIXTURES.glob("*/project_*") if path.is_dir())


def report(paths: list[Path], jobs: int) -> Report:
    return Invocation(Overrides(isolated=True), jobs=jobs).lint(paths)


def test_neither_the_order_of_files_nor_the_number_of_processes_changes_a_report() -> None:
    files = sorted(path for project in PROJECTS for path in project.rglob("*.py"))
    files += sorted((FIXTURES / "notebooks").rglob("*.ipynb"))
    wanted = report(files, 1)
    assert len(wanted.diagnostics) > 20
    for jobs in (1, 2, 4):
        shuffled = random.Random(jobs).sample(files, len(files))
        assert report(shuffled, jobs) == wanted


def test_the_command_prints_the_same_for_any_number_of_processes(tmp_path: Path) -> None:
    paths = (FIXTURES / "unscaled_sum", FIXTURES / "mixed_reduction_terms")
    wanted = run(*paths, "--no-cache", "-j", "1", "--output-format", "json")
    for jobs in ("2", "4"):
        assert run_apart(*paths, "--no-cache", "-j", jobs, "--output-format", "json") == wanted


def test_workers_that_are_not_forked_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(path for project in PROJECTS[:12] for path in project.rglob("*.py"))
    wanted = report(files, 1)
    release = threading.Event()
    other = threading.Thread(target=release.wait)
    other.start()
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked while a thread runs"))
    try:
        assert report(files, 2) == wanted
    finally:
        release.set()
        other.join()


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), signal.SIGKILL)", "os.abort()", "os._exit(3)"])
def test_a_process_that_dies_takes_only_its_file_with_it(tmp_path: Path, death: str) -> None:
    for index in range(6):
        (tmp_path / f"a{index}.py").write_text(ERROR if index % 2 else CLEAN)
    dies = (
        "import os, signal, sys\n"
        "from lint_reduction.run import executors\n"
        "original = executors.lint_one\n"
        "def lint_one(task, *others):\n"
        f"    if task.candidate.path.name == 'a2.py': {death}\n"
        "    return original(task, *others)\n"
        "executors.lint_one = lint_one\n"
        "from lint_reduction.frontends.cli import main; main()"
    )
    ran = run_apart(".", "-j", "2", "--no-cache", "--output-format", "concise", cwd=tmp_path, python=("-c", dies))
    assert ran.code == 2
    assert ran.out.count("RED101") == 3
    assert ran.err.count("internal error in a2.py:") == 1
    assert "its process ended with" in ran.err


def test_small_work_is_done_in_this_process() -> None:
    assert executors.processes(None, [1000, 2000]) == 1
    assert executors.processes(None, []) == 1
    assert executors.processes(4, [1000, 2000]) == 2
    assert 1 <= executors.processes(None, [1_500_000, 1_500_000]) <= 2


def started(*arguments: str, cwd: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "lint_reduction", *arguments]
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def many(folder: Path, count: int) -> None:
    for index in range(count):
        (folder / f"a{index}.py").write_text(ERROR.replace("train", f"train_{index}"))


def test_several_runs_at_once_share_a_cache(tmp_path: Path) -> None:
    many(tmp_path, 8)
    wanted = run_apart(".", "--no-cache", cwd=tmp_path)
    for turn in range(3):
        (tmp_path / f"a{turn}.py").write_text(ERROR.replace("train", f"again_{turn}"))
        wanted = run_apart(".", "--no-cache", cwd=tmp_path)
        processes = [started(".", cwd=tmp_path) for _ in range(4)]
        for process in processes:
            out, err = process.communicate(timeout=120)
            assert (process.returncode, out.decode(), err.decode()) == (wanted.code, wanted.out, "")
    folder = Path(os.environ["LINT_REDUCTION_CACHE_DIR"])
    assert [path.name for path in folder.iterdir() if path.suffix == ".tmp"] == []


def test_a_run_that_is_killed_leaves_a_cache_that_is_whole(tmp_path: Path) -> None:
    many(tmp_path, 12)
    wanted = run_apart(".", "--no-cache", cwd=tmp_path)
    started_at = time.monotonic()
    assert run_apart(".", cwd=tmp_path) == wanted
    length = time.monotonic() - started_at
    for turn in range(5):
        (tmp_path / "a0.py").write_text(ERROR.replace("train", f"turn_{turn}"))
        process = started(".", "-j", str(1 + turn % 2), cwd=tmp_path)
        time.sleep(length * (turn + 1) / 6)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert run_apart(".", cwd=tmp_path) == run_apart(".", "--no-cache", cwd=tmp_path)


def test_fixing_that_is_killed_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    many(tmp_path, 6)
    before = {path.name: path.read_text() for path in tmp_path.glob("*.py")}
    fixed = tmp_path / "fixed"
    shutil.copytree(tmp_path, fixed)
    assert run_apart(".", "--fix", "--unsafe-fixes", cwd=fixed).code == 0
    after = {path.name: path.read_text() for path in fixed.glob("*.py")}
    assert before != after
    for limit in range(6):
        code = (
            "import os, signal; from lint_reduction.run import fixes; original = os.replace; done = []\n"
            "def replace(*paths):\n"
            f"    if len(done) == {limit}: os.kill(os.getpid(), signal.SIGKILL)\n"
            "    done.append(original(*paths))\n"
            "os.replace = replace\n"
            "from lint_reduction.frontends.cli import main; main()"
        )
        for name, text in before.items():
            (tmp_path / name).write_text(text)
        ran = run_apart("--fix", "--unsafe-fixes", *before, cwd=tmp_path, python=("-c", code))
        assert ran.code == -signal.SIGKILL
        now = {name: (tmp_path / name).read_text() for name in before}
        assert all(now[name] in (before[name], after[name]) for name in now)
        assert sum(now[name] == after[name] for name in now) == limit


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_a_large_file_takes_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text(ERROR + "x = 1\n" * 850_000)
    code = (
        "import atexit, re, sys\n"
        # the peak of this program alone: what is counted as maxrss begins with that of who started it
        "peak = lambda: re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]\n"
        "atexit.register(lambda: print(peak(), file=sys.stderr))\n"
        "from lint_reduction.frontends.start import main; main()"
    )
    assert (tmp_path / "large.py").stat().st_size > 5_000_000
    for _ in range(2):
        ran = run_apart(".", "--output-format", "concise", cwd=tmp_path, python=("-c", code))
        assert (ran.code, "too large to be analyzed" in ran.out) == (1, True)
        assert int(ran.err.split()[-1]) < 200_000


def test_without_a_cache_each_file_is_read_and_filtered_once_and_nothing_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_text(ERROR)
    (tmp_path / "b.py").write_text(CLEAN)
    (tmp_path / "c.py").write_text("x = 1\n")
    counts: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def count(*arguments: object) -> object:
            counts[name] += 1
            return function(*arguments)

        return count

    for module, name in ((executors, "read_bytes"), (executors, "may_hold"), (pipeline, "may_hold"), (rows, "digest")):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    report([tmp_path], 1)
    assert counts == {"read_bytes": 3, "may_hold": 3}
