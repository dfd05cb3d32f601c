"""A loss is given `size_average` or `reduce`, which are deprecated.

## What goes wrong

`size_average=False` means `reduction="sum"` and `reduce=False` means `reduction="none"`, but neither says so.
The flags override `reduction`, and torch warns at every call. `size_average=False` is the most frequent
spelling of an unscaled sum in old code; RED101 reports what it does to training.

## How to fix it

Write the equal `reduction`: `size_average=False` is `"sum"`, `reduce=False` is `"none"`, anything else `"mean"`.

## When it is fine

For a flag of the same name that belongs to a class of your own or of another library.

## Fix safety

Safe where the flags are literals: the equal reduction is written. No fix where the flag is a variable, or where
a `reduction` that disagrees is given as well (see RED304).

## References

- https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
- pytorch/pytorch#74411, Tianxiaomo/pytorch-YOLOv4#192
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Argument, LossSite
from lint_reduction.finding import Confidence, Finding, flag_fix
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED301", over=LossSite, severity=Severity.NOTE)
def deprecated_size_average(site: LossSite) -> Iterator[Finding]:
    """Report each deprecated flag that is meant as one."""
    for argument in site.arguments:
        if argument.parameter in site.legacy and _is_meant(argument):
            means = f' (it means reduction="{site.legacy_value}")' if site.legacy_value else ""
            yield Finding(
                site.span,
                f"{argument.parameter} is deprecated{means}",
                Severity.NOTE,
                Confidence.HIGH,
                f'Write reduction="{site.legacy_value}" instead.' if site.legacy_value else "Write reduction instead.",
                fix=flag_fix(site),
            )
            return


def _is_meant(argument: Argument) -> bool:
    """Say whether a flag is given on purpose, and not a value that has landed there."""
    if argument.known is not None and argument.known.value is None:
        return False
    if argument.keyword:
        return argument.known is not None or argument.parameter not in argument.text
    # by position only a variable that is called like the flag is meant for it
    return argument.literal is None and argument.known is not None and argument.parameter in argument.text
