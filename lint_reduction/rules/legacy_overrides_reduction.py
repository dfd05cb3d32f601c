"""A loss is given both `reduction` and a deprecated flag, and the flag wins.

## What goes wrong

`nn.L1Loss(size_average=True, reduction="sum")` is a mean: `size_average` and `reduce` override `reduction`, and
nothing but a general deprecation warning is printed.

## How to fix it

Remove the flag, and write the reduction that is meant.

## When it is fine

Where the flag is `None`.

## Fix safety

Safe where flag and `reduction` agree: the flag is removed. Unsafe where they do not: what `reduction` says then
counts, which it did not before.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
- huggingface/transformers#11988
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossSite
from lint_reduction.finding import Applicability, Confidence, Finding, reduction_fix
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED304", over=LossSite, severity=Severity.ERROR)
def legacy_overrides_reduction(site: LossSite) -> Iterator[Finding]:
    """Report a reduction that a flag overrides, loudly if the two disagree."""
    argument = site.argument("reduction")
    if argument is None or argument.literal is None or site.legacy_value is None:
        return
    written = argument.literal.value
    if written == site.legacy_value:
        message, severity = f"a deprecated flag repeats reduction={argument.literal}", Severity.NOTE
        safety = Applicability.SAFE
    else:
        message = f'a deprecated flag overrides reduction={argument.literal}: the reduction is "{site.legacy_value}"'
        severity, safety = Severity.ERROR, Applicability.UNSAFE
    fix = reduction_fix(site, str(written), safety) if written in site.accepts else None
    advice = "Remove the flag and write the reduction meant."
    yield Finding(site.span, message, severity, Confidence.HIGH, advice, fix=fix)
