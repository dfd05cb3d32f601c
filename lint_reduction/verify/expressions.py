"""The values of expressions, all but calls."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from lint_reduction.verify import arithmetic
from lint_reduction.verify.allowed import (
    MAX_LENGTH,
    MAX_ROUNDS,
    TENSOR_ATTRIBUTES,
    TENSOR_METHODS,
)
from lint_reduction.verify.machine import unbroken
from lint_reduction.verify.rounds import loaded, only_moves
from lint_reduction.verify.subscripts import Subscripts
from lint_reduction.verify.values import (
    BlockedError,
    Bound,
    Class,
    Criterion,
    Distribution,
    Function,
    Hole,
    Instance,
    Layer,
    Library,
    Linked,
    Optimizer,
    Parameters,
    Partial,
    Scope,
    Stream,
    Super,
    Text,
    Value,
)

_OBJECTS = (
    Function | Class | Instance | Criterion | Layer | Optimizer | Distribution | Library | Partial | Bound | Linked
)
_Store = list[Value] | dict[Value, Value]


class Expressions(Subscripts):
    """Evaluates nodes. There is one method for each kind of node that is allowed."""

    def evaluate(self, node: ast.expr) -> Value:
        """Return the value of an expression: the known one, or what its parts come to."""
        self.tick()
        place = self.place(node)
        if place in self.decisions.known:
            self.executed.add(place)
            return self.decisions.known[place]
        method: Callable[[ast.expr], Value] | None = getattr(self, _METHODS.get(type(node), ""), None)
        if method is None:
            raise BlockedError(f"`{type(node).__name__}` is not run")
        if place in self.decisions.counted:
            count = self.decisions.counted[place]
            if count == "micro_batches" and self.see_window(method, node) == 1 and self.is_constant(node):
                return 1
            return self.domain.count(count)
        value = self.admit(method(node))
        return value if isinstance(value, Criterion) else self.made(place, value)

    def _constant(self, node: ast.Constant) -> Value:
        return node.value

    def _text(self, node: ast.expr) -> Value:
        self.formatted(node)
        return Text()

    def formatted(self, node: ast.expr) -> None:
        """See whether a format is where the path of the loss ends; nothing is formatted."""

    def _name(self, node: ast.Name) -> Value:
        return "__main__" if node.id == "__name__" else self.lookup(node.id)

    def _tuple(self, node: ast.Tuple) -> Value:
        return tuple(self.entries(node.elts))

    def _list(self, node: ast.List) -> Value:
        return self.entries(node.elts)

    def _set(self, node: ast.Set) -> Value:
        return arithmetic.distinct(self.entries(node.elts))

    def entries(self, nodes: list[ast.expr]) -> list[Value]:
        """Return the values of the entries of a list, starred ones laid open."""
        found: list[Value] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                found += self.iterate(self.evaluate(node.value))
            else:
                found.append(self.evaluate(node))
            self.admit(found)
        return found

    def _dict(self, node: ast.Dict) -> Value:
        found: dict[Value, Value] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                other = self.evaluate(value)
                found.update(other if isinstance(other, dict) else {})
            else:
                found[self.key(self.evaluate(key))] = self.evaluate(value)
        return found

    def _conditional(self, node: ast.IfExp) -> Value:
        return self.evaluate(node.body if self.decide(node, node.test) else node.orelse)

    def decide(self, owner: ast.stmt | ast.expr, test: ast.expr) -> bool:
        """Return which side a test takes: as decided in advance, or as it comes out."""
        decided = self.decided(owner)
        if decided is None:
            value = self.evaluate(test)
            # where nothing tells, the path of the loss does not end here
            return self.truth(value) and not (self.domain.is_open(value) and self.leaves_path(owner))
        self.agree(test, decided)
        return decided

    def truth(self, value: Value) -> bool:
        """Return whether a value counts as true."""
        if isinstance(value, _OBJECTS | Text | Parameters):
            return True
        value = self.settle(value)
        if self.domain.is_tensor(value):
            return self.domain.truth(value)
        if isinstance(value, Hole):
            return True
        return bool(value)

    def _boolean(self, node: ast.BoolOp) -> Value:
        value: Value = None
        for operand in node.values:
            value = self.evaluate(operand)
            if self.truth(value) == isinstance(node.op, ast.Or):
                return value
        return value

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self.evaluate(node.operand)
        if isinstance(node.op, ast.Not):
            return not self.truth(value)
        value = self.settle(value)
        if self.domain.is_tensor(value):
            return self.domain.unary(node.op, value)
        if not arithmetic.is_number(value) or (isinstance(value, float) and isinstance(node.op, ast.Invert)):
            raise BlockedError(f"`{arithmetic.name_of(value)}` is no number")
        return arithmetic.UNARY[type(node.op)](value)

    def _binary(self, node: ast.BinOp) -> Value:
        return self.binary(node.op, self.evaluate(node.left), self.operand(node, self.evaluate(node.right)))

    def binary(self, operator: ast.operator, left: Value, right: Value) -> Value:
        """Return the value of a binary operation."""
        self.tick()
        if isinstance(operator, ast.Add) and isinstance(left, list) and isinstance(right, Hole):
            return [*left, *self.iterate(right)]
        left, right = self.settle(left), self.settle(right)
        if self.domain.is_tensor(left) or self.domain.is_tensor(right):
            return self.domain.binary(operator, left, right)
        if isinstance(operator, ast.Add) and isinstance(left, Parameters) and isinstance(right, Parameters | list):
            return left
        return arithmetic.binary(operator, left, right)

    def _compare(self, node: ast.Compare) -> Value:
        left = self.evaluate(node.left)
        outcome: Value = True
        for operator, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(comparator)
            outcome = self._compare_pair(operator, left, right)
            if len(node.ops) > 1 and not self.truth(outcome):
                return False
            left = right
        return outcome

    def _compare_pair(self, operator: ast.cmpop, left: Value, right: Value) -> Value:
        if isinstance(left, Hole) and not self.domain.is_tensor(right):
            outcome = self.compare_option(operator, left, right)
            if outcome is not None:
                return outcome
        if isinstance(operator, ast.Is | ast.IsNot | ast.In | ast.NotIn) or left is None or right is None:
            if isinstance(right, Hole) and isinstance(operator, ast.In | ast.NotIn):
                return isinstance(operator, ast.In)
            if isinstance(operator, ast.In | ast.NotIn):
                left = self.settle(left)
                if self.domain.is_tensor(left):
                    return self.domain.compare(operator, left, right)
            return arithmetic.compare(operator, left, right)
        left, right = self.settle(left), self.settle(right)
        if self.domain.is_tensor(left) or self.domain.is_tensor(right):
            return self.domain.compare(operator, left, right)
        if isinstance(left, Hole) and isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            return True
        return arithmetic.compare(operator, left, right)

    def _walrus(self, node: ast.NamedExpr) -> Value:
        value = self.evaluate(node.value)
        self.bind(node.target.id, value)
        return value

    def _lambda(self, node: ast.Lambda) -> Value:
        return Function(node, self.frame.unit, self.qualified("<lambda>"), self.frame.scope)

    # Attributes

    def _attribute(self, node: ast.Attribute) -> Value:
        return self.attribute(self.evaluate(node.value), node.attr)

    def attribute(self, value: Value, name: str) -> Value:
        """Return an attribute, by the type of the value and a table."""
        match value:
            case Hole(path=path) if name == "grad" and self.backwards:
                raise BlockedError(f"the gradient of `{path}` is not known")
            case Hole(path=path) if name == "data":
                return value
            case Hole(path=path) if name not in TENSOR_ATTRIBUTES or name in ("device", "dtype", "grad"):
                return Hole.at(f"{path}.{name}")
            case Library(name=library):
                return arithmetic.constant_of(library, name) or Library(f"{library}.{name}")
            case Linked(unit=unit):
                return unbroken(self.module_name(unit, name))
            case Instance():
                return unbroken(self.instance_attribute(value, name))
            case Class():
                return unbroken(self.member(value, name))
            case Super():
                return self.inherited(value, name)
            case Distribution() | Criterion() | Layer() | Optimizer():
                return self.object_attribute(value, name)
        return self._plain_attribute(self.settle(value), name)

    def _plain_attribute(self, value: Value, name: str) -> Value:
        """Return an attribute of a tensor, a text or a list."""
        if self.domain.is_tensor(value):
            if name in TENSOR_METHODS and name not in TENSOR_ATTRIBUTES:
                return Bound(value, name)
            if name in TENSOR_ATTRIBUTES:
                return self.domain.attribute(value, name)
        elif name in arithmetic.methods_of(value):
            return Bound(value, name)
        elif isinstance(value, Hole):
            return Hole.at(f"{value.path}.{name}")
        raise BlockedError(f"the attribute `{name}` of `{arithmetic.name_of(value)}` is not allowed")

    def object_attribute(self, value: Value, name: str) -> Value:
        """Return an attribute of an object that stands for one of the library."""
        raise NotImplementedError

    def instance_attribute(self, value: Instance, name: str) -> Value:
        """Return an attribute of an object of a user class."""
        raise NotImplementedError

    def inherited(self, value: Super, name: str) -> Value:
        """Return an attribute behind ``super()``."""
        raise NotImplementedError

    def is_filled(self, value: Value) -> bool:
        """Whether a hole is one that a tensor or a number is put in."""
        return isinstance(value, Hole) and self.domain.is_filled(value)

    # Iteration

    def iterate(self, value: Value, count: int | None = None) -> list[Value]:
        """Return the entries of a value; something unknown has as many as are unpacked, or two."""
        self.tick()
        listed = self.listed(value, count)
        if listed is not None:
            return listed
        if isinstance(value, Hole):
            if not (count is None and self.has_rows(value)) and not self.domain.is_indexed(value, slice(None)):
                return [Hole.at(f"{value.path}[{i}]") for i in range(2 if count is None else count)]
            value = self.settle(value)
        if self.domain.is_tensor(value):
            return self.domain.rows(value, count)
        if isinstance(value, Parameters):
            self.trained = self.iterate(self.domain.parameters())
            return self.trained
        if isinstance(value, list | tuple | range | dict):
            if len(value) > MAX_ROUNDS and isinstance(value, range):
                raise BlockedError("a loop takes too many rounds")
            return list(value)
        if isinstance(value, Stream):
            return [value.entry(i) for i in range(2 if count is None else count)]
        raise BlockedError(f"`{arithmetic.name_of(value)}` is not iterated over")

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Value:
        first = node.generators[0]
        if len(node.generators) == 1 and isinstance(node.elt, ast.Name) and ast.dump(node.elt) == loaded(first.target):
            values = self.evaluate(first.iter)
            if isinstance(values, Parameters):
                # they are not there before the loss is
                return values
        entries = [self.evaluate(node.elt) for _ in self._rounds(node.generators)]
        return arithmetic.distinct(entries) if isinstance(node, ast.SetComp) else entries

    def _dict_comprehension(self, node: ast.DictComp) -> Value:
        first = node.generators[0]
        if len(node.generators) == 1 and only_moves(node.value):
            values = self.evaluate(first.iter)
            if isinstance(values, Hole) and values.path.endswith(".items()"):
                return Hole.at(values.path[: -len(".items()")])
        return {self.key(self.evaluate(node.key)): self.evaluate(node.value) for _ in self._rounds(node.generators)}

    def _rounds(self, generators: list[ast.comprehension]) -> Iterator[None]:
        """Go through the rounds of a comprehension, in a scope of its own."""
        self.frame.scope, outer = Scope(parent=self.frame.scope), self.frame.scope
        inner = self.frame.scope
        count = 0
        try:
            for _ in self._nested(generators):
                count += 1
                if count > MAX_LENGTH:
                    raise BlockedError("a list gets too long")
                self.frame.scope = inner
                yield
        finally:
            self.frame.scope = outer

    def _nested(self, generators: list[ast.comprehension]) -> Iterator[None]:
        if not generators:
            yield
            return
        first, *rest = generators
        before = self.taken_apart
        values = self.iterate(self.evaluate(first.iter))
        for value in self.rows_of(first.target, values, taken=self.taken_apart > before):
            self.assign(first.target, value)
            if all(self.truth(self.evaluate(test)) for test in first.ifs):
                yield from self._nested(rest)

    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind a value to a target."""
        raise NotImplementedError

    def _starred(self, node: ast.Starred) -> Value:
        raise BlockedError("`*` stands where it is not read")


_METHODS: dict[type[ast.expr], str] = {
    ast.Constant: "_constant",
    ast.JoinedStr: "_text",
    ast.FormattedValue: "_text",
    ast.Name: "_name",
    ast.Tuple: "_tuple",
    ast.List: "_list",
    ast.Set: "_set",
    ast.Dict: "_dict",
    ast.IfExp: "_conditional",
    ast.BoolOp: "_boolean",
    ast.UnaryOp: "_unary",
    ast.BinOp: "_binary",
    ast.Compare: "_compare",
    ast.NamedExpr: "_walrus",
    ast.Lambda: "_lambda",
    ast.Subscript: "_subscript",
    ast.Attribute: "_attribute",
    ast.ListComp: "_comprehension",
    ast.SetComp: "_comprehension",
    ast.GeneratorExp: "_comprehension",
    ast.DictComp: "_dict_comprehension",
    ast.Starred: "_starred",
    ast.Call: "_call",
}
