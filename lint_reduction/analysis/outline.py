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
#: A display with more entries than this is data: it is neither parsed nor lowered.
MAX_DISPLAY = 256
_TOO_DEEP = "nested too deeply to be analyzed"
#: Nodes without names in them.
_LEAVES = frozenset({
    ast.Constant, ast.Load, ast.Store, ast.Del, ast.Pass, ast.Break, ast.Continue, ast.And, ast.Or, ast.Add, ast.Sub,
    ast.Mult, ast.MatMult, ast.Div, ast.Mod, ast.Pow, ast.LShift, ast.RShift, ast.BitOr, ast.BitXor, ast.BitAnd,
    ast.FloorDiv, ast.Invert, ast.Not, ast.UAdd, ast.USub, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
    ast.Is, ast.IsNot, ast.In, ast.NotIn,
})  # fmt: skip
#: Nodes that say something by themselves.
_NOTED = frozenset({
    ast.Name, ast.keyword, ast.arg, ast.alias, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import,
    ast.ImportFrom, ast.List, ast.Set, ast.Dict, ast.JoinedStr,
})  # fmt: skip
_NOT_WALKED = frozenset({*_LEAVES, str, int, bool, type(None)})
#: Fields that never hold a node with names in it.
_PLAIN_FIELDS = frozenset({
    "arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "kwd_attrs", "level", "lineno", "module",
    "op", "ops", "rest", "simple", "tag", "type_comment",
})  # fmt: skip
#: By class, the fields that may hold nodes with names in them.
_FIELDS = {
    kind: tuple(name for name in kind._fields if name not in _PLAIN_FIELDS)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}


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


@dataclass(slots=True, eq=False)
class Outline:
    """A module as CPython sees it.

    Attributes:
        tree: its syntax.
        definitions: outer ones before inner ones, the module first.
        imports: wherever they stand.
        strings: first and last line of each string that goes over several.
        displays: lists, sets and dictionaries that are data.
    """

    tree: ast.Module
    definitions: list[Definition] = field(default_factory=list)
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    strings: list[tuple[int, int]] = field(default_factory=list)
    displays: list[ast.List | ast.Set | ast.Dict] = field(default_factory=list)


def outline(text: str) -> Outline | None:
    """Return the outline of a module, None if this interpreter is perhaps too old for its syntax.

    Raises:
        SourceError: it is nested too deeply, or holds what no Python accepts.
    """
    tree = _parse(text)
    if isinstance(tree, SyntaxError):
        return None
    made = Outline(tree)
    _walk(made)
    return made


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


def _walk(outline: Outline) -> None:
    """Fill an outline; names and constants, which are most of a tree, are handled where they are met."""
    top = Definition(outline.tree, "", None)
    outline.definitions.append(top)
    stack: list[tuple[ast.AST, Definition, int]] = [(statement, top, 0) for statement in reversed(outline.tree.body)]
    while stack:
        node, owner, depth = stack.pop()
        # statements do not add up: a long chain of elif is nested as well
        depth = depth + 1 if isinstance(node, ast.expr) else 0
        if depth > MAX_DEPTH:
            assert isinstance(node, ast.expr)
            raise SourceError(_TOO_DEEP, node.lineno, node.col_offset + 1)
        kind = node.__class__
        if isinstance(node, ast.Attribute):
            owner.own.add(node.attr)
        elif kind in _NOTED:
            owner = _note(outline, node, owner)
        elif kind is ast.Call and _is_type_test(node):
            assert isinstance(node, ast.Call)
            stack.append((node.args[0], owner, depth))
            continue
        names = owner.own
        for name in _FIELDS[kind]:
            value = getattr(node, name)
            if value is None:
                continue
            for child in value if value.__class__ is list else (value,):
                child_kind = child.__class__
                if child_kind is ast.Name:
                    names.add(child.id)
                elif child_kind not in _NOT_WALKED:
                    stack.append((child, owner, depth))
                elif child_kind is ast.Constant and child.end_lineno != child.lineno:
                    outline.strings.append((child.lineno, child.end_lineno))


def _note(outline: Outline, node: ast.AST, owner: Definition) -> Definition:
    """Note what a node says by itself; return the definition that its parts belong to."""
    match node:
        case ast.Name(name) | ast.keyword(str() as name) | ast.arg(name):
            owner.own.add(name)
        case ast.alias(name, renamed):
            owner.own.update(name.split("."))
            if renamed:
                owner.own.add(renamed)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            owner = Definition(node, f"{owner.qualname}.{node.name}" if owner.qualname else node.name, owner)
            outline.definitions.append(owner)
        case ast.Import() | ast.ImportFrom():
            outline.imports.append(node)
        case ast.List(elts=entries) | ast.Set(elts=entries) | ast.Dict(values=entries) if len(entries) > MAX_DISPLAY:
            outline.displays.append(node)
        case ast.JoinedStr(lineno=first, end_lineno=int() as last) if last != first:
            outline.strings.append((first, last))
    return owner


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
