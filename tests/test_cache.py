"""What is known from earlier runs changes nothing of what is reported, whatever happened to the files since."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lint_reduction.frontends import start
from lint_reduction.run import keeping, rows
from tests import command
from tests.command import CLEAN, ERROR, Ran, run, run_apart
from tests.fixture_files import FIXTURES

FORMATS = ("full", "concise", "json", "json-lines", "sarif", "github", "gitlab", "junit", "markdown")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in, the root of a project."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return tmp_path


@pytest.fixture
def analyzed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were analyzed in this process, as they are."""
    from lint_reduction.run import executors

    paths: list[str] = []
    original = executors.lint_one

    def noted(task: executors.Task, *others: object) -> executors.Outcome:
        paths.append(task.candidate.path.name)
        return original(task, *others)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr("lint_reduction.run.executors.lint_one", noted)
    monkeypatch.setattr("lint_reduction.run.invocation.lint_one", noted)
    return paths


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe the times of files soon, so that a test need not wait for seconds."""
    monkeypatch.setattr(rows, "TICK", 30_000_000)
    monkeypatch.setattr(keeping, "MARGIN", 10_000_000)


def again(*arguments: str | Path) -> Ran:
    """Run the command in this process as it begins there, which may print again what it printed before."""
    out, err = command._Stream(), command._Stream()
    with command._replaced(["lint-reduction", *map(str, arguments)], b"", out, err):
        code = 0
        try:
            start.main()
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 0
        finally:
            gc.enable()
    return Ran(code, out.text(), err.text())


def settle() -> None:
    """Wait until the times of files are believed."""
    time.sleep(0.05)


# What is reported.


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_the_same_with_and_without(project: Path, form: str, swift: None) -> None:
    for name in ("unscaled_sum", "notebooks", "masked_mean", "invalid_reduction", "legacy_positional"):
        shutil.copytree(FIXTURES / name, project / name)
    (project / "silenced.py").write_text(ERROR.replace('"sum")', '"sum")  # noqa: RED101'))
    (project / "broken.py").write_text("import torch\nnn.MSELoss(\n")
    settle()
    for options in ((), ("--select", "RED1", "--min-confidence", "low", "--no-ignores", "--unsafe-fixes")):
        arguments = (".", "--output-format", form, *options)
        wanted = run(*arguments, "--no-cache")
        # written and read, by options and by the command as a whole
        assert [again(*arguments), again(*arguments), run(*arguments)] == [wanted] * 3
    assert wanted.out.count("\n") > 3


def _edits(root: Path, stash: Path, chance: random.Random) -> Iterator[Callable[[], object]]:
    """Yield things that happen to the files of a project."""
    sources = sorted(path for path in root.rglob("*.py") if path.stem != "__init__")
    one, other = chance.choice(sources), chance.choice(sources)
    settings, ignore = root / "pyproject.toml", root / ".gitignore"
    yield lambda: _replace(one, "", "# a comment\n")
    yield lambda: _replace(one, *chance.sample(('"sum"', '"mean"', '"none"'), 2))
    yield lambda: _replace(one, *chance.sample(("SGD", "Adam"), 2))
    yield lambda: _replace(one, *chance.sample(("backward()", "item()", "detach()"), 2))
    yield lambda: one.write_text(one.read_text() + "\n\ndef broken(:\n")
    yield lambda: one.write_text(one.read_text().replace("\n\ndef broken(:\n", ""))
    yield lambda: one.write_text(other.read_text())
    yield lambda: shutil.copy2(other, one.parent)
    # more often, as these are what is missed: a file that others looked for, and an edit that does not show
    for _ in range(4):
        yield lambda: _away(one, root, stash)
        yield lambda: _back(root, stash, chance)
        yield lambda: _same_size(one)
    yield lambda: one.rename(one.with_name(f"moved_{one.name}"))
    yield lambda: one.rename(one.with_name(one.name.removeprefix("moved_")))
    yield lambda: (one.parent / "__init__.py").touch()
    yield lambda: (one.parent / "__init__.py").unlink(missing_ok=True)
    yield lambda: (one.parent / other.stem).mkdir()
    yield lambda: one.parent.rename(one.parent.with_name(f"away_{chance.randrange(9)}")) if one.parent != root else None
    yield lambda: os.utime(one)
    yield lambda: ignore.unlink() if ignore.exists() else ignore.write_text(f"{one.name}\n")
    yield lambda: settings.write_text("[tool.lint-reduction]\nfixed-batch-size = true\n")
    yield lambda: settings.write_text(f'[tool.lint-reduction.per-file-ignores]\n"{one.name}" = ["RED1"]\n')
    yield lambda: settings.unlink(missing_ok=True)
    for path in root.rglob("*.yaml"):
        yield lambda path=path: _replace(path, *chance.sample(("sum", "mean"), 2))


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))


def _same_size(path: Path) -> None:
    """Change a file so that neither its size nor the time of its content tell."""
    about = path.stat()
    _replace(path, "backward()", "backwarm()") if "backward()" in path.read_text() else _replace(
        path, "warm()", "ward()"
    )
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def _away(path: Path, root: Path, stash: Path) -> None:
    kept = stash / path.relative_to(root)
    kept.parent.mkdir(parents=True, exist_ok=True)
    path.replace(kept)


def _back(root: Path, stash: Path, chance: random.Random) -> None:
    path = chance.choice(sorted(path for path in stash.rglob("*.py")))
    (root / path.relative_to(stash)).parent.mkdir(parents=True, exist_ok=True)
    path.replace(root / path.relative_to(stash))


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_edited_the_report_is_that_of_a_run_without(
    project: Path, tmp_path_factory: pytest.TempPathFactory, seed: int, swift: None
) -> None:
    chance, stash = random.Random(seed), tmp_path_factory.mktemp("stash")
    found = [path for path in FIXTURES.glob("*/project_*") if "# expect" in _text(path)]
    for path in chance.sample(sorted(found), 2):
        shutil.copytree(path, project / f"{path.parent.name}_{path.name}")
    (project / "error.py").write_text(ERROR)
    (project / "clean.py").write_text(CLEAN)
    for step in range(16):
        for _ in range(chance.randrange(1, 3) if step else 0):
            # an edit may be impossible, as putting back what is not away
            with contextlib.suppress(OSError, IndexError):
                chance.choice(list(_edits(project, stash, chance)))()
        if chance.random() < 0.7:
            settle()
        options = chance.choice(((), (), (), ("--min-confidence", "low"), ("--select", "RED1,RED001")))
        arguments = (chance.choice((".", ".", "error.py")) if (project / "error.py").exists() else ".", *options)
        wanted = run(*arguments, "--no-cache", "--output-format", "json")
        for _ in range(2):  # what the first one keeps may serve the second
            got = again(*arguments, "--output-format", "json")
            assert json.loads(got.out) == json.loads(wanted.out)
            assert (got.code, got.err) == (wanted.code, wanted.err)


def _text(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*.py"))


# What is analyzed again.


def test_only_what_changed_and_what_imports_it_is_analyzed_again(
    project: Path, analyzed: list[str], swift: None
) -> None:
    for path in (FIXTURES / "unscaled_sum" / "project_function").glob("*.py"):
        shutil.copy(path, project)
    (project / "alone.py").write_text(ERROR)
    (project / "empty.py").write_text("x = 1\n")
    settle()
    run(".")
    assert set(analyzed) == {"alone.py", "empty.py", "losses.py", "train.py"}
    for edited, wanted in (("alone.py", {"alone.py"}), ("losses.py", {"losses.py", "train.py"}), ("empty.py", set())):
        with (project / edited).open("a") as file:
            file.write("# more\n")
        settle()
        analyzed.clear()
        run(".")
        assert set(analyzed) == wanted | {edited}


def test_a_module_that_was_looked_for_and_was_not_there(project: Path, analyzed: list[str], swift: None) -> None:
    source = FIXTURES / "unscaled_sum" / "project_function"
    shutil.copy(source / "train.py", project)
    settle()
    assert run(".").code == 0
    shutil.copy(source / "losses.py", project)
    settle()
    assert again(".") == run(".", "--no-cache")
    assert again(".").code == 1
    (project / "losses.py").unlink()
    assert again(".").code == 0


def test_findings_for_the_verifier_come_with_their_flow(project: Path, swift: None) -> None:
    from lint_reduction.run.cache import FactsCache
    from lint_reduction.run.invocation import Invocation
    from lint_reduction.run.pipeline import Overrides

    (project / "a.py").write_text(ERROR)
    settle()
    run(".")
    for needs_flows in (True, False):
        cache = FactsCache.open(None, str(project), time.time_ns())
        report = Invocation(Overrides(), cache, needs_flows=needs_flows).lint([Path()])
        assert [d.finding.flow is not None for d in report.diagnostics] == [needs_flows]


def test_other_rules_need_no_other_analysis(project: Path, analyzed: list[str], swift: None) -> None:
    (project / "a.py").write_text(ERROR)
    settle()
    run(".", "--select", "RED301")
    assert analyzed == ["a.py"]
    for options in (
        (),
        ("--select", "ALL"),
        ("--min-confidence", "low"),
        ("--ignore", "RED1"),
        ("--min-severity", "note"),
    ):
        analyzed.clear()
        got = run(".", *options)
        assert analyzed == []
        assert got == run(".", *options, "--no-cache")


def test_another_configuration_of_losses_is_another_analysis(project: Path, analyzed: list[str], swift: None) -> None:
    (project / "a.py").write_text(ERROR)
    settle()
    run(".")
    (project / "pyproject.toml").write_text('[tool.lint-reduction.counts]\nsamples = ["rows"]\n')
    analyzed.clear()
    run(".")
    assert analyzed == ["a.py"]


def test_a_file_with_new_times_is_known_by_its_content(project: Path, analyzed: list[str], swift: None) -> None:
    """As after a checkout in CI."""
    (project / "a.py").write_text(ERROR)
    (project / "b.py").write_text("x = 1\n")
    settle()
    wanted = again(".")
    for path in project.glob("*.py"):
        text = path.read_text()
        path.unlink()
        path.write_text(text)
    analyzed.clear()
    assert [run("."), again("."), again(".")] == [wanted] * 3
    assert analyzed == []


def test_an_edit_of_the_same_size_in_the_same_instant_is_seen(project: Path) -> None:
    path = project / "a.py"
    for _ in range(5):
        path.write_text(ERROR)
        assert again(".").code == 1
        path.write_text(ERROR.replace('"sum"', '"avg"').replace("SGD", "SGD"))
        assert again(".") == run(".", "--no-cache")
        path.write_text(CLEAN.replace('"mean"', '"mean" '))
        assert again(".").code == 0


def test_another_version_of_the_package_knows_nothing(
    project: Path, analyzed: list[str], swift: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "a.py").write_text(ERROR)
    settle()
    run(".")
    analyzed.clear()
    monkeypatch.setattr("lint_reduction.run.stamp.quick_stamp", lambda: "installed anew")
    run(".")
    assert analyzed == []
    monkeypatch.setattr("lint_reduction.run.stamp.content_stamp", lambda: "edited")
    monkeypatch.setattr("lint_reduction.run.stamp.quick_stamp", lambda: "edited")
    run(".")
    assert analyzed == ["a.py"]


# Who may have written it.


def kept() -> list[Path]:
    """The files of the cache of this test."""
    return sorted(Path(os.environ["LINT_REDUCTION_CACHE_DIR"]).glob("*.json"))


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:40],
        lambda data: _flipped(data, 10),
        lambda data: _flipped(data, len(data) // 2),
        lambda data: data + b" ",
        lambda data: b"\0" * 1000,
        lambda data: b"[" * 100_000,
        lambda data: b'{"version": 1}',
        lambda data: data.replace(b'"RED101"', b'"RED102"'),
        lambda data: os.urandom(4096),
    ],
)
def test_a_cache_that_is_damaged_is_none(project: Path, damage: Callable[[bytes], bytes]) -> None:
    (project / "a.py").write_text(ERROR)
    wanted = again(".")
    (path,) = kept()
    path.write_bytes(damage(path.read_bytes()))
    assert [again("."), again(".")] == [wanted] * 2


def test_a_cache_that_is_forged_is_none(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A repository may bring the cache that its author made, of files that he had without a finding."""
    folder = project / "kept"
    (project / "pyproject.toml").write_text('[tool.lint-reduction]\ncache-dir = "kept"\n')
    (project / "a.py").write_text(ERROR)
    theirs = {"LINT_REDUCTION_CACHE_DIR": str(tmp_path_factory.mktemp("theirs"))}
    forged = (
        "import sys, lint_reduction.run.pipeline as p; p.report_on = lambda r, c: p.collect([]); "
        "import lint_reduction.run.invocation as i; i.report_on = p.report_on; "
        "i.Invocation._selected = lambda s, r: r; from lint_reduction.frontends.start import main; main()"
    )
    for _ in range(2):  # in the first run the folder is new
        ran = run_apart(".", cwd=project, environment=theirs, python=("-c", forged))
    assert (ran.code, len(list(folder.glob("*.json")))) == (0, 1)
    assert run_apart(".", cwd=project, environment=theirs).code == 0
    assert run_apart(".", cwd=project).code == 1


