"""Texts about the rules: the list, the explanation of one, the table in the README."""

from __future__ import annotations

from lint_reduction.rules import all_rules
from lint_reduction.run.selection import UNREADABLE, UNUSED_SUPPRESSION, find_rule

_OWN = {
    (UNREADABLE, "unreadable-file"): (
        "A file cannot be read or parsed, so nothing is known of it.\n\n"
        "The message says why: it is gone, may not be read, is in no known encoding, is no Python, is nested "
        "more than 200 levels deep, or larger than 2 MB. It cannot be ignored, and the exit status is 1: what "
        "was not analyzed must not look clean.\n"
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
