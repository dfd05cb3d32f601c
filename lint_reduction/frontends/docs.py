"""Texts about the rules: the list, the explanation of one, and what is generated of the two READMEs.

The examples are made by running the tool on the fixtures. ``python -m lint_reduction.frontends.docs --check`` says
whether README.md and lint_reduction/rules/README.md are current, ``--write`` makes them so.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lint_reduction.rules import Rule, all_rules
from lint_reduction.run.selection import UNREADABLE, UNUSED_SUPPRESSION, find_rule

if TYPE_CHECKING:
    from lint_reduction.facts import Span
    from lint_reduction.finding import Finding

#: Where the sections of all rules are kept; it is part of the package.
RULES_README = Path(__file__).parent.parent / "rules" / "README.md"
_EXPECT = re.compile(r"\s*# expect:.*")
_FENCE = re.compile(r"^```", re.MULTILINE)
_INTRODUCTION = """\
# The rules

Written by `python -m lint_reduction.frontends.docs --write` from the documentation in each rule's file and from what
the tool prints about the rule's fixtures; `lint-reduction explain RULE` prints the same. *Up to* is the worst severity
that a rule reports, opt-in rules run when they are selected, and *Verify* says what an experiment on the example
measures, or why it is not run.

"""
_OWN = {
    (UNREADABLE, "unreadable-file"): (
        "A file cannot be read or parsed, so nothing is known of it.\n\n"
        "The message says why: it is gone, may not be read, is in no known encoding, is no Python, is nested "
        "more than 200 levels deep, is larger than 2 MB, or is called a notebook and is none. Of a notebook, each "
        "cell that is no Python is named. It cannot be ignored, and the exit status is 1: what was not analyzed must "
        "not look clean.\n"
    ),
    (UNUSED_SUPPRESSION, "unused-suppression"): (
        "A comment silences a rule that finds nothing there, names no rule, or one that does not exist.\n\n"
        "It is a note, and reported only for rules that ran.\n"
    ),
}


def explanation(selector: str) -> str:
    """Return what a rule is about, as Markdown.

    Raises:
        ConfigError: there is no such rule.
    """
    for (code, name), text in _OWN.items():
        if selector.upper() == code or selector == name:
            return f"# {name} ({code})\n\n{text}"
    rule = find_rule(selector)
    parts = (_head(rule), rule.documentation.strip() + "\n", _kept_example(rule))
    return "\n".join(part for part in parts if part)


def _head(rule: Rule) -> str:
    state = "on by default" if rule.default else "opt-in"
    return f"# {rule.name} ({rule.code})\n\nUp to {rule.severity}; {state}{'; fixable' if rule.fixable else ''}.\n"


def _kept_example(rule: Rule) -> str:
    """Return the example of a rule out of the generated file, empty for a rule that is not in it yet."""
    try:
        text = RULES_README.read_text(encoding="utf-8")
    except OSError:
        return ""
    _, found, section = text.partition(f"\n## {rule.name} ({rule.code})\n")
    section, _, _ = section.partition("\n## ")
    _, marked, example = section.partition("\n### Example\n")
    return _shifted(f"### Example\n{example}", -1).rstrip("\n") + "\n" if found and marked else ""


def _shifted(text: str, by: int) -> str:
    """Return Markdown with its headings deeper or higher, leaving the code in it alone."""
    parts = _FENCE.split(text)
    if by > 0:
        parts[::2] = [re.sub(r"^#", "#" * (by + 1), part, flags=re.MULTILINE) for part in parts[::2]]
    else:
        parts[::2] = [re.sub(rf"^#{{{1 - by}}}", "#", part, flags=re.MULTILINE) for part in parts[::2]]
    return "```".join(parts)


def rule_list() -> str:
    """Return all rules, one a line: code, name, severity, state, whether there is a fix, summary."""
    rules = all_rules()
    width = max(len(rule.name) for rule in rules)
    state = {True: "default", False: "opt-in "}
    fix = {True: "fixable", False: "-      "}
    lines = [
        f"{rule.code}  {rule.name:<{width}}  {rule.severity!s:<7}  {state[rule.default]}  {fix[rule.fixable]}"
        f"  {rule.summary}"
        for rule in rules
    ]
    return "\n".join(lines) + "\n"


def rule_table() -> str:
    """Return all rules as a Markdown table."""
    lines = ["| code | name | up to | what it finds |", "|---|---|---|---|"]
    lines += [f"| {rule.code} | `{rule.name}` | {rule.severity} | {rule.summary} |" for rule in all_rules()]
    return "\n".join(lines) + "\n"


def example() -> str:
    """Return a program with a finding, and what the tool prints about it."""
    from lint_reduction.formats import Style, render
    from lint_reduction.run.pipeline import Overrides, lint

    path = Path("fixtures/unscaled_sum/bad.py")
    report = lint([path], Overrides(isolated=True))
    return f"```console\n$ lint-reduction {path}\n{render('full', report, Style(False))}```\n"


@dataclass(frozen=True)
class _Program:
    """A fixture as it is shown: without its docstring, and without the comments for the tests."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def first(self) -> int:
        """Return how many lines come before the program."""
        end = ast.parse(self.text).body[0].end_lineno
        assert end is not None
        rest = self.text.splitlines()[end:]
        return end + next(index for index, line in enumerate(rest) if line.strip())

    @cached_property
    def lines(self) -> list[str]:
        return [_EXPECT.sub("", line) for line in self.text.splitlines()[self.first :]]

    @property
    def remarks(self) -> Iterator[str]:
        """Yield what the docstring says: why it is bad, where it was seen, what it must measure."""
        for line in (ast.get_docstring(ast.parse(self.text)) or "").splitlines():
            if line:
                label, colon, said = line.partition(": ")
                if colon and label in ("Source", "Verify"):
                    yield f"- *{label}*: {said}"
                else:
                    text = line.removeprefix("Bad: ")
                    yield f"{text[0].upper()}{text[1:]}\n"

    def with_findings(self, findings: tuple[Finding, ...]) -> Iterator[str]:
        """Yield the lines of the program, each with what is found in it written below."""
        for number, line in enumerate(self.lines, self.first + 1):
            yield line
            here = [finding for finding in findings if finding.span.line == number]
            for span, group in itertools.groupby(here, key=lambda finding: finding.span):
                yield _underline(span, line)
                for finding in group:
                    yield f"# {finding.severity}[{finding.code}] {finding.name}: {finding.message}"


