"""`compute_loss` returns its own mean where the Trainer expects a division by `num_items_in_batch`.

## What goes wrong

Since version 4.46 the Trainer of transformers hands `compute_loss` the number of items of all micro-batches of a
step, and does not divide by the accumulation steps when the model accepts loss keywords: it takes the loss for
divided already. A mean over one micro-batch is then K times too large for K accumulation steps.

## How to fix it

Divide a sum by `num_items_in_batch`, or say that the loss is a mean: `loss_is_scaled_for_ga = False` in the class
(version 5), `self.model_accepts_loss_kwargs = False` in the constructor (before).

## When it is fine

Without gradient accumulation, with a model whose `forward` takes no keywords, and before version 4.46. None of these
is in view, which is why this rule is off by default.

## References

- https://huggingface.co/docs/transformers/main_classes/trainer
- huggingface/transformers#37110, huggingface/transformers#39567, huggingface/transformers#37766
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossFlow
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity, averages_batch
from lint_reduction.rules import rule


@rule("RED404", over=LossFlow, severity=Severity.WARNING, default=False)
def compute_loss_ignores_num_items(flow: LossFlow) -> Iterator[Finding]:
    """Report the first term of a step that is a mean of its own and takes no notice of the normalizer."""
    if not flow.ignored_normalizer:
        return
    for term in flow.terms:
        growth = flow.growth(term)
        if term.site is None or growth is None or growth.exponent(Count.MICRO_BATCHES) or not averages_batch(term):
            continue
        yield Finding(
            term.site.span,
            f"a mean over one batch, but {flow.ignored_normalizer} is not used:"
            " the Trainer may take the loss for divided by the accumulation steps",
            Severity.WARNING,
            confidence_of(flow, term),
            f"Divide a sum by {flow.ignored_normalizer}, or set loss_is_scaled_for_ga = False in the class.",
            growth,
            path_of(flow, term, term.site.span),
        )
        return
