"""Runs statements: assignments, branches, loops, contexts."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from lint_reduction.verify import arithmetic
from lint_reduction.verify.allowed import LIBRARIES, MAX_ROUNDS, NO_GRADIENT, SCALING_METHODS
from lint_reduction.verify.assignments import Assignments
from lint_reduction.verify.bound import bound_names
from lint_reduction.verify.effects import reads_gradient, sets_hook
from lint_reduction.verify.values import (
    BlockedError,
    Class,
    FinishedError,
    Function,
    Hole,
    Library,
    Parameters,
    Stream,
    Unnamed,
    UserError,
    Value,
)


class ReturnError(Exception):
    """A function returns.

    Attributes:
        value: what it returns.
    """

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


class BreakError(Exception):
    """A loop ends."""


class ContinueError(Exception):
    """A round of a loop ends."""


class Statements(Assignments):
    """Runs statements. There is one method for each kind that does something."""

    def execute(self, statements: Sequence[ast.stmt]) -> None:
        """Run a block."""
        for statement in statements:
            self.run(statement)

    def run(self, statement: ast.stmt) -> None:
        """Run one statement."""
        self.tick()
        name = _METHODS.get(type(statement))
        if name is None:
            raise BlockedError(f"`{type(statement).__name__}` is not run")
        method: Callable[[ast.stmt], None] = getattr(self, name)
        is_behind = self.backwards > 0
        try:
            method(statement)
        except (BlockedError, UserError) as error:
            if is_behind and self._touches(statement):
                self.touched = str(error)
            raise

    def _touches(self, statement: ast.stmt) -> bool:
        """Whether a statement behind backward, or the function that was called there, has to do with gradients."""
        function = self.frame.function
        is_called = function is not None and self.frame not in self.frames_at_end
        return reads_gradient(statement) or (is_called and function is not None and reads_gradient(function.node))

    def _nothing(self, node: ast.stmt) -> None:
        pass

    def _expression(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.evaluate(node.value)

    def _raise(self, node: ast.Raise) -> None:
        raise UserError("an exception of its own")

    def _break(self, node: ast.Break) -> None:
        raise BreakError

    def _continue(self, node: ast.Continue) -> None:
        raise ContinueError

    def _return(self, node: ast.Return) -> None:
        value = None if node.value is None else self.evaluate(node.value)
        self.returned(node, value)
        raise ReturnError(value)

    def returned(self, node: ast.Return, value: Value) -> None:
        """See whether this is where the path of the loss ends."""
        raise NotImplementedError

    # Names

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if name not in self.sources[self.frame.unit].parsed.links:
                self.bind(name, _imported(alias.name if alias.asname else name, name))

    def _import_from(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            name = alias.asname or alias.name
            if name != "*" and name not in self.sources[self.frame.unit].parsed.links:
                prefix = "." * node.level + (node.module or "")
                self.bind(name, _imported(f"{prefix}.{alias.name}", name))

    def _shared(self, node: ast.Global | ast.Nonlocal) -> None:
        scope = self.frame.scope
        if scope is None:
            return
        for name in node.names:
            owner = None
            if isinstance(node, ast.Nonlocal):
                owner = scope.parent
                while owner is not None and name not in owner.names:
                    owner = owner.parent
            scope.shared[name] = owner

    def _function(self, node: ast.FunctionDef) -> None:
        self.bind(node.name, Function(node, self.frame.unit, self.qualified(node.name), self.frame.scope))

    def _class(self, node: ast.ClassDef) -> None:
        # a class with the types that it is generic in is that class
        named = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
        bases = tuple(map(self.evaluate, named))
        self.bind(node.name, Class.of(node, self.frame.unit, self.qualified(node.name), bases, self.frame.scope))

    # Branches

    def _if(self, node: ast.If) -> None:
        self.execute(node.body if self.decide(node, node.test) else node.orelse)

    def _match(self, node: ast.Match) -> None:
        subject = self.evaluate(node.subject)
        for case in node.cases:
            decided = self.decided(case.pattern)
            if decided is not None:
                if decided:
                    self.execute(case.body)
                    return
                continue
            if self._matches(case.pattern, subject) and (case.guard is None or self.truth(self.evaluate(case.guard))):
                self.execute(case.body)
                return

    def _matches(self, pattern: ast.pattern, subject: Value) -> bool:
        match pattern:
            case ast.MatchValue(value=node):
                return arithmetic.compare(ast.Eq(), self.settle(subject), self.evaluate(node))
            case ast.MatchSingleton(value=value):
                return subject is value
            case ast.MatchOr(patterns=options):
                return any(self._matches(option, subject) for option in options)
            case ast.MatchAs(pattern=inner, name=name):
                if inner is not None and not self._matches(inner, subject):
                    return False
                if name is not None:
                    self.bind(name, subject)
                return True
        raise BlockedError(f"`{type(pattern).__name__}` is not run")

    def _try(self, node: ast.Try) -> None:
        try:
            self.execute(node.body)
            self.execute(node.orelse)
        except UserError:
            if not node.handlers:
                raise
            handler = node.handlers[0]
            if handler.name is not None:
                self.bind(handler.name, Hole.at(handler.name))
            self.execute(handler.body)
        self.execute(node.finalbody)

    # Loops

    def _for(self, node: ast.For) -> None:
        before = self.taken_apart
        values = Stream(lambda _: Unnamed("")) if self._cuts_batch(node) else self.evaluate(node.iter)
        if isinstance(values, list | tuple | dict | None) and not values and self.holds_place(self.frame.unit, node):
            # the path runs through it, so somebody puts something in
            values = Stream(lambda _: Unnamed(""))
        is_micro_batch = self.program.note("end", node, lambda: _holds_end(node, self))
        listed = None if is_micro_batch else self.listed(values)
        is_unknown = isinstance(values, Stream) or (
            isinstance(values, Hole) and not self.has_rows(values) and not self.domain.is_indexed(values, slice(None))
        )
        if listed is not None:
            rounds = listed
        elif is_unknown:
            entry = values.entry if isinstance(values, Stream) else lambda _: Unnamed("")
            is_inside = isinstance(values, Hole) and values.path in self.containers
            rounds = [entry(i) for i in range(2 if is_inside else self.domain.rounds)]
        else:
            rounds = self.iterate(values)
            if isinstance(values, Parameters) and not rounds and any(map(sets_hook, ast.walk(node))):
                # there are none yet, and what is hung on one is hung on each
                rounds = self.trained = [Hole.at("parameter")]
        self._loop(node, self.rows_of(node.target, rounds, taken=self.taken_apart > before, body=node))

    def _loop(self, node: ast.For, rounds: Iterator[Value]) -> None:
        is_around = self._is_around(node)
        for value in rounds:
            self.assign(node.target, value)
            before = self.backwards
            try:
                self._round(node.body)
            except ContinueError:
                pass
            except BreakError:
                return
            if is_around and self.backwards > before:
                return
        self.execute(node.orelse)

    def _round(self, statements: Sequence[ast.stmt]) -> None:
        self.loops += 1
        try:
            self.execute(statements)
        finally:
            self.loops -= 1

    def _cuts_batch(self, node: ast.For) -> bool:
        """Whether a loop runs backward for each part of a batch that is cut up: the parts are micro-batches."""
        return self.program.note("cuts", node, lambda: _cuts(node.iter) and _holds_end(node, self))

    def _is_around(self, node: ast.For) -> bool:
        """Whether the end of the path lies in another loop inside of a loop."""
        return self.program.note("around", node, lambda: any(_holds_loop(inner, self) for inner in node.body))

    def _while(self, node: ast.While) -> None:
        endless = isinstance(node.test, ast.Constant)
        for count in range(self.domain.rounds if endless else MAX_ROUNDS):
            if not self._goes_on(node, count):
                return
            before = self.backwards
            try:
                self._round(node.body)
            except ContinueError:
                pass
            except BreakError:
                return
            if self.backwards > before and not endless:
                return
        if not endless:
            raise BlockedError("a loop takes too many rounds")

    def _goes_on(self, node: ast.While, count: int) -> bool:
        """Whether a loop takes another round; where nothing tells how many there are, it takes two."""
        if self.decided(node) is not None:
            return self.decide(node, node.test)
        value = self.evaluate(node.test)
        return self.truth(value) and not (count > 1 and self.domain.is_open(value))

    # Contexts

    def _with(self, node: ast.With) -> None:
        off = 0
        for item in node.items:
            context = item.context_expr
            name = self.library_name(context.func if isinstance(context, ast.Call) else context)
            off += self._turns_off(name, context)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, self._entered(context, name))
        for _ in range(off):
            self.domain.without_gradient(True)
        try:
            self.execute(node.body)
        finally:
            for _ in range(off):
                self.domain.without_gradient(False)

    def _turns_off(self, name: str, context: ast.expr) -> bool:
        if name.endswith("set_grad_enabled") and isinstance(context, ast.Call) and context.args:
            return not self.truth(self.evaluate(context.args[0]))
        return name in NO_GRADIENT

    def _entered(self, context: ast.expr, name: str) -> Value:
        if isinstance(context, ast.Call) and name.rpartition(".")[2] in SCALING_METHODS and context.args:
            return self.evaluate(context.args[0])
        return Unnamed(name)

    def library_name(self, node: ast.expr) -> str:
        """Return the dotted name of something of a library, or the text of what is not."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        value = self.lookup(node.id)
        return ".".join([value.name if isinstance(value, Library) else node.id, *reversed(parts)])

    def run_binding(self, statement: ast.stmt, name: str) -> None:
        """Run what binds a name in a statement of a module, and nothing else of it."""
        match statement:
            case ast.If(body=body, orelse=orelse):
                taken = body if self.decide(statement, statement.test) else orelse
                self._run_bindings_in(taken, name)
            case ast.Try(body=body, orelse=orelse, finalbody=finalbody):
                self._run_bindings_in([*body, *orelse, *finalbody], name)
            case ast.With(body=body):
                self._run_bindings_in(body, name)
            case ast.For() | ast.While():
                raise BlockedError(f"`{name}` comes out of a loop")
            case ast.Assign(targets=[ast.Name()], value=ast.Call()):
                self.run(statement)
                value = self.lookup(name)
                if isinstance(value, Hole) and value.path.endswith(")"):
                    self.bind(name, Hole.at(name))
            case _:
                self.run(statement)

    def _run_bindings_in(self, statements: Sequence[ast.stmt], name: str) -> None:
        for statement in statements:
            if name in bound_names(statement):
                self.run_binding(statement, name)

    def finish(self) -> None:
        """End the run."""
        raise FinishedError


