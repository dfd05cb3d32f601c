"""From what the rules found to what is reported: each finding in the file it is in, settings and comments applied."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from lint_reduction.errors import ConfigError, SourceError
from lint_reduction.facts import Span
from lint_reduction.finding import Confidence, Finding, Fix, Related
from lint_reduction.impact import Severity
from lint_reduction.run.report import FileResult
from lint_reduction.run.selection import UNUSED_SUPPRESSION, names_of
from lint_reduction.source.file import decode, read_bytes
from lint_reduction.source.notebook import Cells
from lint_reduction.source.suppressions import Suppression, find_suppressions

if TYPE_CHECKING:
    from lint_reduction.run.pipeline import Context


@dataclass(slots=True)
class _Place:
    """A file and what was found in it, by itself or from other files of the project."""

    result: FileResult
    findings: list[Finding] = field(default_factory=list)


def judge(
    results: Sequence[FileResult],
    context_of: Callable[[str], Context],
    shown_as: Callable[[str], str],
    contents: Mapping[str, bytes] = MappingProxyType({}),
) -> list[FileResult]:
    """Return the results with the findings that are reported.

    A loss that another file trains on is a finding in the file of the loss, also if only the other one was named.

    Args:
        results: of the single files, with all that their rules found.
        context_of: the context of a file, by its absolute path.
        shown_as: how the path of a file is shown, by its absolute path.
        contents: the content of files that differ from the disk, by absolute path.
    """
    places = {result.absolute: _Place(result) for result in results}
    for result in results:
        for finding in result.findings:
            path = finding.span.path or result.absolute
            if path not in places:
                places[path] = _Place(FileResult(shown_as(path), path))
            if path != result.absolute and not places[path].result.text:
                # it mentions no loss, so nothing has read it
                places[path].result = replace(places[path].result, text=_text(path, contents))
            places[path].findings.append(_moved(finding, result.absolute, path, shown_as))
    return [_guarded(place, context_of) for place in places.values()]


def _guarded(place: _Place, context_of: Callable[[str], Context]) -> FileResult:
    try:
        return _judged(place, context_of)
    except Exception:  # a bug must not take the findings in other files with it
        path = place.result.path
        return FileResult(path, place.result.absolute, crash=f"internal error in {path}:\n{traceback.format_exc()}")


def _text(path: str, contents: Mapping[str, bytes]) -> str:
    try:
        return decode(contents[path] if path in contents else read_bytes(Path(path)))
    except SourceError:
        return ""


def _moved(finding: Finding, origin: str, path: str, shown_as: Callable[[str], str]) -> Finding:
    """Return a finding as seen from the file it is in: places there have no path, others theirs as it is shown."""

    def seen(span: Span) -> Span:
        at = span.path or origin
        return replace(span, path="" if at == path else shown_as(at))

    if path == origin and finding.fix is None and not any(related.span.path for related in finding.related):
        return replace(finding, origin=origin)
    related = tuple(Related(r.role, seen(r.span)) for r in finding.related)
    fix = _here(finding.fix, origin, path)
    return replace(finding, span=replace(finding.span, path=""), related=related, fix=fix, origin=origin)


def _here(fix: Fix | None, origin: str, path: str) -> Fix | None:
    """Return a fix as edits of the file it is for, None if it would change another one as well."""
    if fix is None or any((edit.span.path or origin) != path for edit in fix.edits):
        return None
    return replace(fix, edits=tuple(replace(edit, span=replace(edit.span, path="")) for edit in fix.edits))


def _judged(place: _Place, context_of: Callable[[str], Context]) -> FileResult:
    result = place.result
    if result.unparsed or result.crash or not (place.findings or result.analyzed):
        return result
    context = context_of(result.absolute)
    ignored = ignored_in(result.absolute, context)
    runs = frozenset(rule.code for rule in context.selection.rules) - ignored
    findings = [finding for finding in place.findings if finding.code in runs]
    kept = worst_of_each(finding for finding in findings if _is_sure_enough(finding, context))
    if context.settings.fixed_batch_size:
        kept = [replace(f, severity=Severity.NOTE) if f.code in ("RED101", "RED102") else f for f in kept]
    kept = [finding for finding in kept if finding.severity >= context.min_severity]
    suppressions = find_suppressions(result.text)
    if result.cells is not None:
        suppressions = tuple(_in_its_cell(suppression, result.cells) for suppression in suppressions)
    reported, silenced = (kept, 0) if context.no_ignores else _suppress(kept, suppressions)
    if result.analyzed and context.selection.unused_suppressions and UNUSED_SUPPRESSION not in ignored:
        reported += [note for s in suppressions for note in _unused(s, findings, runs, result)]
    ordered = tuple(sorted(reported, key=lambda f: (f.span, f.code)))
    return replace(result, findings=ordered, text=result.text if ordered else "", suppressed=silenced)


def _in_its_cell(suppression: Suppression, cells: Cells) -> Suppression:
    """Return a suppression that does not reach into the next cell, as a comment at the end of one would."""
    line = suppression.span.line
    if cells.place(suppression.last)[0] == cells.place(line)[0]:
        return suppression
    return replace(suppression, first=line, last=line)


def worst_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for each rule and place: several paths may lead through one loss.

    Of equals it is the one with the shortest path, which does not go through what is done on request only.
    """
    worst: dict[tuple[str, Span], Finding] = {}
    for finding in findings:
        key = finding.code, finding.span
        old = worst.get(key)
        if old is None or _weight(finding) > _weight(old):
            worst[key] = finding
    return list(worst.values())


