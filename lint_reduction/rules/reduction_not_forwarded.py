"""A loss function takes a `reduction` and reduces in its own way all the same.

## What goes wrong

A function or a class has a parameter `reduction`, calls a loss inside and never hands the parameter on,
or asks for it only when the inner loss is a number already. Whoever passes `reduction="none"` or `"sum"`
gets a mean, without an error; what is weighted or divided outside then is wrong.

## How to fix it

Hand it on, `F.huber_loss(output, target, reduction=reduction)`, or compute with `reduction="none"` and
reduce at the end as the parameter says. Remove a parameter that is not wanted.

## When it is fine

When a decorator or a base class does the reducing, or the parameter is read in a way that is not seen.
Functions with decorators that are not known and classes with bases of other modules are not judged.

## References

- open-mmlab/mmdetection#2297, HazyResearch/metal#77, qubvel-org/segmentation_models.pytorch#1165
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Decision, LossSite
from lint_reduction.finding import Confidence, Finding
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED209", over=LossSite, severity=Severity.WARNING, default=False)
def reduction_not_forwarded(site: LossSite) -> Iterator[Finding]:
    """Report a loss call in a function whose own reduction changes nothing."""
    if not site.ignored_parameter or site.reduction is None:
        return
    given = site.argument(site.ignored_parameter)
    if given is not None and given.literal is None and site.decided_by is not Decision.LEGACY:
        return
    how = f"{site.callee} is reduced by {site.reduction} whatever it says"
    if site.reduction == "none":
        how = f"nothing that has to do with {site.callee} reads it"
    yield Finding(
        site.span,
        f"the parameter {site.ignored_parameter} changes nothing: {how}",
        Severity.WARNING,
        Confidence.HIGH,
        f"Hand {site.ignored_parameter} on, or remove it.",
    )
