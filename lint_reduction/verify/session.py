"""From findings to verdicts: cut an experiment out of each, have them run, judge, and put the verdicts back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lint_reduction.errors import SourceError
from lint_reduction.finding import Confidence, Finding
from lint_reduction.impact import Severity
from lint_reduction.run.report import FileResult
from lint_reduction.source.cache_dir import make_private
from lint_reduction.source.file import decode, read_bytes
from lint_reduction.verdict import Outcome, Verdict
from lint_reduction.verify.cache import Cache
from lint_reduction.verify.claims import CLAIMS
from lint_reduction.verify.experiment import Experiment
from lint_reduction.verify.judge import judge
from lint_reduction.verify.modules import NoExperimentError, Sources, TooSlowError
from lint_reduction.verify.pool import Pool, Sandbox
from lint_reduction.verify.protocol import Reply, Status, clean_text
from lint_reduction.verify.replies import measurement_of
from lint_reduction.verify.slicing import experiment_of

#: Shows how far it is: passes on what comes in, of which there will be so many.
Progress = Callable[[Iterator[tuple[int, Reply]], int], Iterator[tuple[int, Reply]]]


#: After so many findings that take too long to be cut out of a file, the others in it are not tried.
_SLOW_FINDINGS = 5
#: A call that is shown is cut to so many characters.
_LONGEST = 80


def _quietly(replies: Iterator[tuple[int, Reply]], total: int) -> Iterator[tuple[int, Reply]]:
    del total
    return replies


@dataclass(slots=True)
class Session:
    """Verifies the findings of a run.

    Attributes:
        device: where to measure, ``auto`` for an accelerator if there is one.
        sandbox: ``strict`` refuses to run where a worker cannot be locked completely, ``best-effort`` does not.
        timeout: how many seconds one finding may take.
        jobs: how many worker processes there are.
        drop_refuted: whether refuted findings are left out.
        cache: the folder of the user in which results are kept, None to keep none.
        progress: shows how far it is.
        texts: sources by absolute path, instead of what is on disk.
        notes: what happened on the way that changes no verdict.
    """

    device: str = "auto"
    sandbox: Sandbox = "best-effort"
    timeout: float = 10.0
    jobs: int = 1
    drop_refuted: bool = False
    cache: Path | None = None
    progress: Progress = _quietly
    texts: dict[str, str | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def verify(self, results: list[FileResult]) -> list[FileResult]:
        """Return the results with a verdict on each finding whose rule claims something about growth.

        Raises:
            ConfigError: torch, the device or the sandbox that was asked for is not there.
        """
        self.texts.update((result.absolute, result.text) for result in results if result.text)
        findings = [(result.absolute, finding) for result in results for finding in result.findings]
        verdicts = self.verdicts([pair for pair in findings if pair[1].code in CLAIMS])
        return [self._with_verdicts(result, verdicts) for result in results]

    def verdicts(self, findings: Sequence[tuple[str, Finding]]) -> dict[tuple[str, Finding], Verdict]:
        """Return the verdict on each finding.

        Args:
            findings: with the absolute path of the file of each.

        Raises:
            ConfigError: as for ``verify``.
        """
        verdicts: dict[tuple[str, Finding], Verdict] = {}
        jobs: dict[str, list[tuple[str, Finding]]] = {}
        for path, finding, cut in self._cut(findings):
            if isinstance(cut, Experiment):
                jobs.setdefault(cut.to_json(), []).append((path, finding))
            else:
                verdicts[path, finding] = Verdict(Outcome.NOT_RUN, cut)
        for text, reply in self._replies(list(jobs)):
            unseen = [f"{call} changes no gradient" for call in _quoted(json.loads(text)["unseen"])]
            for path, finding in jobs[text]:
                verdict = _verdict(finding, reply)
                assumed = () if verdict.outcome is Outcome.NOT_RUN else (*verdict.assumptions, *unseen)
                verdicts[path, finding] = replace(verdict, assumptions=assumed)
        return verdicts

    def _cut(self, findings: Sequence[tuple[str, Finding]]) -> Iterator[tuple[str, Finding, Experiment | str]]:
        """Yield findings with what to run for each, or why there is nothing; no file may take up the run."""
        sources = Sources(self._read)
        spent: Counter[str] = Counter()
        for path, finding in findings:
            if spent[path] >= _SLOW_FINDINGS:
                yield path, finding, "cutting other findings out of this file took too long"
                continue
            try:
                yield path, finding, experiment_of(finding, path, sources, self.timeout)
            except TooSlowError as error:
                spent[path] += 1
                yield path, finding, str(error)
            except NoExperimentError as error:
                yield path, finding, str(error)

    def _replies(self, experiments: Sequence[str]) -> Iterator[tuple[str, Reply]]:
        if not experiments:
            return
        decoded: list[Mapping[str, object]] = [json.loads(text) for text in experiments]
        with Pool(self.device, self.jobs, self.timeout, self.sandbox, cache=self._results()) as pool:
            for index, reply in self.progress(pool.run(decoded), len(decoded)):
                yield experiments[index], reply
            self.notes.extend(pool.notes)

    def _results(self) -> Cache | None:
        """Return the results of earlier runs, if they are kept and nobody else can have put them there."""
        if self.cache is None:
            return None
        reason = make_private(self.cache)
        if reason:
            self.notes.append(f"results are not kept in {self.cache}: {reason}")
            return None
        return Cache(self.cache / "verify")

    def _read(self, path: str) -> str | None:
        if path not in self.texts:
            try:
                self.texts[path] = decode(read_bytes(Path(path)))
            except SourceError:
                self.texts[path] = None
        return self.texts[path]

    def _with_verdicts(self, result: FileResult, verdicts: Mapping[tuple[str, Finding], Verdict]) -> FileResult:
        judged = [judged_by(finding, verdicts.get((result.absolute, finding))) for finding in result.findings]
        if self.drop_refuted:
            judged = [f for f in judged if f.verdict is None or f.verdict.outcome is not Outcome.REFUTED]
        return replace(result, findings=tuple(judged))


def judged_by(finding: Finding, verdict: Verdict | None) -> Finding:
    """Return a finding with its verdict, and with the severity and confidence that follow from it.

    What is confirmed is sure, and so is what is muted, which at most warns; what is refuted is a note and not sure.
    """
    if verdict is None:
        return finding
    severity, confidence = finding.severity, finding.confidence
    if verdict.outcome is Outcome.CONFIRMED:
        confidence = Confidence.HIGH
    elif verdict.outcome is Outcome.MUTED:
        severity, confidence = min(severity, Severity.WARNING), Confidence.HIGH
    elif verdict.outcome is Outcome.REFUTED:
        severity, confidence = Severity.NOTE, Confidence.LOW
    return replace(finding, verdict=verdict, severity=severity, confidence=confidence)


def _quoted(calls: Sequence[str]) -> list[str]:
    """Return calls as they are shown, on one line and not longer than one."""
    return [f"`{clean_text(call if len(call) <= _LONGEST else call[: _LONGEST - 1] + '…')}`" for call in calls]


def _verdict(finding: Finding, reply: Reply) -> Verdict:
    """Return what a reply says about a finding; a worker that fails never changes what was found."""
    layers = tuple(sorted((str(name), str(state)) for name, state in reply.layers.items()))
    if reply.status is not Status.DONE:
        return Verdict(Outcome.NOT_RUN, reply.reason or reply.status.value, device=reply.device, layers=layers)
    try:
        verdict = judge(finding, measurement_of(reply.result))
    except ValueError as error:
        return Verdict(Outcome.NOT_RUN, f"the worker's answer is none: {error}", device=reply.device, layers=layers)
    return replace(verdict, device=verdict.device or reply.device, layers=layers, cached=reply.cached)
