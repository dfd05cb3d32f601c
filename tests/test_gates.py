"""What is reported of what is found: only new findings, only those on changed lines."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.command import run

HEAD = "import torch\nfrom torch import nn\n\n\n"
TRAIN = """\
def {name}(model, loader):
    criterion = nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
MEAN = TRAIN.replace("sum", "mean")
CONCISE = ("--output-format", "concise")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def source(*names: str) -> str:
    return HEAD + "\n\n".join(TRAIN.format(name=name) for name in names)


def codes(*arguments: str) -> list[str]:
    return [line.split(" ")[0] for line in run(*arguments, *CONCISE).out.splitlines()[:-1]]


# --- the baseline


def test_what_a_baseline_holds_is_not_reported(project: Path) -> None:
    (project / "a.py").write_text(source("one", "two"))
    assert len(codes("a.py")) == 2
    written = run("baseline", "a.py")
    assert (written.code, written.out) == (0, "")
    assert "2 findings" in written.err
    ran = run("a.py", "--baseline", "lint-reduction-baseline.json")
    assert (ran.code, ran.out, ran.err) == (0, "All checks passed! (2 in the baseline)\n", "")


def test_the_settings_can_name_the_baseline(project: Path) -> None:
    (project / "lint-reduction.toml").write_text('baseline = "known.json"\n')
    (project / "a.py").write_text(source("one"))
    run("baseline")
    assert (project / "known.json").exists()
    assert run(".").code == 0


def test_shifted_lines_and_other_comments_stay_known(project: Path) -> None:
    (project / "a.py").write_text(source("one"))
    run("baseline", "a.py")
    shifted = source("one").replace(HEAD, HEAD + "x = 1\n\n\n").replace('"sum")', '"sum")  # as in the paper')
    (project / "a.py").write_text(shifted)
    assert codes("a.py", "--baseline", "lint-reduction-baseline.json") == []


def test_one_more_of_the_same_is_new(project: Path) -> None:
    (project / "a.py").write_text(source("one"))
    run("baseline", "a.py")
    twice = [HEAD, TRAIN.format(name="one"), "\n\n", TRAIN.format(name="one"), "\n\none(model, loader)\n"]
    (project / "a.py").write_text("".join(twice))
    every = codes("a.py")
    assert len(codes("a.py", "--baseline", "lint-reduction-baseline.json")) == len(every) - 1


def test_the_same_statement_in_another_function_is_new(project: Path) -> None:
    (project / "a.py").write_text(source("one"))
    run("baseline", "a.py")
    (project / "a.py").write_text(source("one", "two"))
    found = codes("a.py", "--baseline", "lint-reduction-baseline.json")
    assert [line.split(":")[1] for line in found] == ["16"]


def test_a_file_that_moved_stays_known_and_a_copy_does_not(project: Path) -> None:
    (project / "a.py").write_text(source("one"))
    run("baseline", "a.py")
    (project / "copy.py").write_text(source("one"))
    assert [f.split(":")[0] for f in codes(".", "--baseline", "lint-reduction-baseline.json")] == ["copy.py"]
    (project / "a.py").unlink()
    assert codes(".", "--baseline", "lint-reduction-baseline.json") == []


def test_entries_that_stand_for_nothing_are_told_of(project: Path) -> None:
    (project / "a.py").write_text(source("one", "two"))
    (project / "b.py").write_text(source("one"))
    run("baseline", ".")
    (project / "a.py").write_text(HEAD + MEAN.format(name="one"))
    ran = run("a.py", "--baseline", "lint-reduction-baseline.json")
    assert ran.code == 0
    assert "2 entries stand for nothing any more" in ran.err
    (project / "b.py").unlink()
    assert "3 entries stand" in run(".", "--baseline", "lint-reduction-baseline.json").err


