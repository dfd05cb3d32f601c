"""The command ``lint-reduction``; everything that takes time to import is imported where it is used."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from lint_reduction import __version__
from lint_reduction.errors import LintReductionError

if TYPE_CHECKING:
    from lint_reduction.run.fixes import Fixed
    from lint_reduction.run.pipeline import Overrides
    from lint_reduction.run.report import Report
    from lint_reduction.source.discover import Candidate

_FORMATS = ("full", "concise", "json")
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


@cli.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("paths", nargs=-1, metavar="[PATHS]...")
@click.option(
    "--select",
    "select",
    multiple=True,
    metavar="RULES",
    help="Run these rules only: codes, prefixes, names or ALL; comma-separated.",
)
@click.option("--extend-select", multiple=True, metavar="RULES", help="Run these rules as well.")
@click.option("--ignore", multiple=True, metavar="RULES", help="Do not run these rules.")
@click.option(
    "--min-confidence",
    type=click.Choice(["low", "medium", "high"]),
    help="Report findings that are at least so sure. [default: medium]",
)
@click.option(
    "--output-format",
    type=click.Choice(_FORMATS),
    default="full",
    show_default=True,
    envvar="LINT_REDUCTION_OUTPUT_FORMAT",
    help="How to print findings.",
)
@click.option(
    "--follow-installed/--no-follow-installed",
    "follow_installed",
    default=None,
    help="Follow losses into the packages installed beside the project. [default: no]",
)
@click.option("--fix", is_flag=True, help="Apply safe fixes, and report what is left.")
@click.option("--unsafe-fixes", is_flag=True, help="Offer unsafe fixes too, or with --fix and --diff apply them.")
@click.option("--diff", is_flag=True, help="Print what --fix would change, and change nothing.")
@click.option("--exit-non-zero-on-fix", is_flag=True, help="Exit with 1 if a file was fixed, whatever is left.")
@click.option("--statistics", is_flag=True, help="Print how often each rule was found, and nothing else.")
@click.option("-e", "--exit-zero", is_flag=True, help="Exit with 0 even if there are findings.")
@click.option("--stdin-filename", metavar="PATH", help="What to call the code read from standard input, `-`.")
@click.option("--force-exclude", is_flag=True, help="Leave out excluded files even if they are named.")
@click.option(
    "--config",
    "configuration",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Use this configuration for all files.",
)
@click.option("--isolated", is_flag=True, help="Read no configuration.")
@click.option("--no-color", is_flag=True, help="Print without colors, as NO_COLOR does.")
def check(
    paths: tuple[str, ...],
    select: tuple[str, ...],
    extend_select: tuple[str, ...],
    ignore: tuple[str, ...],
    min_confidence: str | None,
    output_format: str,
    *,
    follow_installed: bool | None,
    fix: bool,
    unsafe_fixes: bool,
    diff: bool,
    exit_non_zero_on_fix: bool,
    statistics: bool,
    exit_zero: bool,
    stdin_filename: str | None,
    force_exclude: bool,
    configuration: Path | None,
    isolated: bool,
    no_color: bool,
) -> None:
    """Lint files and directories, the current one if none is named.

    \b
    Exit status: 0 no finding, or only notes; 1 a warning or an error, or a file
    that cannot be analyzed; 2 a wrong option or configuration, a missing path.
    With --fix the findings that are left count, with --diff whether there is a
    difference.
    """
    from lint_reduction.finding import Confidence
    from lint_reduction.formats import Style, render
    from lint_reduction.run.pipeline import Overrides

    if select and not _split(select):
        raise click.UsageError("--select names no rule")
    gc.disable()  # trees are freed by reference count; the collector only walks them
    overrides = Overrides(
        _split(select) if select else None,
        _split(extend_select),
        _split(ignore),
        Confidence[min_confidence.upper()] if min_confidence else None,
        force_exclude,
        isolated,
        configuration,
        follow_installed,
    )
    reads_stdin = paths == ("-",) or (stdin_filename is not None and not paths)
    fixed = None
    if fix or diff:
        fixed = _fixed(paths, stdin_filename, overrides, unsafe=unsafe_fixes, reads_stdin=reads_stdin)
        report = fixed.report
    else:
        lint = _lint_stdin if reads_stdin else _lint_paths
        report = lint(paths, stdin_filename, overrides)
    written = fixed is None or _deliver(fixed, diff=diff, reads_stdin=reads_stdin)
    # what is left is for people where the fixed code is for a program
    out = sys.stderr if fix and reads_stdin else sys.stdout
    style = Style(_use_color(no_color=no_color, out=out), unsafe_fixes)
    if statistics and not diff:
        from lint_reduction.frontends.statistics import statistics as counted

        _print(counted(report, style, as_json=output_format == "json"), out)
    elif not diff:
        _print(render(output_format, report, style), out)
    for crash in report.crashes:
        click.echo(f"{crash}\nThis is a bug in lint-reduction; please report it.", err=True)
    if report.crashes or not written:
        raise SystemExit(2)
    if diff and fixed is not None:
        raise SystemExit(1 if fixed.files or report.unparsed else 0)
    strict = exit_non_zero_on_fix and fixed is not None and bool(fixed.files)
    raise SystemExit(1 if strict or (report.fails and not exit_zero) else 0)


def _split(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _lint_paths(paths: Sequence[str], stdin_filename: str | None, overrides: Overrides) -> Report:
    from lint_reduction.run.pipeline import lint

    return lint(_checked(paths, stdin_filename), overrides, _progress)


def _checked(paths: Sequence[str], stdin_filename: str | None) -> list[Path]:
    if stdin_filename is not None:
        raise click.UsageError("--stdin-filename names code from standard input; leave the paths out")
    if "-" in paths:
        raise click.UsageError("code from standard input cannot be linted together with files")
    if "" in paths:
        raise click.UsageError("a path is empty")
    return [Path(path) for path in paths or ["."]]


def _lint_stdin(_: Sequence[str], name: str | None, overrides: Overrides) -> Report:
    from lint_reduction.run.pipeline import Contexts, lint_alone
    from lint_reduction.run.report import collect

    shown = name or "<stdin>"
    absolute = os.path.abspath(shown)  # noqa: PTH100  # the file need not exist
    contexts = Contexts(overrides)
    context = contexts.of(Path(absolute).parent if name else Path.cwd())
    data = _read_stdin()
    if name and overrides.force_exclude and contexts.leaves_out(absolute, False):
        return collect([])
    return collect(lint_alone(data, shown, absolute, context))


def _read_stdin() -> bytes:
    if sys.stdin is None:
        raise click.UsageError("standard input is closed")
    return sys.stdin.buffer.read()


def _fixed(
    paths: Sequence[str], stdin_filename: str | None, overrides: Overrides, *, unsafe: bool, reads_stdin: bool
) -> Fixed:
    from lint_reduction.run.fixes import fix_bytes, fix_paths, unchanged
    from lint_reduction.run.pipeline import Contexts

    if not reads_stdin:
        return fix_paths(_checked(paths, stdin_filename), overrides, _progress, unsafe=unsafe)
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


def _with_bar(candidates: Sequence[Candidate], done: int) -> Iterator[Candidate]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("linting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("linting", total=len(candidates), completed=done)
        for candidate in candidates[done:]:
            yield candidate
            progress.advance(task)


@cli.command(context_settings={"help_option_names": ["-h", "--help"]})
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


@cli.command(context_settings={"help_option_names": ["-h", "--help"]})
def rules() -> None:
    """List all rules."""
    from lint_reduction.frontends.docs import rule_list

    _print(rule_list())


@cli.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
def facts(file: Path) -> None:
    """Print what is known of the losses in a file, and why the rest is not."""
    from lint_reduction.frontends.facts import describe_file

    _print(describe_file(file))


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
