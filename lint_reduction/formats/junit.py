"""JUnit XML, which every CI shows: a suite for each file, a failed case for each finding."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

from lint_reduction.formats import Style
from lint_reduction.run.report import Diagnostic, Report

#: What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report, style: Style) -> str:
    """Return the report as XML; one without findings has a case that passed."""
    del style
    found = len(report.diagnostics)
    root = ElementTree.Element("testsuites", name="lint-reduction", tests=str(found or 1), failures=str(found))
    root.set("errors", "0")
    for path, group in itertools.groupby(report.diagnostics, key=report.address):
        cases = list(group)
        count = str(len(cases))
        suite = ElementTree.SubElement(root, "testsuite", name=_text(path), tests=count, failures=count, errors="0")
        for diagnostic in cases:
            _case(suite, path, diagnostic)
    if not found:
        suite = ElementTree.SubElement(root, "testsuite", name="lint-reduction", tests="1", failures="0", errors="0")
        ElementTree.SubElement(suite, "testcase", name="no findings", classname="lint-reduction")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _case(suite: ElementTree.Element, path: str, diagnostic: Diagnostic) -> None:
    finding = diagnostic.finding
    place = f"{finding.span.line}:{finding.span.column}"
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=f"{finding.code} {finding.name} at {_cell(diagnostic)}{place}",
        classname=_text(path.removesuffix(".py").replace("/", ".")),
        file=_text(path),
        line=str(finding.span.line),
    )
    properties = ElementTree.SubElement(case, "properties")
    said = {"severity": str(finding.severity), "confidence": str(finding.confidence)}
    if finding.growth is not None:
        said["growth"] = str(finding.growth)
    if finding.verdict is not None:
        said["verdict"] = finding.verdict.outcome.value
    for name, value in said.items():
        ElementTree.SubElement(properties, "property", name=name, value=value)
    failure = ElementTree.SubElement(case, "failure", message=_text(finding.message), type=str(finding.severity))
    failure.text = _text(f"{diagnostic.place}:{place}: {finding.code} {finding.message}\n{finding.advice}".strip())


def _cell(diagnostic: Diagnostic) -> str:
    return "" if diagnostic.cell is None else f"cell {diagnostic.cell}:"


def _text(text: str) -> str:
    return _FORBIDDEN.sub("�", text.replace("\r\n", "\n").replace("\r", "\n"))
