"""Linting files and directories with what is known of them from earlier runs, in as many processes as pay off."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lint_reduction.errors import SourceError
from lint_reduction.run import kept, rows
from lint_reduction.run.cache import FactsCache
from lint_reduction.run.executors import Outcome, Task, lint_one, load, outcomes, processes
from lint_reduction.run.handing import with_given
from lint_reduction.run.keeping import Record
from lint_reduction.run.pipeline import (
    Context,
    Contexts,
    Overrides,
    find_candidates,
    judged,
    report_on,
    shown_as,
    with_large_stack,
)
from lint_reduction.run.report import FileResult, Report
from lint_reduction.source.discover import Candidate
from lint_reduction.source.file import decode, read_bytes
from lint_reduction.source.notebook import is_notebook, read_notebook
from lint_reduction.source.suppressions import mentions_rules
from lint_reduction.source.tracing import Trace, tracing


@dataclass(slots=True)
class Invocation:
    """One run over files and directories.

    Attributes:
        overrides: what wins over the settings.
        cache: what is known from earlier runs, None to analyze everything.
        jobs: how many processes analyze, None for as many as pay off.
        needs_flows: whether findings have to come with the flow they were found in, which is not kept.
        progress: passes candidates on one by one, showing how far it is.
        contexts: of the files.
        trace: what the run consulted.
        is_repeatable: whether the same run comes to the same as long as nothing changes.
    """

    overrides: Overrides
    cache: FactsCache | None = None
    jobs: int | None = None
    needs_flows: bool = False
    progress: Callable[[Sequence[Task]], Iterable[Task]] = iter
    contexts: Contexts = field(init=False)
    trace: Trace = field(default_factory=Trace)
    is_repeatable: bool = False
    _here: Path = field(default_factory=Path.cwd)
    _digests: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.contexts = Contexts(self.overrides, keeps_all=self.cache is not None)

    def lint(self, paths: Sequence[Path], verify: Callable[[list[FileResult]], list[FileResult]] = list) -> Report:
        """Lint files and directories.

        Args:
            paths: what to lint.
            verify: puts verdicts on what is found.

        Raises:
            ConfigError: a path does not exist, or a configuration is wrong.
        """
        with tracing() as self.trace:
            candidates = find_candidates(paths, self.contexts)
            results = self._results(candidates)
            given = with_large_stack(lambda: with_given(results, self.contexts))
            report = report_on(verify(judged(given, self.contexts)), self.contexts)
        self.is_repeatable = not report.crashes and not any(candidate.problem for candidate in candidates)
        return report

    def save(self, key: str = "", texts: Sequence[tuple[str | None, str]] = (), status: int = 0) -> str:
        """Write down what is known.

        Args:
            key: what the run is known by, empty if what it printed is not to be kept.
            texts: what it wrote, to standard output or to files.
            status: its exit status.

        Returns:
            Why that was not possible, empty if it was.
        """
        if self.cache is None:
            return ""
        record = None
        if key and self.is_repeatable:
            excluded = [context.exclude.names for context in self.contexts.by_configuration.values()]
            record = Record(key, self.trace, frozenset.intersection(*excluded), texts, status)
        self.cache.save(record)
        return self.cache.problem

    def _results(self, candidates: Sequence[Candidate]) -> list[FileResult]:
        """Return what the rules find in each file, in the order of the files."""
        found: dict[int, FileResult] = {}
        heavy = with_large_stack(lambda: self._quick(candidates, found))
        tasks = list(heavy.values())
        jobs = processes(self.jobs, [task.size for task in tasks])
        for index, outcome in zip(heavy, outcomes(tasks, jobs, self.contexts, self.progress), strict=True):
            found[index] = self._taken(candidates[index], outcome)
        return [self._selected(found[index]) for index in range(len(candidates))]

    def _quick(self, candidates: Sequence[Candidate], found: dict[int, FileResult]) -> dict[int, Task]:
        """Find out what takes no analysis, and return the other files by their numbers."""
        heavy = {}
        for index, candidate in enumerate(candidates):
            known = self._known(candidate)
            if known is not None:
                found[index] = known
                continue
            task = load(candidate, self.contexts)
            if task.size and task.holds is not False:
                heavy[index] = task
            else:
                found[index] = self._taken(candidate, lint_one(task, self.contexts, self._here))
        return heavy

    def _known(self, candidate: Candidate) -> FileResult | None:
        """Return what is known of a file from an earlier run."""
        absolute = _absolute(candidate)
        if self.cache is None or candidate.problem:
            return None
        digest, shown = self._digest(absolute), shown_as(absolute, self._here)
        if self.cache.is_clean(absolute, digest, named=candidate.named):
            return FileResult(shown, absolute)
        data = self.cache.get(absolute, digest)
        if data is None or (self.needs_flows and kept.has_findings(data)):
            return None
        result = kept.from_data(data, shown, absolute)
        if kept.needs_text(data) or is_notebook(absolute):
            return _with_text(result, self.cache.content(absolute))
        return result

    def _taken(self, candidate: Candidate, outcome: Outcome) -> FileResult:
        """Keep what became of a file, and return it."""
        result, read, cache = outcome.result, outcome.read, self.cache
        self.trace.add(outcome.trace)
        if cache is None or read is None or result.crash:
            return result
        path, digest = result.absolute, self._digest(result.absolute)
        if result.unparsed or not outcome.is_whole:
            cache.put_read(path, read)
        elif result.analyzed:
            data = kept.to_data(result, mentions_rules(result.text.encode("utf-8", "replace")))
            cache.put(path, read, digest, data, outcome.trace)
        else:
            cache.put_clean(path, read, digest, named=candidate.named)
        return result

    def _selected(self, result: FileResult) -> FileResult:
        """Leave out what rules found that were not asked."""
        if not result.findings or not self.contexts.keeps_all or result.unparsed:
            return result
        codes = self._context(result.absolute).selection.codes
        return replace(result, findings=tuple(finding for finding in result.findings if finding.code in codes))

    def _context(self, absolute: str) -> Context:
        return self.contexts.of(Path(absolute).parent)

    def _digest(self, absolute: str) -> str:
        """Return what stands for all that a configuration says about the analysis of a file."""
        context = self._context(absolute)
        known = self._digests.get(id(context))
        if known is None:
            settings = context.settings
            around = context.surroundings().environment if settings.follow_installed else None
            said = (dict(settings.tables), settings.counts, around)
            known = self._digests[id(context)] = rows.digest(repr(said).encode("utf-8", "surrogatepass"))
        return known


def _absolute(candidate: Candidate) -> str:
    return os.path.abspath(candidate.path)  # noqa: PTH100  # resolve() would follow symbolic links


def _with_text(result: FileResult, content: str) -> FileResult | None:
    """Return a result with the text of its file, None if that has changed meanwhile."""
    try:
        data = read_bytes(Path(result.absolute))
        if rows.digest(data) != content:
            return None
        if not is_notebook(result.absolute):
            return replace(result, text=decode(data))
        notebook = read_notebook(data)
    except SourceError:
        return None
    return None if notebook is None else replace(result, text=notebook.text, cells=notebook.cells)
