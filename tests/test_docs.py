"""The documentation of the rules: complete, current, and the same names everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lint_reduction.formats import format_names
from lint_reduction.frontends.docs import explanation, rule_list, rule_table, updated
from lint_reduction.impact import Severity
from lint_reduction.rules import Rule, all_rules
from lint_reduction.run.selection import UNREADABLE, UNUSED_SUPPRESSION, codes_of, find_rule, names_of
from tests.command import ROOT
from tests.fixture_files import FIXTURES, expected, programs, rule_folders

RULES = ROOT / "lint_reduction" / "rules"
HEADINGS = ["What goes wrong", "How to fix it", "When it is fine", "References"]
README = ROOT / "README.md"


def files() -> list[Path]:
    return sorted(RULES.glob("[!_]*.py"))


def name_of(rule: Rule) -> str:
    return rule.name


def heading_positions(rule: Rule) -> list[str]:
    return re.findall(r"^## (.+)$", rule.documentation, flags=re.MULTILINE)


@pytest.mark.parametrize("rule", all_rules(), ids=name_of)
def test_a_rule_has_the_headings_in_order(rule: Rule) -> None:
    headings = heading_positions(rule)
    assert [heading for heading in headings if heading != "Fix safety"] == HEADINGS
    assert ("Fix safety" in headings) is rule.fixable


@pytest.mark.parametrize("rule", all_rules(), ids=name_of)
def test_no_section_is_empty(rule: Rule) -> None:
    for section in re.split(r"^## .+$", rule.documentation, flags=re.MULTILINE):
        assert len(section.split()) >= 2


@pytest.mark.parametrize("rule", all_rules(), ids=name_of)
def test_the_summary_is_one_sentence_on_one_line(rule: Rule) -> None:
    first, second, *_ = rule.documentation.split("\n")
    assert rule.summary == first
    assert second == ""
    assert first.endswith(".")
    assert first[0].isupper() or first[0] == "`"
    assert ". " not in first
    assert len(first) <= 100


@pytest.mark.parametrize("rule", all_rules(), ids=name_of)
def test_references_say_where_to_read_on(rule: Rule) -> None:
    *_, references = rule.documentation.split("## References\n")
    lines = [line for line in references.strip().splitlines() if line]
    assert lines
    assert all(line.startswith("- ") for line in lines)
    assert re.search(r"https://|[\w.-]+/[\w.-]+#\d+", references)


@pytest.mark.parametrize("rule", all_rules(), ids=name_of)
def test_settings_and_rules_that_the_text_speaks_of_exist(rule: Rule) -> None:
    for code in re.findall(r"\bRED\d+\b", rule.documentation):
        assert find_rule(code).code == code
    if "fixed-batch-size" in rule.documentation:
        assert rule.code in ("RED101", "RED102")


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_a_rule_file_is_short_and_defines_the_rule_of_its_name(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 80
    assert text.count("@rule(") == 1
    assert re.findall(r"^def (\w+)", text[text.index("@rule(") :], flags=re.MULTILINE)[0] == path.stem


def test_modules_rules_and_fixtures_are_equal_sets() -> None:
    modules = {path.stem for path in files()}
    assert {rule.name.replace("-", "_") for rule in all_rules()} == modules
    assert {folder.name for folder in rule_folders()} == modules
    assert {entry.name for path in programs() for entry in expected(path)} == {rule.name for rule in all_rules()}
    folders = {path.name for path in FIXTURES.iterdir() if path.is_dir()}
    assert folders - modules <= {"analysis", "corpus", "notebooks", "reference"}


def test_codes_and_names_are_unique_and_well_formed() -> None:
    codes = [rule.code for rule in all_rules()]
    names = [rule.name for rule in all_rules()]
    assert len(set(codes)) == len(codes) == len(set(names))
    assert codes == sorted(codes)
    for rule in all_rules():
        assert re.fullmatch(r"RED[1-9]\d\d", rule.code)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
        assert not rule.name.startswith("no-")
        assert names_of(rule.code) == names_of(rule.name) == (rule.code, rule.name)
        assert codes_of(rule.code) == codes_of(rule.name) == (rule.code,)
        assert rule.severity in Severity
    assert not {UNREADABLE, UNUSED_SUPPRESSION} & set(codes)


@pytest.mark.parametrize("rule", all_rules(), ids=name_of)
def test_what_is_explained_is_the_text_in_the_file(rule: Rule) -> None:
    text = explanation(rule.code)
    assert text == explanation(rule.name)
    head, body = text.split("\n\n", 1)
    assert head == f"# {rule.name} ({rule.code})"
    assert body.startswith(f"Up to {rule.severity}; ")
    assert rule.documentation.strip() in body
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_the_lists_have_every_rule_once() -> None:
    for text in (rule_list(), rule_table()):
        for rule in all_rules():
            assert text.count(rule.code) == 1
            assert rule.summary in text


def test_the_readme_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = README.read_text(encoding="utf-8")
    assert rule_table() in text
    assert updated(text) == text


def test_the_readme_names_only_what_exists() -> None:
    text = README.read_text(encoding="utf-8")
    for code in re.findall(r"\bRED\d{3}\b", text):
        assert names_of(code)[0] == code
    for name in re.findall(r"--output-format[= ](\w+)", text):
        assert name in format_names()
    for path in re.findall(r"\]\(((?!https?:|#)[^)]+)\)", text):
        assert (ROOT / path).exists()
