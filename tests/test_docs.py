"""The documentation of the rules: complete, current, and the same names everywhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from lint_reduction.formats import format_names
from lint_reduction.frontends import docs
from lint_reduction.frontends.docs import RULES_README, explanation, rule_list, rule_table, rules_readme, updated
from lint_reduction.impact import Severity
from lint_reduction.rules import Rule, all_rules
from lint_reduction.run.selection import UNREADABLE, UNUSED_SUPPRESSION, codes_of, find_rule, names_of
from tests.command import ROOT, run_apart
from tests.fixture_files import FIXTURES, claim, expected, programs, rule_folders

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
    assert folders - modules <= {"analysis", "corpus", "known_false_alarms", "notebooks", "reference"}


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


@pytest.mark.parametrize("rule", all_rules(), ids=name_of)
def test_what_is_explained_ends_with_an_example_that_was_run(rule: Rule) -> None:
    _, _, example = explanation(rule.code).partition("\n## Example\n")
    bad = FIXTURES / rule.name.replace("-", "_") / "bad.py"
    assert f"[{rule.code}] {rule.name}: " in example
    assert "# expect:" not in example
    assert f"- *Verify*: {claim(bad)}\n" in example
    assert f"--- {bad.parent.name}/bad.py\n+++ {bad.parent.name}/good.py\n" in example
    assert example.count("```") == 4


def test_a_finding_stands_under_what_it_is_about() -> None:
    lines = explanation("RED101").splitlines()
    index = next(i for i, line in enumerate(lines) if line.startswith("# error[RED101] unscaled-sum: "))
    start, end = lines[index - 1].index("^"), len(lines[index - 1])
    assert lines[index - 2][start:end] == 'nn.MSELoss(reduction="sum")'


def test_without_the_generated_page_the_text_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(docs, "RULES_README", tmp_path / "README.md")
    text = explanation("RED101")
    assert text.startswith("# unscaled-sum (RED101)\n\nUp to error; on by default; fixable.\n\n")
    assert find_rule("RED101").documentation.strip() in text
    assert "## Example" not in text
    (tmp_path / "README.md").write_text("# The rules\n\n## another-rule (RED999)\n")
    assert explanation("RED101") == text


def test_the_page_of_the_rules_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert RULES_README.read_text(encoding="utf-8") == rules_readme(Path("fixtures"))


def test_what_is_out_of_date_is_named(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("<!-- rules -->\n<!-- /rules -->\n")
    shutil.copytree(FIXTURES, tmp_path / "fixtures")
    (tmp_path / "lint_reduction" / "rules").mkdir(parents=True)
    module = ("-m", "lint_reduction.frontends.docs")
    ran = run_apart("--check", cwd=tmp_path, python=module)
    stale = "README.md is out of date; run .ci/run --update\n"
    assert (ran.code, ran.err) == (1, f"{stale}lint_reduction/rules/{stale}")
    assert run_apart("--write", cwd=tmp_path, python=module).code == 0
    assert run_apart("--check", cwd=tmp_path, python=module).code == 0


def test_nothing_is_written_elsewhere(tmp_path: Path) -> None:
    ran = run_apart("--write", cwd=tmp_path, python=("-m", "lint_reduction.frontends.docs"))
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_list_says_what_is_on_and_what_can_be_fixed() -> None:
    lines = rule_list().splitlines()
    for line, rule in zip(lines, all_rules(), strict=True):
        code, name, severity, state, fix, summary = line.split(maxsplit=5)
        assert (code, name, severity, summary) == (rule.code, rule.name, str(rule.severity), rule.summary)
        assert state == ("default" if rule.default else "opt-in")
        assert fix == ("fixable" if rule.fixable else "-")


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
