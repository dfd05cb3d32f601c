"""What the interpreter asks of the world of tensors; it has two: a trace of abstract values, and a run with torch."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence, Set
from typing import Protocol

from lint_reduction.verify.experiment import Place
from lint_reduction.verify.losses import Loss
from lint_reduction.verify.values import Criterion, Distribution, Hole, Layer, Value


class Domain(Protocol):
    """Operations on tensors. Arguments are settled: no holes are left among them."""

    @property
    def rounds(self) -> int:
        """How many rounds a loop over something unknown takes."""

    def divisor(self, place: Place, value: Value) -> Value:
        """Return what is divided by at a place where a number is written: itself, or what it counts."""

    def see_window(self, value: Value) -> None:
        """Note what the program has for the number of micro-batches of a step."""

    @property
    def lists(self) -> Set[str]:
        """The paths of what is a list of samples."""

    def batch(self) -> int:
        """Return how many samples there are."""

    def see_list(self, path: str) -> None:
        """Note what is iterated over, and may be a list of samples."""

    @property
    def takes_rows(self) -> bool:
        """Whether a loop over the data of a batch goes through its samples; otherwise through parts of a structure."""

    def see_term(self, value: Value) -> Value:
        """Return what the place of the finding gives, for the program to go on with."""

    def see_reduced(self, value: Value) -> None:
        """Note what the place of the finding takes the sum or the mean of."""

    def is_tensor(self, value: Value) -> bool:
        """Whether a value is a tensor, or a number that is not known."""

    def is_weight(self, value: Value) -> bool:
        """Whether a value is what is trained, so that to add to it is a step."""

    def is_indexed(self, hole: Hole, index: Value) -> bool:
        """Whether a subscript of a hole takes rows of a tensor; otherwise it takes a part of a structure."""

    def is_filled(self, hole: Hole) -> bool:
        """Whether a tensor or a number is put in a hole; otherwise it stays an object that is not known."""

    def settle(self, hole: Hole) -> Value:
        """Return the value that stands for a hole."""

    def count(self, name: str) -> Value:
        """Return the size of a count, a ``Count`` value."""

    def length(self, hole: Hole) -> Value:
        """Return the length of something unknown."""

    def parameters(self) -> Value:
        """Return what is trained."""

    def unary(self, operator: ast.unaryop, value: Value) -> Value:
        """Return ``-value`` and the like."""

    def binary(self, operator: ast.operator, left: Value, right: Value) -> Value:
        """Return ``left + right`` and the like."""

    def compare(self, operator: ast.cmpop, left: Value, right: Value) -> Value:
        """Return ``left < right`` and the like."""

    def truth(self, value: Value) -> bool:
        """Decide a test."""

    def is_open(self, value: Value) -> bool:
        """Whether a test of a value may come out both ways."""

    def number(self, kind: str, value: Value) -> Value:
        """Return ``int(value)``, ``float(value)`` or ``bool(value)``."""

    def rows(self, value: Value, count: int | None) -> list[Value]:
        """Return the rows of a tensor, as many as are unpacked."""

    def item(self, value: Value, index: Value) -> Value:
        """Return ``value[index]``."""

    def store(self, value: Value, index: Value, new: Value) -> None:
        """Do ``value[index] = new``."""

    def attribute(self, value: Value, name: str) -> Value:
        """Return ``value.name``, which is in the table."""

    def assign(self, value: Value, name: str, new: Value) -> None:
        """Do ``value.grad = new``."""

    def method(self, value: Value, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Value:
        """Call a method that is in the table."""

    def function(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Value:
        """Call a function of torch that is in the table, by its dotted name."""

    def criterion(
        self, loss: Loss, arguments: Sequence[Value], options: Mapping[str, Value], place: Place
    ) -> Criterion:
        """Build a loss module."""

    def loss(
        self,
        loss: Loss,
        criterion: Criterion | None,
        arguments: Sequence[Value],
        options: Mapping[str, Value],
        place: Place,
    ) -> Value:
        """Call a loss module, or the functional form."""

    def reduce(self, criterion: Criterion, reduction: str) -> None:
        """Do ``criterion.reduction = reduction``."""

    def layer(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Layer:
        """Build a module without parameters."""

    def apply(self, layer: Layer, arguments: Sequence[Value]) -> Value:
        """Call such a module."""

    def distribution(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Distribution:
        """Build a distribution."""

    def distributed(self, distribution: Distribution, name: str, arguments: Sequence[Value], *, called: bool) -> Value:
        """Call a method of a distribution that is in the table, or read an attribute."""

    def divergence(self, left: Distribution, right: Distribution) -> Value:
        """Return ``torch.distributions.kl_divergence``."""

    def backward(self, value: Value, gradient: Value) -> None:
        """Compute the gradient."""

    def clip(self, name: str, limit: Value) -> Value:
        """Clip the gradient."""

    def without_gradient(self, entered: bool) -> None:
        """Enter or leave a block whose values carry no gradient."""
