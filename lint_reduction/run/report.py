"""What a run comes to: plain data for every output format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lint_reduction.finding import Finding
from lint_reduction.impact import Severity


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding and the file it is in.

    Attributes:
        path: as shown, relative to the current directory if it is below it.
        absolute: the same file, absolute.
        finding: what was found.
    """

    path: str
    absolute: str
    finding: Finding

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What diagnostics are sorted by."""
        return self.path, self.finding.span.line, self.finding.span.column, self.finding.code


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file.

    Attributes:
        path, absolute: as in ``Diagnostic``.
        findings: sorted by place.
        text: the source, where there is something to show.
        analyzed: whether it was parsed.
        suppressed: how many findings comments silenced.
        unparsed: whether it could not be analyzed.
        crash: what went wrong inside the tool, empty if nothing.
    """

    path: str
    absolute: str
    findings: tuple[Finding, ...] = ()
    text: str = ""
    analyzed: bool = False
    suppressed: int = 0
    unparsed: bool = False
    crash: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all files.

    Attributes:
        diagnostics: sorted by path and place.
        sources: text of the files that have diagnostics.
        files: how many files were looked at.
        analyzed: how many of them were parsed.
        suppressed: how many findings comments silenced.
        unparsed: how many files could not be analyzed.
        crashes: what went wrong inside the tool.
    """

    diagnostics: tuple[Diagnostic, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    files: int = 0
    analyzed: int = 0
    suppressed: int = 0
    unparsed: int = 0
    crashes: tuple[str, ...] = ()

    def count(self, severity: Severity) -> int:
        """Return how many diagnostics have a severity."""
        return sum(d.finding.severity is severity for d in self.diagnostics)

    @property
    def fails(self) -> bool:
        """Whether the run found something that should stop a commit; notes never do."""
        return self.unparsed > 0 or any(d.finding.severity >= Severity.WARNING for d in self.diagnostics)


def collect(results: list[FileResult]) -> Report:
    """Return the report of some files, in an order that does not depend on theirs."""
    diagnostics = [Diagnostic(r.path, r.absolute, finding) for r in results for finding in r.findings]
    return Report(
        tuple(sorted(diagnostics, key=lambda d: d.key)),
        {r.path: r.text for r in results if r.findings},
        len(results),
        sum(r.analyzed for r in results),
        sum(r.suppressed for r in results),
        sum(r.unparsed for r in results),
        tuple(r.crash for r in sorted(results, key=lambda r: r.path) if r.crash),
    )
