"""Form feeds and backslashes before a statement: places and fixes are where the text of the file has them."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

from lint_reduction.analysis import analyze
from lint_reduction.analysis.indentation import normalized
from lint_reduction.analysis.parse import parse
from lint_reduction.config import Settings
from lint_reduction.errors import SourceError
from lint_reduction.facts import Span
from lint_reduction.finding import Confidence
from lint_reduction.libraries import load_libraries
from lint_reduction.run.pipeline import Overrides, lint_text, make_context
from tests.command import ERROR, run

EVERYTHING = make_context(Settings(), Overrides(select=("ALL",), min_confidence=Confidence.LOW))
PROGRAM = ERROR.replace('reduction="sum"', "size_average=False")
#: What stands before the statement that makes the criterion, with the form of the program it stands in.
BEFORE = {
    "a form feed": "\f    ",
    "form feeds": "  \f\f    ",
    "a form feed behind other white space": "\t \f    ",
    "a backslash": "\\\n    ",
    "an indented backslash": "    \\\n    ",
    "an indented backslash, and less behind it": "    \\\n  ",
    "an indented backslash, and more behind it": "    \\\n         ",
    "backslashes": "\\\n    \\\n \\\n  ",
    "a backslash, and a form feed": "\\\n\f    ",
    "an empty line, a comment and a backslash": "\n# x \\\n\\\n    ",
    "a form feed before a comment": "\f# x\n    ",
    "a form feed before an indented comment": "\f        # x\n\f    ",
}


def before_the_criterion(before: str) -> str:
    assert PROGRAM.count("    criterion =") == 1
    return PROGRAM.replace("    criterion =", f"{before}criterion =")


def place_in(text: str) -> tuple[int, int]:
    """Return line and column of the one call that makes a criterion."""
    head = text[: text.index("nn.MSELoss")]
    return head.count("\n") + 1, len(head) - head.rfind("\n")


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_finding_stands_where_the_file_has_it(name: str, newline: str) -> None:
    text = before_the_criterion(BEFORE[name])
    ast.parse(text)
    result = lint_text(text.replace("\n", newline), "x.py", "/x.py", EVERYTHING)
    found = {finding.code: (finding.span.line, finding.span.column) for finding in result.findings}
    assert found["RED101"] == place_in(text)


@pytest.mark.parametrize("name", BEFORE)
def test_a_fix_changes_nothing_but_the_argument(tmp_path: Path, name: str) -> None:
    text = before_the_criterion(BEFORE[name])
    path = tmp_path / "x.py"
    path.write_text(text)
    run("--fix", "--isolated", path)
    assert path.read_text() == text.replace("size_average=False", 'reduction="sum"')


@pytest.mark.parametrize("name", BEFORE)
def test_the_whole_file_says_the_same(name: str) -> None:
    text = before_the_criterion(BEFORE[name]) + "\n\ndef other():\n    \f\\\n    return 1\n"
    libraries = load_libraries()
    assert analyze("x.py", text, libraries) == analyze("x.py", text, libraries, whole=True)


def test_a_form_feed_before_else_and_at_the_top() -> None:
    text = "\fx = 1\nif x:\n \f  y = 1\n\felse:\n   \f  z = (1,\n\f2)\n\\\n\f  # c\n\\\nw = '''\n\f\n'''\n"
    ast.parse(text)
    normal = normalized(text)
    assert normal.text == "x = 1\nif x:\n  y = 1\nelse:\n  z = (1,\n\f2)\n\n  # c\n\nw = '''\n\f\n'''\n"
    assert dict(normal.left_out) == {1: 1, 3: 2, 4: 1, 5: 4, 8: 1}


@pytest.mark.parametrize("text", ["x = '\\\n'\n", "x = (\n\f1)\n", "x = 1 + \\\n\\\n\f2\n", "\f\n\f# x\n", "\f"])
def test_what_is_no_indentation_stays(text: str) -> None:
    assert normalized(text).text == text


def test_columns_are_those_of_the_file() -> None:
    text = "def f():\n  \f  return g(\n\f  1)\n"
    parsed = parse(text, None, None)
    assert parsed.tree.code == text.replace("  \f  return", "  return")
    assert parsed.in_file(Span(2, 3, 3, 5)) == Span(2, 6, 3, 5)


def test_any_program_is_written_out_again_as_it_was_read() -> None:
    checked = 0
    for seed in range(3000):
        text = _program(random.Random(seed))
        try:
            tree = ast.parse(text)
            parsed = parse(text, None, None)
        except (SyntaxError, SourceError):
            continue
        checked += 1
        assert parsed.tree.code == normalized(text).text, (seed, text)
        assert ast.dump(ast.parse(parsed.tree.code)) == ast.dump(tree), (seed, text)
    assert checked > 300


def _program(luck: random.Random) -> str:
    """Return lines of code behind all kinds of white space; some are programs."""
    code = "def f():\n  x = 1\n  if x:\n    y = (1,\n  2)\n  else:\n    z = 2\n# c\n\n"
    extra = ("\f", " \f", "\\\n", "  \\\n", "\f\\\n", "\n", "\f\n", "  # d\n", "\f  # e\n", "    \f  ", "  \f")
    kept = [line for line in code.splitlines(keepends=True) * 2 if luck.random() < 0.9]
    return "".join((luck.choice(extra) if luck.random() < 0.25 else "") + line for line in kept)


def test_indentation_that_is_normalized_means_the_same() -> None:
    for name, before in BEFORE.items():
        text = before_the_criterion(before)
        assert ast.dump(ast.parse(normalized(text).text)) == ast.dump(ast.parse(text)), name
