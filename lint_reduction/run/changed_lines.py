"""Which lines changed since a revision, as git says, and the findings that are on them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from lint_reduction.errors import ConfigError
from lint_reduction.run.report import Diagnostic, Report

_ALL: range = range(1, 1 << 62)


def changed_lines(revision: str) -> Mapping[str, tuple[range, ...]]:
    """Return the lines of each file that changed since a revision, or that git does not know yet.

    Returns:
        Ranges of lines by the real path of the file.

    Raises:
        ConfigError: git is not there, this is no repository, or there is no such revision.
    """
    root = os.path.realpath(_git("rev-parse", "--show-toplevel").strip())
    if revision.startswith("-"):
        raise ConfigError(f"no revision of git: {revision!r}")
    changed: dict[str, tuple[range, ...]] = {}
    try:
        patches = PatchSet(_git("diff", "--unified=0", "--no-ext-diff", "--no-color", revision, "--", cwd=root))
    except UnidiffParseError as error:
        raise ConfigError(f"the output of git diff cannot be read: {error}") from None
    for patch in patches:
        hunks = tuple(range(hunk.target_start, hunk.target_start + hunk.target_length) for hunk in patch)
        changed[os.path.realpath(os.path.join(root, patch.path))] = hunks  # noqa: PTH118  # as text, for real paths
    for path in _git("ls-files", "--others", "--exclude-standard", "-z", cwd=root).split("\0"):
        if path:
            changed[os.path.realpath(os.path.join(root, path))] = (_ALL,)  # noqa: PTH118
    return changed


def _git(*arguments: str, cwd: str | None = None) -> str:
    command = ["git", "-c", "core.quotepath=off", *arguments]
    try:
        ran = subprocess.run(
            command, capture_output=True, check=False, cwd=cwd, encoding="utf-8", errors="surrogateescape"
        )
    except OSError as error:
        raise ConfigError(f"git cannot be run: {(error.strerror or str(error)).lower()}") from None
    if ran.returncode != 0:
        said = ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"]
        raise ConfigError(f"git: {said[0].removeprefix('fatal: ')}")
    return ran.stdout


def only_changed(report: Report, changed: Mapping[str, tuple[range, ...]]) -> Report:
    """Return a report with the findings of which some place, in the file of the finding, is on a changed line."""
    kept = tuple(d for d in report.diagnostics if _is_on(d, changed.get(os.path.realpath(d.absolute), ())))
    return replace(report, diagnostics=kept)


def _is_on(diagnostic: Diagnostic, lines: tuple[range, ...]) -> bool:
    finding = diagnostic.finding
    if diagnostic.cell is not None:
        # lines of cells are not those of the file
        return bool(lines)
    spans = [finding.span, *(r.span for r in finding.related if not r.span.path)]
    return any(span.line < part.stop and part.start <= span.end_line for span in spans for part in lines)
