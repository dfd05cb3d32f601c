"""A generated program, and the draft in which a grammar collects its parts."""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass, field
from textwrap import indent

from tests.oracle.choices import Choices
from tests.oracle.layouts import Layout

_MARKED = re.compile(r"@<(\d)@(.*?)@>@")
_OWNER = re.compile(r"  #@(\d)$")

#: What is never an entry of ``args``.
PLAIN = ("model", "class_weights", "optimizer")


@dataclass(frozen=True, slots=True)
class Program:
    """A training program, and what has to be known to run and to measure it.

    Attributes:
        text: the source.
        alone: for each term of the objective, the source with all other terms multiplied by zero.
        owners: the term that a line belongs to, for lines that belong to one.
        driver: the statement that trains, for which ``supply`` is in scope.
        layout: what its data are like.
        fields: what a batch holds.
        settings: the values of the program's flags to run it with, one run for each.
        dials: what can be varied beside the samples: elements, classes, micro_batches, batches.
        two_heads: whether the model that is handed in returns a pair.
        updates_by_hand: whether no optimizer steps, so that the movement of the weights stands for the gradient.
        choices: what the grammar decided.
    """

    text: str
    alone: tuple[str, ...]
    owners: dict[int, int]
    driver: str
    layout: Layout
    fields: tuple[str, ...]
    settings: tuple[dict[str, bool], ...]
    dials: tuple[str, ...]
    two_heads: bool
    updates_by_hand: bool
    choices: tuple[int, ...]


@dataclass(slots=True)
class Draft:
    """The parts of a program while it is written. ``term`` owns the lines that are added."""

    choices: Choices
    layout: Layout
    frame: str
    x: str
    y: str
    out: str
    loader: str
    model: str
    fields: list[str]
    terms: int = 1
    term: int | None = None
    imports: list[str] = field(default_factory=lambda: ["import torch"])
    head: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    init: list[str] = field(default_factory=list)
    prelude: list[str] = field(default_factory=list)
    forward: list[str] = field(default_factory=list)
    loss: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    dials: set[str] = field(default_factory=set)
    two_heads: bool = False
    updates_by_hand: bool = False
    needs_index: bool = False
    penalized: bool = False
    late: list[list[str]] = field(default_factory=list)

    def pick(self, production: str, alternatives: list[str] | tuple[str, ...], weights: list[int] | None = None) -> str:
        """Choose an alternative of a production."""
        return self.choices.pick(production, alternatives, weights)

    def chance(self, production: str, percent: int) -> bool:
        """Choose yes or no."""
        return self.choices.chance(production, percent)

    def use(self, line: str) -> None:
        """Import something."""
        if line not in self.imports:
            self.imports.append(line)

    def own(self, text: str) -> list[str]:
        """Return lines that belong to the term at hand."""
        mark = "" if self.term is None else f"  #@{self.term}"
        return [f"{line}{mark}" if line.strip() else line for line in text.splitlines()]

    def add(self, text: str) -> None:
        """Add statements to the computation of the loss."""
        self.loss += self.own(text)

    def define(self, text: str) -> None:
        """Add a function, a class or a constant to the module, once."""
        lines = self.own(text)
        if not any(lines == self.head[at : at + len(lines)] for at in range(len(self.head))):
            self.head += [*lines, ""]

    def bind(self, name: str, expression: str) -> str:
        """Give a name to something before the loop begins; return how to refer to it."""
        place = "local"
        if self.frame == "class":
            place = self.pick("place of a binding", ["self", "local", "module"], [5, 1, 1])
        elif self.frame == "function":
            place = self.pick("place of a binding", ["local", "module"], [3, 1])
        if place == "module" and not self._is_closed(expression):
            # what depends on arguments cannot stand in the module
            place = "local"
        if place == "self":
            self.init += self.own(f"self.{name} = {expression}")
            return f"self.{name}"
        if place == "module":
            self.define(f"{name} = {expression}")
        else:
            self.prelude += self.own(f"{name} = {expression}")
        return name

    def _is_closed(self, expression: str) -> bool:
        names = {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}
        return names <= {"nn", "F", "torch", "partial", "math", *dir(builtins), *_defined(self.head)}

    def argument(self, name: str, supply: str = "", *, inside: bool = False) -> str:
        """Take something from outside, as an argument or in ``args``; return how to refer to it.

        Args:
            name: what it is called.
            supply: where the driver finds it.
            inside: whether it is used before the constructor of the class is left.
        """
        if name not in self.parameters and name not in PLAIN:
            bundle = self._bundle()
            if bundle:
                whole = f"self.{bundle}" if self.frame == "class" and not inside else bundle
                return f"{whole}.{name}" if bundle == "args" else f'{whole}["{name}"]'
        self.parameters[name] = supply or f"supply.{name}"
        return f"self.{name}" if self.frame == "class" and not inside else name

    def _bundle(self) -> str:
        """Return what holds further arguments, empty if they are given one by one."""
        for known in ("args", "config"):
            if known in self.parameters:
                return known
        way = self.pick("way of an argument", ["argument", "args", "config"], [6, 2, 1])
        if way == "argument":
            return ""
        self.parameters[way] = f"supply.{way}"
        return way

    def flag(self, name: str) -> str:
        """Take a flag from outside, for which the program is run with both values."""
        if name not in self.flags:
            self.flags.append(name)
        return self.argument(name, f'supply.flags["{name}"]')

    def define_late(self, name: str, parameters: list[str], lines: list[str]) -> None:
        """Add a function, or a method, of statements that were written for the loop."""
        given = ["self", *parameters] if self.frame == "class" else parameters
        self.late.append([f"def {name}({', '.join(given)}):", *shifted(lines)])

    def name(self, wanted: str) -> str:
        """Return a name for something that belongs to the term at hand."""
        return wanted if self.terms == 1 or self.term is None else f"{wanted}_{'ab'[self.term]}"


