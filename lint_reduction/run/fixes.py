"""Repair what can be repaired: apply the fixes of findings until nothing changes, and write the files.

Nothing is written before all is known. Each fix is tried on a copy in memory and linted again: one that leaves
its finding, takes a comment away or makes the file unreadable is withdrawn.
"""

from __future__ import annotations

import ast
import io
import os
import re
import stat
import tempfile
import tokenize
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from lint_reduction.errors import SourceError
from lint_reduction.facts import Span
from lint_reduction.finding import Applicability, Edit, Finding
from lint_reduction.run.pipeline import Contexts, Overrides, find_candidates, judged, lint_candidates, report_on
from lint_reduction.run.report import FileResult, Report, collect
from lint_reduction.source.discover import Candidate
from lint_reduction.source.file import decode, encode, read_bytes
from lint_reduction.source.notebook import is_notebook, read_notebook, write_back

#: A fix may open the way to another one; after so many rounds something goes in a circle.
MAX_ROUNDS = 10

_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class FixedFile:
    """A file with fixes applied.

    Attributes:
        path, absolute: as in ``Diagnostic``.
        before, after: its content.
        count: how many findings were repaired.
    """

    path: str
    absolute: str
    before: bytes
    after: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Fixed:
    """What came of fixing.

    Attributes:
        report: on the files as they are after it.
        files: those that change.
        withdrawn: one line for each fix that was not applied after all.
        content: the content of the file, where it was given and not read.
    """

    report: Report
    files: tuple[FixedFile, ...] = ()
    withdrawn: tuple[str, ...] = ()
    content: bytes = b""

    @property
    def count(self) -> int:
        """How many findings were repaired."""
        return sum(file.count for file in self.files)


@dataclass(slots=True)
class _Work:
    """The files as they are so far.

    Attributes:
        overrides: for linting again.
        candidates: the files that were named or found, by absolute path; no other is changed.
        contents: the content of those that differ from the disk.
        unsafe: whether to apply unsafe fixes.
        results: what the rules found in each file.
        originals: the content before, of those that change.
        counts: how many findings were repaired in each.
        withdrawn: the fixes not to be tried again, with what to say about them.
    """

    overrides: Overrides
    candidates: dict[str, Candidate]
    contents: dict[str, bytes]
    unsafe: bool
    results: dict[str, FileResult] = field(default_factory=dict)
    originals: dict[str, bytes] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    withdrawn: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def lint(self, paths: Iterable[str], contexts: Contexts) -> dict[str, FileResult]:
        """Lint some of the files again."""
        found = lint_candidates([self.candidates[path] for path in paths], contexts)
        return {result.absolute: result for result in found}


def fix_paths(
    paths: Sequence[Path],
    overrides: Overrides,
    progress: Callable[[Sequence[Candidate]], Iterable[Candidate]] = iter,
    *,
    unsafe: bool = False,
) -> Fixed:
    """Work out the fixes of files and directories, and write nothing.

    Raises:
        ConfigError: a path does not exist, or a configuration is wrong.
    """
    return _fix(find_candidates(paths, Contexts(overrides)), {}, overrides, progress, unsafe)


def fix_bytes(data: bytes, absolute: str, overrides: Overrides, *, unsafe: bool = False) -> Fixed:
    """Work out the fixes of the content of a file that need not exist.

    Raises:
        ConfigError: a configuration is wrong.
    """
    fixed = _fix([Candidate(Path(absolute), named=True)], {absolute: data}, overrides, iter, unsafe)
    return replace(fixed, content=fixed.files[0].after if fixed.files else data)


def unchanged(data: bytes) -> Fixed:
    """Return what comes of fixing the content of a file that is left out."""
    return Fixed(collect([]), content=data)


