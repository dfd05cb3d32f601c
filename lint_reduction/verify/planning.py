"""From what a trace found to plans: which tensor or number stands for each hole, in which layout.

Constraints that the trace has collected come first: numbers of axes, sizes as written, tensors of one shape. What they
leave open is tried in the order of a list.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from lint_reduction.verify import names
from lint_reduction.verify.abstract import Findings
from lint_reduction.verify.experiment import Place
from lint_reduction.verify.losses import BY_HAND, TIME_FIRST, Loss, Role
from lint_reduction.verify.names import Size
from lint_reduction.verify.synth import BASE, IGNORED, Sizes

_MAX_LITERAL = 4_096
_GENERIC = ("same", "BD", "B", "BC", "", "BTD", "BT", "B1", "BDHW")
_MASKS = ("target", "prediction", "B", "BT1", "BT")
_WORDS = {
    "B": "samples",
    "T": "tokens",
    "C": "classes",
    "D": "features",
    "H": "height",
    "W": "width",
    "S": "scores",
    "s": "labels",
    "1": "1",
}


@dataclass(frozen=True, slots=True)
class Fill:
    """A tensor for a hole.

    Attributes:
        role: what it is for a loss.
        layout: its axes.
        is_boolean: whether it selects.
        widths: the axes that have a size of their own, with that size.
    """

    role: Role
    layout: str
    is_boolean: bool = False
    widths: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        return " × ".join(_WORDS[letter] for letter in self.layout) or "one number"


@dataclass(frozen=True, slots=True)
class Number:
    """A number for a hole."""

    size: Size

    def value(self, sizes: Sizes) -> float | int | bool:
        """Return the number, for sizes of the axes."""
        return self.size.amount(sizes)


@dataclass(frozen=True, slots=True)
class Plan:
    """What stands for each hole.

    Attributes:
        fills: by path; a path without an entry stays an object that is not known.
        key: what tells apart layouts of the loss, the others being the same.
        divisors: paths of numbers that something is divided by, of which it is not known whether they follow the batch.
        windows: divisions by a number that is the number of micro-batches of a step, with that number.
        follows: what the divisors may follow.
        takes_rows: whether loops over the data of a batch go through its samples.
        lists: what is a list of samples.
    """

    fills: Mapping[str, Fill | Number]
    key: str
    divisors: tuple[str, ...] = ()
    windows: Mapping[Place, int] = field(default_factory=dict)
    follows: Size = Size.SAMPLES
    takes_rows: bool = False
    lists: frozenset[str] = frozenset()

    def is_tensor(self, path: str) -> bool:
        """Whether a tensor stands for a path."""
        return isinstance(self.fills.get(path), Fill)

    @property
    def has_padding(self) -> bool:
        """Whether anything says which positions are valid."""
        return bool(self._roles & {Role.MASK, Role.WEIGHT, Role.LENGTH, Role.CLASS})

    @property
    def has_mask(self) -> bool:
        """Whether the program itself says which positions are valid, not only a loss by the class it ignores."""
        return bool(self._roles & {Role.MASK, Role.WEIGHT, Role.LENGTH})

    @property
    def _roles(self) -> set[Role]:
        return {fill.role for fill in self.fills.values() if isinstance(fill, Fill)}

    @property
    def letters(self) -> set[str]:
        """The axes that any tensor has."""
        return {letter for fill in self.fills.values() if isinstance(fill, Fill) for letter in fill.layout}

    def layout(self) -> str:
        """Return the layouts of all tensors, for people."""
        tensors = [(path, fill) for path, fill in self.fills.items() if isinstance(fill, Fill)]
        return "; ".join(f"{path}: {fill}" for path, fill in tensors)

    def fitted(self, path: str, axis: int, size: int) -> Plan | None:
        """Return the plan in which a tensor has a size of its own, None where it has one already."""
        fill = self.fills.get(path)
        if not isinstance(fill, Fill) or axis in dict(fill.widths) or fill.layout[axis] == "B":
            return None
        return replace(self, fills={**self.fills, path: replace(fill, widths=(*fill.widths, (axis, size)))})

    def given(self, paths: Set[str]) -> Plan:
        """Return the plan in which some tensors are data, as nothing that is trained makes them."""
        tensors = {path: fill for path, fill in self.fills.items() if isinstance(fill, Fill) and path in paths}
        inputs = {path: replace(fill, role=Role.INPUT) for path, fill in tensors.items() if fill.role is Role.REAL}
        return replace(self, fills={**self.fills, **inputs}) if inputs else self

    def following(self) -> Plan:
        """Return the world in which the unknown divisors follow the batch."""
        fills = {**self.fills, **{path: Number(self.follows) for path in self.divisors}}
        return replace(self, fills=fills)

    def assumptions(self) -> tuple[str, ...]:
        """Return what is assumed, as sentences."""
        found = []
        for path, fill in self.fills.items():
            if isinstance(fill, Fill):
                article = "an" if fill.role.value[0] in "aeiou" else "a"
                found.append(f"`{path}` is {article} {fill.role.value} of shape {fill}")
            elif path in self.divisors:
                other = "to follow the batch" if fill.size is Size.SAMPLES else f"to be {fill.size.value}"
                found.append(f"`{path}` is taken {other if fill.size is self.follows else 'as a constant'}")
            else:
                found.append(f"`{path}` is {fill.size.value}")
        found += [f"`{path}` is a list of samples" for path in sorted(self.lists)]
        for number in dict.fromkeys(self.windows.values()):
            found.append(f"a division by {number} is one by {Size.MICRO_BATCHES.value}")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The holes of a trace, by what is put in them."""

    fixed: dict[str, Fill | Number]
    roles: dict[str, tuple[Role, Loss, int]]
    generic: list[str]
    masks: list[str]
    divisors: tuple[str, ...]


