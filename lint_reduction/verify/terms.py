"""The gradient of the term that a finding is about, apart from that of the others: the derivative through its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lint_reduction.verify.synth import norm

#: What is left of a gradient when a term is taken from it is nothing, relative to it, if it is less than this.
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Shares:
    """The gradient of one term, and that of all others."""

    own: Tensor
    others: Tensor


class TermGradient:
    """Takes the gradient that reaches what is trained through the place of a finding, and no other way."""

    def __init__(self) -> None:
        self._values: list[Tensor] = []
        self._own: list[Tensor] = []
        self._whole: list[Tensor] = []

    def see(self, value: Tensor) -> Tensor:
        """Keep what the place of the finding gives; return what the program goes on with, and may change in place."""
        if not value.requires_grad:
            return value
        self._values.append(value)
        return value.clone()

    def take(self, loss: Tensor, given: Tensor | None, leaves: Sequence[Tensor]) -> None:
        """Add the gradients of a loss on which backward is called."""
        if not self._values or not leaves:
            return
        given = torch.ones_like(loss) if given is None else given
        arrived = _gradients([loss], self._values, [given])
        reached = [(value, part) for value, part in zip(self._values, arrived, strict=True) if part is not None]
        own = _gradients([v for v, _ in reached], leaves, [g for _, g in reached]) if reached else [None] * len(leaves)
        self._own.append(_vector(own, leaves))
        self._whole.append(_vector(_gradients([loss], leaves, [given]), leaves))

    def shares(self, gradient: Tensor) -> Shares | None:
        """Return both parts of a gradient, None where the term is all of it.

        Args:
            gradient: as it is at the step, when it has been divided or repeated.
        """
        if not self._own:
            return None
        own, whole = sum(self._own[1:], self._own[0]), sum(self._whole[1:], self._whole[0])
        size = norm(whole)
        others = whole - own
        if not size or norm(others) <= _NOTHING * size:
            return None
        behind = norm(gradient) / size
        return Shares(own * behind, others * behind)


def _gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor], given: Sequence[Tensor]) -> Sequence[Tensor | None]:
    return torch.autograd.grad(outputs, inputs, given, retain_graph=True, allow_unused=True)


def _vector(parts: Iterable[Tensor | None], leaves: Sequence[Tensor]) -> Tensor:
    filled = (torch.zeros_like(leaf) if part is None else part for part, leaf in zip(parts, leaves, strict=True))
    return torch.cat([part.detach().reshape(-1) for part in filled])