def _fix(
    candidates: Sequence[Candidate],
    contents: dict[str, bytes],
    overrides: Overrides,
    progress: Callable[[Sequence[Candidate]], Iterable[Candidate]],
    unsafe: bool,
) -> Fixed:
    contexts = Contexts(overrides, contents)
    results = {result.absolute: result for result in lint_candidates(progress(candidates), contexts)}
    by_path = {os.path.abspath(candidate.path): candidate for candidate in candidates}  # noqa: PTH100  # as linted
    work = _Work(overrides, by_path, dict(contents), unsafe, results)
    complete = True
    for _ in range(MAX_ROUNDS):
        found = judged(list(work.results.values()), Contexts(overrides, work.contents))
        todo = [(result, chosen) for result in found if (chosen := _chosen(result, work))]
        if not todo and complete:
            break
        for result, chosen in todo:
            _repair(result, chosen, work)
        complete = not todo
        if complete:
            # what was changed in one file may show in any other
            work.results = work.lint(by_path, Contexts(overrides, work.contents))
    contexts = Contexts(overrides, work.contents)
    if not complete:
        work.results = work.lint(by_path, contexts)
    found = judged(list(work.results.values()), contexts)
    files = [
        FixedFile(result.path, path, data, work.contents[path], work.counts[path])
        for path, data in sorted(work.originals.items())
        for result in [work.results[path]]
        if data != work.contents[path]
    ]
    return Fixed(report_on(found, contexts), tuple(files), tuple(work.withdrawn.values()))


def _chosen(result: FileResult, work: _Work) -> list[Finding]:
    """Return the findings to repair in one go: their edits do not touch."""
    if result.absolute not in work.candidates or result.unparsed or result.crash:
        return []
    chosen: list[Finding] = []
    taken: list[Span] = []
    for finding in result.findings:
        fix = finding.fix
        if fix is None or (fix.applicability is Applicability.UNSAFE and not work.unsafe):
            continue
        if _key(result, finding) in work.withdrawn:
            continue
        spans = [edit.span for edit in fix.edits]
        if not any(_touch(one, other) for one in spans for other in taken):
            chosen.append(finding)
            taken += spans
    return chosen


def _touch(one: Span, other: Span) -> bool:
    first, last = (one.line, one.column), (one.end_line, one.end_column)
    return first <= (other.end_line, other.end_column) and (other.line, other.column) <= last


def _key(result: FileResult, finding: Finding) -> tuple[str, str, str]:
    """Return what stays the same of a finding while lines are changed around it."""
    return result.absolute, finding.code, _NEWLINE.split(result.text)[finding.span.line - 1]


def _repair(result: FileResult, chosen: Sequence[Finding], work: _Work) -> None:
    """Apply fixes to a file; if they do not all hold, as many as hold together."""
    if _attempt(result, chosen, work):
        return
    good: list[Finding] = []
    for finding in chosen:
        if not _problem(result, [*good, finding], work)[1]:
            good.append(finding)
        elif reason := _problem(result, [finding], work)[1]:
            place = result.place(finding.span)
            work.withdrawn[_key(result, finding)] = f"{place}: the fix of {finding.code} is withdrawn: {reason}"
    if good:
        _attempt(result, good, work)


def _attempt(result: FileResult, chosen: Sequence[Finding], work: _Work) -> bool:
    """Apply fixes to a file if all of them hold."""
    trial, problem = _problem(result, chosen, work)
    if problem or trial is None:
        return False
    path = result.absolute
    work.originals.setdefault(path, trial.before)
    work.contents[path] = trial.after
    work.results.update(trial.results)
    work.counts[path] += len(chosen)
    return True


@dataclass(frozen=True, slots=True)
class _Trial:
    """A file with some fixes, linted again with the files that have findings in it."""

    before: bytes
    after: bytes
    results: dict[str, FileResult]


