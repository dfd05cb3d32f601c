"""A command that lints: from its options to a report, and from that to what is printed and an exit status."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from lint_reduction.frontends import progress
from lint_reduction.frontends.options import Linting
from lint_reduction.frontends.streams import print_text, read_stdin, use_color, write_text

if TYPE_CHECKING:
    from lint_reduction.run.report import FileResult, Report


@dataclass(frozen=True, slots=True)
class LintRun(Linting):
    """A command that lints, with its options.

    Raises:
        click.UsageError: the options do not go together, from any method.
    """

    def lint(self, verify: Callable[[list[FileResult]], list[FileResult]] = list) -> Report:
        """Lint what the paths name."""
        if self.reads_stdin:
            return self._lint_stdin(verify)
        from lint_reduction.run.pipeline import lint

        return lint(self.files, self.overrides, progress.linting, verify)

    @property
    def files(self) -> list[Path]:
        """The files and directories to look at."""
        if self.stdin_filename is not None:
            raise click.UsageError("--stdin-filename names code from standard input; leave the paths out")
        if "-" in self.paths:
            raise click.UsageError("code from standard input cannot be linted together with files")
        if "" in self.paths:
            raise click.UsageError("a path is empty")
        return [Path(path) for path in self.paths or ["."]]

    def _lint_stdin(self, verify: Callable[[list[FileResult]], list[FileResult]]) -> Report:
        from lint_reduction.run.pipeline import Contexts, lint_alone, report_on

        name = self.stdin_filename
        shown = name or "<stdin>"
        absolute = os.path.abspath(shown)  # noqa: PTH100  # the file need not exist
        contexts = Contexts(self.overrides)
        context = contexts.of(Path(absolute).parent if name else Path.cwd())
        data = read_stdin()
        if name and self.force_exclude and contexts.leaves_out(absolute, False):
            return report_on([], contexts)
        return report_on(verify(lint_alone(data, shown, absolute, context)), contexts)

    def describe(self, *, files: bool) -> None:
        """Print which files would be linted, or the settings of the first path."""
        if not files:
            from lint_reduction.frontends.settings import describe_settings

            path = Path(self.stdin_filename) if self.stdin_filename is not None else self.files[0]
            print_text(describe_settings(path, self.overrides))
            return
        from lint_reduction.run.pipeline import Contexts, find_candidates

        found = find_candidates(self.files, Contexts(self.overrides))
        print_text("".join(f"{candidate.path}\n" for candidate in found))

    def gate(self, report: Report, *, quiet: bool = False) -> Report:
        """Take out of a report what is not new: known findings, and those on lines that did not change."""
        from lint_reduction.run.pipeline import Contexts

        if self.diff_only is not None:
            from lint_reduction.run.changed_lines import changed_lines, only_changed

            report = only_changed(report, changed_lines(self.diff_only))
        file = self.baseline or Contexts(self.overrides).of(Path.cwd()).settings.baseline
        if file is not None:
            from lint_reduction.run.baseline import Baseline

            report, stale = Baseline.load(file).apply(report)
            if stale and not quiet:
                verb = "entry stands" if stale == 1 else "entries stand"
                click.echo(
                    f"{file}: {stale} {verb} for nothing any more; `lint-reduction baseline` removes it", err=True
                )
        return report

    def show(self, report: Report, out: TextIO | None, *, unsafe_fixes: bool = False) -> None:
        """Print a report."""
        from lint_reduction.formats import Style, render

        if self.statistics:
            from lint_reduction.frontends.statistics import statistics

            style = Style(use_color(no_color=self.no_color, out=out), unsafe_fixes)
            print_text(statistics(report, style, as_json=self.outputs[0].format == "json"), out)
            return
        for output in self.wanted:
            if output.file is None:
                style = Style(use_color(no_color=self.no_color, out=out), unsafe_fixes)
                print_text(render(output.format, report, style), out)
            else:
                write_text(output.file, render(output.format, report, Style(unsafe_fixes=unsafe_fixes)))

    def finish(self, report: Report, *, failed: bool = False, strict: bool = False) -> NoReturn:
        """Exit with the status that a report stands for."""
        for crash in report.crashes:
            click.echo(f"{crash}\nThis is a bug in lint-reduction; please report it.", err=True)
        if report.crashes or failed:
            raise SystemExit(2)
        raise SystemExit(1 if strict or (report.fails and not self.exit_zero) else 0)
