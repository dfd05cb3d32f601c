"""What is taken for an option whose value nobody knows: the one that the path of the loss runs through."""

from __future__ import annotations

import ast
from collections.abc import Callable

from lint_reduction.verify import arithmetic
from lint_reduction.verify.bound import stored
from lint_reduction.verify.experiment import Place
from lint_reduction.verify.machine import Machine
from lint_reduction.verify.names import is_key
from lint_reduction.verify.rows import whole
from lint_reduction.verify.values import BlockedError, Class, Criterion, Function, Hole, Instance, Library, Text, Value

#: Methods that every model and trainer has.
_COMMON = frozenset("__init__ forward train eval to step update main run fit close reset setup parameters".split())

#: How much of a text is shown.
_SHOWN = 40


class Choices(Machine):
    """Chooses where the program does by a text that is not known, the same wherever it asks."""

    def key(self, value: Value) -> Value:
        """Return a value that can be the key of a dictionary."""
        if arithmetic.is_plain(value) or isinstance(value, Library | Text):
            return value
        if isinstance(value, Hole) and is_key(value.path):
            return value
        if isinstance(value, tuple) and all(arithmetic.is_plain(entry) for entry in value):
            return value
        raise BlockedError(f"`{arithmetic.name_of(value)}` is no key")

    def assumptions(self) -> tuple[str, ...]:
        """Return what was chosen, as sentences."""
        texts = [f"`{path}` is {text[:_SHOWN]!r}" for path, text in self.chosen.items()]
        return (*texts, *(f"`{path}` is an object of `{found.owner.name}`" for path, found in self.objects.items()))

    def compare_option(self, operator: ast.cmpop, option: Hole, other: Value) -> bool | None:
        """Return the outcome of a comparison of an option with texts, None if it is another one.

        An option is taken for the first text that it is compared with, and stays that.
        """
        entries = other if isinstance(other, list | tuple) else [other]
        texts = [entry for entry in entries if isinstance(entry, str)]
        if not texts or len(texts) < len(entries):
            return None
        match operator:
            case ast.Eq() | ast.In():
                return self.chosen.setdefault(whole(option.path), texts[0]) in texts
            case ast.NotEq() | ast.NotIn():
                return self.chosen.get(whole(option.path)) not in texts
        return None

    def pick(self, table: dict[Value, Value], option: Value) -> Value:
        """Return the entry of a table that the path of the loss runs through, where the key is not known.

        Raises:
            BlockedError: there is none, or more than one.
        """
        found = [entry for entry in table.values() if self._is_on_path(entry)]
        if len(found) != 1:
            raise BlockedError("a key is not known, and no entry is the one on the path of the loss")
        return found[0]

    def agree(self, test: ast.expr, holds: bool) -> None:
        """Let variables that are None be unknown where a test that is decided says that they are not."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                self.agree(inner, not holds)
            case ast.BoolOp(op=operator, values=tests) if isinstance(operator, ast.And) is holds:
                for inner in tests:
                    self.agree(inner, holds)
            case ast.Compare(left=inner, ops=[ast.Is() | ast.IsNot() as asked], comparators=[ast.Constant(value=None)]):
                if isinstance(asked, ast.IsNot) is holds:
                    self._open(inner)
            case ast.Name() | ast.Attribute() if holds:
                self._open(test)

    def _open(self, node: ast.expr) -> None:
        try:
            match node:
                case ast.Name(id=name) if self.lookup(name) is None:
                    self.bind(name, Hole.at(name))
                case ast.Attribute(value=ast.Name(id=name), attr=attr):
                    owner = self.lookup(name)
                    if isinstance(owner, Instance) and owner.attributes.get(attr, owner) is None:
                        owner.attributes[attr] = Hole.at(f"{owner.path}.{attr}")
        except BlockedError:
            return

    def _is_on_path(self, entry: Value) -> bool:
        match entry:
            case Criterion(place=place):
                return place == self.experiment.site or place in self.decisions.sites
            case Instance(owner=owner):
                return any(self.holds_place(entry.unit, entry.node) for entry in owner.lineage())
            case Function(node=node, unit=unit) | Class(node=node, unit=unit):
                return self.holds_place(unit, node)
        return False

    def holds_place(self, unit: int, node: ast.stmt | ast.expr) -> bool:
        """Say whether a node holds a place of the experiment."""
        return self.program.note("holds", node, lambda: any(map(_inside(unit, node), self._places())))

    def leaves_path(self, node: ast.stmt | ast.expr) -> bool:
        """Whether the first side of a test is for where there is nothing to do, and holds nothing of the path."""
        return self.program.note("leaves", node, lambda: self._leaves(node))

    def _leaves(self, node: ast.stmt | ast.expr) -> bool:
        function = self.frame.function
        if not isinstance(node, ast.If) or function is None or not _gives_nothing(node.body[-1], function):
            return False
        unit = self.frame.unit
        return not any(self.holds_place(unit, statement) or self.leads_on(statement) for statement in node.body)

    def loss_classes(self) -> list[tuple[int, str, frozenset[str]]]:
        """Return unit, name and methods of the classes at the top of a source that hold a loss of the path."""
        return self.program.note("classes", self.sources[0].parsed.tree, self._loss_classes)

    def _loss_classes(self) -> list[tuple[int, str, frozenset[str]]]:
        losses = [self.experiment.site, *(site.place for site in self.experiment.sites)]
        found = []
        for unit, source in enumerate(self.sources):
            for node in source.parsed.tree.body:
                if isinstance(node, ast.ClassDef) and any(map(_inside(unit, node), losses)):
                    methods = (s.name for s in node.body if isinstance(s, ast.FunctionDef))
                    found.append((unit, node.name, frozenset(name for name in methods if name not in _COMMON)))
        return found

    def leads_on(self, node: ast.stmt | ast.expr) -> bool:
        """Say whether a node holds a call that leads to the end of the path, or the end."""
        way = (*self.experiment.calls, self.experiment.end)
        unit = self.frame.unit
        return self.program.note("leads", node, lambda: any(map(_inside(unit, node), way)))

    def _places(self) -> list[Place]:
        experiment = self.experiment
        places = [experiment.site, *experiment.calls, *(place for _, place in experiment.steps)]
        return [*places, *(site.place for site in experiment.sites)]


def _inside(unit: int, node: ast.stmt | ast.expr) -> Callable[[Place], bool]:
    begins = (node.lineno, node.col_offset)
    ends = (node.end_lineno or 0, node.end_col_offset or 0)

    def is_inside(place: Place) -> bool:
        first, last = (place.line, place.column), (place.end_line, place.end_column)
        return place.unit == unit and begins <= first and last <= ends

    return is_inside


def _gives_nothing(statement: ast.stmt, function: Function) -> bool:
    """Whether a statement leaves a function or a round with nothing that was computed in it."""
    if not isinstance(statement, ast.Return) or statement.value is None:
        return isinstance(statement, ast.Return | ast.Raise | ast.Continue)
    arguments = {node.arg for node in ast.walk(function.node.args) if isinstance(node, ast.arg)}
    names = {node.id for node in ast.walk(statement.value) if isinstance(node, ast.Name)}
    return not names & (arguments | stored(function.node))
