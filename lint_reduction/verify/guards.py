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
    PADDING,
)
from lint_reduction.verify.values import BlockedError, Value, parts

_PRODUCTS = frozenset("matmul mm bmm mv dot addmm baddbmm addmv addbmm outer cdist meshgrid inner vdot".split())
_SIZED = FACTORIES | frozenset("FloatTensor LongTensor Tensor DoubleTensor IntTensor BoolTensor ByteTensor".split())
_RESIZING = frozenset("new_zeros new_ones new_full new_empty expand broadcast_to normal multinomial".split())
_REPEATING = frozenset("repeat tile one_hot repeat_interleave bincount".split())
_JOINING = frozenset("cat concat concatenate stack hstack vstack".split())
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
    if name == "einsum":
        _check_einsum(arguments, spent)
    elif name in _PRODUCTS:
        _check_product(name, tensors, spent)
    elif name in _SIZED | _RESIZING:
        _check_sizes(name, numbers)
    elif name in _REPEATING:
        _check_repeats(name, tensors, numbers)
    elif name in ("unbind", "tolist", "split"):
        if any(tensor.numel() > MAX_LENGTH for tensor in tensors):
            raise BlockedError("a list gets too long")
    elif name in _JOINING:
        limit(sum(tensor.numel() for tensor in tensors))
    elif name in PADDING:
        limit(len(tensors) * max((tensor.numel() for tensor in tensors), default=0))
    elif name == "index_select":
        limit(math.prod(tensor.numel() for tensor in tensors))
    elif name == "diag":
        limit(max((tensor.numel() ** 2 for tensor in tensors if tensor.dim() == 1), default=0))
    else:
        broadcast(tensors)


def _check_sizes(name: str, numbers: Sequence[float]) -> None:
    if name in ("linspace", "randperm"):
        limit(max(numbers, default=0))
    elif name == "arange":
        step = numbers[2] if len(numbers) == 3 and numbers[2] else 1
        limit(sum(numbers[:2]) / step)
    else:
        limit(math.prod(max(number, 1) for number in numbers if isinstance(number, int)))


def _check_repeats(name: str, tensors: Sequence[Tensor], numbers: Sequence[float]) -> None:
    size = tensors[0].numel() if tensors else 1
    limit(size * math.prod(max(number, 1) for number in numbers))
    if name not in ("repeat", "tile"):
        whole = [t for t in tensors if t.numel() and not t.is_floating_point() and t.dtype != torch.bool]
        limit(size * max((float(tensor.abs().max()) for tensor in whole), default=1.0))


def broadcast(tensors: Sequence[Tensor]) -> None:
    """Refuse to stretch tensors to a shape that is too large.

    Raises:
        BlockedError: it is.
    """
    stretch([tensor.shape for tensor in tensors])


def stretch(shapes: Sequence[torch.Size]) -> None:
    """Refuse to stretch shapes to one that is too large.

    Raises:
        BlockedError: it is.
    """
    if len(shapes) < 2:
        return
    try:
        shape = torch.broadcast_shapes(*shapes)
    except RuntimeError:
        return
    limit(math.prod(shape))


def check_index(value: Tensor, index: object) -> None:
    """Refuse an index that repeats rows to a tensor that is too large.

    Raises:
        BlockedError: it does.
    """
    repeated = 1
    consumed = 1
    entries = index if isinstance(index, tuple) else (index,)
    for axis, entry in enumerate(entries):
        size = entry.numel() if isinstance(entry, Tensor) else len(entry) if isinstance(entry, list) else 0
        if size and not (isinstance(entry, Tensor) and entry.dtype == torch.bool):
            repeated *= len(parts(entry)) if isinstance(entry, list) else size
            consumed *= value.shape[axis] if axis < value.dim() else 1
    limit(value.numel() / max(consumed, 1) * repeated)


def _check_product(name: str, tensors: Sequence[Tensor], spent: Spent) -> None:
    if name in ("outer", "meshgrid"):
        limit(math.prod(tensor.numel() for tensor in tensors))
        return
    if len(tensors) < 2:
        return
    left, right = tensors[-2], tensors[-1]
    inner = max(left.shape[-1] if left.dim() else 1, 1)
    rows = left.shape[-2] if left.dim() > 1 else 1
    columns = 1 if right.dim() < 2 else right.shape[-2 if name == "cdist" else -1]
    try:
        batch = math.prod(torch.broadcast_shapes(left.shape[:-2], right.shape[:-2]))
    except RuntimeError:
        return
    limit(batch * rows * columns)
    spent.works(batch * rows * columns * inner)


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
