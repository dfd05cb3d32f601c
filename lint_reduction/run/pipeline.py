"""From paths to a report: discover, read, filter, analyze, judge, suppress."""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lint_reduction.config import Settings, configuration_in, load_settings
from lint_reduction.errors import ConfigError, SourceError
from lint_reduction.facts import ModuleFacts, Span
from lint_reduction.finding import Confidence, Finding
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.libraries import Libraries, load_libraries
from lint_reduction.libraries.schema import read_tables
from lint_reduction.rules import all_rules
from lint_reduction.run.handing import handed_on, with_given
from lint_reduction.run.judge import judge
from lint_reduction.run.modules import project_of
from lint_reduction.run.report import FileResult, Report, collect
from lint_reduction.run.selection import (
    UNREADABLE,
    Choice,
    Selection,
    codes_of,
    select_rules,
)
from lint_reduction.run.syntax import cell_errors, check_syntax
from lint_reduction.source.discover import DEFAULT_EXCLUDE, Candidate, Patterns, discover, git_patterns, is_pattern
from lint_reduction.source.file import MAX_BYTES, check_size, decode, is_ascii_superset, read_bytes
from lint_reduction.source.listing import CONFIGURATIONS
from lint_reduction.source.notebook import is_notebook, read_notebook
from lint_reduction.source.prefilter import Prefilter, build_prefilter
from lint_reduction.source.suppressions import mentions_rules
from lint_reduction.source.tracing import forget, kind_at, note_content

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

    from lint_reduction.analysis import Project

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
        follow_installed: whether losses are followed into installed packages, None to leave it to the settings.
        min_severity: how severe a finding must be.
        fail_on: how severe a finding must be for the run to fail.
        no_ignores: report what comments silence.
    """

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    min_confidence: Confidence | None = None
    force_exclude: bool = False
    isolated: bool = False
    configuration: Path | None = None
    follow_installed: bool | None = None
    min_severity: Severity | None = None
    fail_on: Severity | None = None
    no_ignores: bool = False


@dataclass(slots=True)
class Context:
    """All that is the same for the files under one configuration.

    Attributes:
        settings: what the configuration says.
        selection, min_confidence, min_severity, no_ignores: the same, where the command line has the last word.
        libraries, prefilter, per_file, exclude: what is made of it.
        project: the modules around the files; fills as imports are followed.
        contents: as in ``Contexts``.
        keeps_all: whether all rules run, and not only those that are selected.
        partial: the files, as they are shown, on which only those ran all the same.
    """

    settings: Settings
    selection: Selection
    min_confidence: Confidence
    min_severity: Severity
    libraries: Libraries
    prefilter: Prefilter
    per_file: tuple[tuple[GitIgnoreSpec, frozenset[str]], ...]
    exclude: Patterns
    no_ignores: bool = False
    project: Project | None = None
    contents: Mapping[str, bytes] = field(default_factory=dict)
    keeps_all: bool = False
    partial: set[str] = field(default_factory=set)

    def surroundings(self) -> Project:
        """Return the modules around the files, as far as they are known."""
        if self.project is None:
            self.project = project_of(self.settings, self.libraries, self.contents)
        return self.project


@dataclass(slots=True)
class Contexts:
    """The context of each file, by the configuration closest to it.

    Attributes:
        overrides: what wins over the configurations.
        contents: what to read instead of some files, by their absolute paths.
        keeps_all: as in ``Context``.
    """

    overrides: Overrides
    contents: Mapping[str, bytes] = field(default_factory=dict)
    keeps_all: bool = False
    by_directory: dict[str, Context] = field(default_factory=dict)
    by_configuration: dict[Path | None, Context] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # a process that goes on, as --watch and the language server do, must not remember what was there
        forget()

    def of(self, directory: Path) -> Context:
        """Return the context of the files in a directory.

        Raises:
            ConfigError: a configuration is wrong.
        """
        return self._of(str(directory))

    def _of(self, directory: str) -> Context:
        context = self.by_directory.get(directory)
        if context is None:
            context = self.by_directory[directory] = self._closest(Path(directory))
        return context

    def _closest(self, directory: Path) -> Context:
        if self.overrides.isolated:
            return self._under(None)
        if self.overrides.configuration is not None:
            return self._under(self.overrides.configuration)
        for name in CONFIGURATIONS:
            note_content(os.path.join(directory, name))  # noqa: PTH118  # for each directory
        path = configuration_in(directory)
        if path is not None or directory.parent == directory:
            return self._under(path)
        return self.of(directory.parent)

    def _under(self, path: Path | None) -> Context:
        context = self.by_configuration.get(path)
        if context is None:
            if path is not None:
                note_content(os.path.abspath(path))  # noqa: PTH100  # links are not resolved
            settings = Settings() if path is None else load_settings(path)
            context = self.by_configuration[path] = make_context(settings, self.overrides)
            context.contents = self.contents
            context.keeps_all = self.keeps_all
        return context

    def excludes(self, path: str, is_directory: bool, below: str | None = None) -> bool:
        """Say whether the settings leave out an absolute path.

        Args:
            path: the path; outside of the directory of the configuration only its name matters.
            is_directory: whether it is a directory.
            below: a directory around it that was named: only the part of the path below that matters.
        """
        context = self._of(os.path.dirname(path))  # noqa: PTH120  # asked for every file
        base = below or str(context.settings.root)
        inside = path.startswith(base + os.sep)
        relative = (path[len(base) + 1 :] if inside else os.path.relpath(path, base)).replace(os.sep, "/")
        if relative == os.curdir:
            return False
        if relative.partition("/")[0] == os.pardir:
            relative = Path(path).name
        return context.exclude.match(relative, is_directory)

    def leaves_out(self, path: str, is_directory: bool) -> bool:
        """Say whether the settings leave out an absolute path, or a directory that it stands in."""
        root = self.of(Path(path).parent).settings.root
        inside = [parent for parent in Path(path).parents if root in parent.parents]
        return self.excludes(path, is_directory) or any(self.excludes(str(parent), True) for parent in inside)


def make_context(settings: Settings, overrides: Overrides) -> Context:
    """Return the context for some settings.

    Raises:
        ConfigError: a rule, a table or a count is wrong.
    """
    _check(settings)
    if overrides.follow_installed is not None:
        settings = replace(settings, follow_installed=overrides.follow_installed)
    said = Choice(settings.select, settings.extend_select, settings.ignore)
    selection = select_rules(said, Choice(overrides.select, overrides.extend_select, overrides.ignore))
    exclude = (*(DEFAULT_EXCLUDE if settings.exclude is None else settings.exclude), *settings.extend_exclude)
    libraries = load_libraries()
    if settings.tables or settings.counts:
        tables = read_tables(settings.tables, settings.source)
        libraries = libraries.with_tables(tables, _counts(settings))
    per_file = tuple(
        (git_patterns([pattern]), frozenset(code for rule in rules for code in codes_of(rule)))
        for pattern, rules in settings.per_file_ignores
    )
    return Context(
        settings,
        selection,
        settings.min_confidence if overrides.min_confidence is None else overrides.min_confidence,
        settings.min_severity if overrides.min_severity is None else overrides.min_severity,
        libraries,
        build_prefilter(libraries),
        per_file,
        Patterns.of(exclude),
        overrides.no_ignores,
    )


def _check(settings: Settings) -> None:
    """Make sure that the rules and patterns of a configuration are some, naming the key that is wrong."""
    rules = {"select": settings.select or (), "extend-select": settings.extend_select, "ignore": settings.ignore}
    rules.update((f"per-file-ignores: {pattern}", listed) for pattern, listed in settings.per_file_ignores)
    for key, selectors in rules.items():
        for selector in selectors:
            try:
                codes_of(selector)
            except ConfigError as error:
                raise ConfigError(f"{settings.source}: {key}: {error}") from None
    patterns = {"exclude": settings.exclude or (), "extend-exclude": settings.extend_exclude}
    patterns["per-file-ignores"] = tuple(pattern for pattern, _ in settings.per_file_ignores)
    for key, listed in patterns.items():
        for pattern in listed:
            if not is_pattern(pattern):
                raise ConfigError(f"{settings.source}: {key}: not a pattern: {pattern!r}")


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
    verify: Callable[[list[FileResult]], list[FileResult]] = list,
) -> Report:
    """Lint files and directories.

    Args:
        paths: what to lint.
        overrides: what wins over the settings.
        progress: passes the candidates on one by one, showing how far it is.
        verify: puts verdicts on what is found.

    Raises:
        ConfigError: a path does not exist, or a configuration is wrong.
    """
    contexts = Contexts(overrides)
    results = lint_candidates(progress(find_candidates(paths, contexts)), contexts)
    return report_on(verify(judged(results, contexts)), contexts)


def report_on(results: Sequence[FileResult], contexts: Contexts) -> Report:
    """Return the report of some files, with what is severe enough."""
    kept = []
    for result in results:
        least = contexts.of(Path(result.absolute).parent).min_severity
        kept.append(replace(result, findings=tuple(f for f in result.findings if f.severity >= least)))
    fail_on = contexts.overrides.fail_on or contexts.of(Path.cwd()).settings.fail_on
    return replace(collect(kept, repository_root()), fail_on=fail_on)


def repository_root() -> str:
    """Return the closest directory around the current one that is under version control, or the current one."""
    here = Path.cwd().resolve()
    return str(next((parent for parent in (here, *here.parents) if kind_at(str(parent / ".git"))), here))


def find_candidates(paths: Sequence[Path], contexts: Contexts) -> Sequence[Candidate]:
    """Return the files to look at for some paths.

    Raises:
        ConfigError: a path does not exist, or a configuration is wrong.
    """
    respect = contexts.of(Path.cwd()).settings.respect_gitignore
    leaves_out = contexts.leaves_out if contexts.overrides.force_exclude else None
    return discover(paths, contexts.excludes, respect_gitignore=respect, leaves_out=leaves_out)


def lint_candidates(candidates: Iterable[Candidate], contexts: Contexts) -> list[FileResult]:
    """Lint files, and return what their rules found."""
    here = Path.cwd()

    def run() -> list[FileResult]:
        return with_given([lint_candidate(candidate, contexts, here) for candidate in candidates], contexts)

    return with_large_stack(run)


def judged(results: Sequence[FileResult], contexts: Contexts) -> list[FileResult]:
    """Return results with the findings that are reported, each in the file it is in."""
    here = Path.cwd()
    return judge(
        results, lambda path: contexts.of(Path(path).parent), lambda path: shown_as(path, here), contexts.contents
    )


def lint_candidate(candidate: Candidate, contexts: Contexts, here: Path) -> FileResult:
    """Lint one file; whatever is wrong with it is in the result."""
    absolute = os.path.abspath(candidate.path)  # noqa: PTH100  # resolve() would follow symbolic links
    shown = shown_as(absolute, here)
    if candidate.problem:
        return _unreadable(shown, absolute, SourceError(candidate.problem))
    try:
        data = contexts.contents[absolute] if absolute in contexts.contents else read_bytes(candidate.path)
    except SourceError as error:
        return _unreadable(shown, absolute, error)
    return lint_bytes(data, shown, absolute, contexts.of(Path(absolute).parent), named=candidate.named)


def shown_as(absolute: str, here: Path) -> str:
    """Return how an absolute path is shown: relative to the current directory if it is below it."""
    relative = os.path.relpath(absolute, here)
    return absolute if relative == os.pardir or relative.startswith(os.pardir + os.sep) else relative


def lint_bytes(
    data: bytes, shown: str, absolute: str, context: Context, *, named: bool, holds: bool | None = None
) -> FileResult:
    """Lint the content of a file.

    Args:
        data: its bytes.
        shown: its path in messages.
        absolute: its path.
        context: settings and more.
        named: whether the user named it: its syntax is checked even if it can hold no finding.
        holds: what ``may_hold`` says of it, None if nobody asked.
    """
    return _guarded(shown, absolute, data, lambda: _lint_bytes(data, shown, absolute, context, named, holds))


def lint_alone(data: bytes, shown: str, absolute: str, context: Context, *, named: bool = True) -> list[FileResult]:
    """Lint the content of one file, and return its result and those of the files it leads to."""
    result = with_large_stack(lambda: lint_bytes(data, shown, absolute, context, named=named))
    return judge([result], lambda _: context, lambda path: shown_as(path, Path.cwd()))


def lint_text(text: str, shown: str, absolute: str, context: Context) -> FileResult:
    """Lint source text that is decoded already, and whose imports are not followed."""
    data = text.encode("utf-8", errors="replace")
    result = _guarded(shown, absolute, data, lambda: _lint_text(text, shown, "", context))
    return judge([replace(result, absolute=absolute)], lambda _: context, lambda path: path)[0]


def _guarded(shown: str, absolute: str, data: bytes, run: Callable[[], FileResult]) -> FileResult:
    try:
        return run()
    except SourceError as error:
        return _unreadable(shown, absolute, error, data)
    except Exception:  # a bug must not take the findings in other files with it
        trace = traceback.format_exc()
        return FileResult(shown, absolute, crash=f"internal error in {shown}:\n{trace}")


def _lint_bytes(
    data: bytes, shown: str, absolute: str, context: Context, named: bool, holds: bool | None
) -> FileResult:
    if is_notebook(absolute):
        return _lint_notebook(data, shown, absolute, context, named)
    if not (may_hold(data, context) if holds is None else holds):
        if named:
            check_syntax(decode(data))
        elif not data.isascii() or b"\0" in data:
            decode(data)
        return FileResult(shown, absolute)
    check_size(data)
    return _lint_text(decode(data), shown, absolute, context)


def may_hold(data: bytes, context: Context) -> bool:
    """Return False only if nothing can be found in a file with this content, and no comment in it silences anything."""
    return mentions_rules(data) or context.prefilter.may_hold_finding(data) or not is_ascii_superset(data)


def _lint_text(text: str, shown: str, absolute: str, context: Context) -> FileResult:
    from lint_reduction.analysis import analyze

    project = context.surroundings() if Path(absolute).is_absolute() else None
    try:
        facts = analyze(shown, text, context.libraries, project=project, absolute=absolute)
    except RecursionError:
        raise SourceError("nested too deeply to be analyzed") from None
    found = _found(facts, context)
    lines = frozenset(handed_on(facts))
    return FileResult(shown, absolute, found, text, analyzed=True, handed_on=lines, open_losses=facts.open_losses)


def _found(facts: ModuleFacts, context: Context) -> tuple[Finding, ...]:
    """Return what the rules find: all of them, if that is to be kept for other runs."""
    if context.keeps_all:
        with contextlib.suppress(Exception):  # one that does not run must not fail the run
            return tuple(finding for rule in all_rules() for finding in rule.check(facts))
        context.partial.add(facts.path)
    return tuple(finding for rule in context.selection.rules for finding in rule.check(facts))


def _lint_notebook(data: bytes, shown: str, absolute: str, context: Context, named: bool) -> FileResult:
    """Lint the cells of a notebook as one module; what is wrong with the syntax of one is said of that one."""
    notebook = read_notebook(data)
    if notebook is None:
        return FileResult(shown, absolute)
    code = notebook.text.encode()
    try:
        if not may_hold(code, context):
            if named:
                check_syntax(notebook.text)
            return FileResult(shown, absolute)
        check_size(code)
        return replace(_lint_text(notebook.text, shown, absolute, context), cells=notebook.cells)
    except SourceError as error:
        unreadable = tuple(_unreadable_finding(e) for e in cell_errors(notebook) or [error])
        return FileResult(shown, absolute, unreadable, notebook.text, unparsed=True, cells=notebook.cells)


def _unreadable(shown: str, absolute: str, error: SourceError, data: bytes = b"") -> FileResult:
    # bytes that are no text are nothing to show
    shows = data and len(data) <= MAX_BYTES and b"\0" not in data
    text = data.decode("utf-8", errors="replace") if shows else ""
    return FileResult(shown, absolute, (_unreadable_finding(error),), text, unparsed=True)


def _unreadable_finding(error: SourceError) -> Finding:
    span = Span(error.line, error.column, error.line, error.column + 1)
    return Finding(span, error.reason, Severity.ERROR, Confidence.HIGH, code=UNREADABLE, name="unreadable-file")


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
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(run,), name="lint-reduction", daemon=True)
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(before)
    if errors:
        raise errors[0]
    return results[0]
