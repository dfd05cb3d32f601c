"""A loss is given a reduction that it does not know.

## What goes wrong

A wrong string is not noticed when the criterion is built, only at the first call, which raises
`ValueError` (for some losses `TypeError`). `elementwise_mean` still runs for most losses, with a warning,
and raises for four of them. `batchmean` exists for the KL divergence only.

## How to fix it

`"mean"`, `"sum"` or `"none"`.

## When it is fine

For losses of other libraries with values of their own (`mean_batch`, `weighted_mean`, a `None` that means
mean): the tables say which loss accepts what.

## Fix safety

Safe for `elementwise_mean` and for a known reduction in other letters (`"Mean"`); unsafe for what can only be
guessed: `avg`, and `batchmean` given to a loss that has none, become `mean`.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
- pytorch/pytorch#15186, pytorch/pytorch#10148, yoshitomo-matsubara/torchdistill#234
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Argument, LossSite
from lint_reduction.finding import Applicability, Confidence, Edit, Finding, Fix
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED303", over=LossSite, severity=Severity.ERROR)
def invalid_reduction(site: LossSite) -> Iterator[Finding]:
    """Report a written reduction that the loss does not accept, or warns about."""
    argument = site.argument("reduction")
    if argument is None or argument.literal is None or not site.accepts or site.legacy_value is not None:
        return
    if not argument.keyword and not isinstance(argument.literal.value, str):
        return
    value = argument.literal.value
    if value not in site.accepts:
        message = f"{argument.literal} is no reduction of {site.callee}: the first call raises"
        advice = f"Use one of {', '.join(repr(name) for name in site.accepts if name not in site.warns)}."
        severity = Severity.ERROR
    elif value == "elementwise_mean":
        message = "'elementwise_mean' is deprecated and has meant different things"
        advice, severity = 'Use reduction="mean".', Severity.WARNING
    else:
        return
    yield Finding(site.span, message, severity, Confidence.HIGH, advice, fix=_fix(site, argument))


_GUESSES = {"avg": "mean", "average": "mean", "batchmean": "mean", "batch_mean": "mean"}


def _fix(site: LossSite, argument: Argument) -> Fix | None:
    value = argument.literal.value if argument.literal is not None else None
    if not isinstance(value, str) or argument.span == site.span:
        return None
    lowered = value.strip().lower()
    known = "mean" if lowered == "elementwise_mean" else lowered
    meant = known if known in site.accepts else _GUESSES.get(known, "")
    if meant not in site.accepts:
        return None
    safety = Applicability.SAFE if known == meant else Applicability.UNSAFE
    text = f'reduction="{meant}"' if argument.keyword else f'"{meant}"'
    return Fix(f'Write "{meant}"', (Edit(argument.span, text),), safety)
