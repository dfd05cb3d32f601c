"""Runs an experiment in one of the two worlds: from the function where it begins to where the optimizer steps."""

from __future__ import annotations

import ast

from lint_reduction.verify.calls import Calls
from lint_reduction.verify.machine import Frame
from lint_reduction.verify.statements import ReturnError
from lint_reduction.verify.values import (
    BlockedError,
    Class,
    FinishedError,
    Function,
    Instance,
    Optimizer,
    Scope,
    UserError,
    Value,
)


class Interpreter(Calls):
    """Begins and ends a run."""

    def begin(self) -> None:
        """Run from the function where the experiment begins, until it ends.

        Raises:
            BlockedError: something before the end of the path cannot be run.
        """
        try:
            self._begin()
        except FinishedError:
            return
        except (BlockedError, UserError, ReturnError) as error:
            # behind the end, only what changes the gradient is of interest, as far as it can be run
            if not self.backwards:
                raise
            self.cut = str(error)

    def _begin(self) -> None:
        experiment = self.experiment
        if not experiment.function:
            self.execute(self.sources[0].parsed.tree.body)
            return
        function, receiver = self._entry()
        value = self.invoke(function.bind(receiver) if receiver is not None else function, (), {}, fill=True)
        if experiment.end_kind != "backward" and not self.backwards:
            self.train(self.settle(loss_of(value)))

    def _entry(self) -> tuple[Function, Value]:
        experiment = self.experiment
        receiver: Value = None
        if experiment.receiver is not None:
            receiver = self._receiver(*experiment.receiver)
        function = self._named(experiment.function)
        return function, receiver

    def _named(self, qualified: str) -> Function:
        """Return the function of a qualified name; what is around one inside of another is not known."""
        outer, *inner = [part for part in qualified.split(".") if part != "<locals>"]
        value: Value = self.module_name(0, outer)
        for part in inner:
            if isinstance(value, Class):
                value = self.member(value, part)
            elif isinstance(value, Function) and isinstance(value.node, ast.FunctionDef):
                node = next(
                    (n for n in ast.walk(value.node) if isinstance(n, ast.FunctionDef) and n.name == part), None
                )
                value = (
                    None if node is None else Function(node, value.unit, f"{value.name}.{part}", Scope(), value.owner)
                )
        if not isinstance(value, Function):
            raise BlockedError(f"`{qualified}` is not found")
        return value

    def _receiver(self, unit: int, qualified: str) -> Value:
        """Return an object of a class, built with arguments that are not known."""
        return self.build(unit, qualified, path="self")

    def returned(self, node: ast.Return, value: Value) -> None:
        """End the run where the function returns that holds the end of the path."""
        function = self.frame.function
        if self.experiment.end_kind == "backward" or function is None or self.backwards:
            return
        if function.name == self.experiment.end_function.replace("<locals>.", ""):
            self.train(self.settle(loss_of(value)))
            self.finish()

    def formatted(self, node: ast.expr) -> None:
        """Read the loss where a format does: there it has to be one number."""
        if self.experiment.end_kind != "read" or self.backwards or not self.is_end(node):
            return
        for part in ast.walk(node):
            if isinstance(part, ast.FormattedValue):
                value = self.settle(self.evaluate(part.value))
                if self.domain.is_tensor(value):
                    self.train(value)
                    self.finish()

    def optimizer(self) -> Optimizer | None:
        """Return the optimizer: the one at the place of the experiment, or the one that has stepped."""
        place = self.experiment.optimizer
        if place is not None and place not in self.optimizers:
            self._build_optimizer()
        if place is not None and place in self.optimizers:
            return self.optimizers[place]
        return self.latest

    def _build_optimizer(self) -> None:
        name, place = self.experiment.optimizer_function, self.experiment.optimizer
        assert place is not None
        try:
            if not name:
                self._build_in_module(place.unit)
                return
            function = self.find(place.unit, name)
            if isinstance(function, Function):
                owner = function.owner
                receiver = Instance(owner, "self") if owner is not None else None
                self.invoke(function.bind(receiver) if receiver else function, (), {}, fill=True)
        except (BlockedError, UserError, FinishedError, ReturnError, RecursionError):
            return

    def _build_in_module(self, unit: int) -> None:
        self.frames = [Frame(unit)]
        for statement in self.sources[unit].parsed.tree.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Call) and self.place(node) == self.experiment.optimizer:
                    self.evaluate(node)


def loss_of(value: Value) -> Value:
    """Return the loss in what a function returns: itself, or the first of a tuple, or under its key."""
    if isinstance(value, dict):
        return value.get("loss", next(iter(value.values()), None))
    if isinstance(value, list | tuple) and value:
        return value[0]
    return value
