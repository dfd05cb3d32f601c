"""Calls of functions and methods of torch, each looked up in the tables, bounded before and counted behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import rnn

from lint_reduction.verify import guards
from lint_reduction.verify.allowed import (
    ACTIVATIONS,
    DTYPES,
    FACTORIES,
    IN_PLACE_NOISE,
    NOISE,
    PADDING,
    TENSOR_METHODS,
    TENSOR_TYPES,
    TORCH_FUNCTIONS,
)
from lint_reduction.verify.arithmetic import mathematics, name_of
from lint_reduction.verify.synth import Maker
from lint_reduction.verify.values import (
    BlockedError,
    Hole,
    Library,
    UserError,
    Value,
    parts,
)

#: What torch raises where a program is wrong.
ERRORS = (
    RuntimeError,
    ValueError,
    IndexError,
    TypeError,
    NotImplementedError,
    AssertionError,
    KeyError,
    AttributeError,
)
_KEPT = frozenset("cuda cpu requires_grad_ retain_grad half bfloat16 pin_memory share_memory_ xpu mps".split())
_FLOATING = frozenset("zeros ones rand randn linspace eye empty".split())
_MAX_OPTION = 32
_MODULES: Mapping[str, Any] = {
    "torch.nn.functional": functional,
    "torch.linalg": torch.linalg,
    "torch.special": torch.special,
    "torch.nn.utils.rnn": rnn,
}
_NORMS = frozenset({"norm", "vector_norm"})
_SPECIAL = frozenset({"expit", "xlogy", "logit"})
_DROPPED = object()


class TorchCalls:
    """Calls torch with values of the closed world.

    Attributes:
        written: the tensors that the program writes out, in order.
        weighted: which of them turn out to be class weights, in this run or an earlier one.
        weights: the class weights met, as they are varied.
    """

    def __init__(self, maker: Maker) -> None:
        self.maker = maker
        self.written: list[Tensor] = []
        self.weighted: set[int] = set()
        self.weights: list[Tensor] = []
        self._spent = guards.Spent()

    # Values

    def _plain(self, value: Value, depth: int = 0) -> Any:
        """Return what torch is given for a value: a tensor, a number, a short text, or a list of these."""
        if depth == 0 and isinstance(value, list | tuple):
            parts(value)
        if value is None or value is Ellipsis or isinstance(value, bool | int | float | Tensor):
            return value
        if isinstance(value, str) and len(value) <= _MAX_OPTION:
            return value
        if isinstance(value, Library):
            return self._dtype(value)
        if isinstance(value, Hole) and value.path.rpartition(".")[2] in ("device", "dtype", "rank", "gpu"):
            return _DROPPED
        if isinstance(value, slice):
            return slice(*(self._whole(bound) for bound in (value.start, value.stop, value.step)))
        if isinstance(value, list | tuple | range) and depth < 3:
            entries = [self._plain(entry, depth + 1) for entry in value]
            return tuple(entries) if isinstance(value, tuple) else entries
        raise BlockedError(f"`{name_of(value)}` is not known")

    def _dtype(self, value: Library) -> Any:
        last = value.last
        if last not in DTYPES or not value.name.startswith("torch"):
            return _DROPPED
        dtype = getattr(torch, last)
        return self.maker.dtype if dtype.is_floating_point else dtype

    def _whole(self, value: Value) -> Any:
        if isinstance(value, Tensor) and value.numel() == 1:
            return int(value)
        if value is None or isinstance(value, int):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        raise BlockedError(f"`{name_of(value)}` is no index")

    def _arguments(self, arguments: Sequence[Value], options: Mapping[str, Value]) -> tuple[list[Any], dict[str, Any]]:
        plain = [self._plain(value) for value in arguments]
        named = {name: self._plain(value) for name, value in options.items()}
        return [v for v in plain if v is not _DROPPED], {k: v for k, v in named.items() if v is not _DROPPED}

    def _do(self, name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call torch: bounded before, counted behind, and every error is one of the program."""
        guards.check(name, arguments, options, self._spent)
        try:
            value = function(*arguments, **options)
        except ERRORS as error:
            raise BlockedError(f"{name}: {first_line(error)}") from None
        value = _closed(value)
        self._spent.made(value)
        return value

    # Functions and methods

    def number(self, kind: str, value: Value) -> Value:
        """Return ``int(value)`` and the like."""
        assert isinstance(value, Tensor)
        if value.numel() != 1:
            raise UserError("ValueError")
        number = value.detach().item()
        try:
            return int(number) if kind == "int" else float(number)
        except (ValueError, OverflowError) as error:
            raise UserError(type(error).__name__) from None

    def method(self, value: Value, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Value:
        """Call a method."""
        assert isinstance(value, Tensor)
        if name not in TENSOR_METHODS:
            raise BlockedError(f"the method `{name}` is not allowed")
        if name in _KEPT:
            return value
        plain, named = self._arguments(arguments, options)
        if name in ("to", "type", "type_as"):
            return self._converted(value, [*plain, *named.values()])
        if name in ("float", "double"):
            return value if value.is_floating_point() else value.to(self.maker.dtype)
        if name == "size" and not plain and not named:
            return tuple(value.shape)
        if name == "item":
            return self.number("int" if not value.is_floating_point() else "float", value)
        if name in ("new_tensor",):
            return self._data(plain[0])
        if name in IN_PLACE_NOISE:
            return self._noise_in_place(value, name, plain)
        if name in ("view", "reshape", "expand", "repeat"):
            plain = [int(entry) if isinstance(entry, float) and entry.is_integer() else entry for entry in plain]
        if name in ("bernoulli", "multinomial"):
            raise BlockedError(f"`{name}` is not repeated with the samples")
        return self._do(name, lambda _, *rest, **more: getattr(value, name)(*rest, **more), value, *plain, **named)

    def _converted(self, value: Tensor, kinds: Sequence[Any]) -> Tensor:
        for kind in kinds:
            dtype = kind.dtype if isinstance(kind, Tensor) else kind
            if isinstance(dtype, torch.dtype):
                return value if dtype.is_floating_point and value.is_floating_point() else value.to(dtype)
        return value

    def _noise_in_place(self, value: Tensor, name: str, plain: list[Any]) -> Tensor:
        first = float(plain[0]) if plain else 0.0
        second = float(plain[1]) if len(plain) > 1 else 1.0
        laws = {
            "normal_": lambda s, g: torch.randn(s, generator=g, dtype=torch.float64) * second + first,
            "uniform_": lambda s, g: torch.rand(s, generator=g, dtype=torch.float64) * (second - first) + first,
            "bernoulli_": lambda s, g: (torch.rand(s, generator=g, dtype=torch.float64) < (first or 0.5)).double(),
        }
        noise = self.maker.noise(list(value.shape), laws[name])
        return self._do(name, lambda: value.copy_(noise))

    def function(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Value:
        """Call a function of torch, or of ``math``."""
        head, _, last = name.rpartition(".")
        if last == "is_tensor":
            return isinstance(arguments[0], Tensor)
        plain, named = self._arguments(arguments, options)
        if head == "math":
            number = mathematics(last, plain)
            if number is not None:
                return number
            if len(plain) != 1 or not isinstance(plain[0], Tensor) or not hasattr(torch, last):
                raise BlockedError(f"`{name}` is given no numbers")
            # what comes out is a number, without a gradient
            head, name, plain = "torch", f"torch.{last}", [plain[0].detach()]
        if last in ("tensor", "as_tensor"):
            return plain[0] if isinstance(plain[0], Tensor) else self._data(plain[0], named.get("dtype"))
        if last in TENSOR_TYPES:
            return self._typed(last, plain)
        if last in NOISE:
            return self._noise(last, plain, named)
        if last in FACTORIES:
            return self._factory(last, plain, named)
        if last == "dropout":
            return plain[0]
        if last == "einsum" and len(plain) == 2 and isinstance(plain[1], list | tuple):
            plain = [plain[0], *plain[1]]
        if not is_known(name):
            raise BlockedError(f"`{name}` is not allowed")
        return self._do(last, getattr(_MODULES.get(head, torch), last), *plain, **named)

    def _data(self, data: Any, dtype: Any = None) -> Value:
        value = self._do("tensor", lambda: torch.tensor(_numbers(data)))
        if value.is_floating_point() and not isinstance(dtype, torch.dtype):
            dtype = self.maker.dtype
        value = value.to(self.maker.device, dtype if isinstance(dtype, torch.dtype) else value.dtype)
        if len(self.written) in self.weighted and self.maker.sizes.weights > 1:
            value = value * self.maker.sizes.weights
            self.weights.append(value)
        self.written.append(value)
        return value

    def _typed(self, name: str, plain: list[Any]) -> Value:
        dtype = self.maker.dtype if name in ("FloatTensor", "Tensor", "DoubleTensor") else torch.long
        if len(plain) == 1 and isinstance(plain[0], Tensor):
            return plain[0].to(dtype)
        if len(plain) == 1 and isinstance(plain[0], list | tuple):
            return self._data(plain[0], dtype)
        return self._do("zeros", torch.zeros, *plain, dtype=dtype, device=self.maker.device)

    def _factory(self, name: str, plain: list[Any], named: dict[str, Any]) -> Value:
        if name == "empty":
            name = "zeros"
        if name in _FLOATING or (name == "full" and isinstance(plain[-1], float)):
            named.setdefault("dtype", self.maker.dtype)
        named.pop("requires_grad", None)
        value = self._do(name, getattr(torch, name), *plain, **named, device=self.maker.device)
        if name == "arange" and value.is_floating_point():
            value = value.to(self.maker.dtype)
        return value

    def _noise(self, name: str, plain: list[Any], named: dict[str, Any]) -> Value:
        if name.endswith("_like") or name in ("bernoulli", "poisson"):
            shape = list(plain[0].shape)
        elif name == "randint":
            sizes = plain[-1] if isinstance(plain[-1], list | tuple) else named.get("size", ())
            shape = [int(size) for size in sizes]
        elif name in ("rand", "randn"):
            flat = plain[0] if plain and isinstance(plain[0], list | tuple) else plain or named.get("size", ())
            shape = [int(size) for size in flat]
        elif name == "randperm":
            return torch.arange(int(plain[0]), device=self.maker.device)
        else:
            raise BlockedError(f"`torch.{name}` is not repeated with the samples")
        guards.check("zeros", shape, {}, self._spent)
        if name.startswith("randn"):
            return self.maker.noise(shape, lambda s, g: torch.randn(s, generator=g, dtype=torch.float64))
        if name == "randint":
            bounds = [int(bound) for bound in plain[:-1]] or [int(named.get("high", 2))]
            low, high = (0, bounds[0]) if len(bounds) == 1 else bounds[:2]
            return self.maker.noise(shape, lambda s, g: torch.randint(low, high, s, generator=g))
        if name == "bernoulli":
            drawn = self.maker.noise(shape, lambda s, g: torch.rand(s, generator=g, dtype=torch.float64))
            return (drawn < plain[0].detach()).to(self.maker.dtype)
        return self.maker.noise(shape, lambda s, g: torch.rand(s, generator=g, dtype=torch.float64))


def is_known(name: str) -> bool:
    """Whether a name is that of a function in the tables."""
    head, _, last = name.rpartition(".")
    tables = {
        "torch": TORCH_FUNCTIONS,
        "torch.nn.functional": ACTIVATIONS,
        "torch.linalg": _NORMS,
        "torch.special": _SPECIAL,
        "torch.nn.utils.rnn": PADDING,
    }
    return last in tables.get(head, frozenset())


def first_line(error: BaseException) -> str:
    """Return the first line of what torch says."""
    return (str(error).splitlines() or [""])[0][:120]


def _closed(value: Any) -> Any:
    """Return a result as values of the closed world: named tuples become tuples."""
    if value is None or isinstance(value, Tensor | bool | int | float):
        return value
    if isinstance(value, tuple):
        return tuple(_closed(entry) for entry in value)
    if isinstance(value, list):
        return [_closed(entry) for entry in value]
    raise BlockedError(f"a `{type(value).__name__}` comes out of torch")


def _numbers(data: Any, depth: int = 0) -> Any:
    if isinstance(data, Tensor) and data.numel() == 1:
        return data.detach().item()
    if isinstance(data, bool | int | float):
        return data
    if isinstance(data, list | tuple) and depth < 4:
        return [_numbers(entry, depth + 1) for entry in data]
    raise BlockedError("a tensor is made of no numbers")
