"""Which rules run: codes, prefixes of codes and names, as on the command line and in settings."""

from __future__ import annotations

import difflib
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


@dataclass(frozen=True, slots=True)
class Choice:
    """What one place says about rules: a configuration, or the command line.

    Attributes:
        select: rules to run instead of the default ones, and of whatever a weaker place says; None for those.
        extend_select: rules to run as well.
        ignore: rules not to run.
    """

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def names_of(selector: str) -> tuple[str, str]:
    """Return code and name of a rule, or of a diagnostic of the tool itself, from either.

    Raises:
        ConfigError: there is none.
    """
    for known, name in ((UNREADABLE, "unreadable-file"), (UNUSED_SUPPRESSION, "unused-suppression")):
        if selector.upper() == known or selector == name:
            return known, name
    rule = find_rule(selector)
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


#: How alike a name must be to be what was meant, as in ``difflib.get_close_matches``.
_NEAR = 0.6


def _no_rule(selector: str) -> str:
    known = [word for rule in all_rules() for word in (rule.code, rule.name)]

    def likeness(word: str) -> tuple[float, bool]:
        given, other = selector.lower(), word.lower()
        # of codes that are as like, one of the same family is meant
        return difflib.SequenceMatcher(None, given, other).ratio(), given[:4] == other[:4]

    near = max(known, key=likeness)
    if likeness(near)[0] < _NEAR:
        return f"no rule {selector!r}; `lint-reduction rules` lists them"
    return f"no rule {selector!r}; did you mean {near!r}?"


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


def select_rules(*choices: Choice) -> Selection:
    """Return the rules that run, given what some places say, the strongest last.

    Raises:
        ConfigError: a selector stands for no rule.
    """
    chosen = {rule.code for rule in all_rules() if rule.default} | {UNUSED_SUPPRESSION}
    named: set[str] = set()
    for choice in choices:
        if choice.select is not None:
            chosen.clear()
            named.clear()
        for selector in (*(choice.select or ()), *choice.extend_select):
            codes = codes_of(selector)
            chosen.update(codes)
            if len(codes) == 1:
                named.update(codes)
        for selector in choice.ignore:
            chosen.difference_update(codes_of(selector))
    rules = tuple(rule for rule in all_rules() if rule.code in chosen)
    return Selection(rules, frozenset(named & chosen), UNUSED_SUPPRESSION in chosen)
