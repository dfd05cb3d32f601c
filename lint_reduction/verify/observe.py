"""Watch one training step: which parameters it has, what it calls backward on, what it leaves changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from lint_reduction.errors import ProbeError

#: What may say which tensors are meant.
Parameters: TypeAlias = nn.Module | Iterable[Tensor] | Iterable[tuple[str, Tensor]]


class Observer(TorchFunctionMode):
    """Sees the modules that run and the backward calls, and can put everything back.

    Attributes:
        found: the parameters that a backward call reached, or whose module ran.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, Tensor] = {}
        self._called_backward = False
        self._modules: dict[nn.Module, None] = {}
        self._saved: dict[int, _Saved] = {}
        self._buffers: list[tuple[nn.Module, str, Tensor]] = []

    def __enter__(self) -> Observer:
        self._hook = register_module_forward_pre_hook(lambda module, _: self.add_module(module))
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._hook.remove()
        self.rewind()
        for saved in self._saved.values():
            saved.tensor.grad = saved.grad

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # as torch has it
        kwargs = kwargs or {}
        if func is Tensor.backward:
            self._called_backward = True
            gradient = kwargs.get("gradient", args[1] if len(args) > 1 else None)
            self._before_backward(args[0], one_number=gradient is None)
        return func(*args, **kwargs)

    def add_module(self, module: nn.Module) -> None:
        """Keep the state of a module, and that of its parts, before it runs."""
        if module in self._modules:
            return
        self._modules[module] = None
        for parameter in module.parameters(recurse=False):
            self.add_parameter(parameter)
        for name, buffer in module.named_buffers(recurse=False):
            self._buffers.append((module, name, buffer))
            self._save(buffer)

    def add_parameter(self, parameter: Tensor) -> None:
        """Keep the state of a parameter, and take its gradient away."""
        if parameter.requires_grad and id(parameter) not in self.found:
            self.found[id(parameter)] = parameter
            self._save(parameter)

    def rewind(self) -> None:
        """Put all values back, and take gradients away."""
        self._called_backward = False
        for saved in self._saved.values():
            saved.rewind()
        for module, name, buffer in self._buffers:
            module._buffers[name] = buffer

    def run(self, step: Callable[[], object]) -> None:
        """Run a step, and call backward on what it returns if it does not do so itself.

        Raises:
            ProbeError: there is no loss, it is not one number, or the step changes its parameters.
        """
        try:
            result = step()
        except RuntimeError as error:
            if "only for scalar outputs" in str(error):  # of torch.autograd.backward, which no mode sees
                raise ProbeError(f"the loss is not reduced to one number: {error}") from error
            raise
        if not self._called_backward and all(parameter.grad is None for parameter in self.found.values()):
            loss = _loss_in(result)
            self._before_backward(loss, one_number=True)
            loss.backward()
        if any(self._saved[key].changed for key in self.found):
            raise ProbeError("the step changes its parameters: leave out optimizer.step()")

    def names(self) -> dict[int, str]:
        """Return what the parameters that were found are called in the modules that ran."""
        inner = {child for module in self._modules for child in module.modules() if child is not module}
        outer = [module for module in self._modules if module not in inner and any(True for _ in module.parameters())]
        names: dict[int, str] = {}
        for module in outer:
            prefix = f"{type(module).__name__}." if len(outer) > 1 else ""
            for name, parameter in module.named_parameters():
                names.setdefault(id(parameter), _unique(prefix + name, names.values()))
        return names

    def _before_backward(self, loss: Tensor, *, one_number: bool) -> None:
        if one_number and loss.numel() != 1:
            raise ProbeError(
                f"the loss has the shape {tuple(loss.shape)} and is not reduced to one number, so backward() fails: "
                "take its mean, or give the loss a reduction"
            )
        for leaf in _leaves(loss):
            self.add_parameter(leaf)

    def _save(self, tensor: Tensor) -> None:
        if id(tensor) not in self._saved:
            self._saved[id(tensor)] = _Saved(tensor)
            tensor.grad = None


class _Saved:
    """A tensor, what it held and its gradient."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.grad = tensor.grad
        self._value = tensor.detach().clone()
        self._version = tensor._version

    @property
    def changed(self) -> bool:
        return self.tensor._version != self._version

    def rewind(self) -> None:
        self.tensor.grad = None
        if self.changed or not self.tensor.requires_grad:  # running statistics change without a new version
            with torch.no_grad():
                self.tensor.copy_(self._value)
            self._version = self.tensor._version


def named(parameters: Parameters) -> dict[int, tuple[str, Tensor]]:
    """Return parameters with their names, empty where they have none, by identity.

    Raises:
        ProbeError: there are none.
    """
    if isinstance(parameters, nn.Module):
        pairs: list[tuple[str, Tensor]] = list(parameters.named_parameters())
    else:
        pairs = [entry if isinstance(entry, tuple) else ("", entry) for entry in parameters]
    found = {id(tensor): (name, tensor) for name, tensor in pairs if tensor.requires_grad}
    if not found:
        raise ProbeError("there are no parameters that require a gradient")
    return found


def _loss_in(result: object) -> Tensor:
    if isinstance(result, Mapping) and "loss" in result:
        result = result["loss"]
    if not isinstance(result, Tensor):
        raise ProbeError(f"the step returns no loss and calls no backward(): it returns {type(result).__name__}")
    if not result.requires_grad:
        raise ProbeError("the loss that the step returns depends on no parameter: it is detached, or under no_grad()")
    return result


def _leaves(loss: Tensor) -> Iterator[Tensor]:
    """Yield the tensors at which the graph of a loss accumulates gradients."""
    seen, waiting = set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield cast("Tensor", node.variable)
        waiting.extend(following for following, _ in node.next_functions)


def _unique(name: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    numbered = (name if count == 1 else f"{name} ({count})" for count in range(1, len(taken) + 2))
    return next(candidate for candidate in numbered if candidate not in taken)
