"""Silence what is found: a comment at the end of each line with a finding, so that only new ones are reported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lint_reduction.errors import SourceError
from lint_reduction.finding import Edit
from lint_reduction.run.fixes import Fixed, FixedFile, edited_file
from lint_reduction.run.pipeline import Contexts, Overrides, find_candidates, judged, lint_candidates, report_on
from lint_reduction.run.report import Diagnostic, Report
from lint_reduction.run.selection import UNREADABLE, UNUSED_SUPPRESSION
from lint_reduction.source.discover import Candidate
from lint_reduction.source.file import decode, read_bytes
from lint_reduction.source.notebook import is_notebook, read_notebook
from lint_reduction.source.suppressions import added_suppressions


def ignore_paths(
    paths: Sequence[Path],
    overrides: Overrides,
    reason: str,
    gate: Callable[[Report], Report],
    progress: Callable[[Sequence[Candidate]], Iterable[Candidate]] = iter,
) -> Fixed:
    """Work out the comments that silence what is found in files and directories, and write nothing.

    Args:
        paths: what to lint; no other file is changed.
        overrides: what wins over the settings.
        reason: what to write into the comments; may be empty.
        gate: takes out of a report what is not to be silenced.
        progress: as in ``lint``.

    Raises:
        ConfigError: a path does not exist, or a configuration is wrong.
    """
    candidates = list(progress(find_candidates(paths, Contexts(overrides))))
    return _ignore(candidates, {}, overrides, reason, gate)


def ignore_bytes(
    data: bytes, absolute: str, overrides: Overrides, reason: str, gate: Callable[[Report], Report]
) -> Fixed:
    """Work out the comments that silence what is found in the content of a file that need not exist.

    Raises:
        ConfigError: a configuration is wrong.
    """
    done = _ignore([Candidate(Path(absolute), named=True)], {absolute: data}, overrides, reason, gate)
    return replace(done, content=done.files[0].after if done.files else data)


def _ignore(
    candidates: Sequence[Candidate],
    contents: Mapping[str, bytes],
    overrides: Overrides,
    reason: str,
    gate: Callable[[Report], Report],
) -> Fixed:
    report = _report(candidates, contents, overrides)
    named = {os.path.abspath(candidate.path) for candidate in candidates}  # noqa: PTH100  # as linted
    by_file: dict[str, list[Diagnostic]] = {}
    for diagnostic in gate(report).diagnostics:
        if diagnostic.absolute in named and diagnostic.finding.code not in (UNREADABLE, UNUSED_SUPPRESSION):
            by_file.setdefault(diagnostic.absolute, []).append(diagnostic)
    files, problems = [], []
    for path, found in by_file.items():
        try:
            files.append(_silenced(path, found, contents, reason))
        except SourceError as error:
            problems.append(f"{found[0].path}: nothing added: {error.reason}")
    if not files:
        return Fixed(report, (), tuple(problems))
    after = _report(candidates, {**contents, **{file.absolute: file.after for file in files}}, overrides)
    return Fixed(after, tuple(files), tuple(problems))


def _report(candidates: Sequence[Candidate], contents: Mapping[str, bytes], overrides: Overrides) -> Report:
    contexts = Contexts(overrides, contents)
    return report_on(judged(lint_candidates(candidates, contexts), contexts), contexts)


def _silenced(path: str, found: Sequence[Diagnostic], contents: Mapping[str, bytes], reason: str) -> FixedFile:
    before = contents[path] if path in contents else read_bytes(Path(path))
    text, first_lines = _text(path, before)
    wanted: dict[int, set[str]] = {}
    for diagnostic in found:
        line = diagnostic.finding.span.line + first_lines[diagnostic.cell] - 1
        wanted.setdefault(line, set()).add(diagnostic.finding.code)
    edits = [Edit(span, new) for span, new in added_suppressions(text, wanted, reason)]
    _, _, after = edited_file(path, before, edits)
    return FixedFile(found[0].path, path, before, after, len(found))


def _text(path: str, data: bytes) -> tuple[str, Mapping[int | None, int]]:
    """Return the code in a file, and the line in it on which each cell begins if it is a notebook."""
    notebook = read_notebook(data) if is_notebook(path) else None
    if notebook is None:
        return decode(data), {None: 1}
    return notebook.text, dict(zip(notebook.cells.numbers, notebook.cells.starts, strict=True))
