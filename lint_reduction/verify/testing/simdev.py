"""A simulated accelerator, for tests of device discipline on a machine without one.

Its tensors hold real values on the CPU and say that they are on ``simgpu:0``. An operation that mixes them with tensors
of the CPU raises, as on a real accelerator, except where CUDA too takes such arguments. Autograd and the optimizers of
torch run on it, and ``torch.accelerator`` finds it. It has no generator and no autocast, and
the mean of ``CTCLoss`` fails on it: torch makes the lengths on the CPU where no dispatch mode is asked.

It stands on ``PrivateUse1``, the key of torch for backends of others, made a Python backend by a private function of
torch; ``available`` says whether this torch has it. Install it before the first backward of a process: autograd counts
the devices once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "simgpu"

_SETUP = "_setup_privateuseone_for_python_backend"

#: Operations that take a tensor from one device to another.
_MOVES = frozenset({"aten::_to_copy", "aten::copy_", "aten::_local_scalar_dense", "aten::item"})
#: Operations some of whose arguments may be on the CPU: CUDA takes them too.
_MIXED = frozenset(
    """
    aten::_ctc_loss aten::_ctc_loss_backward aten::ctc_loss aten::index aten::index_put_ aten::_index_put_impl_
    """.split()
)


class DeviceMismatchError(RuntimeError):
    """One operation was given tensors of two devices."""


@dataclass(slots=True)
class Counts:
    """What the device was made to do.

    Attributes:
        operations: on tensors of the device.
        to_device, to_cpu: copies.
        reads: of one number, each of which waits for the device.
    """

    operations: int = 0
    to_device: int = 0
    to_cpu: int = 0
    reads: int = 0


COUNTS = Counts()


def available() -> bool:
    """Whether this torch has what the simulation stands on."""
    return hasattr(backend_registration, _SETUP) and hasattr(torch, "accelerator")


def install() -> torch.device:
    """Register the accelerator, once in a process, and return its device."""
    if torch._C._get_privateuse1_backend_name() != NAME:
        getattr(backend_registration, _SETUP)(NAME)
    return torch.device(NAME, 0)


class SimulatedTensor(torch.Tensor):
    """A tensor that says it is on the device, around one on the CPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> SimulatedTensor:
        """Wrap a tensor."""
        tensor: SimulatedTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(NAME, 0),
            requires_grad=False,
        )
        tensor.inner = inner
        return tensor

    def __repr__(self, *, tensor_contents: object = None) -> str:
        """Show the tensor inside."""
        return f"SimulatedTensor({self.inner!r})"

    @classmethod
    def __torch_dispatch__(
        cls,
        operation: torch._ops.OpOverload,
        types: Sequence[type],
        arguments: Sequence[object] = (),
        keywords: Mapping[str, object] | None = None,
    ) -> object:
        """Run an operation that has such a tensor among its arguments."""
        return _run(operation, tuple(arguments), dict(keywords or {}))


class _Numbers(TorchFunctionMode):
    """Copy numbers of Python to and from the device by way of the CPU; torch does not ask a dispatch mode for that."""

    def __torch_function__(
        self,
        function: Callable[..., object],
        types: Sequence[type],
        arguments: Sequence[object] = (),
        keywords: Mapping[str, object] | None = None,
    ) -> object:
        """Run any function."""
        options = dict(keywords or {})
        if function is torch.Tensor.tolist and isinstance(arguments[0], SimulatedTensor):
            return arguments[0].cpu().tolist()
        device = options.get("device")
        if function not in (torch.tensor, torch.as_tensor) or device is None or torch.device(device).type != NAME:
            return function(*arguments, **options)
        wanted = bool(options.pop("requires_grad", False))
        made = function(*arguments, **{**options, "device": "cpu"})
        return made.to(device).requires_grad_(wanted) if isinstance(made, torch.Tensor) else made


class SimulatedAccelerator(TorchDispatchMode):
    """Within this context, tensors can also be made on the device: ``torch.zeros(2, device="simgpu")``."""

    def __enter__(self) -> SimulatedAccelerator:
        """Begin."""
        self._numbers = _Numbers()
        self._numbers.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        super().__exit__(*error)
        self._numbers.__exit__(*error)

    def __torch_dispatch__(
        self,
        operation: torch._ops.OpOverload,
        types: Sequence[type],
        arguments: Sequence[object] = (),
        keywords: Mapping[str, object] | None = None,
    ) -> object:
        """Run any operation."""
        return _run(operation, tuple(arguments), dict(keywords or {}))


def _run(operation: torch._ops.OpOverload, arguments: tuple[object, ...], keywords: dict[str, object]) -> object:
    name = operation._schema.name
    tensors = [value for value in pytree.tree_leaves((arguments, keywords)) if isinstance(value, torch.Tensor)]
    simulated = [tensor for tensor in tensors if isinstance(tensor, SimulatedTensor)]
    if simulated and name not in _MOVES | _MIXED:
        _require_same_device(name, tensors)
    on_device = bool(simulated)
    if keywords.get("device") is not None:
        on_device = torch.device(keywords["device"]).type == NAME
        keywords["device"] = torch.device("cpu")
        keywords.pop("pin_memory", None)
    _count(name, bool(simulated), on_device)
    inner_arguments, inner_keywords = pytree.tree_map(_inner, (arguments, keywords))
    result = operation(*inner_arguments, **inner_keywords)
    written = _written(operation, arguments, keywords)
    if written is not None:
        return written if operation._schema.returns else None
    return pytree.tree_map(_outer, result) if on_device else result


def _require_same_device(name: str, tensors: list[torch.Tensor]) -> None:
    for tensor in tensors:
        # a number is taken from any device
        if not isinstance(tensor, SimulatedTensor) and tensor.dim() > 0:
            raise DeviceMismatchError(f"{name}: tensors on {NAME}:0 and {tensor.device}")


def _count(name: str, from_device: bool, to_device: bool) -> None:
    COUNTS.operations += from_device or to_device
    COUNTS.reads += from_device and name == "aten::_local_scalar_dense"
    if name == "aten::_to_copy":
        COUNTS.to_device += to_device and not from_device
        COUNTS.to_cpu += from_device and not to_device


def _inner(value: object) -> object:
    return value.inner if isinstance(value, SimulatedTensor) else value


def _outer(value: object) -> object:
    return SimulatedTensor(value) if isinstance(value, torch.Tensor) else value


def _written(operation: torch._ops.OpOverload, arguments: tuple[object, ...], keywords: Mapping[str, object]) -> object:
    """Return what an operation in place returns, its own arguments, or None for any other operation."""
    places = [
        (position, argument.name)
        for position, argument in enumerate(operation._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    values = [arguments[place] if place < len(arguments) else keywords.get(name) for place, name in places]
    if not values:
        return None
    return values[0] if len(operation._schema.returns) == 1 else tuple(values)
