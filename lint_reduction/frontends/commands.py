"""The smaller commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lint_reduction.errors import LintReductionError
from lint_reduction.frontends import progress
from lint_reduction.frontends.linting import LintRun
from lint_reduction.frontends.options import HELP, LINTING, RUNNING, VERIFYING, taking
from lint_reduction.frontends.streams import print_text, use_color, write_text

if TYPE_CHECKING:
    from lint_reduction.finding import Finding
    from lint_reduction.verdict import Verdict
    from lint_reduction.verify.session import Session

#: The variable by which a shell asks for completions, as click names it.
COMPLETION = "_LINT_REDUCTION_COMPLETE"


@click.command(context_settings=HELP)
@taking(*LINTING, *RUNNING)
def baseline(**options: Any) -> None:
    """Write down all findings, so that later runs report only new ones.

    The file is that of --baseline or of the configuration, or lint-reduction-baseline.json.
    """
    from lint_reduction.run.baseline import Baseline

    linting = LintRun.split(options)
    file = linting.known_findings or Path("lint-reduction-baseline.json")
    run = linting.invocation()
    report = linting.lint(run)
    linting.keep(run)
    written = Baseline.of(file, report)
    write_text(file, written.to_json())
    count = sum(written.entries.values())
    click.echo(
        f"{file}: {count} finding{'s' * (count != 1)}; use it with --baseline, or as `baseline` in the settings",
        err=True,
    )
    linting.finish(replace(report, diagnostics=()))


@click.command(context_settings=HELP)
@click.argument("rule")
@click.option("--no-color", is_flag=True, help="Print without colors, as NO_COLOR does.")
def explain(rule: str, *, no_color: bool) -> None:
    """Print what a rule finds, why it matters and how to fix it."""
    from lint_reduction.frontends.docs import explanation

    text = explanation(rule)
    if not use_color(no_color=no_color):
        print_text(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(force_terminal=True).print(Markdown(text))


@click.command(context_settings=HELP)
def rules() -> None:
    """List all rules."""
    from lint_reduction.frontends.docs import rule_list

    print_text(rule_list())


@click.command(context_settings=HELP)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--verify", is_flag=True, help="Run what is trained with torch, and measure how it grows.")
@taking(*VERIFYING[1:], *RUNNING[:2])
def facts(file: Path, *, verify: bool, **options: Any) -> None:
    """Print what is known of the losses in a file, and why the rest is not."""
    from lint_reduction.frontends.facts import describe_file

    if not verify:
        refuse_verifying(click.get_current_context())
        print_text(describe_file(file))
        return
    verifier = session(options)

    def measure(findings: Sequence[tuple[str, Finding]], text: str) -> Mapping[tuple[str, Finding], Verdict]:
        verifier.texts.update((path, text) for path, _ in findings)
        return verifier.verdicts(findings)

    print_text(describe_file(file, measure))
    show_notes(verifier)


def session(options: Mapping[str, Any]) -> Session:
    """Return what runs findings, from the options of a command that verifies."""
    from lint_reduction.source.cache_dir import user_folder
    from lint_reduction.verify.session import Session

    return Session(
        device=options["verify_device"],
        sandbox=options["verify_sandbox"],
        timeout=options["verify_timeout"],
        jobs=options["jobs"] or 1,
        drop_refuted=options.get("drop_refuted", False),
        cache=None if options["no_cache"] else user_folder(),
        progress=progress.verifying,
    )


def show_notes(session: Session) -> None:
    """Print on stderr what is to be known of a run of what was found."""
    for note in session.notes:
        click.echo(f"lint-reduction: {note}", err=True)


def refuse_verifying(context: click.Context) -> None:
    """Make sure that no option says how to verify where nothing is verified.

    Raises:
        click.UsageError: one does.
    """
    for name in context.params:
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and (name == "drop_refuted" or name.startswith("verify_")):
            raise click.UsageError(f"--{name.replace('_', '-')} says how to verify: it needs --verify")


@click.command(context_settings=HELP)
@click.option("--cache-dir", type=click.Path(path_type=Path), metavar="DIR", help="The folder that it is in.")
def clean(cache_dir: Path | None) -> None:
    """Remove what is kept of the files of this project."""
    from lint_reduction.frontends.cleaning import clean as remove

    try:
        removed = remove(cache_dir)
    except OSError as error:
        raise LintReductionError(f"{error.filename}: {(error.strerror or str(error)).lower()}") from None
    for line in [f"{path}: removed" for path in removed] or ["there is nothing to remove"]:
        click.echo(line, err=True)


@click.command("generate-shell-completion", context_settings=HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def generate_shell_completion(shell: str) -> None:
    """Print a script that completes commands and options.

    \b
    bash  lint-reduction generate-shell-completion bash >> ~/.bashrc
    zsh   lint-reduction generate-shell-completion zsh >> ~/.zshrc
    fish  lint-reduction generate-shell-completion fish > ~/.config/fish/completions/lint-reduction.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root().command
    print_text(kind(root, {}, "lint-reduction", COMPLETION).source().strip() + "\n")


@click.command(context_settings=HELP)
def server() -> None:
    """Serve an editor over standard input and output, as the language server protocol says."""
    try:
        from lint_reduction.frontends.lsp import serve
    except ModuleNotFoundError as error:
        if error.name not in ("pygls", "lsprotocol"):
            raise
        raise LintReductionError("the server needs pygls: pip install 'lint-reduction[lsp]'") from None
    serve()


ALL = (baseline, clean, explain, rules, facts, server, generate_shell_completion)
