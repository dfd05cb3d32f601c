"""Formats that other programs read: JUnit, GitLab, annotations of GitHub, Markdown; odd names, odd texts, nothing."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lint_reduction.facts import Span
from lint_reduction.formats import Style, format_names, render
from lint_reduction.impact import Severity
from lint_reduction.run.report import FileResult, Report, collect
from tests.command import CLEAN, ERROR, run
from tests.made_up import finding, on, report

#: What breaks a format that does not escape: its own signs, ends of lines, control characters, half a character.
ODD_TEXT = '100% of "a", <b> & [c]|d: x::y\r\nsecond, `line`\x1b[31m\x00\x0b\udc80 ]]> é 数 🔥'
ODD_PATHS = ["a b,c.py", "100%.py", "a:b.py", 'ö<&>".py', "it's.py", "a|b`c.py", "sub/[x]*.py"]


def of(*results: FileResult) -> Report:
    return collect(list(results))


def one(path: str, message: str = "wrong", span: Span | None = None, severity: Severity = Severity.ERROR) -> FileResult:
    found = finding("RED101", "unscaled-sum", span or on(1, 1, 4), message, severity)
    return FileResult(path, f"/{path}", (found,), "loss\n", analyzed=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- all of them


@pytest.mark.parametrize("path", ODD_PATHS)
@pytest.mark.parametrize("name", format_names())
def test_odd_paths_and_texts_come_through_every_format(name: str, path: str) -> None:
    odd = one(path, ODD_TEXT)
    printed = render(name, of(replace(odd, findings=(replace(odd.findings[0], advice=ODD_TEXT),))), Style())
    assert printed.endswith("\n")
    if name not in ("json", "json-lines", "gitlab", "sarif"):
        assert not set(printed) & {"\x1b", "\x00", "\x0b", "\r"}
    if name in ("concise", "github"):
        assert len([line for line in printed.splitlines() if "RED101" in line]) == 1


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
@pytest.mark.parametrize("name", format_names())
def test_the_command_prints_a_name_that_is_no_text(project: Path, name: str) -> None:
    (project / os.fsdecode(b"\xff.py")).write_text(ERROR)
    ran = run(".", "--output-format", name)
    assert (ran.code, ran.err) == (1, "")
    assert "RED101" in ran.out
    written = run(".", "--output-format", f"{name}=out")
    assert (written.code, written.err) == (1, "")
    assert (project / "out").read_text("utf-8") == ran.out


@pytest.mark.parametrize("name", format_names())
def test_a_report_of_nothing_is_complete(name: str, project: Path) -> None:
    (project / "a.py").write_text(CLEAN)
    ran = run("a.py", "--output-format", name)
    assert (ran.code, ran.err) == (0, "")
    empty = {"json-lines": "", "github": "", "gitlab": "[]\n"}
    if name in empty:
        assert ran.out == empty[name]
    elif name in ("json", "sarif"):
        assert json.loads(ran.out)
    elif name == "junit":
        assert ElementTree.fromstring(ran.out).get("failures") == "0"
    else:
        assert "All checks passed!" in ran.out


# --- JUnit


def suites(made: Report, tmp_path: Path) -> Any:
    junitparser = pytest.importorskip("junitparser")
    path = tmp_path / "junit.xml"
    path.write_text(render("junit", made, Style()), encoding="utf-8")
    return junitparser.JUnitXml.fromfile(str(path))


def test_junit_is_read_back(tmp_path: Path) -> None:
    junitparser = pytest.importorskip("junitparser")
    made = report()
    read = suites(made, tmp_path)
    assert (read.name, read.tests, read.failures, read.errors) == ("lint-reduction", 7, 7, 0)
    assert [suite.name for suite in read] == ["broken.py", "dir with space/ö.py", "gone.py", "src/train.py"]
    cases = [case for suite in read for case in suite]
    assert len(cases) == len(made.diagnostics)
    for case, diagnostic in zip(cases, made.diagnostics, strict=True):
        (failure,) = case.result
        assert failure.message == diagnostic.finding.message
        assert failure.type == str(diagnostic.finding.severity)
        assert diagnostic.finding.code in case.name
    for suite in read:
        assert (suite.tests, suite.failures, suite.errors) == (len(list(suite)), len(list(suite)), 0)
    properties = {p.name: p.value for p in junitparser.Properties.fromelem(cases[-1]._elem.find("properties"))}
    assert properties["severity"] == "error"
    assert properties["verdict"] == "confirmed"


def test_cases_of_junit_differ(tmp_path: Path) -> None:
    read = suites(report(), tmp_path)
    names = [(case.classname, case.name) for suite in read for case in suite]
    assert len(set(names)) == len(names)


def test_a_clean_run_is_a_case_that_passed(tmp_path: Path) -> None:
    read = suites(Report(), tmp_path)
    assert (read.tests, read.failures) == (1, 0)
    ((case,),) = (list(suite) for suite in read)
    assert case.is_passed


def test_odd_texts_are_read_back_from_junit(tmp_path: Path) -> None:
    read = suites(of(*(one(path, ODD_TEXT) for path in ODD_PATHS)), tmp_path)
    assert sorted(suite.name for suite in read) == sorted(ODD_PATHS)
    (failure,) = next(iter(next(iter(read)))).result
    # an attribute cannot tell ends of lines apart once it is read, and what XML cannot hold is replaced
    assert failure.message.replace("\r\n", "\n").replace("\n", " ").endswith("\ufffd ]]> é 数 🔥")
    assert '"a", <b> & [c]|d' in failure.message


# --- GitLab


def gitlab(made: Report) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(render("gitlab", made, Style()))
    return read


def test_entries_of_gitlab_have_what_it_reads() -> None:
    entries = gitlab(report())
    assert not render("gitlab", report(), Style()).startswith("\ufeff")
    for entry in entries:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["description"].startswith(f"{entry['check_name']}: ")
        assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert not entry["location"]["path"].startswith(("./", "/"))
        positions = entry["location"]["positions"]
        assert positions["begin"]["line"] >= 1
        assert positions["end"]["line"] >= positions["begin"]["line"]
    assert {entry["severity"] for entry in entries} == {"info", "minor", "major"}


def twins(line: int) -> FileResult:
    text = "\n" * (line - 1) + "loss\nloss\n"
    found = tuple(finding("RED101", "unscaled-sum", on(at, 1, 4), "wrong", Severity.ERROR) for at in (line, line + 1))
    return FileResult("a.py", "/a.py", found, text)


def test_fingerprints_are_unique_and_no_lines_are_in_them() -> None:
    prints = [entry["fingerprint"] for entry in gitlab(of(twins(1), one("b.py")))]
    assert len(set(prints)) == 3
    assert [entry["fingerprint"] for entry in gitlab(of(twins(7), one("b.py")))] == prints


def test_the_command_writes_paths_of_the_repository(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / ".git").mkdir()
    (project / "sub").mkdir()
    (project / "sub" / "a.py").write_text(ERROR)
    monkeypatch.chdir(project / "sub")
    (entry,) = json.loads(run(".", "--output-format", "gitlab").out)
    assert entry["location"]["path"] == "sub/a.py"
    (command,) = run(".", "--output-format", "github").out.splitlines()
    assert "file=sub/a.py," in command


# --- annotations of GitHub


def unescaped(command: str) -> tuple[str, dict[str, str], str]:
    """Read a command as the runner of GitHub does (ActionCommand of actions/runner)."""
    match = re.fullmatch(r"::(\w+) (.*?)::(.*)", command)
    assert match is not None, command
    properties = dict(part.split("=", 1) for part in match[2].split(","))

    def plain(text: str, signs: tuple[tuple[str, str], ...]) -> str:
        for escaped, sign in signs:
            text = text.replace(escaped, sign)
        return text

    data = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
    more = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))
    return match[1], {key: plain(value, more) for key, value in properties.items()}, plain(match[3], data)


@pytest.mark.parametrize("path", ODD_PATHS)
def test_the_runner_reads_what_was_meant(path: str) -> None:
    text = '100% of "a", x::y\r\n%0A stays, %25 too'
    (command,) = render("github", of(one(path, text)), Style()).splitlines()
    kind, properties, message = unescaped(command)
    assert kind == "error"
    assert properties == {
        "title": "lint-reduction (RED101)", "file": path, "line": "1", "col": "1", "endLine": "1", "endColumn": "5",
    }  # fmt: skip
    assert message == f"{path}:1:1: RED101 {text}"


def test_a_message_is_escaped_no_more_than_needed() -> None:
    printed = render("github", of(one("a.py", "a: b, c")), Style())
    assert printed.endswith("::a.py:1:1: RED101 a: b, c\n")


def test_a_finding_of_several_lines_has_no_columns() -> None:
    (command,) = render("github", of(one("a.py", span=Span(1, 3, 4, 9))), Style()).splitlines()
    _, properties, _ = unescaped(command)
    assert properties == {"title": "lint-reduction (RED101)", "file": "a.py", "line": "1", "endLine": "4"}


def test_the_worst_come_first_as_few_are_shown() -> None:
    kinds = (Severity.NOTE, Severity.ERROR, Severity.WARNING)
    made = of(*(one(f"{number}.py", severity=kind) for number, kind in enumerate(kinds)))
    commands = render("github", made, Style()).splitlines()
    assert [unescaped(command)[0] for command in commands] == ["error", "warning", "notice"]


def test_a_finding_in_a_notebook_has_no_line_of_the_file(project: Path) -> None:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": ERROR}
    (project / "a.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}))
    (command,) = run("a.ipynb", "--output-format", "github").out.splitlines()
    _, properties, message = unescaped(command)
    assert set(properties) == {"title", "file"}
    assert message.startswith("a.ipynb:cell 1:7:17: RED101 ")
    (entry,) = json.loads(run("a.ipynb", "--output-format", "gitlab").out)
    assert entry["description"].endswith(" (cell 1, line 7)")


# --- Markdown


def test_a_table_of_markdown_has_a_row_a_finding() -> None:
    made = of(*(one(path, ODD_TEXT) for path in ODD_PATHS))
    rows = [line for line in render("markdown", made, Style()).splitlines() if line.startswith("|")][2:]
    assert len(rows) == len(ODD_PATHS)
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert all("<b>" not in row for row in rows)