def mark(term: int, expression: str) -> str:
    """Mark an expression as the whole of a term, to be multiplied by zero where another one is alone."""
    return f"@<{term}@{expression}@>@"


def rendered(lines: list[str], alone: int | None) -> tuple[str, dict[int, int]]:
    """Return the text without marks, and the owners of its lines."""
    owners, plain = {}, []
    for number, line in enumerate(lines, 1):
        owner = _OWNER.search(line)
        if owner:
            owners[number] = int(owner[1])
        plain.append(_OWNER.sub("", line))
    text = "\n".join(plain) + "\n"

    def muted(match: re.Match[str]) -> str:
        return match[2] if alone in (None, int(match[1])) else f"(0.0 * {match[2]})"

    return _MARKED.sub(muted, text), owners


def free_names(lines: list[str], module: list[str]) -> list[str]:
    """Return the names that lines use and do not define, those of the module left out, in order."""
    tree = ast.parse(rendered(lines, None)[0])
    plain = rendered(module, None)[0].splitlines()
    known = {*dir(builtins), *_defined(plain)}
    for node in ast.parse("\n".join(plain)).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            known |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return _Free(known).of(tree)


def _defined(lines: list[str]) -> set[str]:
    """Return the names of the functions, classes and constants among the lines of a module."""
    found: set[str] = set()
    for node in ast.parse("\n".join(lines)).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


class _Free(ast.NodeVisitor):
    """Collects names that are read before anything is stored under them, in the order of execution."""

    def __init__(self, known: set[str]) -> None:
        self.known, self.found = set(known), dict[str, None]()

    def of(self, tree: ast.Module) -> list[str]:
        self.visit(tree)
        return list(self.found)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.known.add(node.id)
        elif node.id not in self.known:
            self.found.setdefault(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.known:
            self.found.setdefault(node.target.id)
        self.visit(node.value)
        self.visit(node.target)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self.visit(node.target)
        for statement in node.body:
            self.visit(statement)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> None:
        before = set(self.known)
        for part in node.generators:
            self.visit(part.iter)
            self.visit(part.target)
        self.visit(node.elt)
        self.known = before

    visit_ListComp = visit_GeneratorExp = _comprehension  # noqa: N815


def shifted(lines: list[str], levels: int = 1) -> list[str]:
    """Return lines indented."""
    return [indent(line, "    " * levels) for line in lines]
