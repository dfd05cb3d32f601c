"""Run the findings in labeled real code, and count what becomes of them.

    python benchmarks/verification.py [--corpus DIR] [--jobs N]

Lints the packages of `fixtures/corpus`, runs every finding of a rule that claims something about growth, and prints,
for the true ones, how many could be run, how many of these are confirmed or muted, and each reason why one could not.
Then it runs the losses at all sites that are labeled as fine, of which none may be confirmed. Exits with 1 if one is.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from accuracy import EXPECTED, Label, labels_by_path, lines_of
from corpus import DEFAULT_DESTINATION, fetch_all

from lint_reduction.analysis import Project, analyze
from lint_reduction.facts import Certainty, Fate
from lint_reduction.finding import Finding
from lint_reduction.libraries import load_libraries
from lint_reduction.run.pipeline import Contexts, Overrides, find_candidates, judged, lint_candidates
from lint_reduction.verdict import Outcome, Verdict
from lint_reduction.verify.claims import CLAIMS, as_finding
from lint_reduction.verify.session import Session


def all_findings(corpus: Path, packages: set[str]) -> list[tuple[str, Finding]]:
    """Return the findings of the default rules in some packages, each with the absolute path of its file."""
    contexts = Contexts(Overrides(isolated=True))
    candidates = find_candidates(sorted(corpus / package for package in packages), contexts)
    results = judged(lint_candidates(candidates, contexts), contexts)
    return [(result.absolute, finding) for result in results for finding in result.findings if finding.code in CLAIMS]


def is_true(finding: Finding, labels: list[Label]) -> bool:
    """Say whether a finding is at a labeled site whose verdict its rule should find."""
    near = [label for label in labels if label.line in lines_of(finding)]
    return any(finding.code in EXPECTED[verdict] for label in near for verdict in label.verdicts)


def fine_sites(path: Path, lines: set[int]) -> list[tuple[str, Finding]]:
    """Return what a rule would say of the losses on some lines of a file if it found something there."""
    libraries = load_libraries()
    text = path.read_text(encoding="utf-8", errors="replace")
    facts = analyze(str(path), text, libraries, project=Project(libraries), absolute=str(path))
    made = []
    for flow in facts.flows:
        # what another value of an option would do is not what is labeled
        if flow.fate in (Fate.TRAINED, Fate.RETURNED) and flow.certainty is not Certainty.OPTIONAL:
            sites = [term.site.span for term in flow.terms if term.site is not None]
            spans = [span for span in sites if not span.path and span.line in lines]
            made += [as_finding(flow, str(path), span=span) for span in spans]
    return [(str(path), finding) for finding in dict.fromkeys(made)]


def show(title: str, verdicts: list[tuple[str, Finding, Verdict]], *, list_outcomes: tuple[Outcome, ...]) -> None:
    """Print how many findings came to what, why some could not be run, and those with some outcomes."""
    outcomes = Counter(verdict.outcome for _, _, verdict in verdicts)
    print(f"{title}: {len(verdicts)}")
    for outcome in Outcome:
        print(f"  {outcome.value:<13} {outcomes[outcome]}")
    reasons = Counter(verdict.reason for _, _, verdict in verdicts if verdict.outcome is Outcome.NOT_RUN)
    for reason, count in reasons.most_common():
        print(f"  {count:4} not run: {reason}")
    for path, finding, verdict in verdicts:
        if verdict.outcome in list_outcomes:
            print(f"  {verdict.outcome.value}: {path}:{finding.span.line} {finding.code}: {verdict.reason}")


def main() -> int:
    """Print the tables; exit with 1 if a loss that is fine is confirmed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=DEFAULT_DESTINATION, help="where the packages are unpacked")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes")
    arguments = parser.parse_args()
    corpus = arguments.corpus.absolute()
    problems = fetch_all(corpus)
    labels = labels_by_path()
    session = Session(device="cpu", jobs=arguments.jobs)

    def run(findings: list[tuple[str, Finding]]) -> list[tuple[str, Finding, Verdict]]:
        verdicts = session.verdicts(findings)
        return [(Path(p).relative_to(corpus).as_posix(), f, verdicts[p, f]) for p, f in findings]

    found = all_findings(corpus, {path.partition("/")[0] for path in labels})
    true = [(p, f) for p, f in found if is_true(f, labels.get(Path(p).relative_to(corpus).as_posix(), []))]
    ran = run(true)
    show("true findings", ran, list_outcomes=(Outcome.REFUTED, Outcome.INCONCLUSIVE))
    executed = [v for _, _, v in ran if v.outcome is not Outcome.NOT_RUN]
    agreed = [v for v in executed if v.outcome in (Outcome.CONFIRMED, Outcome.MUTED)]
    print(f"  run: {len(executed)}/{len(ran)}; confirmed or muted: {len(agreed)}/{len(executed)}\n")
    fine = []
    for path, listed in sorted(labels.items()):
        lines = {label.line for label in listed if label.verdict.startswith("OK_")}
        if lines and (corpus / path).is_file():
            fine += fine_sites(corpus / path, lines)
    ran = run(fine)
    show("losses labeled as fine", ran, list_outcomes=(Outcome.CONFIRMED,))
    for problem in problems:
        print(problem)
    return int(bool(problems) or any(verdict.outcome is Outcome.CONFIRMED for _, _, verdict in ran))


if __name__ == "__main__":
    sys.exit(main())
