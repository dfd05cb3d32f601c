"""Functions and classes of the source: calls bind arguments and run the body, objects are tables of attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from lint_reduction.verify.allowed import HARMLESS_DECORATORS, MAX_DEPTH, NO_GRADIENT
from lint_reduction.verify.losses import BY_CLASS, BY_FUNCTION, Loss, loss_class
from lint_reduction.verify.machine import Frame
from lint_reduction.verify.statements import ReturnError, Statements
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
    Optimizer,
    Scope,
    Super,
    UserError,
    Value,
    place_of,
)

#: The attribute in which an object keeps the loss of torch that its class derives from; no program can name it.
CRITERION = "<criterion>"
_LOSS_NAMES = frozenset(BY_CLASS) | frozenset(BY_FUNCTION)


def _names_loss(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name in _LOSS_NAMES


class Functions(Statements):
    """Calls functions and builds objects of the source."""

    def invoke(
        self, function: Function, arguments: Sequence[Value], options: dict[str, Value], *, fill: bool = False
    ) -> Value:
        """Call a function of the source.

        Args:
            fill: whether parameters that get nothing are holes of their own name.
        """
        self.tick()
        if len(self.frames) > MAX_DEPTH:
            raise BlockedError("calls are nested too deep")
        if any(name.rpartition(".")[2] == "abstractmethod" for name in self._decorators(function)):
            # whoever derives from the class says what it does
            return self.row_for(Hole.at(f"{function.name}()"), arguments)
        if function.receiver is not None:
            arguments = (function.receiver, *arguments)
        scope = Scope(parent=function.scope)
        frame = Frame(function.unit, function, scope)
        self._bind_arguments(function, arguments, options, frame, fill=fill)
        off = self._without_gradient(function)
        self.frames.append(frame)
        if off:
            self.domain.without_gradient(True)
        try:
            if isinstance(function.node, ast.Lambda):
                return self.evaluate(function.node.body)
            self.execute(function.node.body)
        except ReturnError as signal:
            return signal.value
        finally:
            self.frames.pop()
            if off:
                self.domain.without_gradient(False)
        return None

    def _bind_arguments(
        self, function: Function, arguments: Sequence[Value], options: dict[str, Value], frame: Frame, *, fill: bool
    ) -> None:
        signature = function.node.args
        positional = [*signature.posonlyargs, *signature.args]
        assert frame.scope is not None
        names = frame.scope.names
        names.update(zip((parameter.arg for parameter in positional), arguments, strict=False))
        rest = arguments[len(positional) :]
        if signature.vararg is not None:
            names[signature.vararg.arg] = Hole.at(signature.vararg.arg) if fill and not rest else tuple(rest)
        elif rest:
            raise UserError("TypeError")
        known = {parameter.arg for parameter in [*signature.args, *signature.kwonlyargs]}
        more: dict[Value, Value] = {}
        for name, value in options.items():
            if name in names:
                raise UserError("TypeError")
            if name in known:
                names[name] = value
            else:
                more[name] = value
        if signature.kwarg is not None:
            names[signature.kwarg.arg] = Hole.at(signature.kwarg.arg) if fill and not more else more
        elif more:
            raise UserError("TypeError")
        defaults: list[tuple[ast.arg, ast.expr | None]] = list(
            zip(reversed(positional), reversed(signature.defaults), strict=False)
        )
        defaults += zip(signature.kwonlyargs, signature.kw_defaults, strict=True)
        self._fill_defaults(function, defaults, names)
        for parameter in [*positional, *signature.kwonlyargs]:
            if parameter.arg not in names:
                names[parameter.arg] = Hole.at(parameter.arg)

    def _fill_defaults(
        self, function: Function, defaults: list[tuple[ast.arg, ast.expr | None]], names: dict[str, Value]
    ) -> None:
        self.frames.append(Frame(function.unit, None, function.scope))
        try:
            for parameter, default in defaults:
                if default is not None and parameter.arg not in names:
                    names[parameter.arg] = self.evaluate(default)
        finally:
            self.frames.pop()

    def _decorators(self, function: Function) -> list[str]:
        if isinstance(function.node, ast.Lambda) or not function.node.decorator_list:
            return []
        self.frames.append(Frame(function.unit, None, function.scope))
        try:
            nodes = function.node.decorator_list
            return [self.library_name(node.func if isinstance(node, ast.Call) else node) for node in nodes]
        finally:
            self.frames.pop()

    def _without_gradient(self, function: Function) -> bool:
        names = self._decorators(function)
        for name in names:
            is_harmless = name in HARMLESS_DECORATORS | NO_GRADIENT or name.startswith("pytest.mark.")
            if not is_harmless and name.rpartition(".")[2] not in ("setter", "wraps"):
                raise BlockedError(f"the decorator `{name}` is not known")
        return any(name in NO_GRADIENT for name in names)

    # Classes

    def member(self, owner: Class, name: str) -> Value:
        """Return what a name stands for in a class, unbound."""
        for entry in owner.lineage():
            if name in entry.attributes:
                return entry.attributes[name]
        found = owner.definition(name)
        if found is None:
            return Hole.at(f"{owner.name}.{name}")
        home, statement = found
        qualified = f"{home.name}.{name}"
        match statement:
            case ast.FunctionDef():
                function = Function(statement, home.unit, qualified, home.scope, home)
                return function.bind(owner) if "classmethod" in self._decorators(function) else function
            case ast.ClassDef():
                return Class.of(statement, home.unit, qualified, (), home.scope)
            case ast.Assign(value=node) | ast.AnnAssign(value=ast.expr() as node):
                # names of the class body are not in view from here, as they are not in its methods
                self.frames.append(Frame(home.unit, None, home.scope))
                try:
                    home.attributes[name] = self.evaluate(node)
                finally:
                    self.frames.pop()
                return home.attributes[name]
        raise BlockedError(f"`{qualified}` is not run")

    def instance_attribute(self, value: Instance, name: str) -> Value:
        """Return an attribute of an object of a user class: its own, that of its class, or a hole."""
        if name in value.attributes:
            return value.attributes[name]
        if value.owner.definition(name) is None:
            return value.owner.attributes.get(name, Hole.at(f"{value.path}.{name}"))
        return self._bound(self.member(value.owner, name), value)

    def _bound(self, member: Value, receiver: Value) -> Value:
        if not isinstance(member, Function) or member.receiver is not None or isinstance(member.node, ast.Lambda):
            return member
        decorators = self._decorators(member)
        if "staticmethod" in decorators:
            return member
        if any(name.rpartition(".")[2] in ("property", "cached_property") for name in decorators):
            return self.invoke(member.bind(receiver), (), {})
        return member.bind(receiver)

    def inherited(self, value: Super, name: str) -> Value:
        """Return an attribute behind ``super()``."""
        receiver = value.receiver
        lineage = receiver.owner.lineage() if isinstance(receiver, Instance) else value.owner.lineage()
        behind = lineage[lineage.index(value.owner) + 1 :] if value.owner in lineage else []
        is_loss = isinstance(receiver, Instance) and self.loss_of_class(receiver.owner) is not None
        for entry in behind:
            if any(isinstance(s, ast.FunctionDef) and s.name == name for s in entry.node.body):
                return self._bound(self.member(entry, name), receiver)
        if is_loss and name in ("__init__", "forward", "__call__"):
            return Bound(receiver, name)
        return Hole.at(f"super().{name}")

    def loss_of_class(self, owner: Class) -> Loss | None:
        """Return the loss of torch that a user class derives from."""
        bases = (base for entry in owner.lineage() for base in entry.bases)
        return next(filter(None, (loss_class(base.name) for base in bases if isinstance(base, Library))), None)

    def is_blank(self, instance: Instance, *, of_loss: bool = False) -> bool:
        """Whether nothing in view says what calling an object does."""
        has_own = any(instance.owner.definition(name) is not None for name in ("__call__", "forward"))
        return not has_own and instance.owner.is_module and (self.loss_of_class(instance.owner) is None or of_loss)

    def object_attribute(self, value: Value, name: str) -> Value:
        """Return an attribute of an object that stands for one of the library."""
        if isinstance(value, Criterion):
            if name == "forward":
                return value
            if name in value.options:
                return value.options[name]
            if name == "reduction":
                return "mean"
        if isinstance(value, Optimizer) and name == "param_groups":
            return list(value.groups) or [value.options]
        if isinstance(value, Distribution):
            return self.domain.distributed(value, name, (), called=False)
        if isinstance(value, Layer) and name == "forward":
            return value
        raise BlockedError(f"the attribute `{name}` is not allowed")

    def instantiate(
        self, owner: Class, arguments: Sequence[Value], options: dict[str, Value], *, path: str = "", fill: bool = False
    ) -> Instance:
        """Build an object of a user class; what its constructor does that cannot be run leaves holes."""
        self.tick()
        instance = Instance(owner, path or owner.name)
        found = owner.definition("__init__")
        loss = self.loss_of_class(owner)
        if found is None and loss is not None:
            place = place_of(owner.unit, owner.node)
            instance.attributes[CRITERION] = self.domain.criterion(loss, list(arguments), options, place)
        elif found is not None and isinstance(found[1], ast.FunctionDef):
            function = Function(
                found[1], found[0].unit, f"{found[0].name}.__init__", found[0].scope, found[0], instance
            )
            self.invoke(function, arguments, options, fill=fill)
        elif self._is_dataclass(owner):
            self._fill_fields(instance, arguments, options)
        return instance

    def build(self, unit: int, qualified: str, *, path: str) -> Instance:
        """Build an object of a class with arguments that are not known.

        Raises:
            BlockedError: there is no such class.
        """
        owner = self.find(unit, qualified)
        if not isinstance(owner, Class):
            raise BlockedError(f"the class `{qualified}` is not found")
        return self.instantiate(owner, (), {}, path=path, fill=True)

    def object_with(self, owner: Hole, name: str) -> Instance | None:
        """Return what an unknown object is taken to be: of the one class that computes the loss, by its method."""
        found = [
            (unit, owner_name)
            for unit, owner_name, methods in self.loss_classes()
            if name in methods and not any(owner_name == holder.name for holder in self._receivers())
        ]
        if len(found) != 1:
            return None
        if owner.path not in self.objects:
            self.objects[owner.path] = self.build(*found[0], path=owner.path)
        return self.objects[owner.path]

    def _receivers(self) -> Iterator[Class]:
        for frame in self.frames:
            receiver = frame.function.receiver if frame.function is not None else None
            if isinstance(receiver, Instance):
                yield from receiver.owner.lineage()

    def numbered(self, result: Value, node: ast.Call) -> Value:
        """Return the output of a network, another one where the same text stands again: no two are the same."""
        if not isinstance(result, Hole) or not node.args:
            return result
        places = self.called.setdefault(result.path, [])
        place = self.place(node)
        if place not in places:
            places.append(place)
        number = places.index(place)
        return Hole.at(f"{result.path} ({number + 1})") if number else result

    def _is_dataclass(self, owner: Class) -> bool:
        return any(
            self.library_name(node.func if isinstance(node, ast.Call) else node).endswith("dataclass")
            for node in owner.node.decorator_list
        )

    def _fill_fields(self, instance: Instance, arguments: Sequence[Value], options: dict[str, Value]) -> None:
        fields = [
            statement.target.id
            for entry in reversed(instance.owner.lineage())
            for statement in entry.node.body
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        ]
        instance.attributes.update(zip(fields, arguments, strict=False))
        instance.attributes.update({name: value for name, value in options.items() if name in fields})
        found = instance.owner.definition("__post_init__")
        if found is not None and isinstance(found[1], ast.FunctionDef):
            self.invoke(Function(found[1], found[0].unit, "__post_init__", found[0].scope, found[0], instance), (), {})

    def call_instance(self, instance: Instance, arguments: Sequence[Value], options: dict[str, Value]) -> Value:
        """Call an object: its ``__call__``, or the ``forward`` of a module."""
        for name in ("__call__", "forward"):
            found = instance.owner.definition(name)
            if found is not None:
                method = self._bound(self.member(instance.owner, name), instance)
                if isinstance(method, Function):
                    return self.invoke(method, arguments, options)
        raise BlockedError(f"`{instance.owner.name}` is not called")

    def is_network(self, instance: Instance) -> bool:
        """Whether an object is a module off the path of the loss: a model, whose output is data."""
        return instance.owner.is_module and not any(map(self._matters, instance.owner.lineage()))

    def _matters(self, owner: Class) -> bool:
        """Whether a class holds a place of the experiment, or a loss."""
        node = owner.node
        return self.program.note(
            "matters", node, lambda: self.holds_place(owner.unit, node) or any(map(_names_loss, ast.walk(node)))
        )

    def is_allowed(self, library: Library) -> bool:
        """Whether a name of a library is in the tables."""
        raise NotImplementedError
