"""A trainer's step returns a loss that is not reduced.

## What goes wrong

Lightning calls `backward()` on what `training_step` returns, the transformers `Trainer` on what
`compute_loss` returns. Of a loss that is not reduced that raises `RuntimeError: grad can be implicitly
created only for scalar outputs`, far from the line that caused it.

## How to fix it

Return the mean: `F.mse_loss(prediction, target, reduction="none").mean()`, or leave `reduction` out.

## When it is fine

With manual optimization (`self.automatic_optimization = False`), where the step runs backward itself.

## References

- https://lightning.ai/docs/pytorch/stable/common/lightning_module.html#training-step
- Lightning-AI/pytorch-lightning#4073, marshuang80/gloria#19
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Fate, LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED123", over=LossFlow, severity=Severity.ERROR)
def unreduced_return(flow: LossFlow) -> Iterator[Finding]:
    """Report the loss call that leaves the returned objective unreduced."""
    if flow.fate is not Fate.TRAINED or not flow.axes or flow.end.kind is not StepKind.RETURN:
        return
    for term in flow.terms:
        if term.site is None or term.site.reduction != "none" or term.last(StepKind.MEAN) or term.last(StepKind.SUM):
            continue
        left = ", ".join(count.value for count in flow.axes)
        yield Finding(
            term.site.span,
            f"{flow.function.rpartition('.')[2]}() returns a loss that is not reduced over {left}",
            Severity.ERROR,
            confidence_of(flow, term),
            "Return its mean.",
            related=path_of(flow, term, term.site.span),
        )
        return
