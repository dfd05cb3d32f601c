"""One made-up report through every format equals a snapshot in ``tests/snapshots``.

``REWRITE_SNAPSHOTS=1 pytest tests/test_formats.py`` writes them anew; read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lint_reduction import __version__
from lint_reduction.errors import ConfigError
from lint_reduction.formats import Style, format_names, render, summary_line
from lint_reduction.impact import Severity
from lint_reduction.run.report import Diagnostic, FileResult, Report, collect
from tests.made_up import finding, on, report

SNAPSHOTS = Path(__file__).parent / "snapshots"

STYLES = {"": Style(), ".color": Style(color=True)}


@pytest.mark.parametrize("color", STYLES)
@pytest.mark.parametrize("name", format_names())
def test_a_made_up_report_equals_its_snapshot(name: str, color: str) -> None:
    printed = render(name, report(), STYLES[color]).replace(__version__, "VERSION")
    snapshot = SNAPSHOTS / f"{name}{color}.txt"
    if os.environ.get("REWRITE_SNAPSHOTS"):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_bytes(printed.encode())
    assert printed == snapshot.read_bytes().decode()


def test_there_is_no_snapshot_without_a_format() -> None:
    assert {path.name for path in SNAPSHOTS.iterdir()} == {f"{n}{c}.txt" for n in format_names() for c in STYLES}


@pytest.mark.parametrize("name", format_names())
def test_the_order_of_the_files_does_not_matter(name: str) -> None:
    whole = report()
    results = [
        FileResult(path, f"/{path}", tuple(d.finding for d in whole.diagnostics if d.path == path), text)
        for path, text in whole.sources.items()
    ]
    forward, backward = collect(results), collect(results[::-1])
    assert render(name, forward, Style()) == render(name, backward, Style())


@pytest.mark.parametrize("name", format_names())
def test_text_for_people_ends_with_a_line_end_and_moves_no_cursor(name: str) -> None:
    printed = render(name, report(), Style())
    assert printed.endswith("\n")
    assert not set(printed) & {"\x1b", "\r", "\t", "\x00"}


@pytest.mark.parametrize("name", ["full", "concise"])
def test_the_name_of_a_file_moves_no_cursor(name: str) -> None:
    made = report()
    diagnostics = tuple(replace(d, path="a\n\x1b[31m\u202eb.py") for d in made.diagnostics)
    text = render(name, replace(made, diagnostics=diagnostics), Style())
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "a??[31m?b.py" in text


def test_json_is_json_and_keeps_every_finding_in_order() -> None:
    document = json.loads(render("json", report(), Style(color=True)))
    assert [(d["path"], d["line"], d["code"]) for d in document["diagnostics"]] == [
        ("broken.py", 1, "RED000"),
        ("dir with space/ö.py", 1, "RED201"),
        ("dir with space/ö.py", 4, "RED302"),
        ("dir with space/ö.py", 5, "RED001"),
        ("dir with space/ö.py", 99, "RED303"),
        ("gone.py", 1, "RED000"),
        ("src/train.py", 2, "RED101"),
    ]
    assert document["summary"] == {
        "files": 6, "analyzed": 3, "unparsed": 2, "suppressed": 2, "baselined": 0, "error": 4, "warning": 1, "note": 2,
    }  # fmt: skip


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^no output format 'yaml'; known: concise, full, github, .*, sarif$",
    ):
        render("yaml", Report(), Style())


@pytest.mark.parametrize(
    ("severities", "suppressed", "line"),
    [
        ([], 0, "All checks passed!"),
        ([], 3, "All checks passed! (3 suppressed)"),
        ([Severity.NOTE], 0, "Found 1 note."),
        ([Severity.ERROR, Severity.ERROR], 0, "Found 2 errors."),
        ([Severity.NOTE, Severity.WARNING], 1, "Found 1 warning and 1 note. (1 suppressed)"),
        ([Severity.NOTE, Severity.WARNING, Severity.ERROR, Severity.NOTE], 0, "Found 1 error, 1 warning and 2 notes."),
    ],
)
def test_the_last_line_counts(severities: list[Severity], suppressed: int, line: str) -> None:
    found = [finding("RED101", "unscaled-sum", on(1, 1, 1), "", severity) for severity in severities]
    diagnostics = tuple(Diagnostic("a.py", "/a.py", one) for one in found)
    whole = Report(diagnostics, suppressed=suppressed)
    assert summary_line(whole) == line
    assert whole.fails is any(severity > Severity.NOTE for severity in severities)


def test_a_file_that_made_the_tool_fail_has_not_passed() -> None:
    failed = collect([FileResult("a.py", "/a.py", crash="internal error"), FileResult("b.py", "/b.py")])
    assert summary_line(failed) == "Found nothing, but 1 file could not be analyzed."
