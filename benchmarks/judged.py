"""Findings that were judged one by one: how often each rule is right, and where it has to be silent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from lint_reduction.finding import Finding
from lint_reduction.rules import all_rules

#: The rules that run only when they are selected: each of their findings has to have been judged.
OPT_IN = frozenset(rule.code for rule in all_rules() if not rule.default)


@dataclass(frozen=True)
class Judgment:
    """A place where a rule is right (``true``), or where a finding of it would be a false alarm (``false``)."""

    path: str
    line: int
    rule: str
    is_true: bool
    why: str

    def concerns(self, path: str, finding: Finding) -> bool:
        """Say whether a finding is the one that was judged: it stands at the place, or leads past it."""
        if (self.path, self.rule) != (path, finding.code):
            return False
        lines = {finding.span.line, *(related.span.line for related in finding.related if not related.span.path)}
        return self.line in lines


@dataclass
class Judged:
    """What came of the places that were judged, by rule."""

    true: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    unjudged: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    def add(self, judgments: Iterable[Judgment], found: dict[str, list[Finding]]) -> None:
        """Hold the findings in all files against the judgments."""
        by_rule: dict[str, list[Judgment]] = defaultdict(list)
        for judgment in judgments:
            by_rule[judgment.rule].append(judgment)
        met: set[Judgment] = set()
        for path, findings in found.items():
            for finding in findings:
                about = [j for j in by_rule[finding.code] if j.concerns(path, finding)]
                met.update(about)
                self._add_finding(f"{path}:{finding.span.line}: {finding.code}", finding, about)
        for judgment in (j for rows in by_rule.values() for j in rows if j not in met):
            if judgment.is_true:
                self.missed[judgment.rule] += 1
                self.remarks.append(
                    f"missed alarm  {judgment.path}:{judgment.line}: {judgment.rule}\n    {judgment.why}"
                )
            else:
                self.silent[judgment.rule] += 1

    def _add_finding(self, place: str, finding: Finding, about: list[Judgment]) -> None:
        if any(not judgment.is_true for judgment in about):
            self.false[finding.code] += 1
            self.remarks += [f"false alarm   {place}\n    {judgment.why}" for judgment in about]
        elif about:
            self.true[finding.code] += 1
        elif finding.code in OPT_IN:
            self.unjudged[finding.code] += 1
            self.remarks.append(f"not judged    {place}: {finding.message}")

    def show(self) -> None:
        """Print the table, and what is not as it should be."""
        print("\njudged one by one (rules that run only when selected are marked *)")
        print("rule      true  false  not judged  precision  missed  silent as they should be")
        counters = (self.true, self.false, self.unjudged, self.missed, self.silent)
        for code in sorted(set().union(*counters)):
            true, false, unjudged, missed, silent = (counter[code] for counter in counters)
            share = f"{true / (true + false):.2f}" if true + false else "-"
            mark = "*" if code in OPT_IN else " "
            print(f"{code}{mark}  {true:5} {false:6} {unjudged:11} {share:>10} {missed:7} {silent:7}")
        true, false = (sum(counter[code] for code in OPT_IN) for counter in (self.true, self.false))
        print(f"precision of the rules marked *: {true}/{true + false}")
        for line in sorted(self.remarks):
            print(f"  {line}")
