"""What a trace works with: tensors of which only the origin is known, and what it finds out."""

from __future__ import annotations

from dataclasses import dataclass, field

from lint_reduction.verify.experiment import Place
from lint_reduction.verify.losses import Loss
from lint_reduction.verify.values import Value

NO_PATHS: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False, slots=True)
class Abstract:
    """A tensor, or a number, of which only the origin is known.

    Attributes:
        roots: paths of the holes it is computed from, as far as a gradient or a value flows.
        like: paths of the holes whose shape it has.
        is_pure: whether it still has the values of its hole, in whatever shape.
        is_shape: whether it is the shape of what it is like.
        is_number: whether it is a plain number.
        length: how many numbers it is written with, 0 if it is not.
        is_range: whether it counts positions.
        compared: paths whose values are compared with a number, if it is the outcome of that.
        depth: how many of the first axes of its hole have been taken away.
    """

    roots: frozenset[str] = NO_PATHS
    like: frozenset[str] = NO_PATHS
    is_pure: bool = False
    is_shape: bool = False
    is_number: bool = False
    length: int = 0
    is_range: bool = False
    depth: int = 0
    compared: frozenset[str] = NO_PATHS


@dataclass(eq=False, slots=True)
class Findings:
    """What a trace has found out.

    Attributes:
        uses: for each path, how it is used: tensor, arithmetic, divisor, size, index, class weight, option, test.
        roles: for each path, the losses it goes into, by argument, and whether with its own values.
        losses: the losses met, in order.
        reductions: hand-made reductions met.
        equal: pairs of sets of paths that have one shape.
        least, exact: what is known of the number of axes of a path.
        literals: sizes of later axes, multiplied out, as written.
        ignored: numbers that targets are compared with, or that a loss ignores.
        boolean: paths that are negated or used to select.
        labels: paths whose values are class indices.
        gathered: paths whose values say which entry of each row is taken, with how they are laid out.
        choices: paths of the rows that these are taken of, with how they are laid out.
        shifted: paths of which a step is cut off at an end, with the axes: no samples are on them.
        lengths: paths whose values positions are compared with.
        single: paths of numbers that a tensor is made of.
        weighing: paths that weights of classes are computed from.
        classes: numbers of classes, as written.
        normalized: the axis along which a path is normalized to probabilities.
        windows: what the program has for the number of micro-batches of a step: paths, and numbers written out.
        divided: the numbers that something is divided by, as they are written.
        takes_rows: whether loops over the data of a batch go through its samples.
        apart: the data of a batch that loops go through.
        iterated: what loops go through, and may be a list of samples.
        lists: what is taken for one.
        trained: the paths that reach the end; None where it is not reached.
        direct: the path that is the loss itself, if it is one.
    """

    uses: dict[str, set[str]] = field(default_factory=dict)
    roles: dict[str, list[tuple[Loss, int, bool]]] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    reductions: set[str] = field(default_factory=set)
    equal: list[frozenset[str]] = field(default_factory=list)
    least: dict[str, int] = field(default_factory=dict)
    exact: dict[str, int] = field(default_factory=dict)
    literals: list[tuple[frozenset[str], int]] = field(default_factory=list)
    ignored: list[int] = field(default_factory=list)
    boolean: set[str] = field(default_factory=set)
    labels: set[str] = field(default_factory=set)
    gathered: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    shifted: dict[str, set[int]] = field(default_factory=dict)
    lengths: set[str] = field(default_factory=set)
    single: set[str] = field(default_factory=set)
    weighing: set[str] = field(default_factory=set)
    classes: list[int] = field(default_factory=list)
    normalized: dict[str, int] = field(default_factory=dict)
    windows: set[str | int] = field(default_factory=set)
    divided: dict[Place, int] = field(default_factory=dict)
    takes_rows: bool = False
    apart: set[str] = field(default_factory=set)
    iterated: set[str] = field(default_factory=set)
    lists: frozenset[str] = NO_PATHS
    trained: frozenset[str] | None = None
    direct: str = ""

    @property
    def structures(self) -> set[str]:
        """Paths that other paths lead through."""
        found: set[str] = set()
        for path in self.uses:
            for other in self.uses:
                if len(other) > len(path) and other.startswith(path) and other[len(path)] in ".[(":
                    found.add(path)
        return found

    def depth(self, value: Abstract) -> None:
        """Note that another axis is taken of a value."""
        for path in value.roots if value.is_pure else ():
            self.least[path] = max(self.least.get(path, 0), value.depth + 1)

    def rank(self, value: Value, *, least: int = 0, exact: int | None = None) -> None:
        """Note how many axes a value has, if it has the shape of a hole."""
        if isinstance(value, Abstract):
            for path in value.like:
                self.least[path] = max(self.least.get(path, 0), least)
                if exact is not None:
                    self.exact[path] = exact
