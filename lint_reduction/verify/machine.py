"""The state of an interpretation: sources and their names, frames, budgets, what the experiment decides in advance.

Module-level names are evaluated when they are asked for: only statements that bind the name are run.
"""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from lint_reduction.verify import gate
from lint_reduction.verify.allowed import BUILTINS, MAX_INTEGER_BITS, MAX_LENGTH, MAX_STEPS, MAX_TEXT, REDUCTIONS
from lint_reduction.verify.bound import bound_names
from lint_reduction.verify.domain import Domain
from lint_reduction.verify.experiment import Callee, Experiment, Place, Scalar
from lint_reduction.verify.values import (
    BlockedError,
    Broken,
    Builtin,
    Class,
    Function,
    Hole,
    Instance,
    Library,
    Linked,
    Optimizer,
    Scope,
    Value,
    place_of,
)

_Note = TypeVar("_Note")


@dataclass(frozen=True, eq=False, slots=True)
class Parsed:
    """One unit of the experiment, for all its runs.

    Attributes:
        tree: passed by the gate.
        links: unit and name there of what it imports from other units.
        bindings: by name, the statements that bind it.
        starred: the modules that everything is imported from.
    """

    tree: ast.Module
    links: dict[str, tuple[int, str]]
    bindings: dict[str, list[ast.stmt]]
    starred: tuple[str, ...]


@dataclass(eq=False, slots=True)
class Source:
    """A unit in one run.

    Attributes:
        parsed: what it says.
        names: what its module-level names have been found to be.
        busy: names that are being evaluated.
    """

    parsed: Parsed
    names: dict[str, Value] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class Frame:
    """A running function, or the body of a module or class.

    Attributes:
        unit: where its code stands.
        function: the function, None for a body.
        scope: its names, None for the body of a module.
    """

    unit: int
    function: Function | None = None
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Decisions:
    """What an experiment decides in advance, by place; tests by where they begin, as the end of one may be left out."""

    branches: dict[tuple[int, int, int], bool]
    known: dict[Place, Scalar]
    sites: dict[Place, Callee]
    counted: dict[Place, str]

    @classmethod
    def of(cls, experiment: Experiment) -> Decisions:
        """Collect them."""
        return cls(
            {beginning(branch.place): branch.taken for branch in experiment.branches},
            {known.place: known.value for known in experiment.known},
            {site.place: site for site in experiment.sites},
            {counted.place: counted.count for counted in experiment.counted},
        )


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """An experiment whose units are parsed.

    Attributes:
        experiment: the experiment.
        units: parsed.
        decisions: what is decided in advance.
        notes: what has been found out about nodes, by their identity, for all runs.
    """

    experiment: Experiment
    units: tuple[Parsed, ...]
    decisions: Decisions
    notes: dict[tuple[str, int], object] = field(default_factory=dict)

    @classmethod
    def of(cls, experiment: Experiment) -> Program:
        """Parse all units.

        Raises:
            BlockedError: one of them does not pass the gate.
        """
        found = []
        for unit in experiment.units:
            try:
                tree = gate.read(unit.text)
            except gate.RefusedError as error:
                raise BlockedError(str(error)) from None
            bindings: dict[str, list[ast.stmt]] = {}
            for statement in tree.body:
                for name in bound_names(statement):
                    bindings.setdefault(name, []).append(statement)
            links = {link.name: (link.unit, link.member) for link in unit.links}
            found.append(Parsed(tree, links, bindings, _starred(tree)))
        return cls(experiment, tuple(found), Decisions.of(experiment))

    def note(self, kind: str, node: ast.AST, find: Callable[[], _Note]) -> _Note:
        """Return what is found out about a node, once for all runs."""
        key = (kind, id(node))
        if key not in self.notes:
            self.notes[key] = find()
        found: _Note = self.notes[key]  # type: ignore[assignment]
        return found


