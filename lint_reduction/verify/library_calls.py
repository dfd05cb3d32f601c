"""Calls of what libraries have that a table knows: by hand here, or by the world of tensors."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Sequence

from lint_reduction.verify.allowed import CLIPPING, OPTIMIZER_OPTIONS, PASSES_ON
from lint_reduction.verify.builtin_calls import BuiltinCalls
from lint_reduction.verify.losses import loss_class, loss_function, modern
from lint_reduction.verify.values import (
    BlockedError,
    Distribution,
    Hole,
    Library,
    Optimizer,
    Parameters,
    UserError,
    Value,
    parts,
)

#: What gives reductions their numbers.
NUMBERED = "torch.nn.functional._Reduction.get_enum"
_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}
#: Functions that change each of several tensors, with the method that they stand for.
FOR_EACH = {"_foreach_div_": "div_", "_foreach_mul_": "mul_"}
_IN_PLACE = frozenset({"torch.distributed.all_reduce", *(f"torch.{name}" for name in FOR_EACH)})
_PLACEMENT = frozenset({"device", "generator", "pin_memory", "layout", "memory_format", "non_blocking", "names"})


class LibraryCalls(BuiltinCalls):
    """Calls functions and classes of libraries."""

    @abstractmethod
    def end_in(self, value: Value, node: ast.Call, gradient: Value = None) -> Value:
        """Compute the gradient of a value, if this is the end of the path."""

    def call_library(
        self, callee: Library, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call
    ) -> Value:
        """Call a function or class of a library that is in the tables."""
        name = modern(callee.name)
        head, _, last = name.rpartition(".")
        if name in PASSES_ON:
            return arguments[0] if arguments else None
        if name in CLIPPING:
            limit = arguments[1] if len(arguments) > 1 else options.get("max_norm", options.get("clip_value"))
            return self.domain.clip(last, self.settle(limit))
        if name == "torch.autograd.backward":
            return self._autograd(arguments, options, node)
        if name in _IN_PLACE | {NUMBERED}:
            return self._call_by_hand(last, arguments, options)
        loss = loss_class(name)
        if loss is not None:
            return self.domain.criterion(loss, *self.clean(arguments, options), self.place(node))
        loss = loss_function(name)
        if loss is not None:
            return self.domain.loss(loss, None, *self.clean(arguments, options), self.place(node))
        if head == "torch.optim":
            return self._optimizer(last, arguments, options, node)
        if head == "torch.nn":
            return self.domain.layer(last, *self.clean(arguments, options))
        if name in ("torch.device", "torch.cuda.is_available"):
            return Hole.at("device") if last == "device" else False
        if head == "torch.distributions":
            return self._distribution(last, arguments, options)
        given, named = self.clean(arguments, options)
        self.see_reduced(node, last, given[0] if given else None)
        return self.domain.function(name, given, named)

    def _call_by_hand(self, name: str, arguments: Sequence[Value], options: dict[str, Value]) -> Value:
        """Do what a function does that has no place among those of tensors."""
        if name in FOR_EACH:
            return self._for_each(FOR_EACH[name], arguments)
        if name == "all_reduce":
            return self._all_reduce(arguments, options)
        kind = arguments[0] if arguments else None
        return _REDUCTIONS.get(kind if type(kind) is str else "", 0)

    def _for_each(self, name: str, arguments: Sequence[Value]) -> Value:
        """Change several tensors in place, by one number or by one each."""
        if len(arguments) < 2:
            raise UserError("TypeError")
        tensors = [self.settle(value) for value in self.iterate(arguments[0])]
        factor = self.settle(arguments[1])
        factors = factor if isinstance(factor, list) else [factor] * len(tensors)
        for tensor, by in zip(tensors, factors, strict=False):
            if self.domain.is_tensor(tensor):
                self.domain.method(tensor, name, [self.settle(by)], {})
        return None

    def _all_reduce(self, arguments: Sequence[Value], options: dict[str, Value]) -> Value:
        """Add up over processes that all have the same; what they average or compare stays as it is."""
        operation = arguments[1] if len(arguments) > 1 else options.get("op")
        kind = operation.last if isinstance(operation, Library) else "SUM"
        if kind == "PRODUCT":
            raise BlockedError("`all_reduce` of a product is not run")
        value = self.settle(arguments[0]) if arguments else None
        if kind == "SUM" and self.domain.is_tensor(value):
            # no gradient flows through it
            plain = self.domain.method(value, "detach", (), {})
            self.domain.method(plain, "mul_", [self.domain.count("ranks")], {})
        return None

    def _autograd(self, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call) -> Value:
        """Call ``torch.autograd.backward``."""
        gradient = arguments[1] if len(arguments) > 1 else options.get("grad_tensors")
        loss, given = (v[0] if isinstance(v, list | tuple) and len(v) == 1 else v for v in (arguments[0], gradient))
        return self.end_in(self.settle(loss), node, self.settle(given))

    def _distribution(self, name: str, arguments: Sequence[Value], options: dict[str, Value]) -> Value:
        if name != "kl_divergence":
            return self.domain.distribution(name, *self.clean(arguments, options))
        left, right = arguments
        if isinstance(left, Distribution) and isinstance(right, Distribution):
            return self.domain.divergence(left, right)
        raise BlockedError("the divergence is of no distributions")

    def _optimizer(self, name: str, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call) -> Optimizer:
        given: dict[Value, Value] = {key: self.settle(v) for key, v in options.items() if key in OPTIMIZER_OPTIONS}
        if len(arguments) > 1:
            given.setdefault("lr", self.settle(arguments[1]))
        place = self.place(node)
        entries = arguments[0] if arguments else options.get("params")
        groups = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        own = tuple({key: self.settle(v) for key, v in group.items() if key in OPTIMIZER_OPTIONS} for group in groups)
        # which parameters are in which group is not known, and each is to be met once
        for index, group in enumerate(own or (given,)):
            group["params"] = Parameters() if index == 0 else []
        self.latest = self.optimizers[place] = Optimizer(name, given, place, own)
        return self.latest

    def clean(self, arguments: Sequence[Value], options: dict[str, Value]) -> tuple[list[Value], dict[str, Value]]:
        """Return settled arguments without the ones that only say where a tensor is, and how it is laid out."""
        if "out" in options:
            raise BlockedError("what is written to `out` is not known")
        kept = {name: value for name, value in options.items() if name not in _PLACEMENT}
        return [self._settled_deep(value) for value in arguments], {
            name: self._settled_deep(value) for name, value in kept.items()
        }

    def _settled_deep(self, value: Value, depth: int = 3) -> Value:
        if depth == 3:
            parts(value)
        if isinstance(value, Hole):
            is_place = value.path.rpartition(".")[2] in ("device", "dtype", "rank", "gpu")
            return value if is_place else self.settle(value)
        if depth and isinstance(value, list):
            return [self._settled_deep(entry, depth - 1) for entry in value]
        if depth and isinstance(value, tuple):
            return tuple(self._settled_deep(entry, depth - 1) for entry in value)
        return value
