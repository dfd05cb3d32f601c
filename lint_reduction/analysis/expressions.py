"""Lower expressions: libcst nodes become the small language of ``code.py``."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TypeAlias, cast

import libcst as cst

from lint_reduction.analysis.code import (
    Arg,
    Attr,
    Binary,
    Call,
    Choice,
    Clause,
    Comp,
    Compare,
    Const,
    Expr,
    Formatted,
    FunctionCode,
    Item,
    Items,
    Lambda,
    Logic,
    Named,
    Opaque,
    Pairs,
    Param,
    Return,
    Slice,
    Star,
    Unary,
    Var,
    dotted,
)
from lint_reduction.analysis.outline import MAX_DISPLAY

_BINARY = {
    cst.Add: "+", cst.Subtract: "-", cst.Multiply: "*", cst.Divide: "/", cst.FloorDivide: "//",
    cst.Modulo: "%", cst.Power: "**", cst.MatrixMultiply: "@", cst.BitAnd: "&", cst.BitOr: "|",
    cst.BitXor: "^", cst.LeftShift: "<<", cst.RightShift: ">>",
}  # fmt: skip
_UNARY = {cst.Minus: "-", cst.Plus: "+", cst.BitInvert: "~", cst.Not: "not"}
_COMPARE = {
    cst.Equal: "==", cst.NotEqual: "!=", cst.LessThan: "<", cst.LessThanEqual: "<=",
    cst.GreaterThan: ">", cst.GreaterThanEqual: ">=", cst.In: "in", cst.NotIn: "not in",
    cst.Is: "is", cst.IsNot: "is not",
}  # fmt: skip


class Lowering:
    """Lowers the parts of one module and keeps the nodes whose place is wanted.

    Attributes:
        loss_words: last components of the names under which losses may be called; the arguments of
            such calls keep their place.
        first_mark: what the marks of the module begin at.
        marked: the nodes whose place is wanted; a mark leads to an index here, 0 stands for none.
        batch_sizes: names and numbers given as ``batch_size=``.
        window_words: keywords under which a number of micro-batches is handed on.
        windows: names and numbers of rounds after which an optimizer steps.
        full_batches: whether something is given ``drop_last=True``.
        window_tests: conditions that hold in every so many rounds, by the name they are given.
        scope: names of the definitions around the place at hand.
        names: every name and attribute lowered so far in the function at hand.
        yields: whether the function at hand yields.
    """

    def __init__(self, loss_words: frozenset[str], window_words: frozenset[str], first_mark: int = 0) -> None:
        self.loss_words = loss_words
        self.window_words = window_words
        self.first_mark = first_mark
        self.marked: list[cst.CSTNode | None] = [None]
        self.batch_sizes: set[str | int] = set()
        self.windows: set[str | int] = set()
        self.full_batches = False
        self.window_tests: dict[str, Expr] = {}
        self.scope: list[str] = []
        self.names: set[str] = set()
        self.yields = False

    def note_batch_size(self, value: Expr) -> None:
        """Remember what a data loader, or a call like one, is given as its batch size."""
        self.batch_sizes.update(_number_or_name(value))

    def note_window(self, value: Expr) -> None:
        """Remember in how many rounds an optimizer steps."""
        self.windows.update(_number_or_name(value))

    def mark(self, node: cst.CSTNode) -> int:
        """Ask for the place of a node."""
        self.marked.append(node)
        return self.first_mark + len(self.marked) - 1

    def expression(self, node: cst.BaseExpression) -> Expr:
        """Lower one expression."""
        handler = _HANDLERS.get(type(node))
        if handler is None:
            return Opaque()
        return handler(self, node)

    def optional(self, node: cst.BaseExpression | None) -> Expr | None:
        """Lower an expression that may be absent."""
        return None if node is None else self.expression(node)

    def params(self, params: cst.Parameters) -> tuple[Param, ...]:
        """Lower the parameters of a function."""
        lowered = [self._param(p, "") for p in (*params.posonly_params, *params.params)]
        if isinstance(params.star_arg, cst.Param):
            lowered.append(self._param(params.star_arg, "*"))
        lowered.extend(self._param(p, "keyword") for p in params.kwonly_params)
        if params.star_kwarg is not None:
            lowered.append(self._param(params.star_kwarg, "**"))
        return tuple(lowered)

    def _param(self, param: cst.Param, kind: str) -> Param:
        annotation = param.annotation
        return Param(
            param.name.value,
            kind,
            self.optional(param.default),
            None if annotation is None else self.expression(annotation.annotation),
        )

    def clauses(self, comp: cst.CompFor | None) -> tuple[Clause, ...]:
        """Lower the ``for`` and ``if`` parts of a comprehension."""
        lowered = []
        while comp is not None:
            conditions = tuple(self.expression(condition.test) for condition in comp.ifs)
            lowered.append(Clause(self.expression(comp.target), self.expression(comp.iter), conditions))
            comp = comp.inner_for_in
        return tuple(lowered)


def _number_or_name(value: Expr) -> Iterator[str | int]:
    if isinstance(value, Const) and type(value.value) is int and value.value > 1:
        yield value.value
    elif name := dotted(value):
        yield name


def _name(lower: Lowering, node: cst.Name) -> Expr:
    match node.value:
        case "None":
            return Const(None)
        case "True":
            return Const(True)
        case "False":
            return Const(False)
    lower.names.add(node.value)
    return Var(node.value)


def _attribute(lower: Lowering, node: cst.Attribute) -> Expr:
    lower.names.add(node.attr.value)
    return Attr(lower.expression(node.value), node.attr.value)


def _integer(_: Lowering, node: cst.Integer) -> Expr:
    try:
        return Const(int(node.value.replace("_", ""), 0))
    except ValueError:
        # "007" is an error to Python 3 and not worth one here; a number of over 4300 digits neither
        return Opaque()


def _float(_: Lowering, node: cst.Float) -> Expr:
    return Const(float(node.value))


def _string(_: Lowering, node: cst.SimpleString) -> Expr:
    text = node.value
    if text[0] in "'\"" and "\\" not in text and not text.startswith(('"""', "'''")):
        return Const(text[1:-1])
    if len(text) > 1000:
        return Opaque()
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return Opaque()
    return Const(value) if isinstance(value, (str, bytes)) else Opaque()


