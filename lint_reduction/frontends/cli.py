"""The command ``lint-reduction``; everything that takes time to import is imported where it is used."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

import click

from lint_reduction import __version__
from lint_reduction.errors import LintReductionError
from lint_reduction.frontends.options import LINTING, VERIFYING, Linting, taking

if TYPE_CHECKING:
    from rich.progress import Progress

    from lint_reduction.run.fixes import Fixed
    from lint_reduction.run.pipeline import Overrides
    from lint_reduction.run.report import FileResult, Report
    from lint_reduction.source.discover import Candidate

_Item = TypeVar("_Item")

#: A run that takes longer shows how far it is.
_PROGRESS_AFTER = 1.0


class _DefaultCommand(click.Group):
    """A group whose commands can be left out: ``lint-reduction PATH`` is ``lint-reduction check PATH``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = ["--help"]
        elif args[0] not in self.commands and args[0] not in ("--help", "-h", "--version", "-V"):
            args = ["check", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_DefaultCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="lint-reduction")
def cli() -> None:
    """Find PyTorch losses whose reduction makes the gradient depend on the batch.

    `lint-reduction PATH...` is short for `lint-reduction check PATH...`.
    """


_HELP = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, slots=True)
class _Linting(Linting):
    """A command that lints, with its options."""

    def lint(self, verify: Callable[[list[FileResult]], list[FileResult]] = list) -> Report:
        """Lint what the paths name."""
        if self.reads_stdin:
            return _lint_stdin(self.stdin_filename, self.overrides, verify)
        from lint_reduction.run.pipeline import lint

        return lint(_checked(self.paths, self.stdin_filename), self.overrides, _progress, verify)

    def gate(self, report: Report) -> Report:
        """Take out of a report what is not new: known findings, and those on lines that did not change."""
        from lint_reduction.run.pipeline import Contexts

        if self.diff_only is not None:
            from lint_reduction.run.changed_lines import changed_lines, only_changed

            report = only_changed(report, changed_lines(self.diff_only))
        file = self.baseline or Contexts(self.overrides).of(Path.cwd()).settings.baseline
        if file is not None:
            from lint_reduction.run.baseline import Baseline

            report, stale = Baseline.load(file).apply(report)
            if stale:
                verb = "entry stands" if stale == 1 else "entries stand"
                click.echo(
                    f"{file}: {stale} {verb} for nothing any more; `lint-reduction baseline` removes it", err=True
                )
        return report

    def show(self, report: Report, out: TextIO | None, *, unsafe_fixes: bool = False) -> None:
        """Print a report."""
        from lint_reduction.formats import Style, render

        if self.statistics:
            _print(_statistics(report), out)
            return
        for output in self.wanted:
            if output.file is None:
                style = Style(_use_color(no_color=self.no_color, out=out), unsafe_fixes)
                _print(render(output.format, report, style), out)
            else:
                _write(output.file, render(output.format, report, Style(unsafe_fixes=unsafe_fixes)))

    def finish(self, report: Report, *, failed: bool = False, strict: bool = False) -> NoReturn:
        """Exit with the status that a report stands for."""
        for crash in report.crashes:
            click.echo(f"{crash}\nThis is a bug in lint-reduction; please report it.", err=True)
        if report.crashes or failed:
            raise SystemExit(2)
        raise SystemExit(1 if strict or (report.fails and not self.exit_zero) else 0)


