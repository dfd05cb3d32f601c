"""Findings of each fixture are those that its comments expect, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from lint_reduction.config import Settings
from lint_reduction.finding import Confidence, Finding
from lint_reduction.rules import all_rules
from lint_reduction.run.pipeline import Context, Overrides, lint_text, make_context
from tests.fixture_files import FIXTURES, claim, expected, programs, rule_folders

DEFAULT = make_context(Settings(), Overrides())
EVERYTHING = make_context(Settings(), Overrides(select=("ALL",), min_confidence=Confidence.LOW))


#: Default rules that read the flow of a loss, where false alarms come from.
TRAPPED = [
    "unscaled_sum", "unscaled_manual_sum", "batch_multiplied_loss", "double_normalization", "mixed_reduction_terms",
    "lr_scaled_up_with_sum", "unreduced_backward", "masked_mean", "ignored_in_mean", "reweighted_after_reduction",
    "accumulation_not_divided", "accumulation_divided_twice",
]  # fmt: skip


def _context_of(path: Path) -> Context:
    """Return the default rules, and with a bad program the rule that it is there for, which may be off by default."""
    own = {rule.name.replace("-", "_"): rule for rule in all_rules()}.get(path.parent.name)
    if own is None or own.default or not path.name.startswith("bad"):
        return DEFAULT
    return make_context(Settings(), Overrides(extend_select=(own.code,)))


def _findings(path: Path, *, everything: bool) -> tuple[Finding, ...]:
    result = lint_text(path.read_text(), str(path), str(path), EVERYTHING if everything else _context_of(path))
    assert not result.crash
    return result.findings


def _name(path: Path) -> str:
    return str(path.relative_to(FIXTURES))


@pytest.mark.parametrize("path", programs(), ids=_name)
def test_findings_are_those_expected(path: Path) -> None:
    findings = _findings(path, everything=False)
    wanted = expected(path)
    assert [(f.span.line, f.name) for f in findings] == sorted((e.line, e.name) for e in wanted) or (
        sorted((f.span.line, f.name) for f in findings) == sorted((e.line, e.name) for e in wanted)
    )
    for entry in wanted:
        if entry.growth is not None:
            found = next(f for f in findings if (f.span.line, f.name) == (entry.line, entry.name))
            assert str(found.growth) == entry.growth


@pytest.mark.parametrize("path", [p for p in programs() if p.name.startswith(("good", "n"))], ids=_name)
def test_nothing_is_said_about_good_programs_by_any_rule(path: Path) -> None:
    assert not expected(path)
    assert _findings(path, everything=True) == ()


@pytest.mark.parametrize("path", [p for p in programs() if p.name.startswith("bad")], ids=_name)
def test_bad_programs_expect_their_own_rule(path: Path) -> None:
    assert path.parent.name.replace("_", "-") in {entry.name for entry in expected(path)}


@pytest.mark.parametrize("path", programs(), ids=_name)
def test_every_fixture_says_what_it_is_and_what_measuring_it_shows(path: Path) -> None:
    text = path.read_text()
    assert text.startswith('"""')
    assert claim(path)
    assert len(text.splitlines()) <= 36


def test_every_rule_has_its_folder() -> None:
    assert {folder.name.replace("_", "-") for folder in rule_folders()} == {rule.name for rule in all_rules()}
    for folder in rule_folders():
        assert (folder / "good.py").exists()


@pytest.mark.parametrize("name", TRAPPED)
def test_the_first_rules_have_traps(name: str) -> None:
    assert len(list((FIXTURES / name).glob("good_*.py"))) >= 4


@pytest.mark.parametrize("name", sorted(r.name.replace("-", "_") for r in all_rules() if not r.default))
def test_opt_in_rules_have_traps(name: str) -> None:
    assert len(list((FIXTURES / name).glob("good_*.py"))) >= 2


@pytest.mark.xfail(strict=True, reason="a false alarm that is known and not mended yet")
@pytest.mark.parametrize("path", sorted((FIXTURES / "known_false_alarms").glob("*.py")), ids=lambda path: path.stem)
def test_a_known_false_alarm_is_gone(path: Path) -> None:
    assert _findings(path, everything=False) == ()
