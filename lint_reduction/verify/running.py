"""The world of torch: computes with synthetic values."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lint_reduction.verify import guards
from lint_reduction.verify.allowed import (
    MAX_ROUNDS,
)
from lint_reduction.verify.arithmetic import BINARY, COMPARISONS, UNARY, name_of
from lint_reduction.verify.experiment import Place
from lint_reduction.verify.names import COUNTED, number_by_name
from lint_reduction.verify.planning import Number, Plan
from lint_reduction.verify.rows import row_of, whole
from lint_reduction.verify.synth import Maker, norm
from lint_reduction.verify.terms import TermGradient
from lint_reduction.verify.torch_objects import TorchObjects
from lint_reduction.verify.values import (
    BlockedError,
    Hole,
    RaisedError,
    Text,
    UserError,
    Value,
)


class Run(TorchObjects):
    """The real world.

    Attributes:
        seed: the gradient of a loss with respect to itself.
        clipped: whether clipping has changed a gradient.
        losses: the values that backward was called on.
        gradient, norms: of all leaves and of each, at the step of the optimizer, but before it is clipped.
        term: takes the gradient of the term that the finding is about.
        kept: how much of what is reduced at its place is not zero, None if nothing is.
    """

    def __init__(self, plan: Plan, maker: Maker) -> None:
        super().__init__(maker)
        self.plan = plan
        self.rounds = maker.sizes.micro_batches
        self.takes_rows = plan.takes_rows
        self.lists = plan.lists
        self.seed = 1.0
        self.clipped = False
        self.losses: list[float] = []
        self.gradient = torch.zeros(0)
        self.norms: dict[str, float] = {}
        self.term = TermGradient()
        self.kept: int | None = None
        self._off: list[bool] = []
        self._is_kept = False

    def see_window(self, value: Value) -> None:
        """Do nothing: the trace has seen it."""

    def divisor(self, place: Place, value: Value) -> Value:
        """Return the number of micro-batches where that is what the number is."""
        return self.maker.sizes.micro_batches if place in self.plan.windows else value

    # Holes

    def is_tensor(self, value: Value) -> bool:
        """Whether a value is a tensor."""
        return isinstance(value, Tensor)

    def is_weight(self, value: Value) -> bool:
        """Whether a value is a leaf, or shares its memory with the gradient of one."""
        return isinstance(value, Tensor) and any(
            value is leaf or (leaf.grad is not None and _is_same(value, leaf.grad))
            for leaf in self.maker.leaves.values()
        )

    def is_indexed(self, hole: Hole, index: Value) -> bool:
        """Whether a subscript takes rows: of what the plan says is a tensor."""
        return self.plan.is_tensor(whole(hole.path))

    def is_filled(self, hole: Hole) -> bool:
        """Whether the plan puts a tensor or a number in a hole."""
        return whole(hole.path) in self.plan.fills

    def settle(self, hole: Hole) -> Value:
        """Return what the plan puts in a hole."""
        path = whole(hole.path)
        fill = self.plan.fills.get(path)
        if fill is None:
            # the trace has gone another way; a number whose name leaves no doubt is one all the same
            size = number_by_name(path)
            return hole if size is None else size.amount(self.maker.sizes)
        if isinstance(fill, Number):
            return fill.value(self.maker.sizes)
        value = self.maker.make(path, fill.role, fill.layout, fill.widths)
        value = value.bool() if fill.is_boolean else value
        return self._row(value, fill.layout.find("B"), row_of(hole.path))

    def _row(self, value: Tensor, axis: int, index: int | slice | None) -> Tensor:
        """Return a row of what all samples have; all of it, where it does not follow the samples."""
        if index is None or axis < 0:
            return value
        entries = (*(slice(None) for _ in range(axis)), index)
        return self._do("narrow", lambda: value[entries])

    def see_list(self, path: str) -> None:
        """Do nothing: the trace has seen it."""

    def batch(self) -> int:
        """Return the number of samples."""
        return self.maker.sizes.size("B")

    def count(self, name: str) -> Value:
        """Return the size of a count."""
        size = COUNTED.get(name)
        if size is None:
            raise BlockedError(f"the number of {name} is not varied")
        return size.amount(self.maker.sizes)

    def length(self, hole: Hole) -> Value:
        """Return the length of something unknown."""
        if self.plan.is_tensor(whole(hole.path)):
            value = self.settle(hole)
            assert isinstance(value, Tensor)
            if value.dim():
                return len(value)
        return self.settle(Hole.at(f"len({whole(hole.path)})"))

    def parameters(self) -> Value:
        """Return the leaves; behind backward, the ones that it has reached."""
        leaves = list(self.maker.leaves.values())
        return [leaf for leaf in leaves if leaf.grad is not None] or leaves

    def see_reduced(self, value: Value) -> None:
        """Count what a mask has left of it."""
        if isinstance(value, Tensor) and value.numel() > 1:
            self.kept = (self.kept or 0) + int(value.detach().count_nonzero())

    def see_term(self, value: Value) -> Value:
        """Keep it, to take its gradient."""
        assert isinstance(value, Tensor)
        return self.term.see(value)

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
        if isinstance(operator, ast.Add | ast.Sub | ast.Mult | ast.Div):
            self._refuse_square(left, right)
        name = "matmul" if isinstance(operator, ast.MatMult) else "add"
        return self._do(name, function, self._plain(left), self._plain(right))

    def _refuse_square(self, left: Value, right: Value) -> None:
        """Refuse to stretch a column and a row of samples to a square: nobody computes with that, a guess does."""
        samples = self.maker.sizes.size("B")
        shapes = {tuple(value.shape) for value in (left, right) if isinstance(value, Tensor)}
        if samples > 1 and shapes == {(samples,), (samples, 1)}:
            raise BlockedError("a column and a row of samples are stretched to a square")

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

    def is_open(self, value: Value) -> bool:
        """Whether a test may come out both ways: here it comes out."""
        return False

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
        """Do ``value.grad = new`` or ``value.data = new``, in place."""
        assert isinstance(value, Tensor)
        if name == "data":
            if not isinstance(new, Tensor) or new.shape != value.shape:
                raise BlockedError("`data` is replaced by something of another shape")
            self._do("copy_", lambda: value.detach().copy_(new.detach()))
        if name == "grad" and value.grad is not None:
            if isinstance(new, Tensor) and new.shape == value.grad.shape:
                value.grad = new.detach().clone()
            elif new is None:
                if self.losses:
                    self.settled()
                    self._is_kept = True
                value.grad = None

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
            raise RaisedError(f"the loss has the shape {shape} and is no single number", unreduced=True)
        if not value.requires_grad:
            raise BlockedError("no value with a gradient reaches the loss")
        given = gradient if isinstance(gradient, Tensor) else None
        if self.seed != 1:
            given = self.seed * (torch.ones_like(value) if given is None else given)
        self._do("backward", lambda: self.term.take(value, given, list(self.maker.leaves.values())))
        self._do("backward", lambda: value.backward(gradient=given, retain_graph=True))

    def repeat(self, times: int) -> None:
        """Take the gradient as often as the same is done again."""
        for leaf in self.maker.leaves.values():
            if leaf.grad is not None:
                leaf.grad *= times

    def settled(self) -> None:
        """Keep the gradient as it is now, unless it has been clipped already."""
        if not self._is_kept:
            self.gradient = self.maker.gradient().clone()
            self.norms = {path: norm(leaf.grad) for path, leaf in self.maker.leaves.items() if leaf.grad is not None}

    def method(self, value: Value, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Value:
        """Call a method; the gradient is kept before it is cleared."""
        if name == "zero_" and self.losses and any(value is leaf.grad for leaf in self.maker.leaves.values()):
            self.settled()
            self._is_kept = True
        return super().method(value, name, arguments, options)

    def moved(self) -> Tensor | None:
        """Return how far the program itself has moved the leaves, None if it has not."""
        moves = [leaf.detach() - self.maker.drawn[path] for path, leaf in self.maker.leaves.items()]
        far = torch.cat([move.reshape(-1) for move in moves]) if moves else torch.zeros(0)
        return far if bool(far.count_nonzero()) else None

    def clip(self, name: str, limit: Value) -> Value:
        """Clip the gradient of the leaves."""
        leaves = [leaf for leaf in self.maker.leaves.values() if leaf.grad is not None]
        if not leaves or not isinstance(limit, int | float) or isinstance(limit, bool):
            return torch.zeros((), dtype=self.maker.dtype, device=self.maker.device)
        self.settled()
        self._is_kept = True
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


def _is_same(value: Tensor, other: Tensor) -> bool:
    return value.shape == other.shape and value.numel() > 0 and value.data_ptr() == other.data_ptr()


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
