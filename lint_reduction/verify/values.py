"""The values of the closed world: whatever the interpreter meets is one of these, a number, a text, a tensor or a list.

User classes never become Python classes, and library names are only names until a table says what they are.
"""

from __future__ import annotations

import ast
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lint_reduction.verify.allowed import MAX_PARTS, MAX_PATH
from lint_reduction.verify.experiment import Place
from lint_reduction.verify.rows import whole

Value = object

#: The most classes that a class is looked up in.
MAX_LINEAGE = 32


class BlockedError(Exception):
    """Something cannot be run; the message says what."""


class MisfitError(BlockedError):
    """A tensor that stands for something unknown has another size than what it is compared with.

    Attributes:
        path: of what it stands for.
        axis, size: the size that it would have to have, and where.
    """

    def __init__(self, message: str, path: str, axis: int, size: int) -> None:
        super().__init__(message)
        self.path = path
        self.axis = axis
        self.size = size


class RaisedError(Exception):
    """The program raised what the rule is about.

    Attributes:
        unreduced: whether a loss that a call with reduction none made is what was raised about.
    """

    def __init__(self, message: str, *, unreduced: bool) -> None:
        super().__init__(message)
        self.unreduced = unreduced


class FinishedError(Exception):
    """The step of the optimizer is reached, or the end of the path: nothing that follows is of interest."""


class UserError(Exception):
    """The program raises an exception of its own."""


@dataclass(frozen=True, slots=True)
class Hole:
    """An object that is not known: a model, a batch, an option.

    Attributes:
        path: how the program gets to it, ``batch['y']``, or the text of the unknown call that returns it.
    """

    path: str

    @classmethod
    def at(cls, path: str) -> Hole:
        """Return the hole of a path, cut to a bearable length."""
        if len(path) > MAX_PATH:
            head = path[: MAX_PATH - 12]
            alike = path if whole(head) is head else whole(path)
            path = f"{head}…{zlib.crc32(alike.encode('utf-8', 'replace')):08x}"
        return cls(path)

    @property
    def is_call(self) -> bool:
        """Whether it is, or is part of, the result of a call."""
        return "(" in self.path


@dataclass(frozen=True, slots=True)
class Library:
    """A module, function, class or constant of a library, by its dotted name."""

    name: str

    @property
    def last(self) -> str:
        """The name behind the last dot."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Linked:
    """Another source of the experiment, as a module."""

    unit: int


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function of the language."""

    name: str


