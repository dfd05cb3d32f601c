"""A loss that is not reduced reaches `backward()`.

## What goes wrong

`backward()` of anything but a scalar raises `RuntimeError: grad can be implicitly created only for scalar
outputs`. It runs when the loss happens to have one element, so code that was tried with a batch of one
fails later. Some libraries are unreduced by default: torchvision, kornia, fvcore.

## How to fix it

Reduce first. Which reduction is a choice of scale: `.mean()` does not depend on the batch, `.sum()` does.

## When it is fine

With a gradient argument (then see RED122); when a helper reduces; one sample at a time.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html
- pytorch/pytorch#6166, z814081807/DeepNER#19, dillondavis/RecurrentAttentionConvolutionalNeuralNetwork#4
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import Fate, LossFlow, StepKind
from lint_reduction.finding import Finding, confidence_of, path_of
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED121", over=LossFlow, severity=Severity.ERROR)
def unreduced_backward(flow: LossFlow) -> Iterator[Finding]:
    """Report the loss call that leaves the objective unreduced."""
    if flow.fate is not Fate.TRAINED or not flow.axes or flow.end.kind is StepKind.RETURN:
        return
    for term in flow.terms:
        if term.site is None or term.site.reduction != "none" or term.last(StepKind.MEAN) or term.last(StepKind.SUM):
            continue
        left = ", ".join(count.value for count in flow.axes)
        yield Finding(
            term.site.span,
            f"backward() needs a scalar: this loss is not reduced over {left}",
            Severity.ERROR,
            confidence_of(flow, term),
            "Reduce it before backward(); .mean() does not depend on the size of the batch.",
            related=path_of(flow, term, term.site.span),
        )
        return
