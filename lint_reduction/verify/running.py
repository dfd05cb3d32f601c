"""The world of torch: computes with synthetic values. Functions and methods are looked up in the tables before."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lint_reduction.verify import guards
from lint_reduction.verify.allowed import (
    ACTIVATIONS,
    DISTRIBUTION_ATTRIBUTES,
    DISTRIBUTION_METHODS,
    DISTRIBUTIONS,
    DTYPES,
    FACTORIES,
    IN_PLACE_NOISE,
    MAX_ROUNDS,
    NOISE,
    TENSOR_METHODS,
    TENSOR_TYPES,
    TORCH_FUNCTIONS,
)
from lint_reduction.verify.arithmetic import BINARY, COMPARISONS, UNARY, mathematics, name_of
from lint_reduction.verify.experiment import Place
from lint_reduction.verify.losses import WEIGHTED, Loss
from lint_reduction.verify.names import COUNTED, number_by_name
from lint_reduction.verify.planning import Number, Plan
from lint_reduction.verify.synth import Maker, norm
from lint_reduction.verify.values import (
    BlockedError,
    Criterion,
    Distribution,
    Hole,
    Layer,
    Library,
    RaisedError,
    Text,
    UserError,
    Value,
    parts,
)

_ERRORS = (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError, AssertionError, KeyError)
_KEPT = frozenset("cuda cpu requires_grad_ retain_grad half bfloat16 pin_memory share_memory_ xpu mps".split())
_FLOATING = frozenset("zeros ones rand randn linspace eye empty".split())
_MAX_OPTION = 32
_NORMS = frozenset({"norm", "vector_norm"})
_SPECIAL = frozenset({"expit", "xlogy", "logit"})
_DROPPED = object()


class Run:
    """The real world.

    Attributes:
        raw, unreduced: the losses that were left unreduced, and the nodes of the graph that made them.
        clipped: whether clipping has changed a gradient.
        losses: the values that backward was called on.
        gradient, norms: of all leaves and of each, at the step of the optimizer, but before it is clipped.
    """

    def __init__(self, plan: Plan, maker: Maker) -> None:
        self.plan = plan
        self.maker = maker
        self.rounds = maker.sizes.micro_batches
        self.unreduced: list[object] = []
        self.raw: list[Tensor] = []
        self.clipped = False
        self.losses: list[float] = []
        self.gradient = torch.zeros(0)
        self.norms: dict[str, float] = {}
        self._spent = guards.Spent()
        self._off: list[bool] = []
        self._has_clipped = False

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
        except _ERRORS as error:
            raise BlockedError(f"{name}: {_first_line(error)}") from None
        value = _closed(value)
        self._spent.made(value)
        return value

    # Holes

    def is_tensor(self, value: Value) -> bool:
        """Whether a value is a tensor."""
        return isinstance(value, Tensor)

    def is_indexed(self, hole: Hole, index: Value) -> bool:
        """Whether a subscript takes rows: of what the plan says is a tensor."""
        return self.plan.is_tensor(hole.path)

    def is_filled(self, hole: Hole) -> bool:
        """Whether the plan puts a tensor or a number in a hole."""
        return hole.path in self.plan.fills

    def settle(self, hole: Hole) -> Value:
        """Return what the plan puts in a hole."""
        fill = self.plan.fills.get(hole.path)
        if fill is None:
            # the trace has gone another way; a number whose name leaves no doubt is one all the same
            size = number_by_name(hole.path)
            return hole if size is None else size.amount(self.maker.sizes)
        if isinstance(fill, Number):
            return fill.value(self.maker.sizes)
        value = self.maker.make(hole.path, fill.role, fill.layout)
        return value.bool() if fill.is_boolean else value

    def count(self, name: str) -> Value:
        """Return the size of a count."""
        size = COUNTED.get(name)
        if size is None:
            raise BlockedError(f"the number of {name} is not varied")
        return size.amount(self.maker.sizes)

    def length(self, hole: Hole) -> Value:
        """Return the length of something unknown."""
        if self.plan.is_tensor(hole.path):
            value = self.settle(hole)
            assert isinstance(value, Tensor)
            return len(value)
        return self.settle(Hole.at(f"len({hole.path})"))

    def parameters(self) -> Value:
        """Return the leaves."""
        return list(self.maker.leaves.values())

    # Operations

    def unary(self, operator: ast.unaryop, value: Value) -> Value:
        """Return ``-value`` and the like."""
        return self._do("neg", UNARY[type(operator)], value)

    def binary(self, operator: ast.operator, left: Value, right: Value) -> Value:
        """Return ``left + right`` and the like."""
        function = BINARY.get(type(operator))
        if function is None:
            raise BlockedError(f"the operator {type(operator).__name__} is not allowed")
        if isinstance(left, str | Text | list | dict) or isinstance(right, str | Text | list | dict):
            raise BlockedError(f"`{name_of(left)}` and `{name_of(right)}` are not computed with")
        name = "matmul" if isinstance(operator, ast.MatMult) else "add"
        return self._do(name, function, self._plain(left), self._plain(right))

    def compare(self, operator: ast.cmpop, left: Value, right: Value) -> Value:
        """Return ``left < right`` and the like."""
        function = COMPARISONS.get(type(operator))
        if function is None or left is None or right is None or isinstance(left, str) or isinstance(right, str):
            return isinstance(operator, ast.NotEq | ast.IsNot | ast.NotIn)
        return self._do("eq", function, self._plain(left), self._plain(right))

    def truth(self, value: Value) -> bool:
        """Decide a test."""
        assert isinstance(value, Tensor)
        return bool(self._do("any", bool, value))

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

    def rows(self, value: Value, count: int | None) -> list[Value]:
        """Return the rows of a tensor."""
        assert isinstance(value, Tensor)
        if value.dim() == 0 or value.shape[0] > MAX_ROUNDS:
            raise BlockedError("a tensor has too many rows, or none")
        return list(value.unbind(0))

    def item(self, value: Value, index: Value) -> Value:
        """Return ``value[index]``."""
        if not isinstance(value, Tensor):
            if isinstance(value, list | tuple) and isinstance(index, Tensor) and index.numel() == 1:
                position = int(index)
                if not -len(value) <= position < len(value):
                    raise UserError("IndexError")
                return value[position]
            raise BlockedError(f"`{name_of(value)}` has no parts")
        plain = self._plain(index)
        guards.check_index(value, plain)
        return self._do("narrow", lambda: value[plain])

    def store(self, value: Value, index: Value, new: Value) -> None:
        """Do ``value[index] = new``."""
        assert isinstance(value, Tensor)
        plain, entry = self._plain(index), self._plain(new)
        guards.check_index(value, plain)
        self._do("narrow", lambda: value.__setitem__(plain, entry))

    def attribute(self, value: Value, name: str) -> Value:
        """Return ``value.name``."""
        assert isinstance(value, Tensor)
        match name:
            case "device" | "dtype":
                return Hole(name)
            case "shape":
                return tuple(value.shape)
            case "data":
                return value.detach()
            case "ndim" | "requires_grad" | "is_cuda" | "grad" | "T" | "mT" | "is_leaf":
                return self._do(name, lambda: getattr(value, name))
        raise BlockedError(f"the attribute `{name}` is not allowed")

    def assign(self, value: Value, name: str, new: Value) -> None:
        """Do ``value.grad = new``, in place."""
        assert isinstance(value, Tensor)
        if name == "grad" and value.grad is not None:
            if isinstance(new, Tensor) and new.shape == value.grad.shape:
                value.grad = new.detach().clone()
            elif new is None:
                value.grad = None

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
            head = "torch"
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
        module: Any = {"torch.nn.functional": functional, "torch.linalg": torch.linalg, "torch.special": torch.special}
        return self._do(last, getattr(module.get(head, torch), last), *plain, **named)

    def _data(self, data: Any, dtype: Any = None) -> Value:
        value = self._do("tensor", lambda: torch.tensor(_numbers(data)))
        if value.is_floating_point() and not isinstance(dtype, torch.dtype):
            dtype = self.maker.dtype
        return value.to(self.maker.device, dtype if isinstance(dtype, torch.dtype) else value.dtype)

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

    # Losses and objects

    def criterion(
        self, loss: Loss, arguments: Sequence[Value], options: Mapping[str, Value], place: Place
    ) -> Criterion:
        """Build a loss module."""
        plain, named = self._arguments(arguments, options)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = getattr(nn, loss.name)(*plain, **named)
        except _ERRORS as error:
            raise _invalid(error) or BlockedError(f"{loss.name}: {_first_line(error)}") from None
        if isinstance(getattr(module, "weight", None), Tensor) and loss.name in WEIGHTED:
            module.weight *= self.maker.sizes.weights
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
        guards.broadcast([value for value in [*plain, *named.values()] if isinstance(value, Tensor)])
        if loss.name in WEIGHTED and isinstance(named.get("weight"), Tensor):
            named["weight"] = named["weight"] * self.maker.sizes.weights
        elif loss.name in WEIGHTED and criterion is None and len(plain) > 2 and isinstance(plain[2], Tensor):
            plain[2] = plain[2] * self.maker.sizes.weights
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                value = function(*plain, **named)
            except _ERRORS as error:
                raise _invalid(error) or BlockedError(f"{loss.function}: {_first_line(error)}") from None
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

    def layer(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Layer:
        """Build a module without parameters."""
        plain, named = self._arguments(arguments, options)
        named.pop("inplace", None)
        try:
            return Layer(name, getattr(nn, name)(*plain, **named))
        except _ERRORS as error:
            raise BlockedError(f"{name}: {_first_line(error)}") from None

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
        except _ERRORS as error:
            raise BlockedError(f"{name}: {_first_line(error)}") from None

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

    # The gradient

    def backward(self, value: Value, gradient: Value) -> None:
        """Compute the gradient."""
        if not isinstance(value, Tensor):
            raise BlockedError(f"`{name_of(value)}`, which is trained, is not known")
        self.losses.append(float(value.detach().sum()))
        if gradient is None and value.numel() != 1:
            shape = " × ".join(map(str, value.shape))
            is_raw = any(value is loss for loss in self.raw)
            if not is_raw and not _comes_from(value.grad_fn, self.unreduced):
                raise BlockedError(f"a loss of shape {shape} that no unreduced loss made: no shape fits")
            raise RaisedError(f"backward of a loss of shape {shape}", unreduced=True)
        if not value.requires_grad:
            raise BlockedError("no value with a gradient reaches the loss")
        given = gradient if isinstance(gradient, Tensor) else None
        self._do("backward", lambda: value.backward(gradient=given, retain_graph=True))

    def settled(self) -> None:
        """Keep the gradient as it is now, unless it has been clipped already."""
        if not self._has_clipped:
            self.gradient = self.maker.gradient().clone()
            self.norms = {path: norm(leaf.grad) for path, leaf in self.maker.leaves.items() if leaf.grad is not None}

    def clip(self, name: str, limit: Value) -> Value:
        """Clip the gradient of the leaves."""
        leaves = [leaf for leaf in self.maker.leaves.values() if leaf.grad is not None]
        if not leaves or not isinstance(limit, int | float) or isinstance(limit, bool):
            return torch.zeros((), dtype=self.maker.dtype, device=self.maker.device)
        self.settled()
        self._has_clipped = True
        before = self.maker.gradient().clone()
        function = nn.utils.clip_grad_value_ if "value" in name else nn.utils.clip_grad_norm_
        result = self._do(name, lambda: function(leaves, float(limit)))
        self.clipped = self.clipped or not torch.allclose(before, self.maker.gradient(), rtol=1e-4, atol=0.0)
        return result if isinstance(result, Tensor) else torch.zeros(())

    def without_gradient(self, entered: bool) -> None:
        """Enter or leave a block without gradients."""
        if entered:
            self._off.append(torch.is_grad_enabled())
            torch.set_grad_enabled(False)
        elif self._off:
            torch.set_grad_enabled(self._off.pop())


def is_known(name: str) -> bool:
    """Whether a name is that of a function in the tables."""
    head, _, last = name.rpartition(".")
    tables = {
        "torch": TORCH_FUNCTIONS,
        "torch.nn.functional": ACTIVATIONS,
        "torch.linalg": _NORMS,
        "torch.special": _SPECIAL,
    }
    return last in tables.get(head, frozenset())


def _first_line(error: BaseException) -> str:
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


def _invalid(error: BaseException) -> RaisedError | None:
    message = str(error)
    if isinstance(error, ValueError) and "reduction" in message:
        return RaisedError(_first_line(error), unreduced=False)
    return None


def _comes_from(node: Any, makers: Sequence[object]) -> bool:
    """Whether a node of the graph is reached from some losses without a sum or a mean between."""
    pending, seen = [node], 0
    while pending and seen < 10_000:
        current = pending.pop()
        seen += 1
        if current is None:
            continue
        if any(current is maker for maker in makers):
            return True
        if not type(current).__name__.startswith(("Sum", "Mean")):
            pending += [entry for entry, _ in current.next_functions]
    return False


def _cut(value: Value, shape: torch.Size, times: int) -> Value:
    if isinstance(value, Tensor) and times > 1 and value.dim() and value.shape[0] == shape[0]:
        return value[: value.shape[0] // times]
    return value
