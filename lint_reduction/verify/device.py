"""Where experiments run: the one place that names a device, chooses a dtype and sets how numbers are computed.

The variables that have to be set before torch is imported are in ``environment.py``, which the parent reads without
torch.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import torch

from lint_reduction.errors import ConfigError

AUTO = "auto"

_CPU = torch.device("cpu")
#: Asked in this order where ``torch.accelerator`` is missing (before torch 2.6) or finds nothing.
_KINDS = ("cuda", "mps", "xpu")

#: How far an exponent may be from the truth: with tiled data only rounding is left.
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 5e-3}

#: The share of an accelerator's memory that a worker may use.
_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Device:
    """The devices of an experiment: shapes and sizes are tried on the CPU, and what ran there runs on the final one.

    So an index out of range is an exception on the CPU, and not an assertion that spoils an accelerator for good.

    Attributes:
        final: where the runs are made that are reported; the CPU if there is nothing else.
        dtype: the most exact one that ``final`` has.
        trial: the CPU.
        trial_dtype: float64.
    """

    final: torch.device
    dtype: torch.dtype
    trial: torch.device = field(default=_CPU)
    trial_dtype: torch.dtype = field(default=torch.float64)

    @property
    def name(self) -> str:
        """``cpu``, ``cuda:0``."""
        return str(self.final)

    @property
    def accelerated(self) -> bool:
        """Whether the final runs are made on anything but the CPU."""
        return bool(self.final.type != "cpu")

    @property
    def tolerance(self) -> float:
        """How far an exponent measured on ``final`` may be from a whole number and still be it."""
        return _TOLERANCE[self.dtype]


def on_cpu() -> Device:
    """Return the device that is always there."""
    return Device(_CPU, torch.float64)


def choose(wanted: str = AUTO, slot: int = 0) -> Device | None:
    """Return the device of a worker.

    Args:
        wanted: ``auto`` for an accelerator if there is one, a kind such as ``cuda``, or a device such as ``cuda:1``.
        slot: the number of the worker; each accelerator has one, and the CPU any number of them.

    Returns:
        The device, or None if the accelerators have their workers already.

    Raises:
        ConfigError: there is no such device.
    """
    kind = _accelerator() if wanted == AUTO else _parse(wanted).type
    if kind is None or kind == "cpu":
        return on_cpu()
    index = None if wanted == AUTO else _parse(wanted).index
    if index is None and slot < max(1, _count(kind)):
        index = slot
    elif index is None or slot > 0:
        return None
    device = torch.device(kind) if kind == "mps" else torch.device(kind, index)
    return Device(device, exact_dtype(device))


def exact_dtype(device: torch.device) -> torch.dtype:
    """Return float64 where a trial says that the device computes with it, and float32 elsewhere.

    Raises:
        ConfigError: it does not compute with float32 either.
    """
    for dtype in (torch.float64, torch.float32):
        with contextlib.suppress(Exception):  # each backend has its own way to say no
            check(device, dtype)
            return dtype
    raise ConfigError(f"torch {torch.__version__} cannot compute on the device {str(device)!r}")


def check(device: torch.device, dtype: torch.dtype) -> None:
    """Compute a gradient on a device.

    Raises:
        Exception: of whatever type, if the device is not there, lacks the dtype or was spoiled by an earlier error.
    """
    weight = torch.ones(2, 2, dtype=dtype, device=device, requires_grad=True)
    (weight @ weight).sum().backward()
    value = float(weight.grad.sum())
    if value != 16.0:
        raise ArithmeticError(f"16.0 is {value} on {device}")


def numeric_policy(seed: int = 0) -> None:
    """Have the same numbers come out every time: no TF32, no choice of kernels by speed, one thread, one seed."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    with contextlib.suppress(RuntimeError):  # it can be set only once, and only before anything ran
        torch.set_num_interop_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def reseed(device: Device, seed: int = 0) -> None:
    """Begin the random numbers anew; ``torch.manual_seed`` would keep each call for a CUDA that is never used."""
    torch.default_generator.manual_seed(seed)
    module = getattr(torch, device.final.type, None)
    seed_all = getattr(module, "manual_seed_all", None) or getattr(module, "manual_seed", None)
    if device.accelerated and seed_all is not None:
        seed_all(seed)


def limit_memory(device: Device) -> None:
    """Leave most of an accelerator's memory to others, where its backend can."""
    module = getattr(torch, device.final.type, None)
    set_share = getattr(module, "set_per_process_memory_fraction", None)
    if device.accelerated and set_share is not None:
        with contextlib.suppress(Exception):
            set_share(_SHARE)


def _parse(name: str) -> torch.device:
    try:
        return torch.device(name)
    except RuntimeError:
        raise ConfigError(f"torch {torch.__version__} knows no device {name!r}") from None


def _accelerator() -> str | None:
    """Return the kind of accelerator that this machine has."""
    accelerator = getattr(torch, "accelerator", None)  # torch 2.6
    if accelerator is not None and accelerator.is_available():
        current = accelerator.current_accelerator()
        if current is not None:
            return str(current.type)
    return next((kind for kind in _KINDS if _available(kind)), None)


def _available(kind: str) -> bool:
    module = getattr(torch.backends, kind, None) if kind == "mps" else getattr(torch, kind, None)
    return module is not None and bool(module.is_available())


def _count(kind: str) -> int:
    module = getattr(torch, kind, None)
    count = getattr(module, "device_count", None)
    return int(count()) if count is not None else 1