def sizes_of(found: Findings) -> Sizes:
    """Return base sizes, with those that are written in the source."""
    base = dict(BASE)
    letter = "C" if found.losses and "C" in found.losses[0].layouts[0][0] else "D"
    for _, size in found.literals:
        if size <= _MAX_LITERAL and base[letter] == BASE[letter]:
            base[letter] = size
    for size in found.classes[:1]:
        base["C"] = size
        if found.labels:
            base["D"] = size
    return Sizes(base=base, ignored=next(iter(found.ignored), IGNORED), is_written=bool(found.ignored))


def plans(found: Findings, *, time_first: bool = False) -> Iterator[Plan]:
    """Yield plans, the likeliest first, different layouts of the loss before other differences."""
    yield from _plans(found, time_first=time_first)
    if found.gathered:
        # what is gathered may be whole rows, and more than one of a kind
        rows = replace(found, gathered=dict.fromkeys(found.gathered, "B1"), choices={})
        yield from _plans(rows, time_first=time_first)


def _plans(found: Findings, *, time_first: bool) -> Iterator[Plan]:
    holes = _sort(found)
    main = next((loss for loss in found.losses), BY_HAND)
    possible = main.layouts
    is_shifted = any(0 in axes for axes in found.shifted.values())
    if (time_first or is_shifted) and possible[0] == ("BC", "B"):
        possible = (possible[0], TIME_FIRST, *possible[1:])
    elif is_shifted:
        possible = (*possible, *(tuple("TB" + layout[2:] for layout in p) for p in possible if p[0][:2] == "BT"))
    layouts = [layout for layout in possible if _fits_roles(found, holes, main, layout)] or list(possible)
    generic = _GENERIC if holes.generic else ("same",)
    masks = _MASKS if holes.masks else ("target",)
    seen = set()
    for others, mask, layout in itertools.product(generic, masks, layouts):
        fills = _fills(found, holes, main, layout, others, mask)
        key = repr(sorted((path, repr(fill)) for path, fill in fills.items()))
        if key not in seen and _fits(found, fills):
            seen.add(key)
            yield Plan(fills, ",".join(layout), holes.divisors, takes_rows=found.takes_rows, lists=found.lists)


