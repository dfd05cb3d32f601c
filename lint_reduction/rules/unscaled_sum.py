"""A loss reduced by `sum` is trained on, and nothing divides it.

## What goes wrong

The gradient of a sum over the batch grows with the batch. Learning rate, clipping threshold, weight
decay and the weight of the last, shorter batch then mean something else as soon as the batch size
changes, and nothing says so. SGD takes steps that are as many times too large as the batch is larger;
Adam and its relatives divide the factor out again, so that only what stands beside them (clipping,
coupled weight decay, an fp16 loss scale, a second term) still sees it.

The reduction may be written (`reduction="sum"`), deprecated (`size_average=False`), a default of the
library, or the default of an option of the program.

## How to fix it

Divide by what the batch size is measured in, `loss / x.size(0)`, or use `reduction="mean"`, which for
an elementwise loss also divides by the elements of a sample. Either way, multiply the learning rate of
SGD by the batch size it was tuned with.

## When it is fine

In an evaluation loop; when the learning rate is divided by the batch size and the optimizer is SGD;
when the gradients are divided before the step; for a full-batch objective or one sample at a time; when
the variables belong to single samples (adversarial perturbations, latent codes). All of these are
recognized. To reproduce a paper with a fixed batch size, set `fixed-batch-size = true`.

## Fix safety

Unsafe: with `mean` the gradient is smaller by the batch size, and for an elementwise loss by the elements of a
sample too, so the learning rate of SGD has to be scaled up.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
- ai-safety-foundation/sparse_autoencoder#63, jax-ml/jax#3113, wkentaro/pytorch-fcn#16
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossFlow, StepKind
from lint_reduction.finding import Applicability, Finding, confidence_of, path_of, reduction_fix, undivided
from lint_reduction.impact import Severity, is_excused, severity_of_growth, trained_growth
from lint_reduction.rules import rule


@rule("RED101", over=LossFlow, severity=Severity.ERROR)
def unscaled_sum(flow: LossFlow) -> Iterator[Finding]:
    """Report each term whose own reduction is what the gradient grows by."""
    for term in flow.terms:
        growth = trained_growth(flow, term)
        cause = term.cause(1)
        if growth is None or growth.in_samples < 1 or term.site is None or cause is None:
            continue
        if cause.kind is not StepKind.SITE or is_excused(flow, growth):
            continue
        behavior = None if flow.optimizer is None else flow.optimizer.behavior
        yield Finding(
            term.site.span,
            f"gradient grows as {growth}: {term.site.callee} sums over the batch and {undivided(term)}",
            severity_of_growth(growth, behavior, flow.companions),
            confidence_of(flow, term),
            'Divide by the size of the batch, or use reduction="mean"; then scale the learning rate up to match.',
            growth,
            path_of(flow, term, term.site.span),
            fix=reduction_fix(term.site, "mean", Applicability.UNSAFE) if term.site.reduction == "sum" else None,
        )
