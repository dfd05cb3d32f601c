"""Losses of installed packages, as the project sees them: where it calls for them.

What a package does inside of a call of the project is said of that call, as if a table knew the function; the
place inside the package stays beside it, for people. An object decides by the call that builds it, unless a later
call hands over a reduction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lint_reduction.analysis.code import Call
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.training import Sink
from lint_reduction.analysis.values import (
    Alternatives,
    Criterion,
    Function,
    Hop,
    Instance,
    Items,
    Mapping,
    Repeated,
    Site,
    Summand,
    Tensor,
    Value,
    options_of,
)
from lint_reduction.libraries.schema import LEGACY

_DECIDING = frozenset({"reduction", *LEGACY})


def call_from_home(machine: Machine, func: Value, call: Call, run: Callable[[], Value]) -> Value:
    """Run a call; where it leads from the project into an installed package, return its losses as at the call."""
    if not machine.installed_modules or machine.is_installed(machine.frame):
        return run()
    since, before = len(machine.trace.events), machine.entry
    machine.entry = call.mark
    try:
        result = run()
    finally:
        machine.entry = before
    return _Homecoming(machine, _deciding(machine, func, call)).of(result, call, since)


def _deciding(machine: Machine, func: Value, call: Call) -> int:
    """Return the mark of the call of the project that decides what a function, a method or an object does."""
    options = options_of(func)
    called = options[0].value if len(options) == 1 else None
    owner = called.owner if isinstance(called, Function) else called
    made = machine.made.get(owner.identity) if isinstance(owner, Instance) else None
    if made is None or _decides(call):
        return call.mark
    return made.mark if isinstance(called, Instance) or _decides(made) else call.mark


def _decides(call: Call) -> bool:
    return any(arg.keyword in _DECIDING for arg in call.args)


class _Homecoming:
    """Moves what stands in installed packages to one call of the project."""

    def __init__(self, machine: Machine, mark: int) -> None:
        self.machine = machine
        self.mark = mark

    def of(self, result: Value, call: Call, since: int) -> Value:
        """Return the result of a call, and move what it has recorded."""
        for option in options_of(result):
            if isinstance(option.value, Instance):
                self.machine.made.setdefault(option.value.identity, call)
        events = self.machine.trace.events
        for index in range(since, len(events)):
            event = events[index]
            if isinstance(event, Sink):
                events[index] = replace(event, value=self.value(event.value))
        return self.value(result)

    def value(self, value: Value) -> Value:
        match value:
            case Tensor(summands):
                moved = tuple(map(self._summand, summands))
                return value if moved == summands else replace(value, summands=moved)
            case Criterion(site=site):
                return replace(value, site=self._site(site))
            case Items(entries):
                return replace(value, entries=tuple(map(self.value, entries)))
            case Repeated(entry):
                return replace(value, entry=self.value(entry))
            case Mapping(entries, rest):
                moved_entries = tuple((key, self.value(entry)) for key, entry in entries)
                return Mapping(moved_entries, None if rest is None else self.value(rest))
            case Alternatives(options):
                return Alternatives(tuple(replace(o, value=self.value(o.value)) for o in options))
        return value

    def _summand(self, summand: Summand) -> Summand:
        site = None if summand.site is None else self._site(summand.site)
        return replace(summand, site=site, hops=tuple(map(self._hop, summand.hops)))

    def _hop(self, hop: Hop) -> Hop:
        if not self._is_inside(hop.mark):
            return hop
        return replace(hop, mark=self.mark, method=0, inside=hop.mark)

    def _site(self, site: Site) -> Site:
        if not self._is_inside(site.mark):
            return site
        machine = self.machine
        record = machine.sites[site.index]
        key = self.mark, f"{record.callee} inside {record.mark}"
        index = machine.site_index.get(key)
        if index is None:
            index = machine.site_index[key] = len(machine.sites)
            # no argument of it can be changed here
            machine.sites.append(replace(record, mark=self.mark, inside=record.mark, called=True, is_open=True))
        return Site(index, self.mark)

    def _is_inside(self, mark: int) -> bool:
        project = self.machine.project
        return project is not None and project.is_installed_mark(mark)
