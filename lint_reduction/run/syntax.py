"""The syntax of code that is not analyzed: a file that can hold no finding, a cell of a notebook that is broken."""

from __future__ import annotations

import ast
import warnings

from lint_reduction.errors import SourceError
from lint_reduction.source.file import check_size
from lint_reduction.source.notebook import Notebook


def check_syntax(text: str) -> None:
    """Make sure that a text is Python, with the parser of this interpreter as long as nothing is wrong.

    Raises:
        SourceError: it is not, or it is nested too deeply.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            # it takes the slow parser to say what is wrong, and whether this interpreter is only too old
            check_size(text.encode(errors="replace"))
            from lint_reduction.analysis import check_syntax as check_slowly

            check_slowly(text)


def cell_errors(notebook: Notebook) -> list[SourceError]:
    """Return what is wrong with the syntax of each cell, at its line in the module."""
    errors = []
    for start, (_, text) in zip(notebook.cells.starts, notebook.cells.sources(notebook.text), strict=True):
        try:
            check_syntax(text)
        except SourceError as error:
            line = min(error.line, len(text.rstrip().splitlines()))
            errors.append(SourceError(error.reason, start + max(line, 1) - 1, error.column))
    return errors
