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
from tests.command import CLEAN, ERROR, NOTE, WARNING, Ran, run, run_apart
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

    def noted(candidate: executors.Candidate, *others: object) -> executors.Outcome:
        paths.append(candidate.path.name)
        return original(candidate, *others)  # type: ignore[arg-type]  # as they came

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
    for options in ((), ("--min-confidence", "low"), ("--select", "RED1"), ("--no-ignores",), ("--unsafe-fixes",)):
        arguments = (".", "--output-format", form, *options)
        wanted = run(*arguments, "--no-cache")
        # written and read, by options and by the command as a whole
        assert [again(*arguments), again(*arguments), run(*arguments)] == [wanted] * 3
    assert wanted.out.count("\n") > 3


def _edits(root: Path, chance: random.Random) -> Iterator[Callable[[], object]]:
    """Yield things that happen to the files of a project."""
    files = sorted(path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    sources = [path for path in files if path.suffix == ".py"]
    one, other = chance.choice(sources), chance.choice(sources)
    settings = root / "pyproject.toml"
    yield lambda: one.write_text(one.read_text() + "\n# a comment\n")
    yield lambda: one.write_text("\n" + one.read_text())
    yield lambda: one.write_text(one.read_text().replace('"sum"', '"mean"', 1))
    yield lambda: one.write_text(one.read_text().replace('"mean"', '"sum"', 1))
    yield lambda: one.write_text(one.read_text().replace("SGD", "Adam"))
    yield lambda: one.write_text(one.read_text() + "\n\ndef broken(:\n")
    yield lambda: one.write_text(one.read_text().replace("\n\ndef broken(:\n", ""))
    yield lambda: _same_size(one)
    yield lambda: one.write_text(other.read_text())
    yield lambda: shutil.copy2(other, one.parent / "copied.py") if one.parent != other.parent else None
    yield lambda: one.unlink() if len(sources) > 4 else None
    yield lambda: one.rename(one.with_name(f"moved_{chance.randrange(3)}.py"))
    yield lambda: (one.parent / "__init__.py").touch()
    yield lambda: (one.parent / "__init__.py").unlink(missing_ok=True)
    yield lambda: one.parent.rename(one.parent.with_name(f"away_{chance.randrange(9)}")) if one.parent != root else None
    yield lambda: os.utime(one)
    yield lambda: (root / "losses").mkdir(exist_ok=True)
    yield lambda: (root / ".gitignore").write_text(f"{one.name}\n")
    yield lambda: (root / ".gitignore").unlink(missing_ok=True)
    yield lambda: settings.write_text("[tool.lint-reduction]\nfixed-batch-size = true\n")
    yield lambda: settings.write_text(f'[tool.lint-reduction.per-file-ignores]\n"{one.name}" = ["RED1"]\n')
    yield lambda: settings.write_text('[tool.lint-reduction.counts]\nsamples = ["n_rows"]\n')
    yield lambda: settings.unlink(missing_ok=True)
    for path in files:
        if path.suffix == ".yaml":
            yield lambda path=path: path.write_text(path.read_text().replace("sum", "mean"))
            yield lambda path=path: path.write_text(path.read_text().replace("mean", "sum"))


def _same_size(path: Path) -> None:
    """Change a file so that neither its size nor the time of its last change tell."""
    about = path.stat()
    path.write_text(path.read_text().replace("reduction=", "reductiom=", 1))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


PROJECTS = (
    ("unscaled_sum", "project_*"),
    ("accumulation_*", "project_*"),
    ("unreduced_*", "project_*"),
    ("[a-t]*", "project_*"),
)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_edited_the_report_is_that_of_a_run_without(project: Path, seed: int, swift: None) -> None:
    chance = random.Random(seed)
    found = [path for rule, name in (PROJECTS[seed % len(PROJECTS)],) for path in FIXTURES.glob(f"{rule}/{name}")]
    for path in chance.sample(sorted(found), min(3, len(found))):
        shutil.copytree(path, project / f"{path.parent.name}_{path.name}")
    for name, text in (("error", ERROR), ("note", NOTE), ("warning", WARNING), ("clean", CLEAN)):
        (project / f"{name}.py").write_text(text)
    for _ in range(25):
        for _ in range(chance.randrange(3)):
            with contextlib.suppress(OSError):
                chance.choice(list(_edits(project, chance)))()
        if chance.random() < 0.5:
            settle()
        paths = chance.choice(((".",), (".",), tuple(sorted(str(p) for p in Path().rglob("*.py"))[:4])))
        options = chance.choice(((), (), ("--min-confidence", "low"), ("--select", "RED1,RED001"), ("--no-ignores",)))
        arguments = (*paths, *options, "--output-format", "json")
        wanted = run(*arguments, "--no-cache")
        got = again(*arguments)
        assert json.loads(got.out) == json.loads(wanted.out)
        assert (got.code, got.err) == (wanted.code, wanted.err)
