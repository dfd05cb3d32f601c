"""Cutting experiments out of files costs as much as there is to cut out, and never more than it may."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lint_reduction.finding import Finding
from lint_reduction.run.pipeline import Overrides, lint
from lint_reduction.verdict import Outcome
from lint_reduction.verify import session as sessions
from lint_reduction.verify.modules import NoExperimentError, Sources, TooSlowError
from lint_reduction.verify.session import Session
from lint_reduction.verify.slicing import experiment_of

ONE = """
class Net{n}(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        return self.layer(x)


def weighted_{n}(loss, weight):
    return loss * weight


def train_{n}(model, loader, epochs):
    criterion = nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.{n}1)
    for epoch in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = weighted_{n}(criterion(model(x), y), 0.5)
            loss.backward()
            optimizer.step()
"""


def program(count: int) -> str:
    return "import torch\nfrom torch import nn\n" + "".join(ONE.format(n=n) for n in range(count))


def found_in(path: Path) -> list[tuple[str, Finding]]:
    report = lint([path], Overrides(isolated=True))
    return [(d.absolute, d.finding) for d in report.diagnostics if d.finding.code == "RED101"]


def write(folder: Path, count: int) -> tuple[Path, list[tuple[str, Finding]]]:
    path = folder / f"train_{count}.py"
    path.write_text(program(count))
    found = found_in(path)
    assert len(found) == count
    return path, found


def calls_of(function: Callable[[], object]) -> int:
    """Return how many functions are called."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


def cut_all(found: Sequence[tuple[str, Finding]], sources: Sources) -> list[str]:
    return [experiment_of(finding, path, sources).to_json() for path, finding in found]


def read(path: str) -> str:
    return Path(path).read_text()


def test_many_findings_of_a_file_cost_as_much_as_they_are(tmp_path: Path) -> None:
    few, many = write(tmp_path, 8)[1], write(tmp_path, 64)[1]
    ratio = calls_of(lambda: cut_all(many, Sources(read))) / calls_of(lambda: cut_all(few, Sources(read)))
    assert ratio < 8 * 1.2


def test_what_other_findings_were_cut_out_of_changes_nothing(tmp_path: Path) -> None:
    found = [*write(tmp_path, 3)[1], *write(tmp_path, 5)[1]]
    alone = [text for one in found for text in cut_all([one], Sources(read))]
    assert cut_all(found, Sources(read)) == alone
    assert cut_all(found, Sources(read, limit=0)) == alone
    assert cut_all(found[::-1], Sources(read))[::-1] == alone


def test_files_that_are_too_many_are_let_go_of(tmp_path: Path) -> None:
    reads: list[str] = []

    def counting(path: str) -> str:
        reads.append(path)
        return read(path)

    (first, found), (second, more) = write(tmp_path, 1), write(tmp_path, 2)
    wide, narrow = Sources(counting), Sources(counting, limit=len(program(2)))
    cut_all([*found, *more, *found], wide)
    assert reads == [str(first), str(second)]
    reads.clear()
    cut_all([*found, *more, *found, *more], narrow)
    assert reads == [str(first), str(second), str(first), str(second)]


def test_a_finding_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    _, [(path, finding)] = write(tmp_path, 1)
    with pytest.raises(TooSlowError, match="takes longer than 0 s"):
        experiment_of(finding, path, read, 0.0)


def test_a_slow_file_does_not_take_up_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (slow, found), (_, more) = write(tmp_path, 8), write(tmp_path, 1)
    tried = []

    def cut(finding: Finding, path: str, sources: Sources, seconds: float) -> object:
        tried.append(path)
        if path == str(slow):
            raise TooSlowError(f"cutting it out of its files takes longer than {seconds:g} s")
        raise NoExperimentError("there is another reason")

    monkeypatch.setattr(sessions, "experiment_of", cut)
    verdicts = Session().verdicts([*found, *more])
    assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.NOT_RUN}
    reasons = [verdicts[one].reason for one in (*found, *more)]
    assert reasons[:5] == ["cutting it out of its files takes longer than 10 s"] * 5
    assert set(reasons[5:8]) == {"cutting other findings out of this file took too long"}
    assert reasons[8] == "there is another reason"
    assert len(tried) == 6
