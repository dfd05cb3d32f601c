"""The files that an experiment is cut out of: parsed, with their places, their names and where their imports lead."""

from __future__ import annotations

import ast
import math
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from lint_reduction.facts import Span
from lint_reduction.source import imports
from lint_reduction.verify.experiment import Place

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Loop = ast.For | ast.AsyncFor | ast.While
#: A node that has a place.
Placed = ast.stmt | ast.expr | ast.keyword | ast.arg | ast.pattern | ast.excepthandler

_Table = TypeVar("_Table")

#: How much source is held for later experiments; a syntax tree is about a hundred times as large.
_MAX_HELD = 1_500_000

_NEWLINE = re.compile(r"\r\n|\r")


class NoExperimentError(Exception):
    """There is no experiment for a finding; the message says why."""


class TooSlowError(NoExperimentError):
    """Finding out takes too long."""


@dataclass(frozen=True, slots=True)
class Work:
    """What cutting out one experiment may cost.

    Attributes:
        seconds: of this process.
        began: when it began, by the clock of the process.
    """

    seconds: float = math.inf
    began: float = field(default_factory=time.process_time)

    def check(self) -> None:
        """Go on.

        Raises:
            TooSlowError: it takes too long.
        """
        if time.process_time() - self.began > self.seconds:
            raise TooSlowError(f"cutting it out of its files takes longer than {self.seconds:g} s")


@dataclass(frozen=True, slots=True, order=True)
class At:
    """Where a node begins or ends: a line from 1, a column in bytes from 0."""

    line: int
    column: int


def begin(node: Placed | Scope) -> At:
    """Return where a node begins, its decorators aside."""
    return At(0, 0) if isinstance(node, ast.Module) else At(node.lineno, node.col_offset)


def end(node: Placed) -> At:
    """Return where a node ends."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return At(node.end_lineno, node.end_col_offset)


@dataclass(eq=False)
class Module:
    """A source file.

    Attributes:
        path: absolute.
        lines: its text in UTF-8, without ends of lines.
        tree: its syntax tree.
        parents: the node around each node.
    """

    path: str
    lines: list[bytes]
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    _by_begin: dict[At, list[Placed]] = field(default_factory=dict)
    _own: dict[Scope, tuple[ast.stmt, ...]] = field(default_factory=dict)
    _tables: dict[object, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            if isinstance(node, Placed):
                self._by_begin.setdefault(begin(node), []).append(node)

    def about(self, table: Callable[[Module], _Table]) -> _Table:
        """Return what a table knows of this module; it is made once, whatever is asked of it."""
        if table not in self._tables:
            self._tables[table] = table(self)
        made: _Table = self._tables[table]  # type: ignore[assignment]  # it was made by this
        return made

    def forget(self) -> None:
        """Drop the tables, which refer to the module."""
        self._tables.clear()

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes around a node, innermost first."""
        parent = self.parents.get(node)
        while parent is not None:
            yield parent
            parent = self.parents.get(parent)

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """Return the innermost statement that a node stands in, itself if it is one."""
        return next((n for n in (node, *self.around(node)) if isinstance(n, ast.stmt)), None)

    def scope(self, node: ast.AST) -> Scope:
        """Return the function, class or module whose names a node uses; lambdas have none of their own."""
        return next((n for n in self.around(node) if isinstance(n, Scope)), self.tree)

    def function(self, node: ast.AST) -> FunctionNode | None:
        """Return the innermost function that a node stands in, itself if it is one."""
        return next((n for n in (node, *self.around(node)) if isinstance(n, FunctionNode)), None)

    def own(self, scope: Scope) -> tuple[ast.stmt, ...]:
        """Return the statements of a scope, not those of functions and classes in it."""
        if scope not in self._own:
            self._own[scope] = tuple(_own(scope))
        return self._own[scope]

    def class_of(self, function: ast.AST) -> ast.ClassDef | None:
        """Return the class that a function is a method of."""
        parent = self.parents.get(function)
        while isinstance(parent, (ast.If, ast.Try)):
            parent = self.parents.get(parent)
        return parent if isinstance(parent, ast.ClassDef) else None

    def qualname(self, node: ast.AST) -> str:
        """Return the dotted name of the function that a node stands in, empty for the module; a lambda is one too."""
        names = []
        for outer in (node, *self.around(node)):
            if isinstance(outer, Definition):
                names.append(outer.name)
            elif isinstance(outer, ast.Lambda):
                names.append("<lambda>")
        return ".".join(reversed(names))

    def node(self, span: Span) -> Placed | None:
        """Return the node at a place: the outermost of those that are all of it, a definition by its name."""
        first, last = self._at(span.line, span.column), self._at(span.end_line, span.end_column)
        found = [node for node in self._by_begin.get(first, ()) if end(node) == last]
        if found:
            # a call that is all of a statement is the call
            return next((node for node in found if not isinstance(node, ast.Expr)), found[0])
        return self._named(first)

    def place(self, unit: int, node: Placed) -> Place:
        """Return the place of a node in a unit."""
        first, last = begin(node), end(node)
        return Place(unit, first.line, first.column, last.line, last.column)

    def _at(self, line: int, column: int) -> At:
        """Return a place given in characters from 1 as one in bytes from 0."""
        text = self.lines[line - 1].decode() if 0 < line <= len(self.lines) else ""
        return At(line, len(text[: column - 1].encode()))

    def _named(self, at: At) -> Definition | None:
        for node in self.about(_definitions).get(at.line, ()):
            before = self.lines[at.line - 1][node.col_offset : at.column].split()
            if before in ([b"def"], [b"async", b"def"], [b"class"]):
                return node
        return None


