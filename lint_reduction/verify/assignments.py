"""Binds values to names, attributes and parts."""

from __future__ import annotations

import ast
import re

from lint_reduction.verify import arithmetic
from lint_reduction.verify.expressions import Expressions
from lint_reduction.verify.values import (
    BlockedError,
    Broken,
    Class,
    Criterion,
    Hole,
    Instance,
    MisfitError,
    Unnamed,
    UserError,
    Value,
)

_IN_PLACE: dict[type[ast.operator], str] = {ast.Add: "add_", ast.Sub: "sub_", ast.Mult: "mul_", ast.Div: "div_"}
_DUNDER = re.compile(r"__\w+__")


class Assignments(Expressions):
    """Runs assignments."""

    def _assign(self, node: ast.Assign) -> None:
        value = self._value(node.value, node.targets)
        for target in node.targets:
            self.assign(target, value)

    def _annotated(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign(node.target, self._value(node.value, [node.target]))

    def _value(self, node: ast.expr, targets: list[ast.expr]) -> Value:
        """Return what is assigned; what cannot be run matters only where it is read."""
        try:
            return self.evaluate(node)
        except MisfitError:
            # other sizes may be tried
            raise
        except BlockedError as error:
            if self.backwards or self.leads_on(node) or not all(map(_is_whole, targets)):
                raise
            return Broken(str(error))

    def _augmented(self, node: ast.AugAssign) -> None:
        target = node.target
        if isinstance(target, ast.Name):
            before = self.lookup(target.id)
            self.assign(target, self._augment(node, before))
        elif isinstance(target, ast.Attribute):
            owner = self.evaluate(target.value)
            before = self.attribute(owner, target.attr)
            self.set_attribute(owner, target.attr, self._augment(node, before))
        elif isinstance(target, ast.Subscript):
            whole, index = self.evaluate(target.value), self.index(target.slice)
            self.set_item(whole, index, self._augment(node, self.item(whole, index)))

    def _augment(self, node: ast.AugAssign, before: Value) -> Value:
        value = self.operand(node, self.evaluate(node.value))
        if type(node.op) in _IN_PLACE and self.domain.is_weight(before):
            return self.domain.method(before, _IN_PLACE[type(node.op)], [self.settle(value)], {})
        if isinstance(before, list) and isinstance(node.op, ast.Add):
            before += self.iterate(value)
            return before
        return self.admit(self.binary(node.op, before, value))

    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind a value to a target."""
        match target:
            case ast.Name(id=name):
                is_own = isinstance(value, Unnamed) or (isinstance(value, Hole) and value.path in self.built)
                if isinstance(value, Hole) and value.path in self.containers:
                    self.containers.add(name)
                self.bind(name, Hole.at(name) if is_own else value)
            case ast.Tuple(elts=entries) | ast.List(elts=entries):
                self._unpack(entries, value)
            case ast.Attribute(value=owner, attr=attr):
                self.set_attribute(self.evaluate(owner), attr, value)
            case ast.Subscript(value=whole, slice=index):
                self.set_item(self.evaluate(whole), self.index(index), value)
            case _:
                raise BlockedError("a target is not allowed")

    def _unpack(self, targets: list[ast.expr], value: Value) -> None:
        count = len(targets)
        if isinstance(value, Unnamed | Broken):
            values: list[Value] = [value] * count
            self.samples |= {target.id for target in targets if isinstance(target, ast.Name)}
        else:
            values = self.iterate(value, count)
        starred = next((i for i, target in enumerate(targets) if isinstance(target, ast.Starred)), None)
        if starred is not None:
            behind = count - starred - 1
            if len(values) < count - 1:
                raise UserError("ValueError")
            middle = values[starred : len(values) - behind]
            values = [*values[:starred], middle, *values[len(values) - behind :]]
        if len(values) != count:
            raise UserError("ValueError")
        for target, entry in zip(targets, values, strict=True):
            self.assign(target.value if isinstance(target, ast.Starred) else target, entry)

    def set_attribute(self, owner: Value, name: str, value: Value) -> None:
        """Assign an attribute of an object of a user class, or the gradient of a tensor; nothing else has any."""
        if _DUNDER.fullmatch(name):
            raise BlockedError(f"the attribute `{name}` is not allowed")
        if isinstance(value, Unnamed):
            value = Hole.at(f"{arithmetic.name_of(owner)}.{name}")
        if isinstance(value, Broken) and isinstance(owner, Instance) and self._is_constructing():
            # no batch is there yet: what it would be is as little known as what others hand in
            value = Hole.at(f"{owner.path}.{name}")
        if isinstance(owner, Instance):
            is_built = isinstance(value, Unnamed) or (isinstance(value, Hole) and value.path.endswith(")"))
            if isinstance(value, Hole) and value.path in self.containers:
                self.containers.add(f"{owner.path}.{name}")
            owner.attributes[name] = Hole.at(f"{owner.path}.{name}") if is_built else value
            self.admit(owner.attributes)
        elif isinstance(owner, Class):
            owner.attributes[name] = value
            self.admit(owner.attributes)
        elif isinstance(owner, Criterion) and name == "reduction":
            if value not in ("none", "mean", "sum"):
                raise BlockedError("the reduction that is assigned is not known")
            self.domain.reduce(owner, str(value))
        elif isinstance(owner, Criterion):
            raise BlockedError(f"`{name}` of a loss is changed")
        elif isinstance(owner, Hole) and name == "grad" and self.backwards:
            raise BlockedError(f"the gradient of `{owner.path}` is not known")
        elif self.domain.is_tensor(owner) and name in ("grad", "data"):
            self.domain.assign(owner, name, self.settle(value))

    def _is_constructing(self) -> bool:
        function = self.frame.function
        return function is not None and function.name.endswith(".__init__")

    def set_item(self, whole: Value, index: Value, value: Value) -> None:
        """Assign a part of a list, a dictionary or a tensor."""
        if isinstance(whole, Hole) and self.domain.is_indexed(whole, index):
            whole = self.settle(whole)
        if isinstance(whole, dict):
            whole[self.key(index)] = value
            self.admit(whole)
        elif isinstance(whole, list) and isinstance(index, int) and -len(whole) <= index < len(whole):
            whole[index] = value
        elif self.domain.is_tensor(whole):
            self.domain.store(whole, index, self.settle(value))
        elif not isinstance(whole, Hole):
            raise BlockedError(f"a part of `{arithmetic.name_of(whole)}` is not assigned")


def _is_whole(target: ast.expr) -> bool:
    """Whether a target is bound as a whole, and is not a part of something."""
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_is_whole, target.elts))
    return isinstance(target, ast.Name | ast.Attribute)
