"""A command that lints: from its options to a report, and from that to what is printed and an exit status."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO, TypeAlias

import click

from lint_reduction.frontends import progress
from lint_reduction.frontends.options import Linting
from lint_reduction.frontends.streams import print_text, read_stdin, use_color, write_text

if TYPE_CHECKING:
    from lint_reduction.run.cache import FactsCache
    from lint_reduction.run.invocation import Invocation
    from lint_reduction.run.report import FileResult, Report

#: What was printed: the file for it, None for standard output, and the text.
Texts: TypeAlias = "Sequence[tuple[str | None, str]]"


@dataclass(frozen=True, slots=True)
class LintRun(Linting):
    """A command that lints, with its options.

    Raises:
        click.UsageError: the options do not go together, from any method.
    """

    def lint(self, run: Invocation, verify: Callable[[list[FileResult]], list[FileResult]] = list) -> Report:
        """Lint what the paths name."""
        return self._lint_stdin(verify) if self.reads_stdin else run.lint(self.files, verify)

    def invocation(self, *, needs_flows: bool = False) -> Invocation:
        """Return a run with what is known from earlier ones, unless that is not wanted."""
        from lint_reduction.run.invocation import Invocation

        cache = None if self.no_cache or self.reads_stdin else self._cache()
        return Invocation(self.overrides, cache, self.jobs, needs_flows, progress.linting)

    def _cache(self) -> FactsCache:
        from lint_reduction.run.cache import FactsCache
        from lint_reduction.run.pipeline import Contexts
        from lint_reduction.run.replay import project_root

        started = time.time_ns()
        folder = self.cache_dir or Contexts(self.overrides).of(Path.cwd()).settings.cache_dir
        return FactsCache.open(folder and folder.absolute(), project_root(str(Path.cwd())), started)

    def keep(
        self, run: Invocation, texts: Texts = (), report: Report | None = None, *, told: Sequence[str] = ()
    ) -> None:
        """Write down what is known for the next run, and what this one printed if that hangs on files alone.

        Args:
            run: what was linted.
            texts: what it printed.
            report: what came of it, None where what it printed hangs on more.
            told: what the user is told already, such as why the verifier cannot keep its results in the same folder.
        """
        from lint_reduction.run.replay import run_key

        arguments = click.get_current_context().obj
        repeatable = report is not None and self.diff_only is None and self.known_findings is None
        key = run_key(arguments) if repeatable and arguments is not None else ""
        problem = run.save(key, texts, 0 if report is None else self._status(report))
        if problem and not self.no_cache and not any(note.endswith(f": {problem}") for note in told):
            click.echo(f"nothing is kept for the next run: {problem}", err=True)

    @property
    def known_findings(self) -> Path | None:
        """The baseline: that of the options, or else of the settings."""
        from lint_reduction.run.pipeline import Contexts

        return self.baseline or Contexts(self.overrides).of(Path.cwd()).settings.baseline

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
        if self.diff_only is not None:
            from lint_reduction.run.changed_lines import changed_lines, only_changed

            report = only_changed(report, changed_lines(self.diff_only))
        file = self.known_findings
        if file is not None:
            from lint_reduction.run.baseline import Baseline

            report, stale = Baseline.load(file).apply(report)
            if stale and not quiet:
                verb = "entry stands" if stale == 1 else "entries stand"
                click.echo(
                    f"{file}: {stale} {verb} for nothing any more; `lint-reduction baseline` removes it", err=True
                )
        return report

    def show(self, report: Report, out: TextIO | None, *, unsafe_fixes: bool = False) -> Texts:
        """Print a report, and return what was printed, with the file for it, None for the stream."""
        from lint_reduction.formats import Style, render

        if self.statistics:
            from lint_reduction.frontends.statistics import statistics

            style = Style(use_color(no_color=self.no_color, out=out), unsafe_fixes)
            text = statistics(report, style, as_json=self.outputs[0].format == "json")
            print_text(text, out)
            return [(None, text)]
        texts: list[tuple[str | None, str]] = []
        for output in self.wanted:
            colored = output.file is None and use_color(no_color=self.no_color, out=out)
            text = render(output.format, report, Style(colored, unsafe_fixes))
            if output.file is None:
                print_text(text, out)
            else:
                write_text(output.file, text)
            texts.append((None if output.file is None else str(output.file), text))
        return texts

    def finish(self, report: Report, *, failed: bool = False, strict: bool = False) -> NoReturn:
        """Exit with the status that a report stands for."""
        for crash in report.crashes:
            click.echo(f"{crash}\nThis is a bug in lint-reduction; please report it.", err=True)
        if report.crashes or failed:
            raise SystemExit(2)
        raise SystemExit(1 if strict else self._status(report))

    def _status(self, report: Report) -> int:
        return int(report.fails and not self.exit_zero)
