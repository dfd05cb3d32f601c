"""What a run comes to: plain data for every output format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from lint_reduction.facts import OpenLoss, Span
from lint_reduction.finding import Finding, Related
from lint_reduction.impact import Severity
from lint_reduction.run.fingerprints import Context, contexts, fingerprints
from lint_reduction.source.notebook import Cells


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding and the file it is in.

    Attributes:
        path: as shown, relative to the current directory if it is below it.
        absolute: the same file, absolute.
        finding: what was found; in a notebook, its lines are those of cells.
        cell: the number of the cell in a notebook, None elsewhere.
        context: the function and statement that it is in.
        fingerprint: what it is known by when lines move; no two of a report are equal.
    """

    path: str
    absolute: str
    finding: Finding
    cell: int | None = None
    context: Context = field(default_factory=Context)
    fingerprint: str = ""

    @property
    def key(self) -> tuple[str, int, int, int, str]:
        """What diagnostics are sorted by."""
        return self.path, self.cell or 0, self.finding.span.line, self.finding.span.column, self.finding.code

    @property
    def place(self) -> str:
        """The file, and the cell in a notebook, as shown; its text stands under it in the sources of a report."""
        return place_of(self.path, self.cell)


def place_of(path: str, cell: int | None) -> str:
    """Return a file, and a cell in it if it is a notebook, as shown."""
    return path if cell is None else f"{path}:cell {cell}"


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
        cells: of a notebook, where they stand in the module of which the findings have the lines.
        handed_on: the lines on which there are losses that other modules may train on.
        open_losses: what returns them, where they grow with the samples.
    """

    path: str
    absolute: str
    findings: tuple[Finding, ...] = ()
    text: str = ""
    analyzed: bool = False
    suppressed: int = 0
    unparsed: bool = False
    crash: str = ""
    cells: Cells | None = None
    handed_on: frozenset[int] = frozenset()
    open_losses: tuple[OpenLoss, ...] = ()

    def place(self, span: Span) -> str:
        """Return a place in the file as shown."""
        if self.cells is None:
            return f"{self.path}:{span.line}:{span.column}"
        cell, line = self.cells.place(span.line)
        return f"{place_of(self.path, cell)}:{line}:{span.column}"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all files.

    Attributes:
        diagnostics: sorted by path and place.
        baselined: those that a baseline holds; they do not count.
        looked_at: absolute paths of all files.
        notes: what is to be known of the run itself, such as where it ran.
        sources: text of the files that have diagnostics; of a notebook, of each cell by its place.
        files: how many files were looked at.
        analyzed: how many of them were parsed.
        suppressed: how many findings comments silenced.
        unparsed: how many files could not be analyzed.
        crashes: what went wrong inside the tool.
        root: absolute path of the directory that files are named relative to for other programs, empty for the current.
        fail_on: how severe a finding must be for the run to fail.
    """

    diagnostics: tuple[Diagnostic, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    files: int = 0
    analyzed: int = 0
    suppressed: int = 0
    unparsed: int = 0
    crashes: tuple[str, ...] = ()
    root: str = ""
    fail_on: Severity = Severity.WARNING
    baselined: tuple[Diagnostic, ...] = ()
    looked_at: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def count(self, severity: Severity) -> int:
        """Return how many diagnostics have a severity."""
        return sum(d.finding.severity is severity for d in self.diagnostics)

    def address(self, diagnostic: Diagnostic) -> str:
        """Return the path of a diagnostic for other programs: below the root, links resolved, with slashes."""
        return self.address_of(diagnostic.path, diagnostic.absolute)

    def address_of(self, shown: str, absolute: str = "") -> str:
        """Return a path for other programs, as ``address`` does.

        Args:
            shown: the path as it is shown, relative to the current directory.
            absolute: the same, absolute, if it is known.
        """
        if not self.root:
            return shown.replace(os.sep, "/")
        return os.path.relpath(os.path.realpath(absolute or shown), self.root).replace(os.sep, "/")

    @property
    def fails(self) -> bool:
        """Whether the run found something that should stop a commit."""
        return self.unparsed > 0 or any(d.finding.severity >= self.fail_on for d in self.diagnostics)


def collect(results: list[FileResult], root: str = "") -> Report:
    """Return the report of some files, in an order that does not depend on theirs.

    Args:
        results: of the files.
        root: as in ``Report``.
    """
    notebooks = {r.path: r.cells for r in results if r.cells is not None}
    diagnostics = sorted((d for r in results for d in _diagnostics(r, notebooks)), key=lambda d: d.key)
    keys = ((d.finding.code, d.path.replace("\\", "/"), d.context.function, d.context.statement) for d in diagnostics)
    return Report(
        tuple(replace(d, fingerprint=made) for d, made in zip(diagnostics, fingerprints(keys), strict=True)),
        {place: text for r in results if r.findings for place, text in _sources(r)},
        len(results),
        sum(r.analyzed for r in results),
        sum(r.suppressed for r in results),
        sum(r.unparsed for r in results),
        tuple(r.crash for r in sorted(results, key=lambda r: r.path) if r.crash),
        root,
        looked_at=tuple(sorted(result.absolute for result in results)),
    )


def _sources(result: FileResult) -> Iterable[tuple[str, str]]:
    if result.cells is None:
        return [(result.path, result.text)]
    return [(place_of(result.path, number), text) for number, text in result.cells.sources(result.text)]


def _diagnostics(result: FileResult, notebooks: Mapping[str, Cells]) -> Iterable[Diagnostic]:
    if not result.findings:
        return []
    around = contexts(result.text, [finding.span.line for finding in result.findings])
    found = (_diagnostic(result, finding, notebooks) for finding in result.findings)
    return [replace(d, context=context) for d, context in zip(found, around, strict=True)]


def _diagnostic(result: FileResult, finding: Finding, notebooks: Mapping[str, Cells]) -> Diagnostic:
    """Return a finding with the lines of cells where it or its path is in a notebook."""
    if not notebooks:
        return Diagnostic(result.path, result.absolute, finding)
    related = tuple(_in_cell(place, notebooks.get(place.span.path or result.path)) for place in finding.related)
    finding = replace(finding, related=related)
    if result.cells is None:
        return Diagnostic(result.path, result.absolute, finding)
    if finding.fix is not None:
        edits = tuple(replace(edit, span=result.cells.within(edit.span)) for edit in finding.fix.edits)
        finding = replace(finding, fix=replace(finding.fix, edits=edits))
    cell, _ = result.cells.place(finding.span.line)
    return Diagnostic(result.path, result.absolute, replace(finding, span=result.cells.within(finding.span)), cell)


def _in_cell(related: Related, cells: Cells | None) -> Related:
    if cells is None:
        return related
    cell, _ = cells.place(related.span.line)
    return replace(related, span=cells.within(related.span), cell=cell)
