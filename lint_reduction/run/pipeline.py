"""From paths to a report: discover, read, filter, analyze, judge, suppress."""

from __future__ import annotations

import ast
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from pathspec import GitIgnoreSpec

from lint_reduction.config import Settings, find_configuration, load_settings
from lint_reduction.errors import ConfigError, SourceError
from lint_reduction.facts import Span
from lint_reduction.finding import Confidence, Finding
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.libraries import Libraries, load_libraries
from lint_reduction.libraries.schema import read_tables
from lint_reduction.run.report import FileResult, Report, collect
from lint_reduction.run.selection import UNREADABLE, UNUSED_SUPPRESSION, Selection, codes_of, select_rules
from lint_reduction.source.discover import DEFAULT_EXCLUDE, Candidate, discover
from lint_reduction.source.file import MAX_BYTES, decode, is_ascii_superset, read_bytes
from lint_reduction.source.prefilter import Prefilter, build_prefilter
from lint_reduction.source.suppressions import Suppression, find_suppressions

_Result = TypeVar("_Result")
#: Deeply nested code recurses; a thread can have the stack for it.
_STACK_BYTES = 256 * 1024 * 1024
_RECURSION_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says; it wins over the settings of a file.

    Attributes:
        select, extend_select, ignore: rules.
        min_confidence: how sure a finding must be.
        force_exclude: leave out excluded files even if they are named.
        isolated: read no configuration.
        configuration: the configuration for all files.
    """

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    min_confidence: Confidence | None = None
    force_exclude: bool = False
    isolated: bool = False
    configuration: Path | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """All that is the same for the files under one configuration."""

    settings: Settings
    selection: Selection
    min_confidence: Confidence
    libraries: Libraries
    prefilter: Prefilter
    per_file: tuple[tuple[GitIgnoreSpec, frozenset[str]], ...]
    exclude: GitIgnoreSpec


@dataclass(slots=True)
class Contexts:
    """The context of each file, by the configuration closest to it."""

    overrides: Overrides
    by_directory: dict[Path, Context] = field(default_factory=dict)
    by_configuration: dict[Path | None, Context] = field(default_factory=dict)

    def of(self, directory: Path) -> Context:
        """Return the context of the files in a directory.

        Raises:
            ConfigError: a configuration is wrong.
        """
        context = self.by_directory.get(directory)
        if context is None:
            path = None if self.overrides.isolated else self.overrides.configuration
            if path is None and not self.overrides.isolated:
                path = find_configuration(directory)
            context = self.by_configuration.get(path)
            if context is None:
                settings = Settings() if path is None else load_settings(path)
                context = self.by_configuration[path] = make_context(settings, self.overrides)
            self.by_directory[directory] = context
        return context

    def excludes(self, path: str, is_directory: bool) -> bool:
        """Say whether the settings leave out an absolute path."""
        directory = Path(path).parent
        context = self.of(directory)
        relative = os.path.relpath(path, context.settings.root).replace(os.sep, "/")
        if relative.startswith("../"):
            relative = Path(path).name
        return context.exclude.match_file(relative + "/" * is_directory)


def make_context(settings: Settings, overrides: Overrides) -> Context:
    """Return the context for some settings.

    Raises:
        ConfigError: a rule, a table or a count is wrong.
    """
    selection = select_rules(
        settings.select if overrides.select is None else overrides.select,
        (*settings.extend_select, *overrides.extend_select),
        (*settings.ignore, *overrides.ignore),
    )
    exclude = (*(DEFAULT_EXCLUDE if settings.exclude is None else settings.exclude), *settings.extend_exclude)
    libraries = load_libraries()
    if settings.tables or settings.counts:
        tables = read_tables(settings.tables, settings.source)
        libraries = libraries.with_tables(tables, _counts(settings))
    per_file = tuple(
        (GitIgnoreSpec.from_lines([pattern]), frozenset(code for rule in rules for code in codes_of(rule)))
        for pattern, rules in settings.per_file_ignores
    )
    return Context(
        settings,
        selection,
        settings.min_confidence if overrides.min_confidence is None else overrides.min_confidence,
        libraries,
        build_prefilter(libraries),
        per_file,
        GitIgnoreSpec.from_lines(exclude),
    )


def _counts(settings: Settings) -> dict[str, Count]:
    known = {count.value: count for count in Count}
    for _, count in settings.counts:
        if count not in known:
            raise ConfigError(f"{settings.source}: no count {count!r}; known: {', '.join(known)}")
    return {name.lower(): known[count] for name, count in settings.counts}


def lint(
    paths: Sequence[Path],
    overrides: Overrides,
    progress: Callable[[Sequence[Candidate]], Iterable[Candidate]] = iter,
) -> Report:
    """Lint files and directories.

    Args:
        paths: what to lint.
        overrides: what wins over the settings.
        progress: passes the candidates on one by one, showing how far it is.

    Raises:
        ConfigError: a path does not exist, or a configuration is wrong.
    """
    contexts = Contexts(overrides)
    here = Path.cwd()
    respect = contexts.of(here).settings.respect_gitignore
    candidates = discover(paths, contexts.excludes, respect_gitignore=respect, force_exclude=overrides.force_exclude)

    def run() -> list[FileResult]:
        return [lint_candidate(candidate, contexts, here) for candidate in progress(candidates)]

    return collect(with_large_stack(run))


def lint_candidate(candidate: Candidate, contexts: Contexts, here: Path) -> FileResult:
    """Lint one file; whatever is wrong with it is in the result."""
    absolute = os.path.abspath(candidate.path)  # noqa: PTH100  # resolve() would follow symbolic links
    shown = _shown(absolute, here)
    if candidate.problem:
        return _unreadable(shown, absolute, SourceError(candidate.problem))
    try:
        data = read_bytes(candidate.path)
    except SourceError as error:
        return _unreadable(shown, absolute, error)
    return lint_bytes(data, shown, absolute, contexts.of(Path(absolute).parent), named=candidate.named)


def _shown(absolute: str, here: Path) -> str:
    relative = os.path.relpath(absolute, here)
    return absolute if relative.startswith("..") else relative


def lint_bytes(data: bytes, shown: str, absolute: str, context: Context, *, named: bool) -> FileResult:
    """Lint the content of a file.

    Args:
        data: its bytes.
        shown: its path in messages.
        absolute: its path.
        context: settings and more.
        named: whether the user named it: its syntax is checked even if it can hold no finding.
    """
    return _guarded(shown, absolute, data, lambda: _lint_bytes(data, shown, absolute, context, named))


def lint_text(text: str, shown: str, absolute: str, context: Context) -> FileResult:
    """Lint source text that is decoded already."""
    data = text.encode("utf-8", errors="replace")
    return _guarded(shown, absolute, data, lambda: _lint_text(text, shown, absolute, context))


def _guarded(shown: str, absolute: str, data: bytes, run: Callable[[], FileResult]) -> FileResult:
    try:
        return run()
    except SourceError as error:
        return _unreadable(shown, absolute, error, data)
    except Exception:  # a bug must not take the findings in other files with it
        trace = traceback.format_exc()
        return FileResult(shown, absolute, crash=f"internal error in {shown}:\n{trace}")


def _lint_bytes(data: bytes, shown: str, absolute: str, context: Context, named: bool) -> FileResult:
    may_hold = b"lint-reduction:" in data or context.prefilter.may_hold_finding(data)
    if not may_hold and is_ascii_superset(data):
        if named:
            _check_syntax(decode(data))
        elif not data.isascii() or b"\0" in data:
            decode(data)
        return FileResult(shown, absolute)
    if len(data) > MAX_BYTES:
        raise SourceError(f"too large to be analyzed: {len(data) / 1e6:.1f} MB, the limit is {MAX_BYTES / 1e6:.0f} MB")
    return _lint_text(decode(data), shown, absolute, context)


def _lint_text(text: str, shown: str, absolute: str, context: Context) -> FileResult:
    from lint_reduction.analysis import analyze  # importing libcst takes longer than most runs

    try:
        facts = analyze(shown, text, context.libraries)
    except RecursionError:
        raise SourceError("nested too deeply to be analyzed") from None
    findings = [finding for rule in context.selection.rules for finding in rule.check(facts)]
    kept = [f for f in worst_of_each(findings) if _is_wanted(f, context, absolute)]
    if context.settings.fixed_batch_size:
        kept = [replace(f, severity=Severity.NOTE) if f.code in ("RED101", "RED102") else f for f in kept]
    suppressions = find_suppressions(text)
    reported, silenced = _suppress(kept, suppressions, context.selection)
    ordered = tuple(sorted(reported, key=lambda f: (f.span, f.code)))
    return FileResult(shown, absolute, ordered, text if ordered else "", analyzed=True, suppressed=silenced)


def _check_syntax(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            from lint_reduction.analysis.parse import parse

            parse(text)


def worst_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """Return one finding for each rule and place: several paths may lead through one loss."""
    worst: dict[tuple[str, Span], Finding] = {}
    for finding in findings:
        key = finding.code, finding.span
        old = worst.get(key)
        if old is None or (finding.severity, finding.confidence) > (old.severity, old.confidence):
            worst[key] = finding
    return list(worst.values())


def _is_wanted(finding: Finding, context: Context, path: str) -> bool:
    wanted = Confidence.LOW if finding.code in context.selection.named else context.min_confidence
    if finding.confidence < wanted:
        return False
    relative = os.path.relpath(path, context.settings.root).replace(os.sep, "/")
    return not any(finding.code in codes and spec.match_file(relative) for spec, codes in context.per_file)


def _suppress(
    findings: list[Finding], suppressions: tuple[Suppression, ...], selection: Selection
) -> tuple[list[Finding], int]:
    """Return the findings that no comment silences, and how many one does."""
    used: set[tuple[Span, str]] = set()
    reported = []
    for finding in findings:
        silencing = [(s, rule) for s in suppressions for rule in s.rules if _silences(s, rule, finding)]
        if not silencing:
            reported.append(finding)
        used.update((s.span, rule) for s, rule in silencing)
    silenced = len(findings) - len(reported)
    if selection.unused_suppressions:
        reported += [f for s in suppressions for f in _unused(s, used, selection)]
    return reported, silenced


def _silences(suppression: Suppression, rule: str, finding: Finding) -> bool:
    if rule.upper() != finding.code and rule != finding.name:
        return False
    lines = {finding.span.line, *(r.span.line for r in finding.related if r.role == "backward")}
    return suppression.whole_file or any(suppression.first <= line <= suppression.last for line in lines)


def _unused(suppression: Suppression, used: set[tuple[Span, str]], selection: Selection) -> Iterable[Finding]:
    if not suppression.rules:
        yield _note(suppression.span, "names no rule, so it silences nothing")
    for rule in suppression.rules:
        try:
            codes = codes_of(rule)
        except ConfigError as error:
            yield _note(suppression.span, str(error))
            continue
        if (suppression.span, rule) not in used and set(codes) <= selection.codes:
            yield _note(suppression.span, f"{rule} is not found here, so this comment silences nothing")


def _note(span: Span, message: str) -> Finding:
    return Finding(
        span, message, Severity.NOTE, Confidence.HIGH, "Remove it.", code=UNUSED_SUPPRESSION, name="unused-suppression"
    )


def _unreadable(shown: str, absolute: str, error: SourceError, data: bytes = b"") -> FileResult:
    span = Span(error.line, error.column, error.line, error.column + 1)
    finding = Finding(span, error.reason, Severity.ERROR, Confidence.HIGH, code=UNREADABLE, name="unreadable-file")
    text = data.decode("utf-8", errors="replace") if data and len(data) <= MAX_BYTES else ""
    return FileResult(shown, absolute, (finding,), text, unparsed=True)


def with_large_stack(function: Callable[[], _Result]) -> _Result:
    """Run a function in a thread whose stack is large enough for deeply nested code."""
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    limit = sys.getrecursionlimit()
    before = threading.stack_size(_STACK_BYTES)
    sys.setrecursionlimit(max(limit, _RECURSION_LIMIT))
    try:
        thread = threading.Thread(target=run, name="lint-reduction", daemon=True)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(before)
    if errors:
        raise errors[0]
    return results[0]