@cli.command(context_settings=_HELP)
@taking(*LINTING)
@click.option("--fix", is_flag=True, help="Apply safe fixes, and report what is left.")
@click.option("--unsafe-fixes", is_flag=True, help="Offer unsafe fixes too, or with --fix and --diff apply them.")
@click.option("--diff", is_flag=True, help="Print what --fix would change, and change nothing.")
@click.option("--exit-non-zero-on-fix", is_flag=True, help="Exit with 1 if a file was fixed, whatever is left.")
@click.option("--verify", is_flag=True, help="Run what is found with torch and measure how it grows.")
@taking(*VERIFYING)
def check(
    *, fix: bool, unsafe_fixes: bool, diff: bool, exit_non_zero_on_fix: bool, verify: bool, **options: Any
) -> None:
    """Lint files and directories, the current one if none is named.

    \b
    Exit status: 0 no finding, or only notes; 1 a warning or an error, or a file
    that cannot be analyzed; 2 a wrong option or configuration, a missing path.
    With --fix the findings that are left count, with --diff whether there is a
    difference.
    """
    linting = _Linting.split(options)
    gc.disable()  # trees are freed by reference count; the collector only walks them
    if verify:
        if fix or diff:
            raise click.UsageError("--verify cannot be combined with --fix or --diff")
        _verify(linting, options)
    if not fix and not diff:
        report = linting.gate(linting.lint())
        linting.show(report, sys.stdout, unsafe_fixes=unsafe_fixes)
        linting.finish(report)
    fixed = _fixed(linting, unsafe=unsafe_fixes)
    fixed = replace(fixed, report=linting.gate(fixed.report))
    written = _deliver(fixed, diff=diff, reads_stdin=linting.reads_stdin)
    if not diff:
        # what is left is for people where the fixed code is for a program
        linting.show(fixed.report, sys.stderr if linting.reads_stdin else sys.stdout, unsafe_fixes=unsafe_fixes)
    elif written and not fixed.report.crashes:
        raise SystemExit(1 if fixed.files or fixed.report.unparsed else 0)
    linting.finish(fixed.report, failed=not written, strict=exit_non_zero_on_fix and bool(fixed.files))


@cli.command(context_settings=_HELP)
@taking(*LINTING, *VERIFYING)
def verify(**options: Any) -> None:
    """Lint, run what is found with torch, and measure how it grows.

    The code is not executed: a locked process interprets what lies between the
    outputs of the model and the step of the optimizer, with values of its own.

    \b
    Exit status: as of check. What turns out not to be so becomes a note.
    """
    _verify(_Linting.split(options), options)


def _verify(linting: _Linting, options: dict[str, Any]) -> NoReturn:
    from lint_reduction.verify.session import Session

    session = Session(
        device=options["verify_device"],
        sandbox=options["verify_sandbox"],
        timeout=options["verify_timeout"],
        jobs=options["verify_jobs"],
        drop_refuted=options["drop_refuted"],
        cache=None if options["no_cache"] else Path(".lint_reduction_cache") / "verify",
        progress=_verifying,
    )
    report = linting.gate(linting.lint(session.verify))
    linting.show(report, sys.stdout)
    linting.finish(report)


def _checked(paths: Sequence[str], stdin_filename: str | None) -> list[Path]:
    if stdin_filename is not None or "-" in paths:
        raise click.UsageError("code from standard input cannot be linted together with files")
    if "" in paths:
        raise click.UsageError("a path is empty")
    return [Path(path) for path in paths or ["."]]


def _lint_stdin(
    name: str | None, overrides: Overrides, verify: Callable[[list[FileResult]], list[FileResult]]
) -> Report:
    from lint_reduction.run.pipeline import Contexts, lint_alone, report_on

    shown = name or "<stdin>"
    absolute = os.path.abspath(shown)  # noqa: PTH100  # the file need not exist
    contexts = Contexts(overrides)
    context = contexts.of(Path(absolute).parent if name else Path.cwd())
    data = _read_stdin()
    if name and overrides.force_exclude and contexts.leaves_out(absolute, False):
        return report_on([], contexts)
    return report_on(verify(lint_alone(data, shown, absolute, context)), contexts)


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise click.UsageError("standard input is closed")
    return sys.stdin.buffer.read()


def _fixed(linting: _Linting, *, unsafe: bool) -> Fixed:
    from lint_reduction.run.fixes import fix_bytes, fix_paths, unchanged
    from lint_reduction.run.pipeline import Contexts

    overrides, stdin_filename = linting.overrides, linting.stdin_filename
    if not linting.reads_stdin:
        return fix_paths(_checked(linting.paths, stdin_filename), overrides, _progress, unsafe=unsafe)
    absolute = os.path.abspath(stdin_filename or "<stdin>")  # noqa: PTH100  # the file need not exist
    data = _read_stdin()
    if stdin_filename and overrides.force_exclude and Contexts(overrides).leaves_out(absolute, False):
        return unchanged(data)
    return fix_bytes(data, absolute, overrides, unsafe=unsafe)


def _deliver(fixed: Fixed, *, diff: bool, reads_stdin: bool) -> bool:
    from lint_reduction.frontends.fixing import apply

    return apply(fixed, diff=diff, reads_stdin=reads_stdin)


