"""`backward(torch.ones_like(loss))` is the gradient of the sum.

## What goes wrong

`loss.backward(gradient)` computes the gradient of `(loss * gradient).sum()`. With ones that is
`loss.sum().backward()`: the usual way out of "grad can be implicitly created only for scalar outputs"
makes the gradient grow with the batch.

## How to fix it

`loss.mean().backward()`, which is `loss.backward(torch.full_like(loss, 1 / loss.numel()))`.

## When it is fine

In a gradient penalty or a Jacobian-vector product, where the gradient is taken with respect to the
inputs; for a loss that already is a scalar.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html
- WisconsinAIVision/MaskPoint#7, linkedin/Liger-Kernel#435
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.impact import Severity, is_excused, severity_of_growth, trained_growth
from lint_reduction.rules import rule


@rule("RED122", over=LossFlow, severity=Severity.ERROR)
def ones_gradient_is_sum(flow: LossFlow) -> Iterator[Finding]:
    """Report each term that a gradient argument sums over the batch."""
    for term in flow.terms:
        growth = trained_growth(flow, term)
        cause = term.cause(1)
        if growth is None or growth.in_samples < 1 or cause is None or term.site is None:
            continue
        if cause.kind is not StepKind.ONES or is_excused(flow, growth):
            continue
        behavior = None if flow.optimizer is None else flow.optimizer.behavior
        yield Finding(
            term.site.span,
            f"gradient grows as {growth}: backward(ones) of an unreduced loss is the gradient of its sum",
            severity_of_growth(growth, behavior, flow.companions),
            confidence_of(flow, term),
            "Use loss.mean().backward().",
            growth,
            path_of(flow, term, term.site.span),
        )
