"""A loss that already is one number is reduced again.

## What goes wrong

Nothing yet: the mean of one number is that number. But whoever wrote the second reduction expected something
to reduce. Where weights or a mask were to be applied in between, `reduction="none"` was meant.

## How to fix it

Remove the second reduction, or give the loss `reduction="none"`.

## When it is fine

Under `DataParallel`, which gathers one loss for each device.

## Fix safety

Safe: the method call is removed, which did nothing. No fix for `torch.mean(loss)`.

## References

- kaidic/LDAM-DRW#6, huggingface/transformers#629
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Certainty, Fate, LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of, removal_fix
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED207", over=LossFlow, severity=Severity.NOTE, default=False)
def redundant_reduction(flow: LossFlow) -> Iterator[Finding]:
    """Report each second reduction of a torch loss in the function that calls it."""
    if flow.fate is Fate.DETACHED or flow.functions > 1 or flow.certainty is not Certainty.ALWAYS:
        return
    for term in flow.terms:
        step, site = term.last(StepKind.REDUNDANT), term.site
        if step is None or site is None or site.reduction in (None, "none") or not site.callee.startswith("torch."):
            continue
        yield Finding(
            step.span,
            f"{site.callee} with reduction={site.reduction!r} is one number already",
            Severity.NOTE,
            confidence_of(flow, term),
            'Remove this reduction, or use reduction="none" if something was to come in between.',
            term.growth,
            path_of(flow, term, step.span),
            fix=removal_fix(step),
        )