def _progress(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Pass the candidates on; on a terminal show a bar on stderr if that takes long."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield from candidates
        return
    import time

    started = time.monotonic()
    for index, candidate in enumerate(candidates):
        if time.monotonic() - started > _PROGRESS_AFTER:
            yield from _with_bar(candidates, index)
            return
        yield candidate


def _verifying(verdicts: Iterator[_Item], total: int) -> Iterator[_Item]:
    """Pass verdicts on as they come in; on a terminal show a bar on stderr."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield from verdicts
        return
    with _bar() as progress:
        task = progress.add_task("verifying", total=total)
        for verdict in verdicts:
            yield verdict
            progress.advance(task)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _with_bar(candidates: Sequence[Candidate], done: int) -> Iterator[Candidate]:
    with _bar() as progress:
        task = progress.add_task("linting", total=len(candidates), completed=done)
        for candidate in candidates[done:]:
            yield candidate
            progress.advance(task)


def _statistics(report: Report) -> str:
    counts: dict[tuple[str, str], int] = {}
    for diagnostic in report.diagnostics:
        key = diagnostic.finding.code, diagnostic.finding.name
        counts[key] = counts.get(key, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    width = max((len(str(count)) for count in counts.values()), default=1)
    return "".join(f"{count:>{width}}  {code}  {name}\n" for (code, name), count in ordered)


@cli.command(context_settings=_HELP)
@taking(*LINTING)
def baseline(**options: Any) -> None:
    """Write down all findings, so that later runs report only new ones.

    The file is that of --baseline or of the configuration, or lint-reduction-baseline.json.
    """
    from lint_reduction.run.baseline import Baseline
    from lint_reduction.run.pipeline import Contexts

    linting = _Linting.split(options)
    known = linting.baseline or Contexts(linting.overrides).of(Path.cwd()).settings.baseline
    file = known or Path("lint-reduction-baseline.json")
    report = linting.lint()
    written = Baseline.of(file, report)
    _write(file, written.to_json())
    count = sum(written.entries.values())
    click.echo(
        f"{file}: {count} finding{'s' * (count != 1)}; use it with --baseline, or as `baseline` in the settings",
        err=True,
    )
    linting.finish(replace(report, diagnostics=()))


@cli.command(context_settings=_HELP)
@click.argument("rule")
@click.option("--no-color", is_flag=True, help="Print without colors, as NO_COLOR does.")
def explain(rule: str, *, no_color: bool) -> None:
    """Print what a rule finds, why it matters and how to fix it."""
    from lint_reduction.frontends.docs import explanation

    text = explanation(rule)
    if not _use_color(no_color=no_color):
        _print(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(force_terminal=True).print(Markdown(text))


@cli.command(context_settings=_HELP)
def rules() -> None:
    """List all rules."""
    from lint_reduction.frontends.docs import rule_list

    _print(rule_list())


@cli.command(context_settings=_HELP)
@click.argument("file", type=click.Path(path_type=Path))
def facts(file: Path) -> None:
    """Print what is known of the losses in a file, and why the rest is not."""
    from lint_reduction.frontends.facts import describe_file

    _print(describe_file(file))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", errors="replace", newline="")
    except OSError as error:
        raise LintReductionError(f"{file}: {(error.strerror or str(error)).lower()}") from None


def _use_color(*, no_color: bool, out: TextIO | None = None) -> bool:
    out = out or sys.stdout
    if no_color or os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (out is not None and out.isatty())


def _print(text: str, out: TextIO | None = None) -> None:
    out = out or sys.stdout
    if out is None:
        return
    if isinstance(getattr(out, "errors", None), str) and hasattr(out, "reconfigure"):
        out.reconfigure(errors="replace")
    out.write(text)
    out.flush()


def main() -> None:
    """Run the command; what goes wrong is one line on stderr and exit status 2."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit(130) from None
    except click.ClickException as error:
        click.echo(f"lint-reduction: {error.format_message()}", err=True)
        raise SystemExit(2) from None
    except LintReductionError as error:
        click.echo(f"lint-reduction: {error}", err=True)
        raise SystemExit(2) from None
    except OSError as error:
        # the reader has gone away, as `head` does, or the disk is full: nothing more can be written
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise SystemExit(1) from None
        click.echo(f"lint-reduction: {(error.strerror or str(error)).lower()}", err=True)
        raise SystemExit(2) from None