def _fills(
    found: Findings, holes: _Sorted, main: Loss, layout: Sequence[str], others: str, mask: str
) -> dict[str, Fill | Number]:
    fills = dict(holes.fixed)
    prediction = layout[0]
    target = layout[1] if len(layout) > 1 else prediction
    for path, (role, loss, argument) in holes.roles.items():
        own = _layout_of(loss, main, layout, argument)
        fills[path] = Fill(Role.TARGET_PROBABILITY if role is Role.CLASS and "C" in own else role, own)
    for path in holes.generic:
        alike = prediction if prediction[0] != "S" or _is_alike(found, path) else "BD"
        # where no loss says what it takes, what a model puts out is taken for the prediction
        is_output = names.is_output(path)
        is_prediction = others == "same" or (not holes.roles and is_output)
        is_data = (found.takes_rows and path in found.apart) or ("(" in path and not is_output)
        role = Role.TARGET if is_data else Role.REAL
        # what a model puts out is no single number
        shape = prediction if not others and is_output else others
        fills[path] = Fill(role, alike if is_prediction else shape)
    _give_alike(fills)
    shape = {"target": target, "prediction": prediction}.get(mask, mask)
    for path in holes.masks:
        is_boolean = path in found.boolean
        fills[path] = Fill(Role.MASK if names.is_mask(path) else Role.WEIGHT, shape, is_boolean)
    return fills


def _give_alike(fills: dict[str, Fill | Number]) -> None:
    """Give all outputs of one network one shape."""
    for path, fill in fills.items():
        first = fills.get(names.first_call(path))
        if isinstance(fill, Fill) and isinstance(first, Fill):
            fills[path] = replace(fill, layout=first.layout)


def _is_alike(found: Findings, path: str) -> bool:
    """Whether a tensor is computed with another one elementwise."""
    return any(path in paths for paths in found.equal)


def _layout_of(loss: Loss, main: Loss, layout: Sequence[str], argument: int) -> str:
    """Return the layout of an argument: of another loss, the one whose first tensor is like that of the main loss."""
    if loss is not main:
        alike = [other for other in loss.layouts if other[0] == layout[0]]
        layout = (alike or loss.layouts)[0]
    return layout[min(argument, len(layout) - 1)]


def _fits_roles(found: Findings, holes: _Sorted, main: Loss, layout: Sequence[str]) -> bool:
    return all(
        _fits_rank(found, path, _layout_of(loss, main, layout, argument))
        for path, (_, loss, argument) in holes.roles.items()
        if loss is main
    )


def _fits(found: Findings, fills: Mapping[str, Fill | Number]) -> bool:
    return all(_fits_rank(found, path, fill.layout) for path, fill in fills.items() if isinstance(fill, Fill))


def _fits_rank(found: Findings, path: str, layout: str) -> bool:
    exact = found.exact.get(path)
    axis = found.normalized.get(path)
    if axis is not None and "C" in layout and layout.index("C") != axis % len(layout):
        return False
    if any(layout[axis : axis + 1] == "B" for axis in found.shifted.get(path, ())):
        return False
    return len(layout) >= found.least.get(path, 0) and (exact is None or len(layout) == exact)


def _sort(found: Findings) -> _Sorted:
    structures = found.structures
    holes = _Sorted({}, {}, [], [], _divisors(found, structures))
    for path, uses in found.uses.items():
        if path in structures or names.last_part(path) in ("device", "rank", "local_rank", "gpu"):
            continue
        number = Size.MICRO_BATCHES if path in found.windows else names.number_by_name(path)
        if number is not None:
            holes.fixed[path] = Number(number)
            continue
        role = _role(found, path)
        if path in found.choices:
            holes.fixed[path] = Fill(Role.REAL, found.choices[path])
        elif role is not None and path not in found.single and not _is_factor(found, path, role):
            if role[0] is Role.TARGET and found.takes_rows and path in found.apart:
                # what is made of its samples may have other axes
                holes.generic.append(path)
            else:
                holes.roles[path] = role
        else:
            _sort_by_use(found, holes, path, uses, has_role=role is not None)
    return holes


