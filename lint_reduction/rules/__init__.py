"""The rules: one file each, found by being here.

A rule file has its documentation as module docstring and one generator, decorated with ``rule``,
that yields findings from one kind of fact. Its name is the file's, with dashes.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from lint_reduction.facts import LossFlow, LossSite, ModuleFacts
from lint_reduction.finding import Finding
from lint_reduction.impact import Severity

_Subject = TypeVar("_Subject", LossFlow, LossSite)

_registered: dict[str, Rule] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: what it is called, what it looks at, and its text.

    Attributes:
        code: ``RED101``; never given to another rule.
        name: ``unscaled-sum``.
        severity: the worst that it reports.
        default: whether it is on when nobody says otherwise.
        fixable: whether its findings can have a fix; such a rule says how safe that is.
        documentation: the docstring of its module.
        check_flow: yields findings of a flow, None for a rule over sites.
        check_site: yields findings of a site, None for a rule over flows.
    """

    code: str
    name: str
    severity: Severity
    default: bool
    fixable: bool
    documentation: str
    check_flow: Callable[[LossFlow], Iterator[Finding]] | None
    check_site: Callable[[LossSite], Iterator[Finding]] | None

    @property
    def summary(self) -> str:
        """Return the first line of the documentation."""
        return self.documentation.strip().partition("\n")[0]

    def check(self, facts: ModuleFacts) -> Iterator[Finding]:
        """Yield the findings of this rule in a module."""
        if self.check_flow is not None:
            for flow in facts.flows:
                yield from (replace(self._named(finding), flow=flow) for finding in self.check_flow(flow))
        if self.check_site is not None:
            # what is written in an installed package is for others to mend
            for site in (site for site in facts.sites if site.inside is None):
                yield from map(self._named, self.check_site(site))

    def _named(self, finding: Finding) -> Finding:
        return replace(finding, code=self.code, name=self.name)


def rule(
    code: str, *, over: type[_Subject], severity: Severity, default: bool = True
) -> Callable[[Callable[[_Subject], Iterator[Finding]]], Callable[[_Subject], Iterator[Finding]]]:
    """Register the decorated generator as a rule over one kind of fact."""

    def register(check: Callable[[_Subject], Iterator[Finding]]) -> Callable[[_Subject], Iterator[Finding]]:
        module = sys.modules[check.__module__]
        name = check.__module__.rpartition(".")[2].replace("_", "-")
        is_flow = issubclass(over, LossFlow)
        _registered[code] = Rule(
            code,
            name,
            severity,
            default,
            "\n## Fix safety\n" in (module.__doc__ or ""),
            module.__doc__ or "",
            check if is_flow else None,  # type: ignore[arg-type]  # ``over`` says which of the two it is
            None if is_flow else check,  # type: ignore[arg-type]
        )
        return check

    return register


@functools.cache
def all_rules() -> tuple[Rule, ...]:
    """Return every rule, in the order of their codes."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(_registered[code] for code in sorted(_registered))
