"""Whatever a file holds, what must hold of the whole command does; ``benchmarks/fuzz.py`` does it for many more."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random

import pytest

from tests.command import ERROR, Ran
from tests.fuzz.campaign import Campaign, Tally
from tests.fuzz.cases import Case, Seeds, make
from tests.fuzz.pipeline import Failure, Printed, examine
from tests.fuzz.places import misplaced
from tests.fuzz.shrinking import failures_of, shrunk

INPUTS, SEED = 300, 2026


@pytest.fixture(scope="module")
def tally() -> Tally:
    *_, last = Campaign(SEED, 0, INPUTS).run()
    return last


def test_nothing_fails(tally: Tally) -> None:
    assert [(number, failure.signature, failure.detail) for number, failure in tally.failures] == []
    assert tally.inputs == INPUTS
    assert tally.compared == INPUTS // 10


def test_inputs_are_of_all_kinds(tally: Tally) -> None:
    assert min(tally.statuses[status] for status in ("clean", "findings", "unreadable", "refused")) > 5
    assert {"again", "uncut", "fixed", "silenced"} <= tally.checks.keys()
    assert {"tree", "project", "notebook", "settings", "encoded", "line_ends", "word_inserted"} <= tally.changes.keys()


def test_a_number_says_which_input() -> None:
    seeds = Seeds.of()
    for number in range(20):
        assert make(seeds, SEED, number) == make(Seeds.of() if number == 7 else seeds, SEED, number)


def test_an_input_that_fails_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    from lint_reduction.source import prefilter

    def broken(self: object, data: bytes) -> bool:
        raise RuntimeError(f"{len(data)} bytes") if b"criterion" in data else KeyError("another")

    monkeypatch.setattr(prefilter.Prefilter, "may_hold_finding", broken)
    case = Case({"x.py": ERROR.encode()}, "x.py", (), ("./x.py",))
    (signature,) = failures_of(case)
    assert signature.endswith("RuntimeError")
    assert shrunk(case, signature).files["x.py"] == b"criterion"


def test_a_process_that_dies_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    from lint_reduction.source import prefilter

    monkeypatch.setattr(prefilter.Prefilter, "may_hold_finding", lambda self, data: os.kill(os.getpid(), 9))
    assert failures_of(Case({"x.py": b""}, "x.py", (), ("./x.py",))) == ["died exit status -0"]


def test_places_outside_of_a_file_are_seen() -> None:
    inside = {"line": 1, "column": 1, "end_line": 1, "end_column": 3}
    whole = {"code": "RED101", "message": "m", "name": "n", "path": "x.py", "cell": None, "fix": None, "related": []}
    files = {"x.py": b"ab\r\n"}
    assert list(misplaced([whole | inside], files)) == []
    for wrong in ({"line": 0}, {"end_line": 3}, {"column": 4, "end_column": 4}, {"column": 3, "end_column": 2}):
        (failure,) = misplaced([whole | inside | wrong], files)
        assert failure.kind == "a place outside of the file"
    (failure,) = misplaced([whole | inside | {"fix": {"edits": [inside | {"end_column": 9}]}}], files)
    assert failure.signature.startswith("a place outside of the file")


def test_runs_are_equal_wherever_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        digests.add(Printed(Ran(0, "", ""), {"json": json.dumps({"path": str(tmp_path / name / "x.py")})}).digest)
    assert len(digests) == 1


def test_further_checks_find_nothing_in_a_program_with_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    class Always(Random):
        def random(self) -> float:
            return 0.0

    outcome = examine(Case({"x.py": ERROR.encode()}, "x.py", (), ("./x.py",)), tmp_path / "case", Always())
    assert outcome.failures == []
    assert outcome.checks == ["again", "uncut", "fixed", "silenced"]
    assert Failure("crash", 'File "/x/lint_reduction/a.py", line 3, in f\nE: 7').signature == "crash a.py:f E"
