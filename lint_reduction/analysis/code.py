"""What a module says, without its syntax: the small language that the interpreter runs.

Lowering (``expressions.py``, ``statements.py``) turns the concrete tree into these values once; they
hold no nodes. A place in the source is a *mark*: a number that ``lowering.Lowered`` turns into a
span, 0 where no place is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import TypeAlias

from lint_reduction.analysis.records import record

Scalar: TypeAlias = "None | bool | int | float | complex | str | bytes"


@record(frozen=True, slots=True)
class Const:
    """A literal; ``...`` and anything too large to matter is ``Opaque``."""

    value: Scalar


@record(frozen=True, slots=True)
class Var:
    """A name that is read."""

    name: str


@record(frozen=True, slots=True)
class Attr:
    """``base.name``."""

    base: Expr
    name: str
    mark: int = 0


@record(frozen=True, slots=True)
class Arg:
    """An argument of a call; ``stars`` is 1 for ``*value`` and 2 for ``**value``."""

    value: Expr
    keyword: str = ""
    stars: int = 0
    mark: int = 0


@record(frozen=True, slots=True)
class Call:
    """``func(args)``; ``method`` is the mark of the name alone in a bare ``value.sum()`` or ``value.mean()``."""

    func: Expr
    args: tuple[Arg, ...]
    mark: int = 0
    method: int = 0


@record(frozen=True, slots=True)
class Item:
    """``base[key]``."""

    base: Expr
    key: Expr
    mark: int = 0


@record(frozen=True, slots=True)
class Slice:
    """``lower:upper:step`` inside brackets."""

    lower: Expr | None
    upper: Expr | None
    step: Expr | None


@record(frozen=True, slots=True)
class Binary:
    """``left op right``; ``op`` is ``+``, ``@`` and so on."""

    op: str
    left: Expr
    right: Expr
    mark: int = 0


@record(frozen=True, slots=True)
class Unary:
    """``op operand``; ``op`` is ``-``, ``+``, ``~`` or ``not``."""

    op: str
    operand: Expr


@record(frozen=True, slots=True)
class Compare:
    """``left op right``, for a chain the first and the last operand."""

    op: str
    left: Expr
    right: Expr


@record(frozen=True, slots=True)
class Logic:
    """``left and right``, ``left or right``."""

    op: str
    left: Expr
    right: Expr


@record(frozen=True, slots=True)
class Choice:
    """``body if test else orelse``."""

    test: Expr
    body: Expr
    orelse: Expr


@record(frozen=True, slots=True)
class Items:
    """A tuple, list or set display."""

    kind: str
    items: tuple[Expr, ...]


@record(frozen=True, slots=True)
class Pairs:
    """A dictionary display; a key of None stands for ``**value``."""

    pairs: tuple[tuple[Expr | None, Expr], ...]


@record(frozen=True, slots=True)
class Star:
    """``*value`` in a display or a target."""

    value: Expr


@record(frozen=True, slots=True)
class Clause:
    """``for target in iterable if conditions`` of a comprehension."""

    target: Expr
    iterable: Expr
    conditions: tuple[Expr, ...]


@record(frozen=True, slots=True)
class Comp:
    """A comprehension; ``key`` only for a dictionary."""

    kind: str
    element: Expr
    key: Expr | None
    clauses: tuple[Clause, ...]


@record(frozen=True, slots=True)
class Lambda:
    """``lambda params: body``."""

    function: FunctionCode


@record(frozen=True, slots=True)
class Named:
    """``name := value``."""

    name: str
    value: Expr


@record(frozen=True, slots=True)
class Formatted:
    """The values in an f-string, each with whether it has a number format such as ``.3f``."""

    parts: tuple[tuple[Expr, bool], ...]
    mark: int = 0


@record(frozen=True, slots=True)
class Opaque:
    """An expression of no known value whose parts are still run."""

    parts: tuple[Expr, ...] = ()


Expr: TypeAlias = (
    "Const | Var | Attr | Call | Item | Slice | Binary | Unary | Compare | Logic | Choice | Items | Pairs"
    " | Star | Comp | Lambda | Named | Formatted | Opaque"
)


@record(frozen=True, slots=True)
class Assign:
    """``targets = value``."""

    targets: tuple[Expr, ...]
    value: Expr
    annotation: Expr | None = None


@record(frozen=True, slots=True)
class Update:
    """``target op= value``."""

    target: Expr
    op: str
    value: Expr
    mark: int = 0


@record(frozen=True, slots=True)
class Do:
    """An expression statement."""

    value: Expr


@record(frozen=True, slots=True)
class Return:
    """``return value``."""

    value: Expr | None
    mark: int = 0


@record(frozen=True, slots=True)
class Leave:
    """``raise``, ``break`` or ``continue``."""

    kind: str


@record(frozen=True, slots=True)
class If:
    """``if test: body else: orelse``."""

    test: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]


@record(frozen=True, slots=True)
class For:
    """``for target in iterable: body``."""

    target: Expr
    iterable: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]
    mark: int = 0


@record(frozen=True, slots=True)
class While:
    """``while test: body``."""

    test: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]
    mark: int = 0


@record(frozen=True, slots=True)
class With:
    """``with value as target, ...: body``."""

    items: tuple[tuple[Expr, Expr | None], ...]
    body: tuple[Stmt, ...]


@record(frozen=True, slots=True)
class Try:
    """``try: body except: handlers else: orelse finally: final``."""

    body: tuple[Stmt, ...]
    handlers: tuple[tuple[Stmt, ...], ...]
    orelse: tuple[Stmt, ...]
    final: tuple[Stmt, ...]


@record(frozen=True, slots=True)
class Match:
    """``match subject: case ...``: the bodies, with the literal that a case compares with, if it is one."""

    subject: Expr
    cases: tuple[tuple[Expr | None, tuple[Stmt, ...]], ...]


@record(frozen=True, slots=True)
class Define:
    """``def``."""

    function: FunctionCode


@record(frozen=True, slots=True)
class DefineClass:
    """``class``."""

    body: ClassCode


@record(frozen=True, slots=True)
class Import:
    """Names bound to dotted names; a bound name of ``*`` stands for a star import of the module."""

    bindings: tuple[tuple[str, str], ...]


Stmt: TypeAlias = (
    "Assign | Update | Do | Return | Leave | If | For | While | With | Try | Match | Define | DefineClass | Import"
)


@record(frozen=True, slots=True)
class Param:
    """A parameter; ``kind`` is empty, ``*``, ``**`` or ``keyword``."""

    name: str
    kind: str = ""
    default: Expr | None = None
    annotation: Expr | None = None


@record(frozen=True, slots=True, eq=False)
class FunctionCode:
    """A function, a method or a lambda.

    Attributes:
        name: its own name.
        qualname: with the classes and functions around it.
        params: in order.
        body: None when nothing in it concerns a loss, so that it was not lowered.
        decorators: outermost first.
        identifiers: every name and attribute that occurs in it.
        is_generator: whether it yields.
        mark: of the definition.
    """

    name: str
    qualname: str
    params: tuple[Param, ...]
    body: tuple[Stmt, ...] | None
    decorators: tuple[Expr, ...] = ()
    identifiers: frozenset[str] = frozenset()
    is_generator: bool = False
    mark: int = 0


@record(frozen=True, slots=True, eq=False)
class ClassCode:
    """A class: its bases, its methods by ``method_key``, and the other statements of its body."""

    name: str
    qualname: str
    bases: tuple[Expr, ...]
    methods: dict[str, FunctionCode]
    body: tuple[Stmt, ...]
    decorators: tuple[Expr, ...] = ()


def method_key(code: FunctionCode) -> str:
    """Return what a method is found by in its class: its name, for what sets or deletes a property not that alone."""
    ways = [d.name for d in code.decorators if isinstance(d, Attr) and d.name in ("setter", "deleter")]
    return f"{code.name} {ways[0]}" if ways else code.name


@record(frozen=True, slots=True, eq=False)
class ModuleCode:
    """A module, lowered.

    Attributes:
        path: as given by the caller.
        body: top-level statements.
        functions: every function that was lowered, outer ones first.
        batch_sizes: names and numbers given somewhere as ``batch_size=``.
        windows: names and numbers of rounds after which an optimizer steps.
        full_batches: whether a loader leaves out a last batch that is shorter.
        window_names: the last components of those names.
        window_tests: conditions that hold in every so many rounds, by the name they were given.
        names: every name and attribute that was lowered.
        summed_windows: the window names that are compared with a sum, of samples: not with a number of rounds.
    """

    path: str
    body: tuple[Stmt, ...]
    functions: tuple[FunctionCode, ...]
    batch_sizes: frozenset[str | int]
    windows: frozenset[str | int]
    full_batches: bool = False
    window_names: frozenset[str] = frozenset()
    window_tests: dict[str, Expr] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    summed_windows: frozenset[str] = frozenset()


def dotted(expr: Expr) -> str:
    """Return ``a.b.c`` for a chain of attributes of a name, empty for anything else."""
    names: list[str] = []
    while isinstance(expr, Attr):
        names.append(expr.name)
        expr = expr.base
    if not isinstance(expr, Var):
        return ""
    return ".".join([expr.name, *reversed(names)])


def last_name(expr: Expr | None) -> str:
    """Return the last name of a chain of attributes of a name, empty for anything else."""
    return "" if expr is None else dotted(expr).rpartition(".")[2]


def text(expr: Expr | None, depth: int = 6) -> str:
    """Return short source text of an expression, for messages and as a key of equal tests."""
    if expr is None:
        return ""
    if depth == 0:
        return "..."
    match expr:
        case Const(value):
            return repr(value)
        case Var(name):
            return name
        case Attr(base, name):
            return f"{_operand(base, depth, _ATOM)}.{name}"
        case Call(func, args):
            return f"{_operand(func, depth, _ATOM)}({', '.join(_arg_text(arg, depth - 1) for arg in args)})"
        case Item(base, key):
            return f"{_operand(base, depth, _ATOM)}[{text(key, depth - 1)}]"
        case Binary(op, left, right) | Compare(op, left, right) | Logic(op, left, right):
            # what stands on the right of a - or a / is no part of what stands on the left
            binds = _binding(expr)
            return f"{_operand(left, depth - 1, binds)} {op} {_operand(right, depth - 1, binds + 1)}"
        case Unary(op, operand):
            return f"{op} " * (op == "not") + op * (op != "not") + _operand(operand, depth - 1, _binding(expr))
    return _part_text(expr, depth)


#: How tight operators bind, from loose to tight; what is no operator binds tightest.
_BINDING = {"or": 1, "and": 2, "not": 3, "|": 5, "^": 6, "&": 7, "<<": 8, ">>": 8, "+": 9, "-": 9, "**": 12}
_COMPARISON, _PRODUCT, _SIGN, _ATOM = 4, 10, 11, 13


def _binding(expr: Expr) -> int:
    match expr:
        case Logic(op) | Binary(op):
            return _BINDING.get(op, _PRODUCT)
        case Compare():
            return _COMPARISON
        case Unary(op):
            return _BINDING["not"] if op == "not" else _SIGN
    return _ATOM


def _operand(expr: Expr, depth: int, binds: int) -> str:
    """Return the text of a part of an expression, in parentheses where it binds less tightly than what is around."""
    shown = text(expr, depth)
    return f"({shown})" if _binding(expr) < binds and shown != "..." else shown


def _part_text(expr: Expr, depth: int) -> str:
    match expr:
        case Items(kind, items):
            inside = ", ".join(text(item, depth - 1) for item in items)
            return f"[{inside}]" if kind == "list" else f"({inside})"
        case Star(value):
            return f"*{text(value, depth - 1)}"
        case Slice(lower, upper, _):
            return f"{text(lower, depth - 1)}:{text(upper, depth - 1)}"
    return "..."


def _arg_text(arg: Arg, depth: int) -> str:
    before = "*" * arg.stars + (f"{arg.keyword}=" if arg.keyword else "")
    return before + text(arg.value, depth)


def assigned_attributes(body: tuple[Stmt, ...]) -> Iterator[tuple[str, Expr]]:
    """Yield name and value of every ``self.name = value`` in a body, wherever it stands."""
    for statement in body:
        match statement:
            case Assign(targets, value):
                for target in targets:
                    if isinstance(target, Attr) and target.base == Var("self"):
                        yield target.name, value
            case If(_, then, orelse) | For(_, _, then, orelse) | While(_, then, orelse):
                yield from assigned_attributes(then)
                yield from assigned_attributes(orelse)
            case With(_, then):
                yield from assigned_attributes(then)
            case Try(then, handlers, orelse, final):
                for part in (then, *handlers, orelse, final):
                    yield from assigned_attributes(part)
            case Match(_, cases):
                for _, then in cases:
                    yield from assigned_attributes(then)


def window_remainder(test: Expr) -> Expr | None:
    """Return ``steps`` in ``i % steps != 0`` and its variants, None for other conditions."""
    match test:
        case Compare("!=", Binary("%", _, size), _) | Binary("%", _, size):
            return size
        case Unary("not", operand):
            return window_size(operand)
        case Logic("and", left, right):
            found = window_remainder(left)
            return window_remainder(right) if found is None else found
    return None


def window_counter(test: Expr, body: tuple[Stmt, ...]) -> Expr | None:
    """Return ``steps`` in ``if seen == steps`` that sets ``seen`` back, None for other conditions."""
    match test:
        case Compare("==" | ">=", Var() | Attr() as seen, size):
            reset = any(isinstance(s, Assign) and seen in s.targets and s.value == Const(0) for s in body)
            return size if reset else None
    return None


def window_size(test: Expr) -> Expr | None:
    """Return ``steps`` in ``i % steps == 0`` and its variants, None for other conditions."""
    match test:
        case Compare("==", Binary("%", _, size), Const(0)):
            return size
        case Compare("==", Binary("%", _, size), Binary("-", last, Const(1))) if last == size:
            return size
        case Unary("not", Binary("%", _, size)):
            return size
        case Logic(_, left, right):
            found = window_size(left)
            return window_size(right) if found is None else found
    return None
