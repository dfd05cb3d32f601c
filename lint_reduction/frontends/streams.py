"""Standard streams and files that the command prints to."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

import click

from lint_reduction.errors import LintReductionError


def write_text(file: Path, text: str) -> None:
    """Write a file.

    Raises:
        LintReductionError: it cannot be written.
    """
    try:
        file.write_text(text, encoding="utf-8", errors="replace", newline="")
    except OSError as error:
        raise LintReductionError(f"{file}: {(error.strerror or str(error)).lower()}") from None


def use_color(*, no_color: bool, out: TextIO | None = None) -> bool:
    """Say whether to print in colors to a stream, standard output if none is given."""
    out = out or sys.stdout
    if no_color or os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (out is not None and out.isatty())


def print_text(text: str, out: TextIO | None = None) -> None:
    """Print a text to a stream, standard output if none is given; characters that it cannot write are replaced."""
    out = out or sys.stdout
    if out is None:
        return
    if isinstance(getattr(out, "errors", None), str) and hasattr(out, "reconfigure"):
        out.reconfigure(errors="replace")
    out.write(text)
    out.flush()


def read_stdin() -> bytes:
    """Return what is on standard input.

    Raises:
        click.UsageError: it is closed.
    """
    if sys.stdin is None:
        raise click.UsageError("standard input is closed")
    return sys.stdin.buffer.read()