def _weight(finding: Finding) -> tuple[Severity, Confidence, int]:
    return finding.severity, finding.confidence, -len(finding.related)


def _is_sure_enough(finding: Finding, context: Context) -> bool:
    wanted = Confidence.LOW if finding.code in context.selection.named else context.min_confidence
    return finding.confidence >= wanted


def ignored_in(path: str, context: Context) -> frozenset[str]:
    """Return the codes of the rules that the settings switch off for a file."""
    relative = os.path.relpath(path, context.settings.root).replace(os.sep, "/")
    return frozenset(code for spec, codes in context.per_file if spec.match_file(relative) for code in codes)


def _suppress(findings: list[Finding], suppressions: tuple[Suppression, ...]) -> tuple[list[Finding], int]:
    """Return the findings that no comment silences, and how many one does."""
    reported = [f for f in findings if not any(_silences(s, rule, f) for s in suppressions for rule in s.rules)]
    return reported, len(findings) - len(reported)


def _silences(suppression: Suppression, rule: str, finding: Finding) -> bool:
    if rule.upper() != finding.code and rule != finding.name:
        return False
    here = [related for related in finding.related if related.role == "backward" and not related.span.path]
    lines = {finding.span.line, *(related.span.line for related in here)}
    return suppression.whole_file or any(suppression.first <= line <= suppression.last for line in lines)


def _unused(
    suppression: Suppression, findings: list[Finding], ran: frozenset[str], result: FileResult
) -> Iterable[Finding]:
    """Yield what is wrong with a suppression, given everything that was found, however sure.

    A loss that is handed on may be found when the module that trains on it is linted.
    """
    lines = result.handed_on
    handed_on = any(suppression.whole_file or suppression.first <= line <= suppression.last for line in lines)
    if not suppression.rules:
        yield _note(suppression.span, "names no rule, so it silences nothing")
    for rule in suppression.rules:
        try:
            code, _ = names_of(rule)
        except ConfigError as error:
            yield _note(suppression.span, str(error))
            continue
        if code in ran and not handed_on and not any(_silences(suppression, rule, finding) for finding in findings):
            yield _note(suppression.span, f"{rule} is not found here, so this comment silences nothing")


def _note(span: Span, message: str) -> Finding:
    return Finding(
        span, message, Severity.NOTE, Confidence.HIGH, "Remove it.", code=UNUSED_SUPPRESSION, name="unused-suppression"
    )
