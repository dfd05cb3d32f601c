"""What a source may look like before anything looks at it twice: kinds of nodes, sizes, depth, dunder names.

An allow-list, and nothing is executed. The parent asks it for a good message, and the worker asks it again because it
trusts nobody. What passes is still only data for the interpreter, which has tables of its own.
"""

from __future__ import annotations

import ast

MAX_BYTES = 200_000
MAX_NODES = 40_000
MAX_DEPTH = 80
MAX_INTEGER_BITS = 256
MAX_STRING = 4_096

#: Names with two underscores that may be read.
_NAMES = frozenset({"__name__"})
#: Attributes with two underscores that may be read: methods of user classes, found in their own table.
_ATTRIBUTES = frozenset({"__init__", "__call__", "__post_init__"})

_STATEMENTS = (
    ast.Expr,
    ast.Assign,
    ast.AnnAssign,
    ast.AugAssign,
    ast.Return,
    ast.If,
    ast.For,
    ast.While,
    ast.With,
    ast.Try,
    ast.Match,
    ast.Pass,
    ast.Break,
    ast.Continue,
    ast.FunctionDef,
    ast.ClassDef,
    ast.Assert,
    ast.Raise,
    ast.Delete,
    ast.Global,
    ast.Nonlocal,
    ast.Import,
    ast.ImportFrom,
)
_EXPRESSIONS = (
    ast.BoolOp,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.Call,
    ast.Attribute,
    ast.Subscript,
    ast.Slice,
    ast.Name,
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.Set,
    ast.IfExp,
    ast.Starred,
    ast.ListComp,
    ast.SetComp,
    ast.GeneratorExp,
    ast.DictComp,
    ast.JoinedStr,
    ast.FormattedValue,
    ast.Lambda,
    ast.NamedExpr,
)
_PARTS = (
    ast.Module,
    ast.arguments,
    ast.arg,
    ast.keyword,
    ast.alias,
    ast.withitem,
    ast.comprehension,
    ast.ExceptHandler,
    ast.match_case,
    ast.pattern,
    ast.expr_context,
    ast.operator,
    ast.boolop,
    ast.unaryop,
    ast.cmpop,
)
NODES = (*_STATEMENTS, *_EXPRESSIONS, *_PARTS)


class RefusedError(Exception):
    """A source holds something that is not run."""


def read(text: str) -> ast.Module:
    """Parse a source and look at all of it.

    Raises:
        RefusedError: it does not parse, is too large or too deep, or holds a node or a name that is not allowed.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise RefusedError("the source is too long")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RefusedError(f"the source does not parse: {type(error).__name__}") from None
    check(tree)
    return tree


def check(tree: ast.AST) -> None:
    """Look at all nodes of a tree.

    Raises:
        RefusedError: as ``read``.
    """
    pending = [(tree, 0)]
    seen = 0
    while pending:
        node, depth = pending.pop()
        seen += 1
        if seen > MAX_NODES:
            raise RefusedError("the source has too many nodes")
        if depth > MAX_DEPTH:
            raise RefusedError("the source is nested too deep")
        _check_node(node)
        pending.extend((child, depth + 1) for child in ast.iter_child_nodes(node))


def _check_node(node: ast.AST) -> None:
    match node:
        case ast.Name(id=name) if _is_dunder(name) and name not in _NAMES:
            raise RefusedError(f"the name `{name}` is not allowed")
        case ast.Attribute(attr=name) if _is_dunder(name) and name not in _ATTRIBUTES:
            raise RefusedError(f"the attribute `{name}` is not allowed")
        case ast.keyword(arg=str(name)) | ast.arg(arg=name) if _is_dunder(name):
            raise RefusedError(f"the argument `{name}` is not allowed")
        case ast.Constant(value=value):
            _check_constant(value)
        case _ if not isinstance(node, NODES):
            raise RefusedError(f"`{type(node).__name__}` is not allowed")


def _check_constant(value: object) -> None:
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        raise RefusedError("an integer is too large")
    if isinstance(value, str) and len(value) > MAX_STRING:
        raise RefusedError("a string is too long")
    if isinstance(value, bytes | complex):
        raise RefusedError(f"`{type(value).__name__}` literals are not allowed")


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
