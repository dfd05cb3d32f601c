"""What a file came to, as plain data for a cache and back.

What only the verifier needs, the flow of a finding, is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

from lint_reduction.facts import OpenLoss, Span
from lint_reduction.finding import Applicability, Confidence, Edit, Finding, Fix, Related
from lint_reduction.growth import Growth
from lint_reduction.impact import Severity
from lint_reduction.run.report import FileResult

Data: TypeAlias = "None | bool | int | str | Sequence[Data]"


def to_data(result: FileResult, mentions_rules: bool) -> Data:
    """Return what is to be kept of a file that was analyzed.

    Args:
        result: with the findings of all rules.
        mentions_rules: whether comments in it may silence something, so that its text is needed again.
    """
    opened = [[loss.name, loss.method] for loss in result.open_losses]
    return [mentions_rules, sorted(result.handed_on), opened, [_finding(finding) for finding in result.findings]]


def needs_text(data: Data) -> bool:
    """Say whether the text of a file is needed again to judge what was kept of it."""
    return bool(_list(data)[0]) or has_findings(data)


def has_findings(data: Data) -> bool:
    """Say whether anything was found."""
    return bool(_list(data)[3])


def from_data(data: Data, shown: str, absolute: str) -> FileResult:
    """Return the result that was kept, without its text."""
    _, handed_on, opened, findings = _list(data)
    return FileResult(
        shown,
        absolute,
        tuple(_finding_of(_list(one)) for one in _list(findings)),
        analyzed=True,
        handed_on=frozenset(cast("Sequence[int]", handed_on)),
        open_losses=tuple(OpenLoss(*cast("tuple[str, str]", one)) for one in _list(opened)),
    )


def _list(data: Data) -> list[Data]:
    return cast("list[Data]", data)


def _span(span: Span) -> Data:
    return [span.line, span.column, span.end_line, span.end_column, span.path]


def _span_of(data: Data) -> Span:
    return Span(*cast("tuple[int, int, int, int, str]", data))


def _finding(finding: Finding) -> Data:
    fix = finding.fix
    return [
        _span(finding.span),
        finding.message,
        int(finding.severity),
        int(finding.confidence),
        finding.advice,
        None if finding.growth is None else str(finding.growth),
        [[related.role, _span(related.span)] for related in finding.related],
        finding.code,
        finding.name,
        None
        if fix is None
        else [fix.title, [[_span(e.span), e.replacement] for e in fix.edits], fix.applicability.value],
    ]


def _finding_of(data: list[Data]) -> Finding:
    span, message, severity, confidence, advice, growth, related, code, name, fix = data
    places = [_list(place) for place in _list(related)]
    return Finding(
        _span_of(span),
        str(message),
        Severity(cast("int", severity)),
        Confidence(cast("int", confidence)),
        str(advice),
        None if growth is None else Growth.parse(str(growth)),
        tuple(Related(str(role), _span_of(at)) for role, at in places),
        str(code),
        str(name),
        None if fix is None else _fix_of(_list(fix)),
    )


def _fix_of(data: list[Data]) -> Fix:
    title, edits, applicability = data
    parts = [_list(edit) for edit in _list(edits)]
    return Fix(str(title), tuple(Edit(_span_of(at), str(new)) for at, new in parts), Applicability(applicability))