def _concatenated(lower: Lowering, node: cst.ConcatenatedString) -> Expr:
    parts: list[Expr] = []
    rest: cst.BaseExpression = node
    while isinstance(rest, cst.ConcatenatedString):
        parts.append(lower.expression(rest.left))
        rest = rest.right
    parts.append(lower.expression(rest))
    texts = [part.value for part in parts if isinstance(part, Const) and isinstance(part.value, str)]
    if len(texts) == len(parts):
        return Const("".join(texts))
    return Opaque(tuple(parts))


def _formatted(lower: Lowering, node: cst.FormattedString) -> Expr:
    parts = []
    for part in node.parts:
        if isinstance(part, cst.FormattedStringExpression):
            spec = part.format_spec or ()
            has_format = any(isinstance(s, cst.FormattedStringText) and s.value.strip() for s in spec)
            parts.append((lower.expression(part.expression), has_format))
    return Formatted(tuple(parts), lower.mark(node) if parts else 0)


#: Methods whose name may be all that a fix changes.
_REDUCING = frozenset({"sum", "mean"})


def _call(lower: Lowering, node: cst.Call) -> Expr:
    func = lower.expression(node.func)
    name = func.name if isinstance(func, (Var, Attr)) else ""
    keep = name in lower.loss_words
    args = []
    for arg in node.args:
        keyword = "" if arg.keyword is None else arg.keyword.value
        value = lower.expression(arg.value)
        if keyword == "batch_size":
            lower.note_batch_size(value)
        elif keyword == "drop_last" and value == Const(True):
            lower.full_batches = True
        elif keyword in lower.window_words:
            lower.note_window(value)
        args.append(Arg(value, keyword, len(arg.star), lower.mark(arg) if keep or keyword == "lr" else 0))
    is_bare = not node.args and name in _REDUCING and isinstance(node.func, cst.Attribute)
    method = lower.mark(node.func.attr) if is_bare and isinstance(node.func, cst.Attribute) else 0
    return Call(func, tuple(args), lower.mark(node), method)


def _subscript(lower: Lowering, node: cst.Subscript) -> Expr:
    base = lower.expression(node.value)
    keys = [_index(lower, element.slice) for element in node.slice]
    bare = len(keys) == 1 and not isinstance(node.slice[0].comma, cst.Comma)
    return Item(base, keys[0] if bare else Items("tuple", tuple(keys)))


def _index(lower: Lowering, node: cst.BaseSlice) -> Expr:
    if isinstance(node, cst.Index):
        return lower.expression(node.value)
    if isinstance(node, cst.Slice):
        return Slice(lower.optional(node.lower), lower.optional(node.upper), lower.optional(node.step))
    return Opaque()


def _binary(lower: Lowering, node: cst.BinaryOperation) -> Expr:
    # a long sum leans to the left: walk down instead of recursing once a term
    spine = [node]
    while isinstance(spine[-1].left, cst.BinaryOperation):
        spine.append(spine[-1].left)
    value = lower.expression(spine[-1].left)
    for operation in reversed(spine):
        op = _BINARY.get(type(operation.operator), "?")
        right = lower.expression(operation.right)
        value = Binary(op, value, right, lower.mark(operation) if op in "*/+**" else 0)
    return value


def _boolean(lower: Lowering, node: cst.BooleanOperation) -> Expr:
    spine = [node]
    while isinstance(spine[-1].left, cst.BooleanOperation):
        spine.append(spine[-1].left)
    value = lower.expression(spine[-1].left)
    for operation in reversed(spine):
        op = "and" if isinstance(operation.operator, cst.And) else "or"
        value = Logic(op, value, lower.expression(operation.right))
    return value