def test_a_baseline_is_written_from_all_findings(project: Path) -> None:
    (project / "lint-reduction.toml").write_text('baseline = "known.json"\n')
    (project / "a.py").write_text(source("one"))
    run("baseline")
    first = (project / "known.json").read_bytes()
    run("baseline")
    assert (project / "known.json").read_bytes() == first
    assert [entry["function"] for entry in json.loads(first)["entries"]] == ["one"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "an entry is none"),
        ('{"version": 2, "entries": []}', "a baseline of version 2"),
        ('{"version": 1, "entries": [{}]}', "an entry is none"),
        ('{"version": 1, "entries": [{"rule": 1, "path": "", "function": "", "statement": "", "count": 1}]}', "none"),
        ('{"version": 1, "entries": [{"rule": "", "path": "", "function": "", "statement": "", "count": 0}]}', "none"),
    ],
)
def test_what_is_no_baseline_is_refused(project: Path, text: str, message: str) -> None:
    (project / "a.py").write_text(source("one"))
    (project / "b.json").write_text(text)
    ran = run("a.py", "--baseline", "b.json")
    assert ran.code == 2
    assert ran.err.startswith("lint-reduction: b.json: ")
    assert message in ran.err


def test_a_missing_baseline_is_an_error(project: Path) -> None:
    (project / "a.py").write_text(source("one"))
    ran = run("a.py", "--baseline", "no.json")
    assert (ran.code, ran.err) == (2, "lint-reduction: no.json: no such file or directory\n")


def test_known_findings_stay_in_sarif(project: Path) -> None:
    (project / "a.py").write_text(source("one"))
    run("baseline", "a.py")
    (project / "a.py").write_text(source("one", "two"))
    ran = run("a.py", "--baseline", "lint-reduction-baseline.json", "--output-format", "sarif")
    new, known = json.loads(ran.out)["runs"][0]["results"]
    assert "suppressions" not in new
    assert known["suppressions"] == [{"kind": "external"}]
    assert known["baselineState"] == "unchanged"


# --- changed lines


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(project: Path) -> Path:
    (project / "a.py").write_text(source("one"))
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    return project


def test_only_findings_on_changed_lines_are_reported(repository: Path) -> None:
    assert codes("a.py", "--diff-only", "HEAD") == []
    (repository / "a.py").write_text(source("one", "two"))
    assert [line.split(":")[1] for line in codes("a.py", "--diff-only", "HEAD")] == ["16"]
    git("commit", "-qam", "second")
    assert codes("a.py", "--diff-only", "HEAD") == []
    assert len(codes("a.py", "--diff-only", "HEAD~1")) == 1


def test_a_change_anywhere_on_the_path_of_the_loss_counts(repository: Path) -> None:
    (repository / "a.py").write_text(source("one").replace("loss.backward()", "loss.backward( )"))
    assert len(codes("a.py", "--diff-only", "HEAD")) == 1
    (repository / "a.py").write_text(source("one").replace("zero_grad()", "zero_grad( )"))
    assert codes("a.py", "--diff-only", "HEAD") == []


def test_a_file_that_git_does_not_know_is_all_new(repository: Path) -> None:
    (repository / "é new.py").write_text(source("one"))
    assert [line.split(":")[0] for line in run(".", "--diff-only", "HEAD", *CONCISE).out.splitlines()[:-1]] == [
        "é new.py"
    ]


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", ""])
def test_a_revision_that_is_none_is_an_error(repository: Path, revision: str) -> None:
    ran = run("a.py", "--diff-only", revision)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert not (repository / "x").exists()


def test_without_a_repository_there_are_no_changed_lines(project: Path) -> None:
    (project / "a.py").write_text(source("one"))
    ran = run("a.py", "--diff-only", "HEAD")
    assert ran.code == 2
    assert "not a git repository" in ran.err


def test_without_git_there_are_no_changed_lines(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    ran = run("a.py", "--diff-only", "HEAD")
    assert ran.code == 2
    assert "git cannot be run" in ran.err