def _imported(dotted: str, name: str) -> Value:
    return Library(dotted) if dotted.partition(".")[0] in LIBRARIES else Hole.at(name)


def _cuts(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="zip" | "list"), args=[_, *_] as entries):
            return all(map(_cuts, entries))
        case ast.Call(func=ast.Attribute(attr="chunk" | "split" | "tensor_split"), args=[_], keywords=[]):
            return True
    return False


def _holds_end(statement: ast.stmt, machine: Statements) -> bool:
    end = machine.experiment.end
    first, last = (statement.lineno, statement.col_offset), (statement.end_lineno or 0, statement.end_col_offset or 0)
    inside = first <= (end.line, end.column) and (end.end_line, end.end_column) <= last
    return inside and machine.frame.unit == end.unit and machine.experiment.end_kind == "backward"


def _holds_loop(statement: ast.stmt, machine: Statements) -> bool:
    """Whether the end of the path lies in another loop inside of a statement."""
    end = machine.experiment.end
    if machine.frame.unit != end.unit:
        return False
    return any(
        isinstance(inner, ast.For | ast.While)
        and (inner.lineno, inner.col_offset) <= (end.line, end.column)
        and (end.end_line, end.end_column) <= (inner.end_lineno or 0, inner.end_col_offset or 0)
        for inner in ast.walk(statement)
    )


_METHODS: dict[type[ast.stmt], str] = {
    ast.Pass: "_nothing",
    ast.Assert: "_nothing",
    ast.Delete: "_nothing",
    ast.Expr: "_expression",
    ast.Raise: "_raise",
    ast.Break: "_break",
    ast.Continue: "_continue",
    ast.Return: "_return",
    ast.Import: "_import",
    ast.ImportFrom: "_import_from",
    ast.Global: "_shared",
    ast.Nonlocal: "_shared",
    ast.FunctionDef: "_function",
    ast.ClassDef: "_class",
    ast.Assign: "_assign",
    ast.AnnAssign: "_annotated",
    ast.AugAssign: "_augmented",
    ast.If: "_if",
    ast.Match: "_match",
    ast.Try: "_try",
    ast.For: "_for",
    ast.While: "_while",
    ast.With: "_with",
}
