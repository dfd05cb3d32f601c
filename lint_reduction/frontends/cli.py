"""The command ``lint-reduction``; everything that takes time to import is imported where it is used."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lint_reduction import __version__
from lint_reduction.errors import LintReductionError
from lint_reduction.frontends import commands, progress
from lint_reduction.frontends.linting import LintRun
from lint_reduction.frontends.options import CHECKING, HELP, LINTING, RUNNING, VERIFYING, Checking, taking
from lint_reduction.frontends.streams import read_stdin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

    from lint_reduction.run.fixes import Fixed


class _DefaultCommand(click.Group):
    """A group whose commands can be left out: ``lint-reduction PATH`` is ``lint-reduction check PATH``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = ["--help"]
        elif args[0] not in self.commands and args[0] not in ("--help", "-h", "--version", "-V"):
            args = ["check", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        inner = self.commands["check"].make_context("check", [], parent=ctx, resilient_parsing=True)
        items = [*super().shell_complete(ctx, incomplete), *inner.command.shell_complete(inner, incomplete)]
        return list({item.value: item for item in reversed(items)}.values())[::-1]


@click.group(cls=_DefaultCommand, context_settings=HELP)
@click.version_option(__version__, "-V", "--version", prog_name="lint-reduction")
def cli() -> None:
    """Find PyTorch losses whose reduction makes the gradient depend on the batch.

    `lint-reduction PATH...` is short for `lint-reduction check PATH...`.
    """


class _Check(click.Command):
    """A command with an option whose value may be left out, and is never the next argument."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = args.index("--") if "--" in args else len(args)
        args = [f"{arg}=" if arg == "--add-ignore" else arg for arg in args[:options]] + args[options:]
        return super().parse_args(ctx, args)


@cli.command(cls=_Check, context_settings=HELP)
@taking(*LINTING)
@taking(*CHECKING, *VERIFYING, *RUNNING)
def check(**options: Any) -> None:
    """Lint files and directories, the current one if none is named.

    \b
    Exit status: 0 no finding, or only notes; 1 a warning or an error, or a file
    that cannot be analyzed; 2 a wrong option or configuration, a missing path.
    With --fix and --add-ignore the findings that are left count, with --diff
    whether there is a difference.
    """
    running = {name: options[name] for name in ("jobs", "no_cache")}
    linting, checking = LintRun.split(options), Checking.split(options)
    checking.refuse_nonsense(linting)
    if not checking.verify:
        commands.refuse_verifying(click.get_current_context())
    gc.disable()  # trees are freed by reference count; the collector only walks them
    if checking.show_files or checking.show_settings:
        linting.describe(files=checking.show_files)
    elif checking.watch:
        _watch(linting, unsafe_fixes=checking.unsafe_fixes)
    elif checking.verify:
        _verify(linting, options | running)
    elif checking.changes:
        _change(linting, checking)
    else:
        run = linting.invocation()
        report = linting.gate(linting.lint(run))
        texts = linting.show(report, sys.stdout, unsafe_fixes=checking.unsafe_fixes)
        linting.keep(run, texts, report)
        linting.finish(report)


def _change(linting: LintRun, checking: Checking) -> NoReturn:
    """Change code, or print how it would change, and report what is left."""
    from lint_reduction.frontends.fixing import apply

    silences = checking.add_ignore is not None
    fixed = _silenced(linting, checking.add_ignore or "") if silences else _fixed(linting, checking.unsafe_fixes)
    fixed = replace(fixed, report=linting.gate(fixed.report))
    verb = "Silenced" if silences else "Fixed"
    written = apply(fixed, diff=checking.diff, reads_stdin=linting.reads_stdin, verb=verb)
    if not checking.diff:
        # what is left is for people where the fixed code is for a program
        out = sys.stderr if linting.reads_stdin else sys.stdout
        linting.show(fixed.report, out, unsafe_fixes=checking.unsafe_fixes)
    elif written and not fixed.report.crashes:
        raise SystemExit(1 if fixed.files or fixed.report.unparsed else 0)
    strict = checking.exit_non_zero_on_fix and bool(fixed.files)
    linting.finish(fixed.report, failed=not written, strict=strict)


@cli.command(context_settings=HELP)
@taking(*LINTING, *VERIFYING, *RUNNING)
def verify(**options: Any) -> None:
    """Lint, run what is found with torch, and measure how it grows.

    The code is not executed: a locked process interprets what lies between the
    outputs of the model and the step of the optimizer, with values of its own.

    \b
    Exit status: as of check. What turns out not to be so becomes a note.
    """
    running = {name: options[name] for name in ("jobs", "no_cache")}
    _verify(LintRun.split(options), options | running)


def _verify(linting: LintRun, options: dict[str, Any]) -> NoReturn:
    session = commands.session(options)
    run = linting.invocation(needs_flows=True)
    report = replace(linting.gate(linting.lint(run, session.verify)), notes=tuple(session.notes))
    linting.keep(run, told=session.notes)
    commands.show_notes(session)
    linting.show(report, sys.stdout)
    linting.finish(report)


def _watch(linting: LintRun, *, unsafe_fixes: bool) -> None:
    try:
        from lint_reduction.frontends.watch import lint_forever
    except ModuleNotFoundError as error:
        if error.name != "watchfiles":
            raise
        raise LintReductionError("--watch needs watchfiles: pip install 'lint-reduction[watch]'") from None
    lint_forever(linting, unsafe_fixes=unsafe_fixes)


def _fixed(linting: LintRun, unsafe: bool) -> Fixed:
    from lint_reduction.run.fixes import fix_bytes, fix_paths, unchanged
    from lint_reduction.run.pipeline import Contexts

    overrides, stdin_filename = linting.overrides, linting.stdin_filename
    if not linting.reads_stdin:
        return fix_paths(linting.files, overrides, progress.linting, unsafe=unsafe)
    absolute = os.path.abspath(stdin_filename or "<stdin>")  # noqa: PTH100  # the file need not exist
    data = read_stdin()
    if stdin_filename and overrides.force_exclude and Contexts(overrides).leaves_out(absolute, False):
        return unchanged(data)
    return fix_bytes(data, absolute, overrides, unsafe=unsafe)


def _silenced(linting: LintRun, reason: str) -> Fixed:
    from lint_reduction.run.fixes import unchanged
    from lint_reduction.run.ignores import ignore_bytes, ignore_paths
    from lint_reduction.run.pipeline import Contexts

    overrides, gate, name = linting.overrides, partial(linting.gate, quiet=True), linting.stdin_filename
    if not linting.reads_stdin:
        return ignore_paths(linting.files, overrides, reason.strip(), gate, progress.linting)
    absolute = os.path.abspath(name or "<stdin>")  # noqa: PTH100  # the file need not exist
    data = read_stdin()
    if name and overrides.force_exclude and Contexts(overrides).leaves_out(absolute, False):
        return unchanged(data)
    return ignore_bytes(data, absolute, overrides, reason.strip(), gate)


for _command in commands.ALL:
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; what goes wrong is one line on stderr and exit status 2.

    Args:
        arguments: of the process, if what it prints may be printed again by ``start``.
    """
    try:
        cli.main(standalone_mode=False, complete_var=commands.COMPLETION, obj=arguments)
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
