"""The first update: by the optimizer of the program, with its options, less what it would do with no gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lint_reduction.verify.allowed import OPTIMIZERS
from lint_reduction.verify.interpreter import Interpreter
from lint_reduction.verify.synth import Maker, norm
from lint_reduction.verify.values import BlockedError, Optimizer, UserError, Value


@dataclass(frozen=True, slots=True)
class Update:
    """The first update.

    Attributes:
        norm: of the change of all leaves.
        optimizer: what made it, for people.
    """

    norm: float
    optimizer: str


def first_update(machine: Interpreter, maker: Maker) -> Update | None:
    """Return the first update, None where no optimizer is in view, or one that searches."""
    optimizer = machine.optimizer()
    leaves = [leaf for leaf in maker.leaves.values() if leaf.grad is not None]
    if optimizer is None or optimizer.name not in OPTIMIZERS - {"LBFGS"} or not leaves:
        return None
    differences = []
    for group in optimizer.groups or ({},):
        given = {**optimizer.options, **group}
        options = {str(name): _option(value) for name, value in given.items() if name != "params"}
        if any(value is None for value in options.values()):
            return None
        if optimizer.name == "SGD":
            options.setdefault("lr", 0.01)
        changed = _stepped(optimizer, options, leaves, [leaf.grad for leaf in leaves])
        unchanged = _stepped(optimizer, options, leaves, [torch.zeros_like(leaf) for leaf in leaves])
        if changed is None or unchanged is None:
            return None
        differences += [(a - b).reshape(-1) for a, b in zip(changed, unchanged, strict=True)]
    return Update(norm(torch.cat(differences)), _described(optimizer, options))


def _stepped(
    optimizer: Optimizer, options: dict[str, Any], leaves: list[Tensor], gradients: list[Tensor | None]
) -> list[Tensor] | None:
    # in double precision: an update is small beside the weights, and would be rounded away
    exact = {"device": "cpu", "dtype": torch.float64, "copy": True}
    copies = [leaf.detach().to(**exact).requires_grad_() for leaf in leaves]
    for copy, gradient in zip(copies, gradients, strict=True):
        copy.grad = None if gradient is None else gradient.detach().to(**exact)
    try:
        getattr(torch.optim, optimizer.name)(copies, **options).step()
    except (RuntimeError, ValueError, TypeError, AttributeError):
        return None
    return [copy.detach() for copy in copies]


def _option(value: Value) -> Any:
    """Return a number, or a pair of numbers, None for anything else."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple) and 0 < len(value) <= 3:
        return tuple(value) if all(isinstance(entry, int | float) for entry in value) else None
    return None


def _described(optimizer: Optimizer, options: dict[str, Any]) -> str:
    given = ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in options.items()
    )
    return f"{optimizer.name}({given})"


__all__ = ["BlockedError", "Update", "UserError", "first_update"]
