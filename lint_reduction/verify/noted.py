"""What a trace notes of values in passing."""

from __future__ import annotations

from collections.abc import Sequence

from lint_reduction.verify.abstract import Abstract, Findings
from lint_reduction.verify.experiment import Place
from lint_reduction.verify.names import number_by_use
from lint_reduction.verify.values import Criterion, Hole, Value

#: Which argument selects, of functions and of methods with what they are called on.
_SELECTING = {"masked_fill": 1, "masked_fill_": 1, "masked_select": 1, "where": 0, "Tensor.where": 1}


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

    def see_selecting(self, name: str, arguments: Sequence[Value]) -> None:
        """Note what selects: it is true or false."""
        index = _SELECTING.get(name)
        selecting = arguments[index] if index is not None and index < len(arguments) else None
        if isinstance(selecting, Abstract) and selecting.is_pure:
            self.found.boolean |= selecting.roots

    def see_factor(self, value: Value, other: Value) -> None:
        """Note what a tensor is multiplied with the comparison of: a mask is made of it."""
        if isinstance(value, Abstract) and isinstance(other, Abstract) and other.like and not other.is_number:
            for path in value.compared:
                if number_by_use(path, {"tensor"}) is None:
                    self.found.uses[path].add("tensor")

    def see_list(self, path: str) -> None:
        """Note what is iterated over."""
        self.found.iterated.add(path)

    def batch(self) -> int:
        """Return a number of samples that tells lists from pairs of nothing."""
        return 2

    def row(self, value: Abstract) -> Abstract:
        """Return a row of a tensor."""
        self.found.rank(value, least=1)
        self.found.depth(value)
        return Abstract(value.roots, is_pure=value.is_pure, depth=value.depth + 1)

    def stacked(self, rows: Sequence[Value]) -> Abstract | None:
        """Return what rows of one hole are together, None for other tensors."""
        abstract = [row for row in rows if isinstance(row, Abstract) and row.is_pure and row.depth == 1]
        roots = {row.roots for row in abstract}
        if len(abstract) < len(rows) or len(roots) != 1:
            return None
        return Abstract(abstract[0].roots, abstract[0].roots, is_pure=True)

    def see_gathered(self, value: Abstract, arguments: Sequence[Value]) -> bool:
        """Note which entries of its rows are taken of a tensor, and how what says so is laid out."""
        index = arguments[1] if len(arguments) > 1 else None
        if not isinstance(index, Abstract) or not index.is_pure:
            return False
        axis = arguments[0] if type(arguments[0]) is int else -1
        known = max((self.found.least.get(path, 2) for path in value.like), default=2)
        rank = min(max(axis + 1 if axis >= 0 else known, 2), 3)
        self.found.rank(value, least=rank)
        rows = "BT"[: rank - 1]
        for path in index.roots:
            # what is given another shape before is one number for each row
            self.found.gathered[path] = f"{rows}1" if path in index.like else rows
        self.found.choices.update(dict.fromkeys(value.like, f"{rows}C"))
        return True

    def see_one_hot(self, value: Value, sizes: Sequence[Value]) -> None:
        """Note classes that are turned into vectors, and how many there are."""
        if isinstance(value, Abstract) and value.is_pure:
            self.found.labels |= value.roots
            self.found.classes += [size for size in sizes if type(size) is int]

    def see_shifted(self, value: Abstract, index: Value) -> None:
        """Note of which axis the first or the last is cut off: steps follow one another there, and samples do not."""
        for axis, entry in enumerate(index if isinstance(index, tuple) else (index,)):
            if isinstance(entry, slice) and (entry.start, entry.stop) in ((1, None), (None, -1)) and not value.depth:
                for path in value.like:
                    self.found.shifted.setdefault(path, set()).add(axis)

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

    def see_reduced(self, value: Value) -> None:
        """Do nothing: there are no values."""

    def see_term(self, value: Value) -> Value:
        """Change nothing."""
        return value

    def is_open(self, value: Value) -> bool:
        """Whether a value is not known."""
        return isinstance(value, Abstract | Hole)

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
