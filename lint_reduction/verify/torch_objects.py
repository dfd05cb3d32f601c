"""Losses, layers and distributions of torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lint_reduction.verify import guards
from lint_reduction.verify.allowed import (
    DISTRIBUTION_ATTRIBUTES,
    DISTRIBUTION_METHODS,
    DISTRIBUTIONS,
)
from lint_reduction.verify.experiment import Place
from lint_reduction.verify.losses import WEIGHTED, Loss
from lint_reduction.verify.synth import Maker
from lint_reduction.verify.torch_calls import ERRORS, TorchCalls, first_line
from lint_reduction.verify.values import (
    BlockedError,
    Criterion,
    Distribution,
    Layer,
    MisfitError,
    RaisedError,
    Value,
)


class TorchObjects(TorchCalls):
    """Builds objects of torch, and calls them.

    Attributes:
        raw, unreduced: the losses that were left unreduced, and the nodes of the graph that made them.
    """

    def __init__(self, maker: Maker) -> None:
        super().__init__(maker)
        self.raw: list[Tensor] = []
        self.unreduced: list[object] = []

    def criterion(
        self, loss: Loss, arguments: Sequence[Value], options: Mapping[str, Value], place: Place
    ) -> Criterion:
        """Build a loss module."""
        plain, named = self._arguments(arguments, options)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = getattr(nn, loss.name)(*plain, **named)
        except ERRORS as error:
            raise _invalid(error) or BlockedError(f"{loss.name}: {first_line(error)}") from None
        if isinstance(getattr(module, "weight", None), Tensor) and loss.name in WEIGHTED:
            module.weight = self._weighted(module.weight)
        return Criterion(loss.name, dict(options) | {"reduction": module.reduction}, module, place)

    def loss(
        self,
        loss: Loss,
        criterion: Criterion | None,
        arguments: Sequence[Value],
        options: Mapping[str, Value],
        place: Place,
    ) -> Value:
        """Call a loss module, or the functional form."""
        plain, named = self._arguments(arguments, options)
        function: Any = getattr(functional, loss.function) if criterion is None else criterion.module
        self._refuse_misfit(loss, plain)
        guards.broadcast([value for value in [*plain, *named.values()] if isinstance(value, Tensor)])
        if loss.name in WEIGHTED and isinstance(named.get("weight"), Tensor):
            named["weight"] = self._weighted(named["weight"])
        elif loss.name in WEIGHTED and criterion is None and len(plain) > 2 and isinstance(plain[2], Tensor):
            plain[2] = self._weighted(plain[2])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                value = function(*plain, **named)
            except ERRORS as error:
                raise _invalid(error) or BlockedError(f"{loss.function}: {first_line(error)}") from None
        if any("Using a target size" in str(warning.message) for warning in caught):
            raise BlockedError(f"{loss.function}: the target has another size than the input")
        if not isinstance(value, Tensor):
            raise BlockedError(f"{loss.function} returns no tensor")
        self._spent.made(value)
        if value.dim() > 0 and value.numel() > 1:
            self.raw.append(value)
            if value.grad_fn is not None:
                self.unreduced.append(value.grad_fn)
        return value

    def _refuse_misfit(self, loss: Loss, plain: Sequence[Any]) -> None:
        """Refuse a target that has other features than a part of a prediction, and say which it should have."""
        if len(plain) < 2 or not all(isinstance(value, Tensor) for value in plain[:2]) or "C" in loss.layouts[0][0]:
            return
        first, second = plain[:2]
        if first.dim() != second.dim():
            return
        axes = [axis for axis in range(first.dim()) if first.shape[axis] != second.shape[axis]]
        for value, other in ((second, first), (first, second)):
            path = self.maker.path_of(value)
            if len(axes) == 1 and axes[0] > 0 and path:
                message = f"{loss.function}: the target has another size than the input"
                raise MisfitError(message, path, axes[0], other.shape[axes[0]])

    def _weighted(self, weight: Tensor) -> Tensor:
        """Return class weights times what they are varied by; in place, as the program may divide by them as well."""
        self.weighted |= {index for index, other in enumerate(self.written) if other is weight}
        if self.maker.sizes.weights > 1 and not any(weight is other for other in self.weights):
            weight = weight.mul_(self.maker.sizes.weights)
            self.weights.append(weight)
        return weight

    def reduce(self, criterion: Criterion, reduction: str) -> None:
        """Give a loss module another reduction."""
        criterion.options["reduction"] = reduction
        module: Any = criterion.module
        module.reduction = reduction

    def layer(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Layer:
        """Build a module without parameters."""
        plain, named = self._arguments(arguments, options)
        named.pop("inplace", None)
        try:
            return Layer(name, getattr(nn, name)(*plain, **named))
        except ERRORS as error:
            raise BlockedError(f"{name}: {first_line(error)}") from None

    def apply(self, layer: Layer, arguments: Sequence[Value]) -> Value:
        """Call such a module."""
        plain, _ = self._arguments(arguments, {})
        if not all(isinstance(value, Tensor) for value in plain):
            raise BlockedError(f"{layer.name} is given no tensor")
        module: Any = layer.module
        return self._do(layer.name, module, *plain)

    def distribution(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Distribution:
        """Build a distribution."""
        if name not in DISTRIBUTIONS:
            raise BlockedError(f"the distribution `{name}` is not allowed")
        real = self._distribution(name, arguments, options)
        return Distribution(name, tuple(arguments), dict(options), real)

    def _distribution(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Any:
        inner = [value.real if isinstance(value, Distribution) else self._plain(value) for value in arguments]
        named = {key: self._plain(value) for key, value in options.items() if key != "validate_args"}
        tensors = [value for value in [*inner, *named.values()] if isinstance(value, Tensor)]
        guards.broadcast(tensors)
        try:
            return getattr(torch.distributions, name)(*inner, **named)
        except ERRORS as error:
            raise BlockedError(f"{name}: {first_line(error)}") from None

    def distributed(self, distribution: Distribution, name: str, arguments: Sequence[Value], *, called: bool) -> Value:
        """Call a method of a distribution, or read an attribute."""
        real: Any = distribution.real
        if not called:
            if name not in DISTRIBUTION_ATTRIBUTES:
                raise BlockedError(f"the attribute `{name}` is not allowed")
            return self._do(name, lambda: getattr(real, name))
        if name not in DISTRIBUTION_METHODS:
            raise BlockedError(f"the method `{name}` is not allowed")
        if name in ("sample", "rsample"):
            return self._sample(distribution, name, arguments)
        plain = [self._plain(value) for value in arguments]
        guards.stretch([real.batch_shape, *(value.shape for value in plain if isinstance(value, Tensor))])
        return self._do("mean", lambda: getattr(real, name)(*plain))

    def _sample(self, distribution: Distribution, name: str, arguments: Sequence[Value]) -> Value:
        """Draw from the distributions of the base samples, and repeat what is drawn as they are."""
        if arguments or any(isinstance(value, Distribution) for value in distribution.arguments):
            raise BlockedError("samples of a shape are not repeated with the batch")
        self.maker.noise([], lambda s, g: torch.rand(s, generator=g))
        real: Any = distribution.real
        shape = real.batch_shape
        times = self.maker.samples(shape[0]) if shape else 1
        cut = [_cut(value, shape, times) for value in distribution.arguments]
        named = {key: _cut(value, shape, times) for key, value in distribution.options.items()}
        real = self._distribution(distribution.name, cut, named)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(len(self.maker.leaves) + 1)
            drawn = self._do("mean", lambda: getattr(real, name)())
        return drawn.repeat(times, *[1] * (drawn.dim() - 1)) if times > 1 else drawn

    def divergence(self, left: Distribution, right: Distribution) -> Value:
        """Return the divergence of two distributions."""
        first: Any = left.real
        second: Any = right.real
        guards.stretch([first.batch_shape, second.batch_shape])
        return self._do("mean", lambda: torch.distributions.kl_divergence(first, second))


def _invalid(error: BaseException) -> RaisedError | None:
    message = str(error)
    if isinstance(error, ValueError) and "reduction" in message:
        return RaisedError(first_line(error), unreduced=False)
    return None


def _cut(value: Value, shape: torch.Size, times: int) -> Value:
    if isinstance(value, Tensor) and times > 1 and value.dim() and value.shape[0] == shape[0]:
        return value[: value.shape[0] // times]
    return value
