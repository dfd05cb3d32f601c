"""Every fixture is run: what is bad is confirmed, and what is good grows as its ``Verify:`` line says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

from lint_reduction.analysis import Project, analyze
from lint_reduction.facts import Fate
from lint_reduction.finding import Confidence, Finding
from lint_reduction.libraries import load_libraries
from lint_reduction.rules import all_rules
from lint_reduction.run.pipeline import Contexts, Overrides, find_candidates, judged, lint_candidates
from lint_reduction.verdict import Curve, Outcome, Verdict
from lint_reduction.verify.claims import CLAIMS, as_finding
from lint_reduction.verify.session import Session
from tests.fixture_files import FIXED, FIXTURES, claim, expected, rule_folders

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(find_spec("torch") is None, reason="the programs are run with torch"),
]
#: How far a measured exponent may be from a whole one: the data are tiled, so only rounding is left.
CLOSE = 1e-3
_GROWTH = re.compile(r"(?:update )?(?P<count>[a-z_]+)\^(?P<power>-?\d+)")


@dataclass
class Runs:
    """All verdicts: on the findings of the bad programs by place, on the flows of the good ones by file."""

    bad: dict[tuple[Path, int, str], Verdict] = field(default_factory=dict)
    good: dict[Path, list[Verdict]] = field(default_factory=dict)


def folders() -> Iterator[tuple[Path, str]]:
    """Yield the folders of the rules that claim something, with the code of the rule."""
    codes = {rule.name: rule.code for rule in all_rules()}
    for folder in rule_folders():
        code = codes[folder.name.replace("_", "-")]
        if code in CLAIMS:
            yield folder, code


def bad_programs() -> list[tuple[Path, str]]:
    """Return every program of several files or one that a rule with a claim finds something in."""
    return [
        (path, code)
        for folder, code in folders()
        for path in sorted([*folder.glob("bad*.py"), *folder.glob("project_*/**/*.py")])
        if not path.name.endswith(FIXED)
    ]


def good_programs() -> list[tuple[Path, str]]:
    """Return every program that nothing is found in, of several files the one that says what is measured."""
    files = [(path, code) for folder, code in folders() for path in sorted(folder.glob("good*.py"))]
    projects = [(folder, code) for rule, code in folders() for folder in sorted(rule.glob("project_*"))]
    silent = [(folder, code) for folder, code in projects if not any(map(expected, folder.rglob("*.py")))]
    return files + [(path, code) for folder, code in silent for path in sorted(folder.rglob("*.py")) if claim(path)]


def files_of(path: Path) -> list[Path]:
    """Return the files of the program that a file belongs to."""
    project = next((outer for outer in path.parents if outer.name.startswith("project_")), None)
    return [path] if project is None else sorted(project.rglob("*.py"))


def findings_in(paths: list[Path]) -> list[tuple[str, Finding]]:
    contexts = Contexts(Overrides(("ALL",), min_confidence=Confidence.LOW, isolated=True))
    results = judged(lint_candidates(find_candidates(paths, contexts), contexts), contexts)
    return [(result.absolute, finding) for result in results for finding in result.findings]


@pytest.fixture(scope="module")
def runs() -> Runs:
    paths = sorted({path for path, _ in bad_programs()})
    codes = {(str(path), code) for path, code in bad_programs()}
    wanted = [(path, f) for path, f in findings_in(paths) if (path, f.code) in codes]
    libraries = load_libraries()
    flows: list[tuple[Path, Path, Finding]] = []
    for path, code in good_programs():
        for file in files_of(path):
            facts = analyze(
                str(file), file.read_text(), libraries, project=Project(libraries), absolute=str(file), complete=True
            )
            trained = [flow for flow in facts.flows if flow.fate is Fate.TRAINED]
            flows += [(path, file, as_finding(flow, str(file), code)) for flow in trained]
    session = Session(device="cpu", jobs=2)
    verdicts = session.verdicts([*wanted, *((str(file), finding) for _, file, finding in flows)])
    made = Runs({(Path(path), f.span.line, f.code): verdicts[path, f] for path, f in wanted})
    for path, file, finding in flows:
        made.good.setdefault(path, []).append(verdicts[str(file), finding])
    return made


def name_of(value: object) -> str:
    return value.relative_to(FIXTURES).as_posix() if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(("path", "code"), bad_programs(), ids=name_of)
def test_what_is_bad_is_confirmed(path: Path, code: str, runs: Runs) -> None:
    said = claim(path)
    lines = [e.line for e in expected(path) if code_of(e.name) == code]
    for line in lines:
        verdict = runs.bad[path, line, code]
        if said.startswith("not run"):
            assert verdict.outcome is Outcome.NOT_RUN, f"{path}:{line}: {said}: it is run: {verdict}"
            continue
        assert verdict.outcome in (Outcome.CONFIRMED, Outcome.MUTED), f"{path}:{line}: {verdict}"
        wrong = [curve for curve in measured(said, verdict) if not is_as_said(said, curve)]
        assert not wrong, f"{path}:{line}: {said}: {wrong}"


def measured(said: str, verdict: Verdict) -> list[Curve]:
    """Return the curves of a verdict that a line of a fixture speaks of."""
    growth = _GROWTH.match(said)
    what = "update" if said.startswith("update") else "gradient"
    return [
        curve
        for curve in verdict.curves
        if growth is not None and curve.count.value == growth["count"] and curve.what == what
    ]


def is_as_said(said: str, curve: Curve) -> bool:
    growth = _GROWTH.match(said)
    assert growth is not None
    return curve.exponent is not None and abs(curve.exponent - int(growth["power"])) < CLOSE


def code_of(name: str) -> str:
    return next(rule.code for rule in all_rules() if rule.name == name)


@pytest.mark.parametrize(("path", "code"), good_programs(), ids=name_of)
def test_what_is_good_grows_as_it_says(path: Path, code: str, runs: Runs) -> None:
    said = claim(path)
    verdicts = runs.good.get(path, [])
    # one file of several may be known less of by itself
    are_run = [verdict for verdict in verdicts if verdict.outcome is not Outcome.NOT_RUN]
    assert bool(verdicts) <= (said.startswith("not run") is not bool(are_run)), f"{path}: {said}: {verdicts}"
    for verdict in verdicts if len(files_of(path)) == 1 else are_run:
        if verdict.outcome is Outcome.NOT_RUN:
            assert said.startswith("not run"), f"{path}: {said}: {verdict.reason}"
            continue
        growth = _GROWTH.match(said)
        if verdict.outcome in (Outcome.CONFIRMED, Outcome.MUTED):
            assert growth is not None, f"{path}: {said}: {verdict}"
            assert growth["power"] != "0", f"{path}: {said}: {verdict}"
        if growth is None:
            continue
        curves = [curve for curve in measured(said, verdict) if curve.exponent is not None]
        assert curves, f"{path}: {said}: {verdict}"
        assert all(is_as_said(said, curve) for curve in curves), f"{path}: {said}: {verdict}"


def test_most_good_programs_are_run(runs: Runs) -> None:
    ran = [path for path, verdicts in runs.good.items() if any(v.outcome is not Outcome.NOT_RUN for v in verdicts)]
    assert len(ran) >= 0.6 * len(runs.good)
