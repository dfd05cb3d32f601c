"""``check --watch``: lint again whenever a file changes."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
from watchfiles import Change, watch

from lint_reduction.errors import LintReductionError
from lint_reduction.frontends.linting import LintRun
from lint_reduction.source.discover import DEFAULT_EXCLUDE

#: What a run may depend on; settings of programs are in YAML.
_SUFFIXES = (".py", ".ipynb", ".toml", ".gitignore", ".yaml", ".yml")
#: How long to wait for a change before looking whether there was one, in milliseconds.
_TIMEOUT = 200


@dataclass(frozen=True, slots=True)
class _Watched:
    """What is watched.

    Attributes:
        linted: the directories that are linted, or hold a file that is.
        baseline: the file of known findings.
    """

    linted: frozenset[Path]
    baseline: Path | None

    @property
    def directories(self) -> set[Path]:
        """Return the directories to watch: editors replace a file by another one, so that watching it would not do."""
        beside = {self.baseline.parent} if self.baseline is not None and self.baseline.parent.is_dir() else set()
        return beside.union(self.linted)

    def includes(self, change: Change, path: str) -> bool:
        """Say whether a change may matter; what is in a new directory may have been written before it was watched."""
        if Path(path) == self.baseline:
            return True
        inside = (Path(path).relative_to(d) for d in self.linted if Path(path).is_relative_to(d))
        if all(set(below.parts).intersection(DEFAULT_EXCLUDE) for below in inside):
            return False
        return path.endswith(_SUFFIXES) or (change is Change.added and Path(path).is_dir())


def lint_forever(linting: LintRun, *, unsafe_fixes: bool) -> None:
    """Lint, and lint again after every change, until the user interrupts.

    Raises:
        LintReductionError: a path does not exist.
    """
    watched = _Watched(_directories(linting.files), _baseline(linting, None))
    while True:
        watched = _lint_until_moved(linting, watched, unsafe_fixes)


def _lint_until_moved(linting: LintRun, watched: _Watched, unsafe_fixes: bool) -> _Watched:
    """Lint until the settings name another baseline, and return what is to be watched then."""
    linted = False
    changed = watch(*watched.directories, watch_filter=watched.includes, rust_timeout=_TIMEOUT, yield_on_timeout=True)
    for changes in changed:
        # what changes while it lints is told of in the next round
        if changes or not linted:
            linted = True
            now = replace(watched, baseline=_baseline(linting, watched.baseline))
            if now != watched:
                return now
            _lint(linting, unsafe_fixes)
    return watched


def _directories(paths: Sequence[Path]) -> frozenset[Path]:
    for path in paths:
        if not path.exists():
            raise LintReductionError(f"{path}: no such file or directory")
    return frozenset((path if path.is_dir() else path.parent).resolve() for path in paths)


def _baseline(linting: LintRun, before: Path | None) -> Path | None:
    """Return where the baseline is, the one of before where the settings cannot be read."""
    try:
        known = linting.known_findings
    except LintReductionError:
        return before
    return None if known is None else known.parent.resolve() / known.name


def _lint(linting: LintRun, unsafe_fixes: bool) -> None:
    if sys.stdout.isatty():
        click.clear()
    try:
        run = linting.invocation()
        report = linting.gate(linting.lint(run))
        linting.keep(run)
        linting.show(report, sys.stdout, unsafe_fixes=unsafe_fixes)
        for crash in report.crashes:
            click.echo(crash, err=True)
    except LintReductionError as error:
        click.echo(f"lint-reduction: {error}", err=True)
    gc.collect()
    click.echo(f"[{time.strftime('%H:%M:%S')}] watching for changes; Ctrl-C to stop", err=True)
