"""The plugin of flake8: the findings of the command, in the files that flake8 looks at."""

from __future__ import annotations

import argparse
import ast
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lint_reduction import __version__
from lint_reduction.errors import ConfigError

if TYPE_CHECKING:
    from lint_reduction.run.pipeline import Contexts
    from lint_reduction.run.report import FileResult


class Plugin:
    """Reports what is found in one file; a finding that another file leads to is reported by the command only."""

    name = "lint-reduction"
    version = __version__
    disable_noqa: ClassVar[bool] = False
    _contexts: ClassVar[Contexts | None] = None

    def __init__(self, tree: ast.AST, filename: str, lines: Sequence[str]) -> None:
        del tree  # flake8 gives the file to plugins that take it
        self._filename = filename
        self._lines = lines

    @classmethod
    def parse_options(cls, options: argparse.Namespace) -> None:
        """Take over what flake8 was told about comments that silence findings."""
        cls.disable_noqa = bool(options.disable_noqa)
        cls._contexts = None

    def run(self) -> Iterator[tuple[int, int, str, type[Plugin]]]:
        """Yield line, 0-based column, code and message of each finding."""
        try:
            result = self._result()
        except ConfigError as error:
            yield 1, 0, f"RED000 {error}", type(self)
            return
        if result.crash:
            yield 1, 0, f"RED000 internal error: {result.crash.strip().splitlines()[-1]}", type(self)
        for finding in result.findings:
            yield finding.span.line, finding.span.column - 1, f"{finding.code} {finding.message}", type(self)

    def _result(self) -> FileResult:
        from lint_reduction.run.pipeline import Contexts, Overrides, lint_alone
        from lint_reduction.source.file import encode_declared

        if Plugin._contexts is None:
            Plugin._contexts = Contexts(Overrides(no_ignores=self.disable_noqa))
        absolute = os.path.abspath(self._filename)  # noqa: PTH100  # standard input need not exist
        context = Plugin._contexts.of(Path(absolute).parent)
        return lint_alone(encode_declared("".join(self._lines)), self._filename, absolute, context)[0]
