"""Measure how often the rules are right on labeled real code.

    python benchmarks/accuracy.py [--corpus DIR]

Downloads the packages of `fixtures/corpus` by hash, lints them, and prints, for the files in which all sites are
labeled, per rule the true and false alarms, per verdict the missed alarms, precision and recall with Wilson intervals,
and every disagreement. A finding is right when it stands at a labeled site of a matching verdict, or at a
reduction that such a site feeds. So much for the default rules; those that run only when selected are measured on
all files of the packages, against the findings that were judged one by one (`judged.tsv`).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from corpus import DEFAULT_DESTINATION, fetch_all, rows
from judged import OPT_IN, Judged, Judgment

from lint_reduction import lint_paths
from lint_reduction.finding import Finding
from lint_reduction.impact import Severity

#: The rules that should find a verdict.
EXPECTED = {
    "SUM_UNSCALED": {"RED101", "RED102", "RED103", "RED105", "RED106", "RED122"},
    "NONE_UNREDUCED": {"RED121", "RED122", "RED123", "RED124"},
    "MASKED_MEAN": {"RED203", "RED204"},
    "KL_MEAN": {"RED201", "RED202"},
    "DOUBLE_NORM": {"RED104"},
    "DEPRECATED": {"RED301", "RED302", "RED304"},
}
#: Verdicts that no rule covers yet.
NOT_YET: set[str] = set()
#: Rules of which nothing but a labeled site can be right.
JUDGED = set().union(*EXPECTED.values())


@dataclass(frozen=True)
class Label:
    """A labeled site."""

    line: int
    verdict: str
    scope: str
    why: str

    @property
    def verdicts(self) -> set[str]:
        """What there is to find: the verdict, and whether a deprecated flag is given."""
        deprecated = self.verdict == "DEPRECATED_ONLY" or "DEPRECATED" in self.why
        return {self.verdict} & set(EXPECTED) | ({"DEPRECATED"} if deprecated else set())


def lines_of(finding: Finding) -> set[int]:
    """Return the lines that a finding names as the loss or as its reduction."""
    roles = {"loss", "sum", "mean"}
    return {finding.span.line, *(r.span.line for r in finding.related if r.role in roles)}


def wilson(hits: int, total: int) -> str:
    """Return a share with its 95 % Wilson interval."""
    if not total:
        return "   -"
    z = 1.96
    share = hits / total
    center = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return f"{share:.3f} ({hits}/{total}, 95 % {max(center - half, 0):.2f} to {min(center + half, 1):.2f})"


@dataclass
class Tally:
    """What came of the run, counted."""

    true: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)
    errors: int = 0
    sites: Counter[tuple[str, str]] = field(default_factory=Counter)
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    disagreements: list[str] = field(default_factory=list)

    def add_file(self, path: str, labels: list[Label], findings: list[Finding]) -> None:
        """Hold the findings in a file against its labels."""
        matched: set[tuple[int, str]] = set()
        for finding in findings:
            near = [label for label in labels if label.line in lines_of(finding)]
            right = {(n.line, verdict) for n in near for verdict in n.verdicts if finding.code in EXPECTED[verdict]}
            matched |= right
            self._add_finding(f"{path}:{finding.span.line}", finding, near, is_right=bool(right))
        for label in labels:
            for verdict in label.verdicts:
                self.sites[label.scope, verdict] += 1
                if (label.line, verdict) in matched:
                    self.hits[label.scope, verdict] += 1
                else:
                    place = f"{path}:{label.line} ({label.scope})"
                    self.disagreements.append(f"missed alarm  {place}\n    {verdict}: {label.why}")

    def _add_finding(self, place: str, finding: Finding, near: list[Label], *, is_right: bool) -> None:
        text = f"{place}: {finding.code} {finding.severity}: {finding.message}"
        if is_right:
            self.true[finding.code] += 1
        elif finding.code in JUDGED:
            self.false[finding.code] += 1
            self.errors += finding.severity is Severity.ERROR
            labels = "; ".join(f"{label.verdict}: {label.why}" for label in near) or "no label here"
            self.disagreements.append(f"false alarm   {text}\n    {labels}")
        else:
            self.other[finding.code] += 1
            self.disagreements.append(f"not judged    {text}")

    def show(self) -> None:
        """Print the tables."""
        print("rule      true  false  not judged")
        for code in sorted({*self.true, *self.false, *self.other}):
            print(f"{code}  {self.true[code]:6} {self.false[code]:6} {self.other[code]:6}")
        true, false = sum(self.true.values()), sum(self.false.values())
        print(f"\nprecision {wilson(true, true + false)}")
        print(f"error-severity false alarms: {self.errors}\n")
        for scope in ("file", "project"):
            print(f"recall, scope {scope}")
            wanted = [verdict for verdict in EXPECTED if self.sites[scope, verdict]]
            for verdict in wanted:
                print(f"  {verdict:<16} {wilson(self.hits[scope, verdict], self.sites[scope, verdict])}")
            now = [verdict for verdict in wanted if verdict not in NOT_YET]
            hits, total = (sum(counter[scope, v] for v in now) for counter in (self.hits, self.sites))
            print(f"  verdicts that a rule covers: {wilson(hits, total)}")
        print("\ndisagreements")
        for line in sorted(self.disagreements):
            print(f"  {line}")


def main() -> int:
    """Print the tables; exit with 1 if a package could not be had."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=DEFAULT_DESTINATION, help="where the packages are unpacked")
    corpus = parser.parse_args().corpus
    problems = fetch_all(corpus)
    labels = labels_by_path()
    covered = [_path(row) for row in rows("covered.tsv")]
    existing = [path for path in covered if (corpus / path).is_file()]
    packages = [corpus / f"{row['package']}=={row['version']}" for row in rows("packages.tsv")]
    found: dict[str, list[Finding]] = defaultdict(list)
    # whole packages: what a file trains on may be of another one
    for diagnostic in lint_paths([package for package in packages if package.is_dir()], select=["ALL"]):
        found[Path(diagnostic.absolute).relative_to(corpus.absolute()).as_posix()].append(diagnostic.finding)
    tally = Tally()
    for path in existing:
        tally.add_file(path, labels[path], [finding for finding in found[path] if finding.code not in OPT_IN])
    print(f"{len(existing)} of {len(covered)} files, {sum(map(len, labels.values()))} labeled sites\n")
    tally.show()
    judged = Judged()
    judged.add(
        [
            Judgment(_path(row), int(row["line"]), row["rule"], row["verdict"] == "true", row["why"])
            for row in rows("judged.tsv")
        ],
        found,
    )
    judged.show()
    for problem in problems:
        print(problem)
    return bool(problems)


def labels_by_path() -> dict[str, list[Label]]:
    """Return the labeled sites of each file, by its path below the unpacked corpus."""
    labels: dict[str, list[Label]] = defaultdict(list)
    for row in rows("labels.tsv"):
        labels[_path(row)].append(Label(int(row["line"]), row["verdict"], row["scope"], row["why"]))
    return labels


def _path(row: dict[str, str]) -> str:
    return f"{row['repo'].removeprefix('pypi:')}/{row['path']}"


if __name__ == "__main__":
    sys.exit(main())
