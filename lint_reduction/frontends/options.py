"""The options that several commands of ``lint-reduction`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from lint_reduction.run.pipeline import Overrides

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Values = TypeVar("_Values", bound="_Split")
_Option = Callable[[Any], Any]
#: Settings of a command.
HELP = {"help_option_names": ["-h", "--help"]}
FORMATS = ("full", "concise", "json", "json-lines", "sarif", "github", "gitlab", "junit", "markdown")
_SEVERITIES = ("note", "warning", "error")


@dataclass(frozen=True, slots=True)
class Output:
    """What is printed: a format, and the file for it, None for standard output."""

    format: str
    file: Path | None = None


def _outputs(_: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[Output, ...]:
    """Read what ``--output-format`` is given: a format each, and the file that it goes to after an equals sign."""
    outputs = []
    for value in values:
        name, equals, file = value.partition("=")
        if name not in FORMATS:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(FORMATS)}", param=param)
        if equals and not file:
            raise click.BadParameter(f"no file after {value!r}", param=param)
        outputs.append(Output(name, Path(file) if file else None))
    return tuple(outputs)


#: What every command that lints takes.
LINTING = (
    click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATHS]..."),
    click.option(
        "--select",
        multiple=True,
        metavar="RULES",
        help="Run these rules only: codes, prefixes, names or ALL; comma-separated.",
    ),
    click.option("--extend-select", multiple=True, metavar="RULES", help="Run these rules as well."),
    click.option("--ignore", multiple=True, metavar="RULES", help="Do not run these rules."),
    click.option(
        "--min-confidence",
        type=click.Choice(["low", "medium", "high"]),
        help="Report findings that are at least so sure. [default: medium]",
    ),
    click.option(
        "--baseline",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Leave out what this file lists; `lint-reduction baseline` writes it.",
    ),
    click.option(
        "--diff-only",
        metavar="REV",
        help="Report only findings on lines that changed since this revision of git.",
    ),
    click.option("--min-severity", type=click.Choice(_SEVERITIES), help="Report findings that are at least so severe."),
    click.option(
        "--fail-on",
        type=click.Choice(_SEVERITIES),
        help="Exit with 1 if a finding is at least so severe. [default: warning]",
    ),
    click.option(
        "--output-format",
        "outputs",
        callback=_outputs,
        multiple=True,
        default=("full",),
        metavar="FORMAT[=FILE]",
        envvar="LINT_REDUCTION_OUTPUT_FORMAT",
        help=f"How to print findings: {', '.join(FORMATS)}; several times for several files. [default: full]",
    ),
    click.option(
        "-o",
        "--output-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        envvar="LINT_REDUCTION_OUTPUT_FILE",
        help="Where to print them.",
    ),
    click.option(
        "--follow-installed/--no-follow-installed",
        "follow_installed",
        default=None,
        help="Follow losses into the packages installed beside the project. [default: no]",
    ),
    click.option("--statistics", is_flag=True, help="Print how often each rule was found, and nothing else."),
    click.option("-e", "--exit-zero", is_flag=True, help="Exit with 0 even if there are findings."),
    click.option("--stdin-filename", metavar="PATH", help="What to call the code read from standard input, `-`."),
    click.option("--force-exclude", is_flag=True, help="Leave out excluded files even if they are named."),
    click.option(
        "--config",
        "configuration",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Use this configuration for all files.",
    ),
    click.option("--isolated", is_flag=True, help="Read no configuration."),
    click.option("--no-ignores", is_flag=True, help="Report what comments silence, too."),
    click.option("--no-color", is_flag=True, help="Print without colors, as NO_COLOR does."),
)
#: What the command that checks takes as well.
CHECKING = (
    click.option("--fix", is_flag=True, help="Apply safe fixes, and report what is left."),
    click.option("--unsafe-fixes", is_flag=True, help="Offer unsafe fixes too, or with --fix and --diff apply them."),
    click.option("--diff", is_flag=True, help="Print what --fix or --add-ignore would change, and change nothing."),
    click.option("--exit-non-zero-on-fix", is_flag=True, help="Exit with 1 if a file was fixed, whatever is left."),
    click.option(
        "--add-ignore", metavar="[=REASON]", help="Add comments that silence what is found, and report what is left."
    ),
    click.option("--show-files", is_flag=True, help="Print which files would be linted, and nothing else."),
    click.option("--show-settings", is_flag=True, help="Print the settings of the first path, and nothing else."),
    click.option("-w", "--watch", is_flag=True, help="Lint again whenever a file changes."),
    click.option("--verify", is_flag=True, help="Run what is found with torch and measure how it grows."),
)
#: What every command that verifies takes.
VERIFYING = (
    click.option("--drop-refuted", is_flag=True, help="Do not report what turns out not to be so."),
    click.option(
        "--verify-device",
        default="auto",
        metavar="DEVICE",
        show_default=True,
        help="Where to measure: cpu, cuda, mps, xpu; auto is an accelerator if there is one.",
    ),
    click.option(
        "--verify-sandbox",
        type=click.Choice(["best-effort", "strict"]),
        default="best-effort",
        show_default=True,
        help="strict refuses to run where the platform cannot lock the worker process completely.",
    ),
    click.option(
        "--verify-timeout",
        type=click.FloatRange(min=0.1),
        default=10.0,
        metavar="SECONDS",
        show_default=True,
        help="How long one finding may take.",
    ),
)
#: How a command that lints or verifies goes about it.
RUNNING = (
    click.option(
        "-j",
        "--jobs",
        type=click.IntRange(min=1),
        metavar="N",
        help="Processes that analyze, and that measure. [default: as many as pay off to analyze, 1 to measure]",
    ),
    click.option("--no-cache", is_flag=True, help="Analyze and measure everything anew, and keep nothing."),
    click.option(
        "--cache-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Where to keep what is known of files. [default: LINT_REDUCTION_CACHE_DIR, or a folder of the user]",
    ),
)


def taking(*options: _Option) -> _Option:
    """Return a decorator that gives a command several options, in the order in which its help shows them."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


