"""The world of abstract tensors: a run without numbers that finds out what is not known, and what it is for."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lint_reduction.verify.abstract import NO_PATHS, Abstract, Findings
from lint_reduction.verify.allowed import (
    CONSTANTS,
    ELEMENTWISE,
    ELEMENTWISE_ACTIVATIONS,
    ELEMENTWISE_METHODS,
    FACTORIES,
    PADDING,
    REDUCTIONS,
    SHAPING,
    TENSOR_TYPES,
)
from lint_reduction.verify.arithmetic import is_number, mathematics
from lint_reduction.verify.rows import row_of, whole
from lint_reduction.verify.traced_objects import TracedObjects
from lint_reduction.verify.values import Hole, Value, parts

#: What a method's integer arguments say about the rank: they are axes.
_AXES = frozenset("sum mean softmax log_softmax size transpose permute max min std var argmax norm logsumexp".split())


class Trace(TracedObjects):
    """The abstract world."""

    def __init__(
        self,
        tensors: frozenset[str] = NO_PATHS,
        structures: frozenset[str] = NO_PATHS,
        lists: frozenset[str] = NO_PATHS,
        *,
        takes_rows: bool = False,
    ) -> None:
        super().__init__(Findings(takes_rows=takes_rows, lists=lists))
        self.takes_rows = takes_rows
        self.lists = lists
        self.tensors = tensors
        self.structures = structures
        self.rounds = 1

    def _axis(self, value: Value, arguments: Sequence[Value]) -> None:
        for argument in parts(list(arguments)):
            if type(argument) is int:
                self.found.rank(value, least=argument + 1 if argument >= 0 else -argument)

    # Holes

    def is_tensor(self, value: Value) -> bool:
        """Whether a value is abstract."""
        return isinstance(value, Abstract)

    def is_indexed(self, hole: Hole, index: Value) -> bool:
        """Whether a subscript takes rows: only a tensor is sliced, or has a tuple of indices."""
        path = whole(hole.path)
        self.found.uses.setdefault(path, set())
        if path in self.structures or isinstance(index, str):
            return False
        if isinstance(index, slice) and index == slice(None):
            return path in self.tensors
        return not isinstance(index, int) or isinstance(index, bool) or path in self.tensors

    def is_filled(self, hole: Hole) -> bool:
        """Whether something is put in a hole: in all but those known to be structures."""
        return whole(hole.path) not in self.structures

    def settle(self, hole: Hole) -> Value:
        """Return an abstract value for a hole."""
        path = whole(hole.path)
        self.found.uses.setdefault(path, set())
        if path in self.structures:
            return hole
        paths = frozenset({path})
        if isinstance(row_of(hole.path), int):
            return self.row(Abstract(paths, paths, is_pure=True))
        return Abstract(paths, paths, is_pure=True)

    def count(self, name: str) -> Value:
        """Return a number that is not known, and that nothing has to be found for."""
        return Abstract(is_number=True)

    def length(self, hole: Hole) -> Value:
        """Return the length of something unknown, a hole of its own."""
        path = f"len({whole(hole.path)})"
        self.found.uses.setdefault(path, set())
        return Abstract(frozenset({path}), is_pure=True, is_number=True)

    def parameters(self) -> Value:
        """Return a parameter."""
        return [Abstract()]

    # Operations

    def unary(self, operator: ast.unaryop, value: Value) -> Value:
        """Return a value of the same shape."""
        assert isinstance(value, Abstract)
        self.use(value, "tensor" if isinstance(operator, ast.Invert) else "arithmetic")
        if isinstance(operator, ast.Invert) and value.is_pure:
            self.found.boolean |= value.roots
        return Abstract(value.roots, value.like)

    def binary(self, operator: ast.operator, left: Value, right: Value) -> Value:
        """Return a value of the shape of both operands."""
        self.use(left, "arithmetic")
        self.use(right, "divisor" if isinstance(operator, ast.Div | ast.FloorDiv) else "arithmetic")
        if isinstance(operator, ast.MatMult):
            self.use((left, right), "tensor")
            self.found.rank(left, least=2)
            self.found.rank(right, least=2)
            return Abstract(self._roots(left, right))
        if isinstance(operator, ast.Mult):
            self.see_factor(left, right)
            self.see_factor(right, left)
        return self._joined(left, right)

    def compare(self, operator: ast.cmpop, left: Value, right: Value) -> Value:
        """Return the outcome of a comparison, which is not known."""
        if isinstance(operator, ast.Eq | ast.NotEq):
            self.see_labels(left, right)
        for value, other in ((left, right), (right, left)):
            self.use(value, "option" if isinstance(other, str | list | tuple) else "test")
            if type(other) is int and isinstance(operator, ast.NotEq) and isinstance(value, Abstract) and value.is_pure:
                self.found.ignored.append(other)
            if isinstance(other, Abstract) and other.is_range and isinstance(value, Abstract) and value.is_pure:
                self.found.lengths |= value.roots
        compared = [v.roots for v in (left, right) if isinstance(v, Abstract) and v.is_pure and not v.depth]
        joined = self._joined(left, right)
        is_with_number = len(compared) == 1 and (is_number(left) or is_number(right))
        return replace(joined, compared=compared[0]) if is_with_number else joined

    def truth(self, value: Value) -> bool:
        """Decide a test: the first side."""
        self.use(value, "test")
        if isinstance(value, Abstract):
            # a test comes out one way or the other, for one number
            for path in value.compared:
                self.found.uses[path].add("decision")
        return True

    def number(self, kind: str, value: Value) -> Value:
        """Return a number."""
        self.use(value, "arithmetic")
        if not isinstance(value, Abstract):
            return Abstract(self._roots(value), is_number=True)
        return Abstract(value.roots, is_pure=value.is_pure, is_number=True, depth=value.depth)

    def rows(self, value: Value, count: int | None) -> list[Value]:
        """Return rows of a tensor, or the sizes of a shape."""
        if isinstance(value, Abstract) and value.is_shape:
            if count is not None:
                self.found.rank(value, exact=count)
            return [Abstract(is_number=True) for _ in range(count or 2)]
        self.use(value, "tensor")
        assert isinstance(value, Abstract)
        row = self.row(value)
        return [row for _ in range(2 if count is None else count)]

    def item(self, value: Value, index: Value) -> Value:
        """Return a part."""
        self._index(index)
        if isinstance(value, Abstract) and value.is_shape:
            self._axis(value, [index])
            return value if isinstance(index, slice) else Abstract(is_number=True)
        self.use(value, "tensor")
        if isinstance(index, tuple):
            # what stands for "all other axes" stands for one at least: nobody writes it for none
            self.found.rank(value, least=sum(entry is not None for entry in index))
        if not isinstance(value, Abstract):
            return Abstract(self._roots(value))
        self.found.depth(value)
        self.see_shifted(value, index)
        depth = value.depth + (type(index) is int or (isinstance(index, Abstract) and index.is_number))
        return Abstract(value.roots, is_pure=value.is_pure, is_range=value.is_range, depth=depth)

    def _index(self, index: Value) -> None:
        """Note what takes rows, what takes columns, and what is one number in a list of these."""
        for axis, entry in enumerate(index if isinstance(index, tuple) else (index,)):
            for part in parts([entry]):
                if isinstance(part, Abstract):
                    tag = "position" if isinstance(entry, list) else "column" if axis else "index"
                    self.use(part, "size" if part.is_number else tag)
                    if not part.is_number and part.is_pure:
                        self.found.boolean |= part.roots

    def store(self, value: Value, index: Value, new: Value) -> None:
        """Change a part."""
        self._index(index)
        self.use((value, new), "tensor")

    def attribute(self, value: Value, name: str) -> Value:
        """Return an attribute."""
        assert isinstance(value, Abstract)
        self.use(value, "tensor")
        match name:
            case "shape":
                return Abstract(like=value.like, is_shape=True)
            case "ndim":
                return Abstract(is_number=True)
            case "device" | "dtype":
                return Hole(name)
            case "requires_grad" | "is_cuda" | "is_leaf":
                return True
            case "T" | "mT":
                self.found.rank(value, least=2)
                return Abstract(value.roots, is_pure=value.is_pure)
        return Abstract(value.roots, value.like)

    def assign(self, value: Value, name: str, new: Value) -> None:
        """Change a gradient."""

    def method(self, value: Value, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Value:
        """Return the result of a method."""
        assert isinstance(value, Abstract)
        if value.is_shape:
            return Abstract(is_number=True)
        if name == "item" and value.is_pure:
            # a tensor of one number, or a number: it is the use of it that tells
            return Abstract(value.roots, is_pure=True, is_number=True)
        self.use(value, "tensor")
        if name in ("view", "reshape", "expand", "repeat", "new_zeros", "new_ones", "new_full"):
            self._sizes(value, arguments, name)
            return self._result(name, value, [value], {}, ELEMENTWISE_METHODS)
        self.use(list(arguments), "tensor")
        if name in _AXES:
            self._axis(value, [*arguments, *options.values()])
        if "softmax" in name:
            self.see_normalized(value, [*arguments, *options.values()])
        if name == "gather" and self.see_gathered(value, arguments):
            return Abstract(value.roots)
        if name == "permute":
            flat = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], list | tuple) else arguments
            self.found.rank(value, exact=len(flat) if isinstance(flat, Sequence) else None)
        if name in ("size", "numel", "dim", "nelement", "ndimension", "stride"):
            return Abstract(like=value.like, is_shape=name == "size" and not arguments, is_number=True)
        return self._result(name, value, [value, *arguments], options, ELEMENTWISE_METHODS)

    def _sizes(self, value: Abstract, arguments: Sequence[Value], name: str) -> None:
        flat = [entry for entry in parts(list(arguments)) if not isinstance(entry, list | tuple)]
        for entry in flat:
            self.use(entry, "size")
        later = [entry for entry in flat[1:] if type(entry) is int and entry > 1]
        if name in ("view", "reshape") and later and len(later) == len(flat) - 1:
            product = 1
            for size in later:
                product *= size
            self.found.literals.append((value.like, min(product, 1 << 30)))

    def _result(
        self, name: str, value: Value, arguments: list[Value], options: Mapping[str, Value], alike: frozenset[str]
    ) -> Value:
        roots = self._roots(arguments, list(options.values()))
        self.see_selecting("Tensor.where" if alike is ELEMENTWISE_METHODS and name == "where" else name, arguments)
        if name in REDUCTIONS:
            self.found.reductions.add(name)
        if name in ("max", "min", "sort", "topk", "std_mean", "var_mean", "median"):
            is_pair = len(arguments) > 1 and not isinstance(arguments[1], Abstract)
            if is_pair or "dim" in options or name in ("sort", "topk"):
                return (Abstract(roots), Abstract())
        if name == "arange" or (isinstance(value, Abstract) and value.is_range and name in SHAPING | {"to", "repeat"}):
            return Abstract(is_range=True)
        if name in CONSTANTS:
            like = value.like if isinstance(value, Abstract) and name.endswith("_like") else NO_PATHS
            return Abstract(like=like, is_number=name in ("numel",))
        pure = isinstance(value, Abstract) and value.is_pure and name in SHAPING
        if name in ("chunk", "split", "unbind"):
            return [Abstract(roots, is_pure=pure) for _ in range(2)]
        if name in alike:
            shapes: frozenset[str] = NO_PATHS
            for entry in arguments:
                if isinstance(entry, Abstract) and not entry.is_number:
                    if shapes and entry.like and shapes != entry.like:
                        self.found.equal.append(shapes | entry.like)
                    shapes |= entry.like
            return Abstract(roots, shapes, is_pure=pure)
        return Abstract(roots, is_pure=pure)

    def function(self, name: str, arguments: Sequence[Value], options: Mapping[str, Value]) -> Value:
        """Return the result of a function of torch."""
        head, _, last = name.rpartition(".")
        values = [*arguments, *options.values()]
        if head == "math" or last == "is_tensor":
            if last == "is_tensor":
                return isinstance(arguments[0], Abstract)
            if not self._roots(values) and not any(isinstance(value, Abstract) for value in values):
                from_plain = mathematics(last, arguments)
                if from_plain is not None:
                    return from_plain
            self.use(values, "arithmetic")
            return Abstract(self._roots(values), is_number=True)
        if last in FACTORIES:
            for value in parts(values):
                self.use(value, "size")
        else:
            self.use(values, "tensor")
        first = arguments[0] if arguments else None
        if last in _AXES:
            self._axis(first, [*arguments[1:], *options.values()])
        if "softmax" in last:
            self.see_normalized(first, [*arguments[1:], *options.values()])
        if last == "gather" and isinstance(first, Abstract) and self.see_gathered(first, arguments[1:]):
            return Abstract(first.roots)
        if last == "one_hot":
            self.see_one_hot(first, [*arguments[1:2], *options.values()])
        if isinstance(first, list | tuple) and (made := self._made_of(last, first, values)) is not None:
            return made
        return self._result(last, first, list(arguments), options, ELEMENTWISE | ELEMENTWISE_ACTIVATIONS)

    def _made_of(self, name: str, entries: Sequence[Value], values: list[Value]) -> Value:
        """Return the tensor that is made of a list, None where it is like any other result."""
        if name == "tensor" or name in TENSOR_TYPES:
            pure = (part for part in parts(list(entries)) if isinstance(part, Abstract) and part.is_pure)
            self.found.single |= self._roots([part for part in pure if not part.depth])
        if name == "stack" or name in PADDING:
            return self.stacked(entries)
        return Abstract(self._roots(values), length=len(entries)) if name == "tensor" else None

    # The end

    def backward(self, value: Value, gradient: Value) -> None:
        """Note that the end is reached."""
        roots = self._roots(value)
        self.found.trained = (self.found.trained or NO_PATHS) | roots
        if isinstance(value, Abstract) and value.is_pure and len(roots) == 1:
            self.found.direct = next(iter(roots))

    def clip(self, name: str, limit: Value) -> Value:
        """Return a norm."""
        self.use(limit, "arithmetic")
        return Abstract()

    def without_gradient(self, entered: bool) -> None:
        """Change nothing."""