@pytest.mark.parametrize("place", ["link", "fifo", "directory", "large"])
def test_what_is_no_cache_is_not_read(project: Path, place: str) -> None:
    (project / "a.py").write_text(ERROR)
    wanted = again(".")
    (path,) = kept()
    path.unlink()
    if place == "link":
        path.symlink_to("/dev/zero")
    elif place == "fifo":
        os.mkfifo(path)
    elif place == "directory":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(10_000_000_000)
    got = again(".")
    assert (got.code, got.out) == (wanted.code, wanted.out)
    assert got.err.count("\n") == (place == "directory")


# Where it cannot be written.


def test_a_folder_that_cannot_be_made_is_said_once_and_changes_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "a.py").write_text(ERROR)
    wanted = run(".", "--no-cache")
    (project / "file").write_text("")
    monkeypatch.setenv("LINT_REDUCTION_CACHE_DIR", str(project / "file" / "kept"))
    got = again(".")
    assert (got.code, got.out) == (wanted.code, wanted.out)
    assert got.err.startswith("nothing is kept for the next run: ")
    assert got.err.count("\n") == 1


def test_a_full_disk_leaves_the_old_cache_and_changes_nothing(project: Path) -> None:
    """The limit on the size of files is what a process can be given without a disk of its own."""
    (project / "a.py").write_text(ERROR)
    assert again(".").code == 1
    (path,) = kept()
    before = path.read_bytes()
    (project / "b.py").write_text(ERROR)
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); from lint_reduction.frontends.start import main; main()"
    )
    ran = run_apart(".", cwd=project, python=("-c", limited))
    assert (ran.code, ran.out) == (1, run_apart(".", "--no-cache", cwd=project).out)
    assert ran.err.startswith("nothing is kept for the next run: ")
    assert path.read_bytes() == before
    assert sorted(child.name for child in path.parent.iterdir() if child.suffix == ".tmp") == []


