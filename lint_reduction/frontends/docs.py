"""Texts about the rules: the list, the explanation of one, and the generated parts of the README.

``python -m lint_reduction.frontends.docs --check`` says whether the README is current, ``--write`` makes it so.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from lint_reduction.rules import all_rules
from lint_reduction.run.selection import UNREADABLE, UNUSED_SUPPRESSION, find_rule

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
    state = "on by default" if rule.default else "opt-in"
    head = f"# {rule.name} ({rule.code})\n\nUp to {rule.severity}; {state}.\n\n"
    return head + rule.documentation.strip() + "\n"


def rule_list() -> str:
    """Return all rules, one a line: code, name, severity, state, summary."""
    rules = all_rules()
    width = max(len(rule.name) for rule in rules)
    state = {True: "default", False: "opt-in "}
    lines = [
        f"{rule.code}  {rule.name:<{width}}  {rule.severity!s:<7}  {state[rule.default]}  {rule.summary}"
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


def updated(text: str) -> str:
    """Return the README with its generated parts made anew."""
    for name, part in (("example", example()), ("rules", rule_table())):
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = pattern.sub(lambda found, part=part: f"{found[1]}{part}{found[2]}", text)  # type: ignore[misc]
    return text


def main() -> int:
    """Check or write the README of the current directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    readme = Path("README.md")
    text = readme.read_text(encoding="utf-8")
    wanted = updated(text)
    if write:
        readme.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        print("README.md is out of date; run .ci/run --update", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
