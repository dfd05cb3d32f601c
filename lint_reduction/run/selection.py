"""Which rules run: codes, prefixes of codes and names, as on the command line and in settings."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from lint_reduction.errors import ConfigError
from lint_reduction.rules import Rule, all_rules

#: A file that cannot be read or parsed; always reported.
UNREADABLE = "RED000"
#: A comment that silences nothing.
UNUSED_SUPPRESSION = "RED001"


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules that run.

    Attributes:
        rules: in the order of their codes.
        named: codes of those that were asked for one by one; their findings are reported however sure.
        unused_suppressions: whether to report comments that silence nothing.
    """

    rules: tuple[Rule, ...]
    named: frozenset[str]
    unused_suppressions: bool

    @property
    def codes(self) -> frozenset[str]:
        """The codes of the rules that run."""
        return frozenset(rule.code for rule in self.rules)


def names_of(code: str) -> tuple[str, str]:
    """Return code and name of a rule, or of a diagnostic of the tool itself."""
    for known, name in ((UNREADABLE, "unreadable-file"), (UNUSED_SUPPRESSION, "unused-suppression")):
        if code in (known, name):
            return known, name
    rule = find_rule(code)
    return rule.code, rule.name


def find_rule(selector: str) -> Rule:
    """Return the rule with a code or a name.

    Raises:
        ConfigError: there is none.
    """
    for rule in all_rules():
        if selector.upper() == rule.code or selector == rule.name:
            return rule
    raise ConfigError(_no_rule(selector))


def _no_rule(selector: str) -> str:
    known = [word for rule in all_rules() for word in (rule.code, rule.name)]
    near = difflib.get_close_matches(selector, known, n=1)
    return f"no rule {selector!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def codes_of(selector: str) -> tuple[str, ...]:
    """Return the codes that a selector stands for: a code, the beginning of one, a name, ``ALL``.

    Raises:
        ConfigError: it stands for none.
    """
    rules = all_rules()
    own = {UNREADABLE: "unreadable-file", UNUSED_SUPPRESSION: "unused-suppression"}
    upper = selector.upper()
    every = [(rule.code, rule.name) for rule in rules] + list(own.items())
    if upper == "ALL":
        return tuple(sorted(code for code, _ in every))
    exact = tuple(code for code, name in every if upper == code or selector == name)
    if exact:
        return exact
    beginning = tuple(sorted(code for code, _ in every if code.startswith(upper))) if upper.startswith("RED") else ()
    if not beginning:
        raise ConfigError(_no_rule(selector))
    return beginning


def select_rules(select: Iterable[str] | None, extend_select: Iterable[str], ignore: Iterable[str]) -> Selection:
    """Return the rules that some selectors stand for.

    Args:
        select: instead of the default rules; None for those.
        extend_select: as well.
        ignore: rules not to run, whatever selects them.

    Raises:
        ConfigError: a selector stands for no rule.
    """
    chosen: set[str] = set()
    named: set[str] = set()
    if select is None:
        chosen = {rule.code for rule in all_rules() if rule.default} | {UNUSED_SUPPRESSION}
    for selector in (*(select or ()), *extend_select):
        codes = codes_of(selector)
        chosen.update(codes)
        if len(codes) == 1:
            named.update(codes)
    for selector in ignore:
        chosen.difference_update(codes_of(selector))
    rules = tuple(rule for rule in all_rules() if rule.code in chosen)
    return Selection(rules, frozenset(named & chosen), UNUSED_SUPPRESSION in chosen)