def test_no_home_is_no_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "a.py").write_text(ERROR)
    monkeypatch.delenv("LINT_REDUCTION_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    got = again(".")
    assert (got.code, got.err) == (1, "nothing is kept for the next run: there is no home directory\n")


# Options and commands.


def test_without_a_cache_nothing_is_written(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    run(".", "--no-cache")
    run("-", stdin=ERROR.encode())
    run(".", "--diff", "--unsafe-fixes")
    run(".", "--fix")
    assert kept() == []


@pytest.mark.parametrize("how", ["option", "setting", "variable"])
def test_where_it_is_kept(project: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "a.py").write_text(ERROR)
    options: tuple[str, ...] = ()
    if how == "option":
        options = ("--cache-dir", "kept")
    elif how == "setting":
        (project / "pyproject.toml").write_text('[tool.lint-reduction]\ncache-dir = "kept"\n')
    else:
        monkeypatch.setenv("LINT_REDUCTION_CACHE_DIR", "kept")
    wanted = again(".", *options)
    folder = project / "kept"
    assert len(list(folder.glob("*.json"))) == 1
    assert (folder / ".gitignore").read_text() == "*\n"
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert again(".", *options) == wanted
    cleaned = run("clean", *options)
    assert (cleaned.code, cleaned.out, list(folder.glob("*.json"))) == (0, "", [])
    assert cleaned.err.endswith(".json: removed\n")
    assert run("clean", *options).err == "there is nothing to remove\n"


def test_what_is_no_longer_there_is_no_longer_kept(project: Path) -> None:
    for index in range(30):
        (project / f"a{index}.py").write_text("x = 1\n")
    run(".")
    (path,) = kept()
    before = path.stat().st_size
    for index in range(29):
        (project / f"a{index}.py").unlink()
    run(".")
    assert path.stat().st_size < before / 2


def test_a_warm_run_imports_next_to_nothing(project: Path) -> None:
    (project / "a.py").write_text(ERROR)
    (project / "b.py").write_text("x = 1\n")
    code = (
        "import sys, atexit\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from lint_reduction.frontends.start import main; main()"
    )
    time.sleep(2.1)  # a file that has just changed is read again
    for options in ((), ("--output-format", "sarif")):
        cold = run_apart(".", *options, cwd=project, python=("-c", code))
        warm = run_apart(".", *options, cwd=project, python=("-c", code))
        assert (warm.out, warm.code) == (cold.out, cold.code)
        packages = {name.partition(".")[0] for name in warm.err.split()}
        assert not packages & {"libcst", "torch", "rich", "pathspec", "click", "json", "typing", "dataclasses", "re"}
    # and one that has to look closer, not the parser
    (project / "b.py").write_text("x = 2\n")
    ran = run_apart(".", cwd=project, python=("-c", code))
    assert not {name.partition(".")[0] for name in ran.err.split()} & {"libcst", "torch", "rich"}
