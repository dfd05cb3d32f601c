"""``check --watch``: lint again whenever a file changes."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import click
from watchfiles import Change, watch

from lint_reduction.errors import LintReductionError
from lint_reduction.frontends.linting import LintRun
from lint_reduction.source.discover import DEFAULT_EXCLUDE

#: What a run may depend on.
_SUFFIXES = (".py", ".ipynb", ".toml", ".gitignore")
#: How long to wait for a change before looking whether there was one, in milliseconds.
_TIMEOUT = 200


def lint_forever(linting: LintRun, *, unsafe_fixes: bool) -> None:
    """Lint, and lint again after every change, until the user interrupts.

    Raises:
        LintReductionError: a path does not exist.
    """
    linted = False
    directories = _directories(linting.files)
    watched = partial(_is_watched, directories=directories)
    for changes in watch(*directories, watch_filter=watched, rust_timeout=_TIMEOUT, yield_on_timeout=True):
        # what changes while it lints is told of in the next round
        if changes or not linted:
            linted = True
            _lint(linting, unsafe_fixes)


def _directories(paths: Sequence[Path]) -> set[Path]:
    """Return the directories to watch: editors replace a file by another one, so that watching it would not do."""
    for path in paths:
        if not path.exists():
            raise LintReductionError(f"{path}: no such file or directory")
    return {(path if path.is_dir() else path.parent).resolve() for path in paths}


def _is_watched(change: Change, path: str, directories: Collection[Path]) -> bool:
    """Say whether a change may matter; what is in a new directory may have been written before it was watched."""
    inside = (Path(path).relative_to(d) for d in directories if Path(path).is_relative_to(d))
    if all(set(below.parts).intersection(DEFAULT_EXCLUDE) for below in inside):
        return False
    return path.endswith(_SUFFIXES) or (change is Change.added and Path(path).is_dir())


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
