"""Bounds on what an operation may make, asked before torch is: elements of the result, and multiplications."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lint_reduction.verify.allowed import (
    FACTORIES,
    MAX_ELEMENTS,
    MAX_LENGTH,
    MAX_TOTAL_ELEMENTS,
    MAX_WORK,
)
from lint_reduction.verify.values import BlockedError, Value, parts

_PRODUCTS = frozenset(
    "matmul mm bmm mv dot addmm baddbmm addmv addbmm outer cdist meshgrid inner vdot cross pairwise_distance".split()
)
_SIZED = FACTORIES | frozenset("FloatTensor LongTensor Tensor DoubleTensor IntTensor BoolTensor ByteTensor".split())
_RESIZING = frozenset("new_zeros new_ones new_full new_empty expand broadcast_to normal multinomial".split())
_REPEATING = frozenset("repeat tile one_hot repeat_interleave bincount".split())
_MAX_EQUATION = 40


@dataclass(slots=True)
class Spent:
    """What a run has made so far."""

    elements: int = 0
    work: int = 0

    def made(self, value: Value) -> None:
        """Count a result.

        Raises:
            BlockedError: it, or all of them, have too many elements.
        """
        for part in parts(value):
            if isinstance(part, Tensor):
                limit(part.numel())
                self.elements += part.numel()
        if self.elements > MAX_TOTAL_ELEMENTS:
            raise BlockedError("too much is computed")

    def works(self, amount: int) -> None:
        """Count multiplications.

        Raises:
            BlockedError: there are too many.
        """
        self.work += amount
        if self.work > MAX_WORK:
            raise BlockedError("too much is computed")


def limit(elements: float) -> None:
    """Refuse a tensor that is too large.

    Raises:
        BlockedError: it is.
    """
    if not elements <= MAX_ELEMENTS:
        raise BlockedError("a tensor gets too large")


def check(name: str, arguments: Sequence[Value], options: Mapping[str, Value], spent: Spent) -> None:
    """Look at a call before it is made.

    Raises:
        BlockedError: the result would be too large, or would take too long.
    """
    values = parts([*arguments, *options.values()])
    tensors = [value for value in values if isinstance(value, Tensor)]
    numbers = [abs(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    largest = max(numbers, default=0)
    if name == "einsum":
        _check_einsum(arguments, spent)
    elif name in _PRODUCTS:
        _check_product(name, tensors, spent)
    elif name in ("arange", "linspace", "randperm"):
        limit(largest if name != "arange" else _arange(numbers))
    elif name in _SIZED | _RESIZING:
        limit(math.prod(max(number, 1) for number in numbers))
    elif name in _REPEATING:
        held = max((float(t.abs().max()) for t in tensors if t.numel() and not t.is_floating_point()), default=0.0)
        size = tensors[0].numel() if tensors else 1
        limit(size * math.prod(max(number, 1) for number in numbers))
        if name != "repeat":
            limit(size * max(held, 1.0))
    elif name in ("split", "chunk", "unbind", "tolist"):
        if any(tensor.numel() > MAX_LENGTH for tensor in tensors) and name in ("unbind", "tolist", "split"):
            raise BlockedError("a list gets too long")
    elif name in ("cat", "concat", "concatenate", "stack", "hstack", "vstack"):
        limit(sum(tensor.numel() for tensor in tensors))
    elif name in ("diag", "unflatten"):
        limit(max((tensor.numel() ** 2 for tensor in tensors if tensor.dim() == 1), default=0))
    else:
        broadcast(tensors)
    if not math.isfinite(largest) and name in _SIZED:
        raise BlockedError("a tensor gets too large")


def broadcast(tensors: Sequence[Tensor]) -> None:
    """Refuse to stretch tensors to a shape that is too large.

    Raises:
        BlockedError: it is.
    """
    if len(tensors) < 2:
        return
    try:
        shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
    except RuntimeError:
        return
    limit(math.prod(shape))


def _arange(numbers: Sequence[float]) -> float:
    if len(numbers) == 3 and numbers[2]:
        return (numbers[0] + numbers[1]) / abs(numbers[2])
    return sum(numbers)


def _check_product(name: str, tensors: Sequence[Tensor], spent: Spent) -> None:
    if name in ("outer", "meshgrid"):
        limit(math.prod(tensor.numel() for tensor in tensors))
        return
    if len(tensors) < 2:
        return
    left, right = tensors[-2], tensors[-1]
    columns = right.shape[-1] if right.dim() > 1 else 1
    rows = right.shape[-2] if name == "cdist" and right.dim() > 1 else columns
    stretched = math.prod(right.shape[:-2]) if right.dim() > 2 and left.dim() <= 2 else 1
    limit(left.numel() / max(left.shape[-1] if left.dim() else 1, 1) * rows * stretched)
    spent.works(left.numel() * max(columns, rows) * stretched)


def _check_einsum(arguments: Sequence[Value], spent: Spent) -> None:
    equation = arguments[0]
    if not isinstance(equation, str) or len(equation) > _MAX_EQUATION or "." in equation:
        raise BlockedError("the equation of `einsum` is not run")
    sizes: dict[str, int] = {}
    tensors = [part for part in parts(list(arguments[1:])) if isinstance(part, Tensor)]
    for letters, tensor in zip(equation.partition("->")[0].replace(" ", "").split(","), tensors, strict=False):
        for letter, size in zip(letters, tensor.shape, strict=False):
            sizes[letter] = max(sizes.get(letter, 1), size)
    work = math.prod(sizes.values())
    if work > 50 * MAX_ELEMENTS:
        raise BlockedError("too much is computed")
    spent.works(work)
