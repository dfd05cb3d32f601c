"""A loss is divided by the number of positions that a mask keeps, which may be 0.

## What goes wrong

For a batch in which the mask keeps nothing, 0 / 0 is NaN, and where the loss was multiplied with the mask so are the
gradients, 0 times infinity: one such batch and every weight of the model is NaN after the step.

## How to fix it

`/ mask.sum().clamp(min=1)`, or leave the batch out.

## When it is fine

When the mask cannot be empty; behind a guard such as `if mask.any()`. A `max(n, 1)`, an added epsilon and a
guard in the same function are recognized, and so are masks of padding, which keep a position of each sample:
`tokens != 0`, `positions < lengths`. Where the mask selects or fills (`loss[mask]`, `masked_fill`, `where`,
`ignore_index`), an empty one makes the loss NaN, but its gradients are zero: that is not reported.

## References

- pytorch/pytorch#70348, pytorch/pytorch#116349, nvidia-cosmos/cosmos-rl#155
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Doubt, Fate, LossFlow, StepKind, Term
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


def _is_multiplied_by_mask(term: Term) -> bool:
    """Say whether what a mask leaves out is multiplied with zero: its gradient is that of the rest times zero."""
    return any(step.kind is StepKind.MULTIPLY and step.growth.exponent(Count.VALID) > 0 for step in term.steps)


@rule("RED208", over=LossFlow, severity=Severity.NOTE, default=False)
def empty_denominator(flow: LossFlow) -> Iterator[Finding]:
    """Report each division by a count of valid positions that nothing keeps from being 0."""
    if flow.fate in (Fate.LOGGED, Fate.DETACHED):
        return
    for term in flow.terms:
        divisor = next((step for step in term.steps if step.doubt is Doubt.EMPTY), None)
        if divisor is None or not _is_multiplied_by_mask(term):
            continue
        yield Finding(
            divisor.span,
            f"gradients are NaN for a batch in which {divisor.text or 'the divisor'} is 0",
            Severity.NOTE,
            confidence_of(flow, term),
            "Keep the divisor at 1 or more: .clamp(min=1).",
            term.growth,
            path_of(flow, term, divisor.span),
        )
