"""The learning rate is multiplied by the batch size, and the loss is a sum over the batch already.

## What goes wrong

The rule that the learning rate grows in proportion to the batch size belongs to a mean loss. The gradient of
a sum has that factor already, so that the batch size counts twice: an update of SGD grows as its square, and
training that ran at one batch size diverges at four times that.

## How to fix it

Average the loss over the batch and keep the scaled learning rate, or keep the sum and divide the learning
rate of SGD by the batch size.

## When it is fine

When the factor is the number of processes, over which gradients are averaged. Under Adam and its relatives
the sum changes nothing and the learning rate counts once; that is a note.

## References

- microsoft/singleshotpose#128, NVIDIA/apex#407, facebookresearch/SlowFast#14
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Behavior, LossFlow
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.impact import Severity, trained_growth, update_growth
from lint_reduction.rules import rule

_SEVERITIES = {
    Behavior.EQUIVARIANT: Severity.ERROR,
    Behavior.INVARIANT: Severity.NOTE,
    Behavior.SEARCHING: Severity.NOTE,
}


@rule("RED106", over=LossFlow, severity=Severity.ERROR)
def lr_scaled_up_with_sum(flow: LossFlow) -> Iterator[Finding]:
    """Report each summed term whose optimizer has a learning rate that grows with the batch as well."""
    optimizer = flow.optimizer
    rate = None if optimizer is None else optimizer.learning_rate
    if optimizer is None or rate is None or rate.in_samples < 1:
        return
    for term in flow.terms:
        growth = trained_growth(flow, term)
        cause = term.cause(1)
        if growth is None or growth.in_samples < 1 or cause is None:
            continue
        update = update_growth(growth, rate, optimizer.behavior)
        yield Finding(
            cause.span,
            f"update grows as {update}: the loss is a sum over the batch, and the learning rate grows as {rate}",
            _SEVERITIES.get(optimizer.behavior, Severity.WARNING) if optimizer.behavior else Severity.WARNING,
            confidence_of(flow, term),
            "Average the loss over the batch, or do not multiply the learning rate by its size.",
            update,
            path_of(flow, term, cause.span),
        )
