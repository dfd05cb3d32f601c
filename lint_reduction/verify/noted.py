"""What a trace notes of values in passing."""

from __future__ import annotations

from collections.abc import Sequence

from lint_reduction.verify.abstract import Abstract, Findings
from lint_reduction.verify.experiment import Place
from lint_reduction.verify.values import Criterion, Hole, Value


class Noted:
    """Keeps what a trace finds out about numbers, labels and criteria.

    Attributes:
        found: what it has found out.
    """

    def __init__(self, found: Findings) -> None:
        self.found = found

    def see_labels(self, left: Value, right: Value) -> None:
        """Note what is compared with itself, all with all: the classes of samples."""
        if isinstance(left, Abstract) and isinstance(right, Abstract) and left.is_pure and right.is_pure:
            shared = left.roots & right.roots if not left.is_number else ()
            self.found.labels |= {path for path in shared if not path.startswith("len(")}

    def see_window(self, value: Value) -> None:
        """Note what else stands for the number of micro-batches: another variable, or a number."""
        if isinstance(value, Hole):
            self.found.windows.add(value.path)
        elif type(value) is int and value > 1:
            self.found.windows.add(value)

    def divisor(self, place: Place, value: Value) -> Value:
        """Note the number."""
        assert isinstance(value, int)
        self.found.divided[place] = value
        return value

    def see_term(self, value: Value) -> Value:
        """Change nothing."""
        return value

    def is_weight(self, value: Value) -> bool:
        """Whether a value is what is trained: it is not known."""
        return False

    def reduce(self, criterion: Criterion, reduction: str) -> None:
        """Keep the reduction."""
        criterion.options["reduction"] = reduction

    def see_normalized(self, value: Value, arguments: Sequence[Value]) -> None:
        """Note along which axis a value is normalized."""
        self.found.rank(value, least=2)
        axis = next((entry for entry in arguments if type(entry) is int), None)
        if isinstance(value, Abstract) and axis is not None:
            for path in value.like:
                self.found.normalized[path] = axis

    def see_weights(self, value: Value) -> None:
        """Note how many class weights are written out: as many as there are classes."""
        if isinstance(value, Abstract) and value.length:
            self.found.classes.append(value.length)