class _Split:
    """Values of options, by the name of each."""

    __slots__ = ()

    @classmethod
    def split(cls: type[_Values], options: dict[str, Any]) -> _Values:
        """Take the values out of those of a command."""
        return cls(**{field.name: options.pop(field.name) for field in fields(cls)})  # type: ignore[arg-type]  # they are


@dataclass(frozen=True, slots=True)
class Checking(_Split):
    """The values of the options of the command that checks, beside those of every command that lints."""

    fix: bool
    unsafe_fixes: bool
    diff: bool
    exit_non_zero_on_fix: bool
    add_ignore: str | None
    show_files: bool
    show_settings: bool
    watch: bool
    verify: bool

    @property
    def changes(self) -> bool:
        """Whether code is changed, or what would change is printed."""
        return self.fix or self.diff or self.add_ignore is not None

    def refuse_nonsense(self, linting: Linting) -> None:
        """Make sure that the options go together.

        Raises:
            click.UsageError: they do not.
        """
        if self.watch and (self.changes or self.verify or linting.reads_stdin):
            raise click.UsageError("--watch only reports, and only what is in files")
        if self.verify and self.changes:
            raise click.UsageError("--verify cannot be combined with --fix, --diff or --add-ignore")
        if self.add_ignore is not None:
            if self.fix or linting.no_ignores:
                option = "--fix" if self.fix else "--no-ignores"
                raise click.UsageError(f"--add-ignore cannot be combined with {option}")
            if not self.add_ignore.isprintable():
                raise click.UsageError("the reason of --add-ignore must be one line of text")


@dataclass(frozen=True, slots=True)
class Linting(_Split):
    """The values of the options of every command that lints."""

    paths: tuple[str, ...]
    select: tuple[str, ...]
    extend_select: tuple[str, ...]
    ignore: tuple[str, ...]
    min_confidence: str | None
    follow_installed: bool | None
    min_severity: str | None
    fail_on: str | None
    baseline: Path | None
    diff_only: str | None
    outputs: tuple[Output, ...]
    output_file: Path | None
    statistics: bool
    exit_zero: bool
    stdin_filename: str | None
    force_exclude: bool
    configuration: Path | None
    isolated: bool
    no_ignores: bool
    no_color: bool
    jobs: int | None
    no_cache: bool
    cache_dir: Path | None

    @property
    def reads_stdin(self) -> bool:
        """Whether the code comes from standard input."""
        return self.paths == ("-",) or (self.stdin_filename is not None and not self.paths)

    @property
    def wanted(self) -> tuple[Output, ...]:
        """What to print; at most one goes to standard output.

        Raises:
            click.UsageError: two would go to the same place.
        """
        outputs = self.outputs
        if self.output_file is not None:
            if len(outputs) != 1 or outputs[0].file is not None:
                raise click.UsageError("--output-file is for one format without a file of its own")
            outputs = (Output(outputs[0].format, self.output_file),)
        places = [output.file for output in outputs]
        if len(set(places)) < len(places):
            raise click.UsageError("two formats go to the same place: write --output-format FORMAT=FILE")
        return outputs

    @property
    def overrides(self) -> Overrides:
        """What wins over the settings."""
        from lint_reduction.finding import Confidence
        from lint_reduction.impact import Severity
        from lint_reduction.run.pipeline import Overrides

        if self.select and not split_list(self.select):
            raise click.UsageError("--select names no rule")
        return Overrides(
            split_list(self.select) if self.select else None,
            split_list(self.extend_select),
            split_list(self.ignore),
            Confidence[self.min_confidence.upper()] if self.min_confidence else None,
            self.force_exclude,
            self.isolated,
            self.configuration,
            self.follow_installed,
            Severity[self.min_severity.upper()] if self.min_severity else None,
            Severity[self.fail_on.upper()] if self.fail_on else None,
            self.no_ignores,
        )


def split_list(values: Iterable[str]) -> tuple[str, ...]:
    """Return the entries of comma-separated lists."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())
