"""The files that an experiment is cut out of: parsed, with their places, their names and where their imports lead."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lint_reduction.facts import Span
from lint_reduction.source import imports
from lint_reduction.verify.experiment import Place

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Loop = ast.For | ast.AsyncFor | ast.While
#: A node that has a place.
Placed = ast.stmt | ast.expr | ast.keyword | ast.arg | ast.pattern | ast.excepthandler

_NEWLINE = re.compile(r"\r\n|\r")


class NoExperimentError(Exception):
    """There is no experiment for a finding; the message says why."""


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

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            if isinstance(node, Placed):
                self._by_begin.setdefault(begin(node), []).append(node)

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
        lines = [node for node in ast.walk(self.tree) if isinstance(node, Definition) and node.lineno == at.line]
        for node in lines:
            before = self.lines[at.line - 1][node.col_offset : at.column].split()
            if before in ([b"def"], [b"async", b"def"], [b"class"]):
                return node
        return None


@dataclass(eq=False)
class Modules:
    """Reads and parses files, each once.

    Attributes:
        read: returns the text of a file, by its absolute path; None for one that is not to be read.
    """

    read: Callable[[str], str | None]
    _loaded: dict[str, Module | None] = field(default_factory=dict)
    _packages: dict[str, Module] = field(default_factory=dict)

    @property
    def loaded(self) -> list[Module]:
        """The modules that were read so far."""
        return [module for module in self._loaded.values() if module is not None]

    def get(self, path: str) -> Module | None:
        """Return a module, None if it cannot be read or parsed."""
        if path not in self._loaded:
            text = self.read(path)
            self._loaded[path] = None if text is None else parse(path, text)
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
