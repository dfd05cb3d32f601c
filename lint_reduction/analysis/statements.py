"""Lower statements and definitions, and decide which functions are worth it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

import libcst as cst

from lint_reduction.analysis.code import (
    Assign,
    Call,
    ClassCode,
    Compare,
    Const,
    Define,
    DefineClass,
    Do,
    Expr,
    For,
    FunctionCode,
    If,
    Import,
    Leave,
    Match,
    Return,
    Stmt,
    Try,
    Update,
    Var,
    While,
    With,
    method_key,
    window_counter,
    window_remainder,
    window_size,
)
from lint_reduction.analysis.expressions import Lowering

_UPDATE = {
    cst.AddAssign: "+", cst.SubtractAssign: "-", cst.MultiplyAssign: "*", cst.DivideAssign: "/",
    cst.FloorDivideAssign: "//", cst.ModuloAssign: "%", cst.PowerAssign: "**",
    cst.MatrixMultiplyAssign: "@", cst.BitAndAssign: "&", cst.BitOrAssign: "|", cst.BitXorAssign: "^",
    cst.LeftShiftAssign: "<<", cst.RightShiftAssign: ">>",
}  # fmt: skip


class StatementLowering(Lowering):
    """Lowers statements; functions outside ``wanted`` keep only their signature, None stands for all."""

    def __init__(
        self,
        loss_words: frozenset[str],
        window_words: frozenset[str],
        wanted: frozenset[str] | None,
        first_mark: int = 0,
    ) -> None:
        super().__init__(loss_words, window_words, first_mark)
        self.wanted = wanted
        self.functions: list[FunctionCode] = []
        #: What is counted up by more than one, and the sizes that counters are compared with.
        self.summed: set[Expr] = set()
        self.counted: list[tuple[Expr, Expr]] = []

    def block(self, statements: Sequence[cst.CSTNode]) -> tuple[Stmt, ...]:
        """Lower a sequence of statements."""
        lowered: list[Stmt] = []
        for statement in statements:
            if isinstance(statement, cst.SimpleStatementLine):
                for small in statement.body:
                    lowered.extend(self.statement(small))
            else:
                lowered.extend(self.statement(statement))
        return tuple(lowered)

    def suite(self, suite: cst.BaseSuite) -> tuple[Stmt, ...]:
        """Lower what stands behind a colon."""
        if isinstance(suite, cst.SimpleStatementSuite):
            return tuple(stmt for small in suite.body for stmt in self.statement(small))
        assert isinstance(suite, cst.IndentedBlock)
        return self.block(suite.body)

    def statement(self, node: cst.CSTNode) -> tuple[Stmt, ...]:
        """Lower one statement; those that cannot matter vanish."""
        handler = _HANDLERS.get(type(node))
        return () if handler is None else handler(self, node)

    def otherwise(self, node: cst.If | cst.Else | None) -> tuple[Stmt, ...]:
        """Lower an ``elif`` or ``else`` part."""
        if node is None:
            return ()
        return self.suite(node.body) if isinstance(node, cst.Else) else self.statement(node)

    def function(self, node: cst.FunctionDef) -> FunctionCode:
        """Lower a function, without its body if it is not wanted."""
        qualname = ".".join([*self.scope, node.name.value])
        wanted = self.wanted is None or qualname in self.wanted
        params = self.params(node.params)
        decorators = tuple(self.expression(d.decorator) for d in node.decorators)
        outer_names, outer_yields = self.names, self.yields
        self.names, self.yields = set(), False
        self.scope.append(node.name.value)
        body = self.suite(node.body) if wanted else None
        self.scope.pop()
        names, yields = self.names, self.yields
        self.names, self.yields = outer_names | names | {node.name.value}, outer_yields
        function = FunctionCode(
            node.name.value,
            qualname,
            params,
            body,
            decorators,
            frozenset(names),
            yields,
            self.mark(node.name) if wanted else 0,
        )
        if wanted:
            self.functions.append(function)
        return function

    def class_(self, node: cst.ClassDef) -> ClassCode:
        """Lower a class."""
        qualname = ".".join([*self.scope, node.name.value])
        bases = tuple(self.expression(arg.value) for arg in node.bases)
        decorators = tuple(self.expression(d.decorator) for d in node.decorators)
        self.scope.append(node.name.value)
        body = self.suite(node.body)
        self.scope.pop()
        methods = {method_key(s.function): s.function for s in body if isinstance(s, Define)}
        others = tuple(s for s in body if not isinstance(s, Define))
        return ClassCode(node.name.value, qualname, bases, methods, others, decorators)


def _assign(lower: StatementLowering, node: cst.Assign) -> tuple[Stmt, ...]:
    value = lower.expression(node.value)
    targets = tuple(lower.expression(t.target) for t in node.targets)
    if isinstance(targets[0], Var) and not isinstance(value, Call):
        size = window_size(value) or window_remainder(value)
        if size is not None:
            lower.window_tests[targets[0].name] = value
            lower.note_window(size)
    return (Assign(targets, value),)


def _annotated(lower: StatementLowering, node: cst.AnnAssign) -> tuple[Stmt, ...]:
    annotation = lower.expression(node.annotation.annotation)
    value = lower.optional(node.value)
    return () if value is None else (Assign((lower.expression(node.target),), value, annotation),)


def _update(lower: StatementLowering, node: cst.AugAssign) -> tuple[Stmt, ...]:
    op = _UPDATE.get(type(node.operator), "?")
    target, value = lower.expression(node.target), lower.expression(node.value)
    if op == "+" and value != Const(1):
        lower.summed.add(target)
    return (Update(target, op, value, lower.mark(node)),)


def _do(lower: StatementLowering, node: cst.Expr) -> tuple[Stmt, ...]:
    if isinstance(node.value, (cst.SimpleString, cst.ConcatenatedString)):
        return ()
    return (Do(lower.expression(node.value)),)


def _return(lower: StatementLowering, node: cst.Return) -> tuple[Stmt, ...]:
    return (Return(lower.optional(node.value), lower.mark(node)),)


def _raise(_: StatementLowering, __: cst.Raise) -> tuple[Stmt, ...]:
    return (Leave("raise"),)


def _break(_: StatementLowering, __: cst.Break) -> tuple[Stmt, ...]:
    return (Leave("break"),)


def _continue(_: StatementLowering, __: cst.Continue) -> tuple[Stmt, ...]:
    return (Leave("continue"),)


def _if(lower: StatementLowering, node: cst.If) -> tuple[Stmt, ...]:
    # a long chain of elif nests: build it from the end
    chain: list[cst.If] = [node]
    while isinstance(chain[-1].orelse, cst.If):
        chain.append(chain[-1].orelse)
    orelse = lower.otherwise(chain[-1].orelse)
    for part in reversed(chain):
        test = lower.expression(part.test)
        outer, lower.names = lower.names, set()
        body = lower.suite(part.body)
        size = window_size(test) or window_remainder(test) or window_counter(test, body)
        # what leaves the round is followed by the step
        if size is not None and ("step" in lower.names or Leave("continue") in body):
            lower.note_window(size)
            if isinstance(test, Compare):
                lower.counted.append((test.left, size))
        lower.names |= outer
        orelse = (If(test, body, orelse),)
    return orelse


def _for(lower: StatementLowering, node: cst.For) -> tuple[Stmt, ...]:
    target, iterable = lower.expression(node.target), lower.expression(node.iter)
    return (For(target, iterable, lower.suite(node.body), lower.otherwise(node.orelse), lower.mark(node.iter)),)


def _while(lower: StatementLowering, node: cst.While) -> tuple[Stmt, ...]:
    test = lower.expression(node.test)
    return (While(test, lower.suite(node.body), lower.otherwise(node.orelse), lower.mark(node.test)),)


def _with(lower: StatementLowering, node: cst.With) -> tuple[Stmt, ...]:
    items: list[tuple[Expr, Expr | None]] = []
    for item in node.items:
        name = item.asname
        target = lower.expression(name.name) if name is not None and isinstance(name.name, cst.BaseExpression) else None
        items.append((lower.expression(item.item), target))
    return (With(tuple(items), lower.suite(node.body)),)


def _try(lower: StatementLowering, node: cst.Try | cst.TryStar) -> tuple[Stmt, ...]:
    body = lower.suite(node.body)
    handlers = tuple(lower.suite(handler.body) for handler in node.handlers)
    final = () if node.finalbody is None else lower.suite(node.finalbody.body)
    return (Try(body, handlers, lower.otherwise(node.orelse), final),)


def _match(lower: StatementLowering, node: cst.Match) -> tuple[Stmt, ...]:
    cases: list[tuple[Expr | None, tuple[Stmt, ...]]] = []
    for case in node.cases:
        value = case.pattern.value if isinstance(case.pattern, cst.MatchValue) else None
        cases.append((lower.optional(value), lower.suite(case.body)))
    return (Match(lower.expression(node.subject), tuple(cases)),)


def _define(lower: StatementLowering, node: cst.FunctionDef) -> tuple[Stmt, ...]:
    return (Define(lower.function(node)),)


def _define_class(lower: StatementLowering, node: cst.ClassDef) -> tuple[Stmt, ...]:
    return (DefineClass(lower.class_(node)),)


def _import(_: StatementLowering, node: cst.Import) -> tuple[Stmt, ...]:
    bindings = []
    for alias in node.names:
        name = alias.evaluated_name
        bound = alias.evaluated_alias
        bindings.append((bound, name) if bound else (name.partition(".")[0], name.partition(".")[0]))
    return (Import(tuple(bindings)),)


def _import_from(_: StatementLowering, node: cst.ImportFrom) -> tuple[Stmt, ...]:
    module = "." * len(node.relative)
    parts: list[str] = []
    rest: cst.BaseExpression | None = node.module
    while isinstance(rest, cst.Attribute):
        parts.append(rest.attr.value)
        rest = rest.value
    if isinstance(rest, cst.Name):
        parts.append(rest.value)
    module += ".".join(reversed(parts))
    if isinstance(node.names, cst.ImportStar):
        return (Import((("*", module),)),)
    dot = "" if module.endswith(".") else "."
    bindings = [(a.evaluated_alias or a.evaluated_name, module + dot + a.evaluated_name) for a in node.names]
    return (Import(tuple(bindings)),)


def _nothing(_: StatementLowering, __: cst.CSTNode) -> tuple[Stmt, ...]:
    return ()


_Handler: TypeAlias = Callable[[StatementLowering, cst.CSTNode], "tuple[Stmt, ...]"]

#: One function per statement class; ``tests/test_tree.py`` holds the table against libcst.
_HANDLERS: dict[type, _Handler] = {
    node_class: cast("_Handler", handler)
    for node_class, handler in {
        cst.Assign: _assign,
        cst.AnnAssign: _annotated,
        cst.AugAssign: _update,
        cst.Expr: _do,
        cst.Return: _return,
        cst.Raise: _raise,
        cst.Break: _break,
        cst.Continue: _continue,
        cst.Assert: _nothing,
        cst.If: _if,
        cst.For: _for,
        cst.While: _while,
        cst.With: _with,
        cst.Try: _try,
        cst.TryStar: _try,
        cst.Match: _match,
        cst.FunctionDef: _define,
        cst.ClassDef: _define_class,
        cst.Import: _import,
        cst.ImportFrom: _import_from,
        cst.Del: _nothing,
        cst.Global: _nothing,
        cst.Nonlocal: _nothing,
        cst.Pass: _nothing,
        cst.TypeAlias: _nothing,
    }.items()
}

# syntax of Python 3.15, in libcst since 1.9
for _lazy, _eager in (("LazyImport", _import), ("LazyImportFrom", _import_from)):
    if hasattr(cst, _lazy):
        _HANDLERS[getattr(cst, _lazy)] = cast("_Handler", _eager)
