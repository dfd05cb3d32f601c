"""Touch every part of torch that is loaded at its first use, since nothing can be loaded behind the lock."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from functools import partial

# what the paths of errors and warnings import late
import linecache  # noqa: F401  # isort: skip
import traceback  # noqa: F401  # isort: skip
import unittest.mock  # noqa: F401  # isort: skip

import torch
from torch import Tensor, nn

from lint_reduction.verify.device import Device, check

#: Losses by the kind of their arguments.
_OF_REALS = "L1Loss MSELoss SmoothL1Loss HuberLoss BCEWithLogitsLoss SoftMarginLoss MultiLabelSoftMarginLoss".split()
_OF_CLASSES = "CrossEntropyLoss MultiMarginLoss".split()
_OF_THREE = "TripletMarginLoss TripletMarginWithDistanceLoss".split()

_REDUCTIONS = ("none", "mean", "sum")


def warm(device: Device) -> None:
    """Use once, on both devices, what experiments use: losses, optimizers, distributions, errors and warnings.

    Raises:
        Exception: of whatever type, if the final device does not compute.
    """
    check(device.trial, device.trial_dtype)
    check(device.final, device.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _touch(device.trial, device.trial_dtype)
        if device.accelerated:
            _touch(device.final, device.dtype)


def _touch(device: torch.device, dtype: torch.dtype) -> None:
    for use in uses(device, dtype):
        # what this torch or this backend does not have, experiments cannot use either
        with contextlib.suppress(Exception):
            use()


def uses(device: torch.device, dtype: torch.dtype) -> Iterator[Callable[[], object]]:
    """Yield what is to be called once on a device."""
    yield from _losses(device, dtype)
    yield from _optimizers(device, dtype)
    yield from _others(device, dtype)


def _losses(device: torch.device, dtype: torch.dtype) -> Iterator[Callable[[], None]]:
    def real() -> Tensor:
        return torch.full((2, 3), 0.5, dtype=dtype, device=device, requires_grad=True)

    classes = torch.tensor([0, 2], device=device)
    sign = torch.ones(2, dtype=dtype, device=device)
    share = torch.full((2, 3), 0.3, dtype=dtype, device=device)
    arguments: dict[str, Callable[[], tuple[Tensor, ...]]] = {
        **{name: lambda: (real(), share) for name in _OF_REALS},
        **{name: lambda: (real(), classes) for name in _OF_CLASSES},
        **{name: lambda: (real(), real(), 2 * real()) for name in _OF_THREE},
        "BCELoss": lambda: (real().sigmoid(), share),
        "NLLLoss": lambda: (real().log_softmax(1), classes),
        "KLDivLoss": lambda: (real().log_softmax(1), share),
        "PoissonNLLLoss": lambda: (real(), share),
        "GaussianNLLLoss": lambda: (real(), share, share),
        "HingeEmbeddingLoss": lambda: (real(), torch.ones_like(share)),
        "MultiLabelMarginLoss": lambda: (real(), torch.tensor([[0, -1, 0], [1, 2, -1]], device=device)),
        "CosineEmbeddingLoss": lambda: (real(), share, sign),
        "MarginRankingLoss": lambda: (real()[:, 0], share[:, 0], sign),
        "CTCLoss": lambda: (
            real().expand(4, 2, 3).log_softmax(2),
            torch.ones(2, 1, dtype=torch.long, device=device),
            torch.tensor([4, 4]),
            torch.tensor([1, 1]),
        ),
    }
    for name, make in arguments.items():
        for reduction in _REDUCTIONS:
            yield partial(_backward, name, reduction, make)


def _backward(name: str, reduction: str, make: Callable[[], tuple[Tensor, ...]]) -> None:
    getattr(nn, name)(reduction=reduction)(*make()).sum().backward()


def _optimizers(device: torch.device, dtype: torch.dtype) -> Iterator[Callable[[], None]]:
    for optimizer in vars(torch.optim).values():
        if isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer):
            yield partial(_step, optimizer, device, dtype)


def _step(optimizer: Callable[..., torch.optim.Optimizer], device: torch.device, dtype: torch.dtype) -> None:
    weight = nn.Parameter(torch.ones(2, 2, dtype=dtype, device=device))

    def closure() -> Tensor:
        loss = (weight**2).sum()
        loss.backward()
        return loss

    stepping = optimizer([weight], lr=0.1)
    closure()
    nn.utils.clip_grad_norm_([weight], 1.0)
    nn.utils.clip_grad_value_([weight], 1.0)
    stepping.step(closure)
    stepping.zero_grad()
    torch.optim.lr_scheduler.LambdaLR(stepping, lambda epoch: 1.0)


def _others(device: torch.device, dtype: torch.dtype) -> Iterator[Callable[[], object]]:
    def ones(*sizes: int) -> Tensor:
        return torch.ones(sizes, dtype=dtype, device=device, requires_grad=True)

    normal = partial(torch.distributions.Normal, torch.zeros(2, dtype=dtype), torch.ones(2, dtype=dtype))
    yield lambda: torch.distributions.kl_divergence(normal(), normal())
    yield lambda: torch.distributions.Independent(normal(), 1).log_prob(normal().rsample())
    yield lambda: torch.distributions.Categorical(logits=torch.zeros(2, 3)).entropy()
    yield lambda: torch.linalg.lstsq(torch.eye(3, dtype=torch.float64), torch.ones(3, 1, dtype=torch.float64))
    yield lambda: torch.einsum("ij,jk->ik", ones(2, 2), ones(2, 2)).sum().backward()
    yield lambda: nn.functional.one_hot(torch.tensor([0, 1], device=device))
    yield lambda: nn.Linear(2, 2, dtype=dtype, device=device)(ones(2, 2)).sum().backward()
    yield lambda: repr(ones(2, 2))
    yield lambda: _noise(device, dtype)
    yield lambda: _raise(lambda: ones(2) @ ones(3))
    yield lambda: _raise(lambda: ones(2).backward())
    yield lambda: _raise(lambda: nn.functional.cross_entropy(torch.ones(2, 3), torch.tensor([9, 9])))
    yield lambda: _warn(lambda: nn.functional.mse_loss(ones(2, 1), ones(2)).backward())


def _noise(device: torch.device, dtype: torch.dtype) -> None:
    torch.randn(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(device, dtype)
    torch.nn.functional.dropout(torch.ones(2, dtype=dtype, device=device).uniform_(), 0.5)


def _raise(failing: Callable[[], object]) -> None:
    try:
        failing()
    except (RuntimeError, IndexError) as error:
        str(error)


def _warn(warning: Callable[[], object]) -> None:
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        warning()
