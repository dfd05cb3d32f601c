"""Output formats: one file each with ``render(report, style) -> str``, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from lint_reduction.errors import ConfigError
from lint_reduction.finding import Applicability, Fix
from lint_reduction.impact import Severity
from lint_reduction.run.report import Report


@dataclass(frozen=True, slots=True)
class Style:
    """How text for people looks.

    Attributes:
        color: whether to use terminal colors.
        unsafe_fixes: whether unsafe fixes are offered as well.
    """

    color: bool = False
    unsafe_fixes: bool = False

    def paint(self, text: str, *codes: int) -> str:
        """Return a text in a color, or as it is."""
        if not self.color or not text:
            return text
        return f"\033[{';'.join(map(str, codes))}m{text}\033[0m"

    def offers(self, fix: Fix | None) -> bool:
        """Say whether a fix would be applied."""
        return fix is not None and (self.unsafe_fixes or fix.applicability is Applicability.SAFE)


def format_names() -> tuple[str, ...]:
    """Return the names of all formats."""
    modules = pkgutil.iter_modules(__path__)
    return tuple(module.name.replace("_", "-") for module in modules if not module.name.startswith("_"))


def render(name: str, report: Report, style: Style) -> str:
    """Return a report in a format.

    Raises:
        ConfigError: there is no such format.
    """
    if name not in format_names():
        raise ConfigError(f"no output format {name!r}; known: {', '.join(format_names())}")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    function = cast("Callable[[Report, Style], str]", module.render)
    return function(report, style)


def printable(text: str, instead: str = "?") -> str:
    """Return a text in one line, without characters that would move the cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else instead for c in text)


def summary_line(report: Report) -> str:
    """Return the last line of a report for people."""
    counts = [(report.count(severity), str(severity)) for severity in reversed(Severity)]
    parts = [f"{count} {word}{'s' * (count != 1)}" for count, word in counts if count]
    left_out = [(report.suppressed, "suppressed"), (len(report.baselined), "in the baseline")]
    listed = ", ".join(f"{count} {word}" for count, word in left_out if count)
    silenced = f" ({listed})" if listed else ""
    if not parts and report.crashes:
        crashed = len(report.crashes)
        return f"Found nothing, but {crashed} file{'s' * (crashed != 1)} could not be analyzed.{silenced}"
    if not parts:
        return f"All checks passed!{silenced}"
    found = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"Found {found}.{silenced}"


def fixable(report: Report, style: Style) -> str:
    """Return what the last line says of fixes, empty if there are none."""
    fixes = [diagnostic.finding.fix for diagnostic in report.diagnostics if diagnostic.finding.fix is not None]
    offered = sum(map(style.offers, fixes))
    hidden = len(fixes) - offered
    if not fixes:
        return ""
    option = "--fix --unsafe-fixes" if any(f.applicability is Applicability.UNSAFE for f in fixes) else "--fix"
    if not hidden:
        return f" [*] {offered} fixable with {option}."
    more = f"{hidden} hidden fix{'es' * (hidden != 1)} can be enabled with --unsafe-fixes"
    if not offered:
        return f" No safe fix ({more})."
    return f" [*] {offered} fixable with --fix ({more})."
