"""The outline of a module: its definitions and the names that each of them mentions.

Made with CPython's own parser, which is an order of magnitude faster than libcst. It says which functions
can concern a loss, so that libcst parses no others, and it turns away what would crash or stall libcst:
that overruns the stack at some 3,000 nested brackets, and takes minutes for a sum of 50,000 terms.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from lint_reduction.errors import SourceError

#: A deeper expression, such as a sum of as many terms, stalls libcst, whose time is quadratic in it.
MAX_DEPTH = 1000
_TOO_DEEP = "nested too deeply to be analyzed"
#: Nodes without names in them.
_LEAVES = frozenset({
    ast.Constant, ast.Load, ast.Store, ast.Del, ast.Pass, ast.Break, ast.Continue, ast.And, ast.Or, ast.Add, ast.Sub,
    ast.Mult, ast.MatMult, ast.Div, ast.Mod, ast.Pow, ast.LShift, ast.RShift, ast.BitOr, ast.BitXor, ast.BitAnd,
    ast.FloorDiv, ast.Invert, ast.Not, ast.UAdd, ast.USub, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
    ast.Is, ast.IsNot, ast.In, ast.NotIn,
})  # fmt: skip


@dataclass(slots=True, eq=False)
class Definition:
    """A function, a class or the module itself.

    Attributes:
        node: its syntax.
        qualname: with the definitions around it, empty for the module.
        parent: the definition around it; there is no way back, since a cycle would outlive the module.
        own: the names that it mentions outside inner definitions.
    """

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module
    qualname: str
    parent: Definition | None
    own: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Return the name without what stands around it."""
        return self.qualname.rpartition(".")[2]

    @property
    def is_function(self) -> bool:
        """Return whether it is a function or a method."""
        return isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef))

    @property
    def is_class(self) -> bool:
        """Return whether it is a class."""
        return isinstance(self.node, ast.ClassDef)


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A module as CPython sees it: the tree, the definitions, outer ones before inner ones, and the imports."""

    tree: ast.Module
    definitions: tuple[Definition, ...]
    imports: tuple[ast.Import | ast.ImportFrom, ...]


def outline(text: str) -> Outline | None:
    """Return the outline of a module, None if this interpreter is perhaps too old for its syntax.

    Raises:
        SourceError: it is nested too deeply, or holds what no Python accepts.
    """
    tree = _parse(text)
    if isinstance(tree, SyntaxError):
        return None
    definitions, imports = _definitions(tree)
    return Outline(tree, tuple(definitions), tuple(imports))


def syntax_error(text: str) -> SourceError:
    """Return what this interpreter says of a text that it cannot parse."""
    error = _parse(text)
    if not isinstance(error, SyntaxError):
        return SourceError("invalid syntax")
    message = (error.msg or "invalid syntax").partition("(<unknown>")[0].strip()
    return SourceError(message, max(error.lineno or 1, 1), max(error.offset or 1, 1))


def _parse(text: str) -> ast.Module | SyntaxError:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except SyntaxError as error:
            if "too many nested" in (error.msg or "") or "too complex" in (error.msg or ""):
                raise SourceError(_TOO_DEEP, error.lineno or 1) from None
            return error
        except (RecursionError, MemoryError):
            raise SourceError(_TOO_DEEP) from None
        except ValueError as error:
            raise SourceError(str(error)) from None


def _definitions(tree: ast.Module) -> tuple[list[Definition], list[ast.Import | ast.ImportFrom]]:
    top = Definition(tree, "", None)
    found = [top]
    imports: list[ast.Import | ast.ImportFrom] = []
    stack: list[tuple[ast.AST, Definition, int]] = [(statement, top, 0) for statement in reversed(tree.body)]
    while stack:
        node, owner, depth = stack.pop()
        if isinstance(node, ast.Name):
            owner.own.add(node.id)
            continue
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = Definition(node, f"{owner.qualname}.{node.name}" if owner.qualname else node.name, owner)
            found.append(inner)
            owner = inner
        elif isinstance(node, ast.Call) and _is_type_test(node):
            stack.append((node.args[0], owner, depth + 1))
            continue
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            imports.append(node)
        else:
            _add_names(node, owner.own)
        # statements do not add up: a long chain of elif is nested as well
        depth = depth + 1 if isinstance(node, ast.expr) else 0
        if isinstance(node, ast.expr) and depth > MAX_DEPTH:
            raise SourceError(_TOO_DEEP, node.lineno, node.col_offset + 1)
        for child in children(node):
            stack.append((child, owner, depth))
    return found, imports


@dataclass(frozen=True, slots=True)
class Top:
    """The names of a module.

    Attributes:
        bound: those of what is defined or assigned at its top.
        imports: the dotted names that imported ones stand for, wherever they are imported.
        stars: the modules of which all names are imported.
    """

    bound: frozenset[str]
    imports: dict[str, str]
    stars: tuple[str, ...]


def top_of(outline: Outline) -> Top:
    """Return the names of a module."""
    imports: dict[str, str] = {}
    stars: list[str] = []
    for node in outline.imports:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                imports[alias.asname or first] = alias.name if alias.asname else first
            continue
        module = "." * node.level + (node.module or "")
        dot = "" if module.endswith(".") else "."
        for alias in node.names:
            if alias.name == "*":
                stars.append(module)
            else:
                imports[alias.asname or alias.name] = f"{module}{dot}{alias.name}"
    return Top(frozenset(_bound(outline.tree.body)), imports, tuple(stars))


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (t.id for target in targets for t in ast.walk(target) if isinstance(t, ast.Name))
        elif isinstance(statement, (ast.If, ast.Try, ast.With)):
            for part in (statement.body, getattr(statement, "orelse", []), getattr(statement, "finalbody", [])):
                yield from _bound(part)


def _is_type_test(node: ast.AST) -> bool:
    """``isinstance(module, Linear)`` mentions a class without using it."""
    assert isinstance(node, ast.Call)
    return isinstance(node.func, ast.Name) and node.func.id == "isinstance" and len(node.args) == 2


def _add_names(node: ast.AST, names: set[str]) -> None:
    if isinstance(node, ast.Attribute):
        names.add(node.attr)
    elif isinstance(node, (ast.keyword, ast.arg)):
        if node.arg:
            names.add(node.arg)
    elif isinstance(node, ast.alias):
        names.update(node.name.split("."))
        if node.asname:
            names.add(node.asname)


def children(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the direct parts of a node that can have names in them."""
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, ast.AST) and type(item) not in _LEAVES:
                    yield item
        elif isinstance(value, ast.AST) and type(value) not in _LEAVES:
            yield value


def first_line(statement: ast.stmt) -> int:
    """Return the line on which a statement begins, its decorators included."""
    decorators = getattr(statement, "decorator_list", None)
    return int(decorators[0].lineno) if decorators else statement.lineno