def _is_factor(found: Findings, path: str, role: tuple[Role, Loss, int]) -> bool:
    """Whether something that reaches a loss is multiplied with it: a mask or a weight."""
    if any(pure and not loss.role(index).is_learned for loss, index, pure in found.roles[path]):
        return names.is_weight(path) and role[2] > 0
    return names.is_mask(path) or names.is_weight(path)


def _sort_by_use(found: Findings, holes: _Sorted, path: str, uses: set[str], *, has_role: bool) -> None:
    fixed = _fixed(found, path, uses, has_role=has_role)
    if fixed is not None:
        holes.fixed[path] = fixed
    elif names.is_mask(path) or (names.is_weight(path) and (has_role or "tensor" in uses)):
        holes.masks.append(path)
    elif "tensor" in uses or has_role:
        holes.generic.append(path)
    elif "decision" in uses:
        holes.fixed[path] = Number(names.number_by_use(path, uses) or Size.ONE)
    elif uses & {"arithmetic", "divisor", "test"}:
        number = names.number_by_use(path, uses)
        if number is None:
            holes.generic.append(path)
        else:
            holes.fixed[path] = Number(number)


def _fixed(found: Findings, path: str, uses: set[str], *, has_role: bool) -> Fill | Number | None:
    """Return what is put in a hole whose use leaves no choice."""
    if path in found.single:
        return Fill(Role.WEIGHT if path in found.weighing else Role.TARGET, "")
    if path in found.lengths:
        return Fill(Role.LENGTH, "B")
    if names.is_parameter(path):
        return Fill(Role.REAL, "D" * (found.exact.get(path) or max(found.least.get(path, 0), 2)))
    if path in found.gathered and not has_role:
        return Fill(Role.CLASS, found.gathered[path])
    if path in found.labels and not has_role:
        return Fill(Role.CLASS, "B")
    if "class weight" in uses or (path in found.weighing and not has_role):
        return Fill(Role.CLASS_WEIGHT, "C")
    if names.is_mask(path):
        return None
    if "index" in uses and not has_role:
        return Fill(Role.ROW, "BT" if found.least.get(path, 0) > 1 else "B")
    if uses & {"column", "position"} and not has_role:
        layout = "C" if "column" in uses else ""
        return Fill(Role.ROW, "BT" if found.least.get(path, 0) > 1 else layout)
    if "size" in uses and "tensor" not in uses:
        return Number(names.number_by_use(path, uses - {"divisor"}) or Size.FEATURES)
    if "tensor" in uses and names.is_length(path):
        return Fill(Role.LENGTH, "B")
    is_option = uses == {"option"} and names.number_by_use(path, uses) is Size.IGNORED
    return Number(Size.IGNORED) if is_option else None


def _role(found: Findings, path: str) -> tuple[Role, Loss, int] | None:
    """Return the role of a path: a learned one if it has any, and as the loss takes it only with its own values."""
    given = found.roles.get(path)
    if not given:
        return None
    learned = [(loss, index, pure) for loss, index, pure in given if loss.role(index).is_learned]
    loss, index, pure = (learned or given)[0]
    role = loss.role(index)
    if not pure and role in (Role.PROBABILITY, Role.LOG_PROBABILITY, Role.VARIANCE, Role.LOGIT):
        role = Role.REAL
    if not pure and role in (Role.TARGET_PROBABILITY,):
        role = Role.TARGET
    if names.is_output(path) and role is Role.TARGET:
        role = Role.REAL
    return role, loss, index


def _divisors(found: Findings, structures: set[str]) -> tuple[str, ...]:
    """Return the numbers that something is divided by and that may be anything."""
    return tuple(
        path
        for path, uses in found.uses.items()
        if "divisor" in uses
        and path not in structures
        and path not in found.roles
        and "tensor" not in uses
        and names.number_by_name(path) is None
        and path not in found.windows
        and not names.is_option(path)
        and names.number_by_use(path, uses) in (Size.ONE, Size.SHARE)
    )
