"""A sum, or a mean times the world size, is trained where gradients are averaged over processes.

## What goes wrong

DistributedDataParallel and FSDP average the gradients of R processes. Of sums over the batches of each, that makes
1/R of the gradient of the sum over all samples: the same global batch gives another gradient for another R. A mean
times the world size is R times too large.

## How to fix it

Use a mean in each process. Where the processes have different numbers of samples or tokens, multiply the sum by the
world size and divide it by the number of all of them.

## When it is fine

A sum times the world size over the global count; losses over gathered features, whose gradient comes back only in
part; a wrapper that was told not to average. That is why this rule is off by default.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
- facebookresearch/fairseq#494, neuralmagic/sparseml#135, ultralytics/ultralytics#18616
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Batch, Fate, LossFlow
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.growth import Count
from lint_reduction.impact import Severity, averages_batch
from lint_reduction.rules import rule


@rule("RED405", over=LossFlow, severity=Severity.NOTE, default=False)
def ddp_sum_or_rescaled(flow: LossFlow) -> Iterator[Finding]:
    """Report each term that is a sum, or a mean times the number of processes."""
    if not flow.averages_ranks or flow.fate is not Fate.TRAINED:
        return
    for term in flow.terms:
        growth = flow.growth(term)
        if growth is None or term.site is None or term.batch < Batch.ARGUMENT:
            continue
        ranks = growth.exponent(Count.RANKS)
        if growth.in_samples >= 1 and ranks == 0:
            message = f"gradient grows as {growth}, and is averaged over processes: no sum over all of their samples"
        elif ranks == 1 and averages_batch(term):
            message = f"gradient grows as {growth}: a mean times the number of processes, over which it is averaged"
        else:
            continue
        yield Finding(
            term.site.span,
            message,
            Severity.NOTE,
            confidence_of(flow, term),
            "Use a mean, or multiply a sum by the number of processes and divide it by the count over all of them.",
            growth,
            path_of(flow, term, term.site.span),
        )