class Machine(ABC):
    """Names, frames and budgets; how nodes are evaluated is left to the classes derived from it."""

    def __init__(self, program: Program, domain: Domain) -> None:
        self.program = program
        self.experiment = program.experiment
        self.decisions = program.decisions
        self.domain = domain
        self.sources = [Source(unit) for unit in program.units]
        self.frames = [Frame(0)]
        self.executed: set[Place] = set()
        self.optimizers: dict[Place, Optimizer] = {}
        self.latest: Optimizer | None = None
        self.backwards = 0
        self.cut = ""
        self.touched = ""
        self.built: set[str] = set()
        self.containers: set[str] = set()
        self.samples: set[str] = set()
        self.apart: set[str] = set()
        self.taken_apart = 0
        self.row: tuple[int, frozenset[str]] | None = None
        self.sample_at: tuple[int, frozenset[str]] | None = None
        self.loops = 0
        self.is_looped = False
        self.steps = 0
        self.chosen: dict[str, str] = {}
        self.called: dict[str, list[Place]] = {}
        self.objects: dict[str, Instance] = {}
        self.trained: list[Value] = []
        self.frames_at_end: tuple[Frame, ...] = ()
        self.hooks: list[tuple[str, Value]] = []

    @abstractmethod
    def evaluate(self, node: ast.expr) -> Value:
        """Return the value of an expression."""

    @abstractmethod
    def iterate(self, value: Value, count: int | None = None) -> list[Value]:
        """Return the entries of a value."""

    @abstractmethod
    def execute(self, statements: Sequence[ast.stmt]) -> None:
        """Run a block."""

    @abstractmethod
    def call(self, callee: Value, arguments: Sequence[Value], options: dict[str, Value], node: ast.Call) -> Value:
        """Call a value."""

    @property
    def frame(self) -> Frame:
        """The innermost frame."""
        return self.frames[-1]

    def place(self, node: ast.expr | ast.stmt) -> Place:
        """Return the place of a node of the running source."""
        return place_of(self.frame.unit, node)

    def decided(self, node: ast.expr | ast.stmt | ast.pattern) -> bool | None:
        """Return what is decided of a test in advance, None if nothing is."""
        return self.decisions.branches.get(beginning(place_of(self.frame.unit, node)))

    def tick(self) -> None:
        """Spend a step."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise BlockedError("it takes too many steps")

    def admit(self, value: Value) -> Value:
        """Return a value, if it is not too large to be kept."""
        if type(value) is int and value.bit_length() > MAX_INTEGER_BITS:
            raise BlockedError("an integer gets too large")
        if type(value) is str and len(value) > MAX_TEXT:
            raise BlockedError("a text gets too long")
        if isinstance(value, list | tuple | dict):
            if len(value) > MAX_LENGTH:
                raise BlockedError("a list gets too long")
            self.steps += len(value) // 16
        return value

    def settle(self, value: Value) -> Value:
        """Return a value that can be computed with: a hole is filled."""
        return self.admit(self.domain.settle(value)) if isinstance(value, Hole) else value

    def made(self, place: Place, value: Value) -> Value:
        """Return what a place gives: at that of the finding it is seen."""
        self.executed.add(place)
        return self.domain.see_term(value) if place == self.experiment.site and self.domain.is_tensor(value) else value

    def see_reduced(self, node: ast.expr, name: str, value: Value) -> None:
        """Let what is reduced be seen where that is what the finding is about."""
        if name in REDUCTIONS and self.place(node) == self.experiment.site and self.domain.is_tensor(value):
            self.domain.see_reduced(value)

    # Names

    def lookup(self, name: str) -> Value:
        """Return what a name stands for in the running code.

        Raises:
            BlockedError: what it would stand for cannot be run.
        """
        return unbroken(self._lookup(name))

    def _lookup(self, name: str) -> Value:
        scope = self.frame.scope
        while scope is not None:
            if name in scope.shared:
                scope = scope.shared[name]
                continue
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return self.module_name(self.frame.unit, name)

    def bind(self, name: str, value: Value) -> None:
        """Let a name stand for a value."""
        scope = self.frame.scope
        while scope is not None and name in scope.shared:
            scope = scope.shared[name]
        names = self.sources[self.frame.unit].names if scope is None else scope.names
        names[name] = self.admit(value)
        self.admit(names)

    def module_name(self, unit: int, name: str) -> Value:
        """Return what a name stands for at the top of a source."""
        source = self.sources[unit]
        if name in source.names:
            return source.names[name]
        if name in source.parsed.links:
            other, member = source.parsed.links[name]
            if not 0 <= other < len(self.sources) or other == unit:
                raise BlockedError(f"`{name}` is imported from nowhere")
            self.tick()
            return self.module_name(other, member) if member else Linked(other)
        if name not in source.busy:
            self._run_bindings(unit, name)
            if name in source.names:
                return source.names[name]
        return self._from_star(source, name) or (Builtin(name) if name in BUILTINS else Hole.at(name))

    def _run_bindings(self, unit: int, name: str) -> None:
        source = self.sources[unit]
        source.busy.add(name)
        self.frames.append(Frame(unit))
        try:
            for statement in source.parsed.bindings.get(name, ()):
                self.run_binding(statement, name)
        finally:
            self.frames.pop()
            source.busy.discard(name)

    @abstractmethod
    def run_binding(self, statement: ast.stmt, name: str) -> None:
        """Run what binds a name in a statement of a module."""

    def _from_star(self, source: Source, name: str) -> Value:
        """Return a name of a library that everything is imported from."""
        for module in source.parsed.starred:
            library = Library(f"{module}.{name}")
            if self.is_allowed(library):
                return library
        return None

    @abstractmethod
    def is_allowed(self, library: Library) -> bool:
        """Whether a name of a library is in the tables."""

    def qualified(self, name: str) -> str:
        """Return the qualified name of a definition in the running code."""
        function = self.frame.function
        return f"{function.name}.{name}" if function is not None else name

    def find(self, unit: int, qualified: str) -> Value:
        """Return the function or class of a qualified name; a method comes unbound."""
        value: Value = None
        for index, part in enumerate(part for part in qualified.split(".") if part != "<locals>"):
            if index == 0:
                value = self.module_name(unit, part)
            elif isinstance(value, Class):
                value = self.member(value, part)
            else:
                raise BlockedError(f"`{qualified}` is not found")
        return value

    @abstractmethod
    def member(self, owner: Class, name: str) -> Value:
        """Return what a name stands for in a class, unbound."""


def _starred(tree: ast.Module) -> tuple[str, ...]:
    return tuple(
        statement.module
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom)
        and statement.module
        and not statement.level
        and statement.names[0].name == "*"
    )


def beginning(place: Place) -> tuple[int, int, int]:
    """Return where a place begins."""
    return place.unit, place.line, place.column


def unbroken(value: Value) -> Value:
    """Return a value that is read.

    Raises:
        BlockedError: what makes it cannot be run.
    """
    if isinstance(value, Broken):
        raise BlockedError(value.reason)
    return value
