"""A loss class is called with the tensors that belong to its instance.

## What goes wrong

`nn.CrossEntropyLoss(output, target)` builds a module: `output` becomes the class weights and `target` lands in
`size_average`. With more than one element torch raises "Boolean value of Tensor with more than one value is
ambiguous"; with one element nothing is raised, and what is called the loss is a module.

## How to fix it

Build first, then call: `nn.CrossEntropyLoss()(output, target)`, or use the function `F.cross_entropy`.

## When it is fine

For a tensor of class weights as the first argument.

## References

- https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
- Lightning-AI/pytorch-lightning#501, nikhilroxtomar/DDANet#1
"""

from __future__ import annotations

from collections.abc import Iterator

from lint_reduction.facts import LossSite
from lint_reduction.finding import Confidence, Finding
from lint_reduction.impact import Severity
from lint_reduction.rules import rule


@rule("RED305", over=LossSite, severity=Severity.ERROR)
def tensors_to_constructor(site: LossSite) -> Iterator[Finding]:
    """Report a constructor that is given two tensors, or two values and used as if it were the loss."""
    if not site.is_class:
        return
    values = [a for a in site.arguments if not a.keyword and a.known is None]
    if site.tensors >= 2 or (len(values) >= 2 and site.used_as_value):
        short = site.callee.rpartition(".")[2]
        yield Finding(
            site.span,
            f"{short}(...) builds a criterion and is given the tensors that belong to its call",
            Severity.ERROR,
            Confidence.HIGH,
            f"Build it first: {short}()(...).",
        )
