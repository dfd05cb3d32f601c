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
from lint_reduction.facts import Span
from lint_reduction.finding import Applicability, Confidence, Edit, Finding, Fix, Related
from lint_reduction.formats import Style, format_names, render, summary_line
from lint_reduction.growth import ELEMENTS, SAMPLES, Count
from lint_reduction.impact import Severity
from lint_reduction.run.report import Diagnostic, FileResult, Report, collect
from lint_reduction.verdict import Curve, Outcome, Verdict

SNAPSHOTS = Path(__file__).parent / "snapshots"

TRAIN = """\
import torch
criterion = torch.nn.MSELoss(reduction="sum")
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
"""
#: Tabs, wide and combining characters, a call of several lines, a line too long to be shown, control characters.
ODD = (
    "\tназвание, 数 = 1, torch.nn.KLDivLoss(\r\n"
    "\t\treduction='mean',\r\n"
    "\t)\r\n"
    f"x = [{'0, ' * 200}]; e\u0301 = nn.L1Loss(True); y = [{'1, ' * 200}]\r\n"
    "z = '\x1b[31m'; w = 1\r\n"
)


def finding(
    code: str, name: str, span: Span, message: str, severity: Severity, related: tuple[Related, ...] = ()
) -> Finding:
    growth = SAMPLES * ELEMENTS if code == "RED101" else None
    advice = "" if code == "RED000" else "Divide by the size of the batch."
    return Finding(span, message, severity, Confidence.HIGH, advice, growth, related, code, name)


def on(line: int, column: int, length: int) -> Span:
    return Span(line, column, line, column + length)


def report() -> Report:
    """Return a report with everything that a format has to show."""
    path = (
        Related("optimizer", on(3, 13, 43)),
        Related("learning rate", on(3, 49, 6)),
        Related("loss", on(5, 12, 21)),
        Related("backward", on(6, 5, 15)),
    )
    train = finding(
        "RED101", "unscaled-sum", on(2, 13, 33), "gradient grows as samples * elements", Severity.ERROR, path
    )
    sizes = (4, 8, 16, 32)
    curves = (
        Curve(Count.SAMPLES, "gradient", sizes, (1.0, 2.0, 4.0, 8.0), 1.0),
        Curve(Count.SAMPLES, "update", sizes, (0.1, 0.2, 0.4, 0.8), 1.0),
    )
    layers = (("rlimits", "on"), ("landlock", "not there"))
    confirmed = Verdict(
        Outcome.CONFIRMED,
        "gradient ~ samples^1.00 (4 → 32: ×8.00), update ~ samples^1.00 with SGD(lr=0.1)",
        curves,
        "SGD(lr=0.1)",
        ("model(x) is samples x elements",),
        "cpu",
        "float64",
        layers,
    )
    train = replace(train, verdict=confirmed)
    where = ODD.splitlines()[3].index("nn.L1Loss") + 1
    insertion = Edit(Span(4, where + 10, 4, where + 10), "reduction=")
    safe = Fix("Name it", (insertion, Edit(on(4, where + 10, 4), '"mean"')), Applicability.SAFE)
    unsafe = Fix('Write "batchmean"', (Edit(Span(2, 3, 2, 19), 'reduction="batchmean"'),), Applicability.UNSAFE)
    odd = (
        replace(
            finding("RED201", "kl-div-mean", Span(1, 18, 3, 3), "divides by classes, too", Severity.WARNING),
            fix=unsafe,
            verdict=Verdict(Outcome.NOT_RUN, "`criterion` is not known\x1b[31m"),
        ),
        replace(
            finding("RED302", "legacy-positional", on(4, where, 15), "True is size_average", Severity.NOTE), fix=safe
        ),
        finding("RED001", "unused-suppression", on(5, 17, 5), "RED101 is not found here", Severity.NOTE),
        finding("RED303", "invalid-reduction", on(99, 1, 4), 'no such line, "quoted" & <tagged>', Severity.ERROR),
    )
    broken = finding("RED000", "unreadable-file", on(1, 5, 1), "'(' was never closed", Severity.ERROR)
    gone = finding("RED000", "unreadable-file", on(1, 1, 1), "no such file or directory", Severity.ERROR)
    return collect([
        FileResult("src/train.py", "/project/src/train.py", (train,), TRAIN, analyzed=True, suppressed=2),
        FileResult("dir with space/ö.py", "/project/dir with space/ö.py", odd, ODD, analyzed=True),
        FileResult("broken.py", "/project/broken.py", (broken,), "x = (\n", unparsed=True),
        FileResult("gone.py", "/project/gone.py", (gone,), unparsed=True),
        FileResult("clean.py", "/project/clean.py", analyzed=True),
        FileResult("filtered.py", "/project/filtered.py"),
    ])  # fmt: skip


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
    assert "a\\n\\x1b[31m\\u202eb.py" in text


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
        "files": 6, "analyzed": 3, "unparsed": 2, "suppressed": 2, "error": 4, "warning": 1, "note": 2,
    }  # fmt: skip


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^no output format 'yaml'; known: concise, full, json$"):
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