def _unary(lower: Lowering, node: cst.UnaryOperation) -> Expr:
    op = _UNARY.get(type(node.operator), "?")
    operand = lower.expression(node.expression)
    if op == "-" and isinstance(operand, Const) and isinstance(operand.value, (int, float)):
        return Const(-operand.value)
    return Unary(op, operand)


def _comparison(lower: Lowering, node: cst.Comparison) -> Expr:
    left = lower.expression(node.left)
    comparisons = node.comparisons
    right = lower.expression(comparisons[-1].comparator)
    if len(comparisons) > 1:
        middle = tuple(lower.expression(c.comparator) for c in comparisons[:-1])
        return Opaque((left, *middle, right))
    return Compare(_COMPARE.get(type(comparisons[0].operator), "?"), left, right)


def _choice(lower: Lowering, node: cst.IfExp) -> Expr:
    return Choice(lower.expression(node.test), lower.expression(node.body), lower.expression(node.orelse))


def _display(kind: str) -> Callable[[Lowering, cst.Tuple | cst.List | cst.Set], Expr]:
    def lower_display(lower: Lowering, node: cst.Tuple | cst.List | cst.Set) -> Expr:
        if len(node.elements) > MAX_DISPLAY:
            return Opaque()
        return Items(kind, tuple(_element(lower, element) for element in node.elements))

    return lower_display


def _element(lower: Lowering, element: cst.BaseElement) -> Expr:
    value = lower.expression(element.value)
    return Star(value) if isinstance(element, cst.StarredElement) else value


def _starred(lower: Lowering, node: cst.StarredElement) -> Expr:
    return Star(lower.expression(node.value))


def _dict(lower: Lowering, node: cst.Dict) -> Expr:
    if len(node.elements) > MAX_DISPLAY:
        return Opaque()
    pairs: list[tuple[Expr | None, Expr]] = []
    for element in node.elements:
        key = lower.expression(element.key) if isinstance(element, cst.DictElement) else None
        pairs.append((key, lower.expression(element.value)))
        if isinstance(key, Const) and key.value == "batch_size":
            lower.note_batch_size(pairs[-1][1])
    return Pairs(tuple(pairs))


def _comprehension(kind: str) -> Callable[[Lowering, cst.BaseSimpleComp], Expr]:
    def lower_comprehension(lower: Lowering, node: cst.BaseSimpleComp) -> Expr:
        return Comp(kind, lower.expression(node.elt), None, lower.clauses(node.for_in))

    return lower_comprehension


def _dict_comprehension(lower: Lowering, node: cst.DictComp) -> Expr:
    return Comp("dict", lower.expression(node.value), lower.expression(node.key), lower.clauses(node.for_in))


def _lambda(lower: Lowering, node: cst.Lambda) -> Expr:
    params = lower.params(node.params)
    body = (Return(lower.expression(node.body)),)
    qualname = ".".join([*lower.scope, "<lambda>"])
    return Lambda(FunctionCode("<lambda>", qualname, params, body))


def _await(lower: Lowering, node: cst.Await) -> Expr:
    return lower.expression(node.expression)


def _yield(lower: Lowering, node: cst.Yield) -> Expr:
    lower.yields = True
    value = node.value
    if isinstance(value, cst.From):
        return Opaque((lower.expression(value.item),))
    return Opaque(() if value is None else (lower.expression(value),))


def _named(lower: Lowering, node: cst.NamedExpr) -> Expr:
    value = lower.expression(node.value)
    return Named(node.target.value, value) if isinstance(node.target, cst.Name) else value


def _nothing(_: Lowering, __: cst.BaseExpression) -> Expr:
    return Opaque()


_Handler: TypeAlias = Callable[[Lowering, cst.BaseExpression], Expr]

#: One function per expression class; ``tests/test_tree.py`` holds the table against libcst.
_HANDLERS: dict[type, _Handler] = {
    node_class: cast("_Handler", handler)
    for node_class, handler in {
        cst.Name: _name,
        cst.Attribute: _attribute,
        cst.Integer: _integer,
        cst.Float: _float,
        cst.Imaginary: _nothing,
        cst.Ellipsis: _nothing,
        cst.SimpleString: _string,
        cst.ConcatenatedString: _concatenated,
        cst.FormattedString: _formatted,
        cst.TemplatedString: _nothing,
        cst.Call: _call,
        cst.Subscript: _subscript,
        cst.BinaryOperation: _binary,
        cst.BooleanOperation: _boolean,
        cst.UnaryOperation: _unary,
        cst.Comparison: _comparison,
        cst.IfExp: _choice,
        cst.Tuple: _display("tuple"),
        cst.List: _display("list"),
        cst.Set: _display("set"),
        cst.StarredElement: _starred,
        cst.Dict: _dict,
        cst.ListComp: _comprehension("list"),
        cst.SetComp: _comprehension("set"),
        cst.GeneratorExp: _comprehension("generator"),
        cst.DictComp: _dict_comprehension,
        cst.Lambda: _lambda,
        cst.Await: _await,
        cst.Yield: _yield,
        cst.NamedExpr: _named,
    }.items()
}
