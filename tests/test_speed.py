"""What measures the speed measures what it says; nothing here depends on how fast anything is."""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.command import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

from measuring import FailedError, Sample, Samples, measure
from speed_report import exponents, goals, report
from speed_session import COPIES, HELP, NOTHING, ONE_FILE, Corpus, Session
from speed_setup import PEERS, SMALL, Workshop

SPIN = "import time\nwhile time.process_time() < 0.3: pass"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_cpu_of_children_counts(tmp_path: Path) -> None:
    alone = measure(python(SPIN), tmp_path)
    family = measure(
        python(f"import subprocess, sys\nfor _ in '12': subprocess.run([sys.executable, '-c', {SPIN!r}])"), tmp_path
    )
    assert 0.3 <= alone.cpu < 0.6 <= family.cpu
    assert family.wall >= 0.6


def test_the_memory_is_that_of_the_process_and_not_of_who_starts_it(tmp_path: Path) -> None:
    held = bytearray(300 << 20)
    assert measure(python("pass"), tmp_path).peak < 50
    assert measure(python("x = bytearray(200 << 20)"), tmp_path).peak > 200
    assert len(held)


def test_lines_are_counted_and_failures_told_of(tmp_path: Path) -> None:
    assert measure(python("print(1); print(2)"), tmp_path).lines == 2
    assert measure(python("raise SystemExit(1)"), tmp_path, ok=(0, 1)).lines == 0
    with pytest.raises(FailedError, match="exit status 3"):
        measure(python("raise SystemExit(3)"), tmp_path)
    with pytest.raises(FailedError, match="exit status -9"):
        measure(python("import time; time.sleep(60)"), tmp_path, limit=0.5)


def test_each_corpus_has_a_hash() -> None:
    with (ROOT / "benchmarks" / "speed_corpora.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len({(row["corpus"], row["package"]) for row in rows}) == len(rows) >= 30
    assert all(re.fullmatch(r"[0-9a-f]{64}", row["sha256"]) for row in rows)
    assert {*SMALL, *(name for peer in PEERS for name in peer.corpora)} <= {row["corpus"] for row in rows}
    assert all("==" in requirement for peer in PEERS for requirement in peer.requirements)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session in which eight copies take eight times as long, and nothing else was measured."""
    corpus = Corpus("speechbrain", tmp_path, 10, 1_000_000, (), 0)
    made = Session(Workshop(tmp_path), 1, [corpus], samples=Samples())
    for count in COPIES:
        made.samples.add("ours, cold", f"{count} copies", Sample(0.5 + 2.0 * count, 1, 80, 0))
    made.samples.add("ours, cold", ONE_FILE, Sample(0.5, 1, 40, 0))
    return made


def test_growth_is_that_of_what_lies_beyond_one_file(session: Session) -> None:
    time, memory = exponents(session)
    assert (time, memory) == (pytest.approx(1.0), pytest.approx(0.0))
    session.samples.add("ours, cold", "8 copies", Sample(64.5, 1, 80, 0))
    session.samples.add("ours, cold", "8 copies", Sample(64.5, 1, 80, 0))
    time, _ = exponents(session)
    assert time is not None
    assert time > 1.3


def test_a_goal_is_met_on_the_right_side_of_its_bar(session: Session) -> None:
    session.samples.add("ours, cold", "speechbrain", Sample(1.0, 1, 300, 0))
    session.samples.add("torchfix", "speechbrain", Sample(150.0, 1, 80, 7))
    session.samples.add("floor", "speechbrain", Sample(0.5, 1, 80, 0))
    session.imported = {HELP: "click", NOTHING: "click libcst"}
    by_text = {goal.text: goal for goal in goals(session)}
    assert by_text["cold, faster than torchfix on speechbrain"].met
    assert not replace(by_text["cold, faster than torchfix on speechbrain"], value=99.0).met
    assert by_text["cold, of the floor, on every corpus"].value == 2.0
    assert not by_text["cold, of the floor, on every corpus"].met
    assert not by_text["peak memory, on every corpus but torch"].met
    assert by_text[f"libcst, torch, rich imported: {HELP}"].met
    assert not by_text[f"libcst, torch, rich imported: {NOTHING}"].met
    assert by_text["warm, CPU on all files"].value is None


def test_the_page_says_what_was_not_measured(session: Session) -> None:
    text = report(session, 60, "python benchmarks/speed.py")
    assert "| cold, faster than torchfix on examples | >= 40x | not measured | - |" in text
    assert "| exponent of time in files and bytes | <= 1.05 | 1 | met |" in text
    assert re.search(r"^\| 8 \| 80 \| 8.0 \| 16.50 \|", text, re.MULTILINE)
