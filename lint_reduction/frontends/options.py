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
_Linting = TypeVar("_Linting", bound="Linting")
_Option = Callable[[Any], Any]
_FORMATS = ("full", "concise", "json")

#: What every command that lints takes.
LINTING = (
    click.argument("paths", nargs=-1, metavar="[PATHS]..."),
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
        "--output-format",
        type=click.Choice(_FORMATS),
        default="full",
        show_default=True,
        envvar="LINT_REDUCTION_OUTPUT_FORMAT",
        help="How to print findings.",
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
    click.option("--no-color", is_flag=True, help="Print without colors, as NO_COLOR does."),
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
    click.option(
        "-j", "--verify-jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Worker processes."
    ),
    click.option("--no-cache", is_flag=True, help="Run everything anew, and keep nothing."),
)


def taking(*options: _Option) -> _Option:
    """Return a decorator that gives a command several options, in the order in which its help shows them."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@dataclass(frozen=True, slots=True)
class Linting:
    """The values of the options of every command that lints."""

    paths: tuple[str, ...]
    select: tuple[str, ...]
    extend_select: tuple[str, ...]
    ignore: tuple[str, ...]
    min_confidence: str | None
    output_format: str
    follow_installed: bool | None
    statistics: bool
    exit_zero: bool
    stdin_filename: str | None
    force_exclude: bool
    configuration: Path | None
    isolated: bool
    no_color: bool

    @classmethod
    def split(cls: type[_Linting], options: dict[str, Any]) -> _Linting:
        """Take the values out of those of a command."""
        return cls(**{field.name: options.pop(field.name) for field in fields(cls)})

    @property
    def reads_stdin(self) -> bool:
        """Whether the code comes from standard input."""
        return self.paths == ("-",) or (self.stdin_filename is not None and not self.paths)

    @property
    def overrides(self) -> Overrides:
        """What wins over the settings."""
        from lint_reduction.finding import Confidence
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
        )


def split_list(values: Iterable[str]) -> tuple[str, ...]:
    """Return the entries of comma-separated lists."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())