def _own(scope: Scope) -> Iterator[ast.stmt]:
    todo: list[ast.AST] = list(scope.body)
    inner = (ast.stmt, ast.excepthandler, ast.match_case)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, FunctionNode | ast.ClassDef):
            todo += [child for child in ast.iter_child_nodes(node) if isinstance(child, inner)]


def _definitions(module: Module) -> dict[int, list[Definition]]:
    """Return the definitions of a module by the line that their word is on."""
    found: dict[int, list[Definition]] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, Definition):
            found.setdefault(node.lineno, []).append(node)
    return found


@dataclass(eq=False)
class Sources:
    """Reads and parses files for many experiments, each once as long as they are not too many.

    Attributes:
        read: returns the text of a file, by its absolute path; None for one that is not to be read.
        limit: how many bytes of source are held.
    """

    read: Callable[[str], str | None]
    limit: int = _MAX_HELD
    _held: dict[str, Module | None] = field(default_factory=dict)

    def get(self, path: str) -> Module | None:
        """Return a module, None if it cannot be read or parsed."""
        if path not in self._held:
            text = self.read(path)
            self._held[path] = None if text is None else parse(path, text)
        return self._held[path]

    def trim(self) -> None:
        """Let go of the files that were read first, until what is left is not too much; between experiments only."""
        held = {path: _size(module) for path, module in self._held.items()}
        left = sum(held.values())
        for path, size in held.items():
            if left <= self.limit:
                return
            left -= size
            module = self._held.pop(path)
            if module is not None:
                module.forget()


def _size(module: Module | None) -> int:
    return 0 if module is None else sum(map(len, module.lines))


@dataclass(eq=False)
class Modules:
    """The files that one experiment is cut out of.

    Attributes:
        sources: reads them.
        work: what looking at them may cost.
    """

    sources: Sources
    work: Work = field(default_factory=Work)
    _loaded: dict[str, Module | None] = field(default_factory=dict)
    _packages: dict[str, Module] = field(default_factory=dict)

    @property
    def loaded(self) -> list[Module]:
        """The modules that were read so far."""
        return [module for module in self._loaded.values() if module is not None]

    def get(self, path: str) -> Module | None:
        """Return a module, None if it cannot be read or parsed."""
        if path not in self._loaded:
            self.work.check()
            self._loaded[path] = self.sources.get(path)
        return self._loaded[path]

    def follow(self, importer: str, dotted: str) -> tuple[Module, str] | None:
        """Return the module that an import leads to, and what of it is meant, empty for the module itself."""
        found = imports.find(importer, dotted)
        module = None if found is None else self.get(found.path)
        return None if found is None or module is None else (module, found.name)

    def package(self, dotted: str) -> Module:
        """Return an empty module for a package that is only a folder."""
        return self._packages.setdefault(dotted, Module(dotted, [b""], ast.Module([], [])))

    def submodule(self, package: Module, name: str) -> Module | None:
        """Return a module of a package by its name."""
        found = imports.inside(package.path, name)
        return None if found is None or found.name else self.get(found.path)


def parse(path: str, text: str) -> Module | None:
    """Parse a source text, None if that cannot be done."""
    text = _NEWLINE.sub("\n", text.removeprefix("\ufeff"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        return Module(path, text.encode().split(b"\n"), tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
