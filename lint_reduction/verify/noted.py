"""What a trace notes of values in passing."""

from __future__ import annotations

from collections.abc import Sequence

from lint_reduction.verify.abstract import Abstract, Findings
from lint_reduction.verify.experiment import Place
from lint_reduction.verify.values import Criterion, Hole, Value

#: Functions that take nothing below zero.
_POSITIVE = frozenset("log log2 log10 log_ sqrt rsqrt xlogy".split())
#: Functions that select entries by a mask, with its place among their arguments.
_SELECTING = {"masked_select": 1, "masked_fill": 1, "masked_fill_": 1, "where": 0}


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

    def see_gathered(self, index: Value) -> None:
        """Note what says which entries are taken of something."""
        if not isinstance(index, Abstract):
            return
        paths = index.roots if index.is_pure else {path for path in index.roots if "(" not in path}
        if index.is_column:
            self.found.picking |= paths
        elif index.is_pure:
            self.found.gathered |= paths

    def see_classes(self, name: str, arguments: Sequence[Value]) -> None:
        """Note what has to be class indices for a function of torch."""
        first = arguments[0] if arguments else None
        if name == "one_hot" and isinstance(first, Abstract) and first.is_pure:
            self.found.labels |= first.roots
            self.found.classes += [size for size in arguments[1:2] if type(size) is int]
        if name == "gather" and len(arguments) > 2:
            self.see_gathered(arguments[2])

    def see_positive(self, name: str, value: Value) -> None:
        """Note what a function takes that has no value below zero."""
        if name in _POSITIVE and isinstance(value, Abstract) and value.is_pure:
            self.found.positive |= value.roots

    def see_thin(self, value: Value, index: Value) -> None:
        """Note what gets axes behind those that are written: nobody writes these for all axes but some."""
        entries = index if isinstance(index, tuple) else (index,)
        kept = [entry for entry in entries if entry is not None]
        are_first = entries[: len(kept)] == (slice(None),) * len(kept)
        if isinstance(value, Abstract) and are_first and 0 < len(kept) < len(entries):
            self.found.thin |= dict.fromkeys(value.like, len(kept))

    def see_selecting(self, name: str, arguments: Sequence[Value]) -> None:
        """Note what selects entries: the mask of ``masked_select(values, mask)``."""
        place = _SELECTING.get(name)
        mask = arguments[place] if place is not None and len(arguments) > place else None
        if isinstance(mask, Abstract) and mask.is_pure:
            self.found.boolean |= mask.roots

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
