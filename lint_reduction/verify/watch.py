"""Read from a running training loop what each loss is divided by.

The objective is, near each step, ``c`` times the sum of the losses of all samples: 1 for a sum, ``1 / B`` for a mean
over the batch. The gradient that arrives at the input of a loss, compared with that of the summed loss, is ``c``.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lint_reduction.libraries import load_libraries
from lint_reduction.verify.readings import Place, Reading, Site, WatchReport

_TORCH = str(Path(torch.__file__).parent) + os.sep
#: How many sizes of batches are read at once when they are first seen.
_SIZES = 8


class Scaler(Protocol):
    """What scales losses against underflow, such as ``torch.amp.GradScaler``."""

    def get_scale(self) -> float: ...


@dataclass(frozen=True, slots=True)
class _Loss:
    function: Callable[..., Tensor]
    signature: inspect.Signature
    inputs: tuple[str, ...]


class LossWatch(TorchFunctionMode):
    """Watch the losses of torch in the code that runs within it, in this thread.

    >>> with LossWatch(every=50) as watch:  # doctest: +SKIP
    ...     train()
    >>> print(watch.report())  # doctest: +SKIP

    Args:
        every: read each n-th call at a place; a batch of a size that was not seen there is read as well, as the last,
            short batch of an epoch tells a division by the size of the batch from one by a constant.
        scaler: what the losses are scaled with; its scale is divided out.
    """

    def __init__(self, every: int = 1, scaler: Scaler | None = None) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every is 1 or more, not {every}")
        self._every = every
        self._scaler = scaler
        self._losses = _losses()
        self._sites: dict[Place, Site] = {}

    def report(self) -> WatchReport:
        """Return what was read so far."""
        return WatchReport(tuple(self._sites.values()))

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # as torch has it
        kwargs = kwargs or {}
        loss = self._losses.get(func)
        if loss is None or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        bound = loss.signature.bind(*args, **kwargs)
        given = ((name, bound.arguments.get(name)) for name in loss.inputs)
        name, tensor = next(
            ((n, value) for n, value in given if isinstance(value, Tensor) and value.requires_grad), ("", None)
        )
        if tensor is None:
            return func(*args, **kwargs)
        site = self._site(func.__name__)
        if not self._due(site, len(tensor) if tensor.dim() else 1):
            return func(*args, **kwargs)
        alias = tensor.view_as(tensor)  # its gradient is that of this call alone
        arguments = dict(bound.arguments)
        bound.arguments[name] = alias
        out = func(*bound.args, **bound.kwargs)
        self._read(site, alias, loss, arguments, name)
        return out

    def _site(self, loss: str) -> Site:
        frame = sys._getframe(2)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(_TORCH):
            frame = frame.f_back
        place = Place(frame.f_code.co_filename, frame.f_lineno, loss, frame.f_lasti)
        return self._sites.setdefault(place, Site(place))

    def _due(self, site: Site, size: int) -> bool:
        new = size not in site.sizes and len(site.sizes) < _SIZES
        if new:
            site.sizes.add(size)
        site.calls += 1
        return new or (site.calls - 1) % self._every == 0

    def _read(self, site: Site, alias: Tensor, loss: _Loss, arguments: Mapping[str, object], name: str) -> None:
        try:
            expected, counts = _of_the_sum(loss, arguments, name)
        except (RuntimeError, ValueError, TypeError) as error:  # training goes on without a reading
            site.failure = f"{type(error).__name__}: {error}".splitlines()[0].partition(". ")[0]
            return

        def compare(gradient: Tensor) -> None:
            scale = self._scaler.get_scale() if self._scaler else 1.0
            reading = _compared(gradient, expected, scale, counts)
            if reading is not None:
                site.readings.append(reading)

        alias.register_hook(compare)


def _of_the_sum(loss: _Loss, arguments: Mapping[str, object], name: str) -> tuple[Tensor, dict[str, float]]:
    """Return the gradient of the summed loss, and the counts that it may be divided by."""
    values = {key: value.detach() if isinstance(value, Tensor) else value for key, value in arguments.items()}
    leaf = values[name] = values[name].requires_grad_()  # type: ignore[union-attr,attr-defined]  # it is a tensor
    for flag in ("size_average", "reduce"):
        values.pop(flag, None)
    with torch.enable_grad():
        losses = loss.function(**values | {"reduction": "none"})
        (expected,) = torch.autograd.grad(losses.sum(), leaf)
    counts = {"rows": float(len(losses) if losses.dim() else 1), "elements": float(losses.numel())}
    target, weight = values.get("target"), values.get("weight")
    if isinstance(target, Tensor) and "ignore_index" in loss.signature.parameters and not target.is_complex():
        counts |= _counts_of_targets(target, weight, values.get("ignore_index", -100))
    return expected, counts


def _counts_of_targets(target: Tensor, weight: object, ignored: object) -> dict[str, float]:
    if target.is_floating_point():
        return {}
    kept = target[target != ignored]
    counts = {"valid targets": float(kept.numel())}
    if isinstance(weight, Tensor):
        counts["class weights"] = float(weight[kept].sum())
    return counts


def _compared(gradient: Tensor, expected: Tensor, scale: float, counts: Mapping[str, float]) -> Reading | None:
    a, b = gradient.detach().double().flatten(), expected.double().flatten()
    product, square, norm = (float(value) for value in (a @ b, b @ b, a.norm() * b.norm()))
    return Reading(product / square / scale, product / norm, counts) if norm > 0 else None


@cache
def _losses() -> Mapping[Callable[..., Tensor], _Loss]:
    """Return the losses of torch that can be left unreduced."""
    found = {}
    for name, (model, _) in load_libraries().losses.items():
        module, _, function = name.rpartition(".")
        if module == "torch.nn.functional" and hasattr(functional, function) and not model.fixed:
            loss = getattr(functional, function)
            found[loss] = _Loss(loss, inspect.signature(loss), model.inputs)
    return found