def _underline(span: Span, line: str) -> str:
    start = span.column - 1
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    return "#" + (" " * start + "^" * (end - start))[1:]


def section(rule: Rule, fixtures: Path) -> str:
    """Return all that is to be said of a rule; its examples are run.

    Args:
        rule: the rule.
        fixtures: the folder of the fixtures.
    """
    from lint_reduction.run.pipeline import Overrides, lint

    folder = fixtures / rule.name.replace("-", "_")
    bad, good = _Program(folder / "bad.py"), _Program(folder / "good.py")
    report = lint([bad.path], Overrides(isolated=True, extend_select=(rule.code,)))
    shown = bad.with_findings(tuple(diagnostic.finding for diagnostic in report.diagnostics))
    before, after = f"{folder.name}/bad.py", f"{folder.name}/good.py"
    difference = difflib.unified_diff(bad.lines, good.lines, before, after, lineterm="")
    parts = [_head(rule), *rule.documentation.strip().splitlines(), "", "## Example", "", *bad.remarks, ""]
    parts += ["```python", *shown, "```", "", "Put right:", "", "```diff", *difference, "```"]
    return _shifted("\n".join(parts), 1) + "\n"


def rules_readme(fixtures: Path) -> str:
    """Return the text about all rules."""
    return _INTRODUCTION + "\n".join(section(rule, fixtures) for rule in all_rules())


def updated(text: str) -> str:
    """Return the README with its generated parts made anew."""
    for name, part in (("example", example()), ("rules", rule_table())):
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = pattern.sub(lambda found, part=part: f"{found[1]}{part}{found[2]}", text)  # type: ignore[misc]  # its default has no type
    return text


def main() -> int:
    """Check or write what is generated in the current directory, the root of the repository."""
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    fixtures, readme, rules = Path("fixtures"), Path("README.md"), Path("lint_reduction/rules/README.md")
    if not (fixtures.is_dir() and readme.is_file()):
        print("there are no fixtures and no README.md here; run it in the root of the repository", file=sys.stderr)
        return 2
    wanted = {readme: updated(readme.read_text(encoding="utf-8")), rules: rules_readme(fixtures)}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if write:
            path.write_text(wanted[path], encoding="utf-8")
        else:
            print(f"{path} is out of date; run .ci/run --update", file=sys.stderr)
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main())