@dataclass(eq=False, slots=True)
class Scope:
    """The names of a running function.

    Attributes:
        names: its own.
        parent: the scope around it, None if that is the module.
        shared: names declared global or nonlocal, with where they live; None is the module.
    """

    names: dict[str, Value] = field(default_factory=dict)
    parent: Scope | None = None
    shared: dict[str, Scope | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Function:
    """A function of the source.

    Attributes:
        node: its definition.
        unit: where that stands.
        name: qualified.
        scope: the scope around it.
        owner: the class whose method it is.
        receiver: the object or class that it is bound to.
    """

    node: ast.FunctionDef | ast.Lambda
    unit: int
    name: str
    scope: Scope | None = None
    owner: Class | None = None
    receiver: Value = None

    def bind(self, receiver: Value) -> Function:
        """Return the method of an object."""
        return Function(self.node, self.unit, self.name, self.scope, self.owner, receiver)


@dataclass(frozen=True, eq=False, slots=True)
class Class:
    """A class of the source: a table of methods, and names.

    Attributes:
        node: its definition.
        unit: where that stands.
        name: qualified.
        bases: what it derives from, in order.
        scope: the scope around it.
        members: the last statement of its body that defines a name.
        attributes: what its own assignments have been found to be.
    """

    node: ast.ClassDef
    unit: int
    name: str
    bases: tuple[Value, ...]
    members: Mapping[str, ast.stmt]
    scope: Scope | None = None
    attributes: dict[str, Value] = field(default_factory=dict)

    @classmethod
    def of(cls, node: ast.ClassDef, unit: int, name: str, bases: tuple[Value, ...], scope: Scope | None) -> Class:
        """Return the class of a definition."""
        members = {defined: statement for statement in node.body for defined in _defines(statement)}
        return cls(node, unit, name, bases, members, scope)

    def lineage(self) -> list[Class]:
        """Return the class and the user classes it derives from, nearest first, a shared one behind all of its own."""
        found: list[Class] = []
        pending: list[Class] = [self]
        while pending and len(found) < 4 * MAX_LINEAGE:
            current = pending.pop(0)
            found.append(current)
            pending = [*(base for base in current.bases if isinstance(base, Class)), *pending][:MAX_LINEAGE]
        return list(dict.fromkeys(reversed(found)))[::-1][:MAX_LINEAGE]

    def definition(self, name: str) -> tuple[Class, ast.stmt] | None:
        """Return the last statement of the nearest class body that defines a name."""
        for owner in self.lineage():
            if name in owner.members:
                return owner, owner.members[name]
        return None

    @property
    def is_module(self) -> bool:
        """Whether it is a module of a network: it derives from something of a library, or of nobody knows where."""
        return any(not isinstance(base, Class) for owner in self.lineage() for base in owner.bases)


@dataclass(eq=False, slots=True)
class Instance:
    """An object of a user class.

    Attributes:
        owner: its class.
        path: how the program gets to it.
        attributes: what has been assigned.
    """

    owner: Class
    path: str
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Super:
    """The classes behind one in the lineage of an object."""

    owner: Class
    receiver: Value


@dataclass(frozen=True, eq=False, slots=True)
class Criterion:
    """An instance of a loss module.

    Attributes:
        name: of its class, ``MSELoss``.
        options: what it was built with.
        module: the real one, None in a trace.
        place: of the call that built it.
    """

    name: str
    options: dict[str, Value]
    module: object
    place: Place


@dataclass(frozen=True, eq=False, slots=True)
class Layer:
    """An instance of a module without parameters.

    Attributes:
        name: of its class.
        module: the real one, None in a trace.
    """

    name: str
    module: object


@dataclass(frozen=True, eq=False, slots=True)
class Optimizer:
    """An optimizer: its class and its options. The real one is made when the gradient is there.

    Attributes:
        groups: the options of each group of parameters that has its own, empty where all have the same.
    """

    name: str
    options: dict[Value, Value]
    place: Place
    groups: tuple[dict[Value, Value], ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Distribution:
    """A distribution: its class and what it was built of.

    Attributes:
        real: the object, or an abstract tensor in a trace.
    """

    name: str
    arguments: tuple[Value, ...]
    options: Mapping[str, Value]
    real: object


@dataclass(frozen=True, eq=False, slots=True)
class Bound:
    """A method of a value, found in a table."""

    receiver: Value
    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Partial:
    """A call with some arguments given already."""

    callee: Value
    arguments: tuple[Value, ...]
    options: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What is trained: all that a model's ``parameters()`` may be."""


@dataclass(frozen=True, eq=False, slots=True)
class Stream:
    """Something to loop over, of unknown length.

    Attributes:
        entry: returns what a round is given; a target that is given nothing is a hole by its own name.
    """

    entry: Callable[[int], Value]


@dataclass(frozen=True, slots=True)
class Unnamed:
    """What a loop over something unknown yields: a hole that takes the name of the variable it is bound to."""

    path: str


@dataclass(frozen=True, slots=True)
class Broken:
    """What a statement would have bound that cannot be run: whoever reads it cannot be run either.

    Attributes:
        reason: why.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text whose letters are of no interest: the result of a format."""


def _defines(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            return {name}
    return set()


def place_of(unit: int, node: ast.expr | ast.stmt | ast.pattern) -> Place:
    """Return where a node stands."""
    return Place(unit, node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)


def parts(value: Value, depth: int = 4) -> list[Value]:
    """Return a value and all that it holds, some levels down.

    Raises:
        BlockedError: that is too much.
    """
    found: list[Value] = []
    pending = [(value, depth)]
    while pending:
        current, left = pending.pop()
        found.append(current)
        if len(found) + len(pending) > MAX_PARTS:
            raise BlockedError("lists hold too much")
        if isinstance(current, Distribution):
            found.append(current.real)
        elif left and isinstance(current, list | tuple | dict):
            entries = current.values() if isinstance(current, dict) else current
            pending += [(entry, left - 1) for entry in reversed(list(entries))]
    return found