def _problem(result: FileResult, chosen: Sequence[Finding], work: _Work) -> tuple[_Trial | None, str]:
    """Try fixes on a file, and return what comes of it and what is wrong with that; empty if nothing is."""
    path = result.absolute
    edits = [edit for finding in chosen if finding.fix for edit in finding.fix.edits]
    try:
        before = work.contents[path] if path in work.contents else read_bytes(Path(path))
        text, changed, after = edited_file(path, before, edits)
    except SourceError as error:
        return None, error.reason
    involved = {path, *(name for name, other in work.results.items() if _leads_to(other, path))}
    if any(start < (e.span.line, e.span.column) <= end for start, end in formatted_strings(text) for e in edits):
        # quotes in quotes are an error before Python 3.12
        return None, "it would stand in a formatted string"
    if _parses(text) and not _parses(changed):
        return None, "the result cannot be parsed"
    contexts = Contexts(work.overrides, work.contents | {path: after})
    results = work.lint(sorted(involved), contexts)
    again = {r.absolute: r for r in judged(list(results.values()), contexts)}[path]
    trial = _Trial(before, after, results)
    if again.crash or again.unparsed:
        return trial, "the result cannot be parsed"
    if comments_in(text) - comments_in(changed):
        return trial, "a comment would be lost"
    left, had = _codes(again.findings), _codes(result.findings)
    if any(left[code] > had[code] - count for code, count in _codes(chosen).items()):
        return trial, "the finding stays"
    return trial, ""


def edited_file(path: str, before: bytes, edits: Sequence[Edit]) -> tuple[str, str, bytes]:
    """Return the code of a file before and after some edits, and its bytes after them.

    Raises:
        SourceError: they cannot be made.
    """
    if not is_notebook(path):
        text = decode(before)
        changed = edited(text, edits)
        return text, changed, encode(changed, before)
    try:
        after = write_back(before, [(edit.span, edit.replacement) for edit in edits])
    except ValueError as error:
        raise SourceError(str(error)) from None
    old, new = read_notebook(before), read_notebook(after)
    return old.text if old else "", new.text if new else "", after


def _parses(text: str) -> bool:
    """Say whether this interpreter can read a text; the parser of the analysis lets more pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _leads_to(result: FileResult, path: str) -> bool:
    """Say whether another file has findings that are, or begin, in a file."""
    return any(span.path == path for f in result.findings for span in (f.span, *(r.span for r in f.related)))


def _codes(findings: Iterable[Finding]) -> Counter[str]:
    return Counter(finding.code for finding in findings)


def comments_in(text: str) -> Counter[str]:
    """Count the comments of a source text, by their text."""
    comments: Counter[str] = Counter()
    # what this interpreter cannot split into tokens is left to the parser to judge
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO(text, newline=None).readline):
            if token.type == tokenize.COMMENT:
                comments[token.string] += 1
    return comments


def formatted_strings(text: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where formatted strings begin and end, which are one token before Python 3.12."""
    found: list[tuple[tuple[int, int], tuple[int, int]]] = []
    starts: list[tuple[int, int]] = []
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO(text, newline=None).readline):
            kind = tokenize.tok_name[token.type]
            if kind == "FSTRING_START":
                starts.append(token.start)
            elif kind == "FSTRING_END":
                found.append((starts.pop(), token.end))
            elif kind == "STRING" and "f" in token.string.partition(token.string[-1])[0].lower():
                found.append((token.start, token.end))
    return found


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with edits applied; they must not overlap."""
    starts = [0, *(match.end() for match in _NEWLINE.finditer(text))]
    parts = []
    done = 0
    for start, end, replacement in sorted(_offsets(edits, starts)):
        parts += [text[done:start], replacement]
        done = end
    return "".join([*parts, text[done:]])


def _offsets(edits: Iterable[Edit], starts: Sequence[int]) -> Iterator[tuple[int, int, str]]:
    for edit in edits:
        span = edit.span
        yield starts[span.line - 1] + span.column - 1, starts[span.end_line - 1] + span.end_column - 1, edit.replacement


def write_file(file: FixedFile) -> None:
    """Write a fixed file at once or not at all, with its permissions; a link stays one.

    Raises:
        SourceError: it cannot be written, or is not as it was any more.
    """
    target = Path(os.path.realpath(file.absolute))
    now = read_bytes(target)
    if now == file.after:
        return
    if now != file.before:
        raise SourceError("changed while it was being fixed")
    if not os.access(target, os.W_OK):
        raise SourceError("permission denied")
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(file.after)
        Path(temporary).chmod(stat.S_IMODE(target.stat().st_mode))
        os.replace(temporary, target)  # noqa: PTH105  # what a test can make fail
    except OSError as error:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
        raise SourceError((error.strerror or str(error)).lower()) from None
