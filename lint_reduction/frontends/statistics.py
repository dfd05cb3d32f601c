"""``--statistics``: how often each rule was found, as text or as JSON."""

from __future__ import annotations

import json
from collections import Counter

from lint_reduction.formats import Style
from lint_reduction.run.report import Report


def statistics(report: Report, style: Style, *, as_json: bool) -> str:
    """Return how often each rule was found, the most frequent first.

    Args:
        report: of the run.
        style: says which fixes are offered.
        as_json: a list of objects with the fields that ``ruff --statistics`` has.
    """
    findings = [diagnostic.finding for diagnostic in report.diagnostics]
    counts = Counter((finding.code, finding.name) for finding in findings)
    fixable = Counter(finding.code for finding in findings if style.offers(finding.fix))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if not as_json:
        width = max((len(str(count)) for count in counts.values()), default=1)
        return "".join(f"{count:>{width}}  {code}  {name}\n" for (code, name), count in ordered)
    listed = [
        {
            "code": code,
            "name": name,
            "count": count,
            "fixable": fixable[code] == count,
            "fixable_count": fixable[code],
        }
        for (code, name), count in ordered
    ]
    return json.dumps(listed, indent=2) + "\n"
