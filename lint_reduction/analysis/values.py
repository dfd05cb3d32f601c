"""What an expression may stand for while a module is interpreted.

The sealed set of abstract values. All are immutable; what can change (attributes of an object, the
learning rate of an optimizer) is kept in the heap of ``state.py`` under the identity of its owner.

A **tensor** is a sum of *summands*, each with a growth, and the axes that are not yet reduced. A
count (``x.size(0)``), a mask and a plain number derived from data are tensors as well: they differ
only in what they grow with and in having no axes. **Opaque** is something not known that cannot be
a loss followed so far; **Unknown** is a loss that went through something not known, and absorbs.
"""

from __future__ import annotations

import enum
from dataclasses import field, replace
from typing import TypeAlias

from lint_reduction.analysis.code import ClassCode, FunctionCode, Scalar
from lint_reduction.analysis.records import record
from lint_reduction.facts import Batch, Doubt, Evidence, StepKind
from lint_reduction.growth import ONE, Count, Growth
from lint_reduction.libraries.schema import LossModel, OptimizerModel


@record(frozen=True, slots=True)
class Hop:
    """A step on the path of a loss, its place still a mark (``facts.Step`` has the span)."""

    kind: StepKind
    mark: int
    growth: Growth = ONE
    evidence: Evidence = Evidence.SHAPE
    text: str = ""
    axes: frozenset[Count] = frozenset()
    """The counts that a reduction removed."""
    doubt: Doubt | None = None
    method: int = 0
    """The mark of the name in a bare method call."""
    inside: int = 0
    """Where in an installed package it is done, ``mark`` being the call of the project that leads there."""


@record(frozen=True, slots=True)
class Site:
    """A loss call; ``index`` finds the rest of what is known in the trace."""

    index: int
    mark: int


@record(frozen=True, slots=True)
class Summand:
    """One summand of a tensor.

    Attributes:
        growth: of the whole value where reduced, of a typical entry where not; None if not known.
        reason: why it is not known.
        site: the loss call it comes from, None for data and arithmetic.
        hops: what was done to it.
        batch: what its data are.
        undetermined: counts about which the growth says nothing.
        depth: how many functions it has passed through.
        gradient: whether it carries a gradient.
    """

    growth: Growth | None = ONE
    reason: str = ""
    site: Site | None = None
    hops: tuple[Hop, ...] = ()
    batch: Batch = Batch.ARGUMENT
    undetermined: frozenset[Count] = frozenset()
    gradient: bool = True

    def step(self, hop: Hop, *, undetermined: frozenset[Count] = frozenset()) -> Summand:
        """Return the summand after one more step."""
        growth = None if self.growth is None else self.growth * hop.growth
        return replace(self, growth=growth, hops=(*self.hops, hop), undetermined=self.undetermined | undetermined)

    def lost(self, reason: str) -> Summand:
        """Return the summand with its growth no longer known."""
        if self.growth is None:
            return self
        return replace(self, growth=None, reason=reason)


class Place(enum.Enum):
    """Where the batch axis stands among the axes of a tensor."""

    FIRST = "first"
    MERGED = "merged"
    """Flattened together with the positions: one axis is all."""
    SOMEWHERE = "somewhere"
    NONE = "none"
    """There is no batch axis, or it is reduced."""


@record(frozen=True, slots=True)
class Axes:
    """The axes of a tensor that are not yet reduced, as far as known.

    Attributes:
        place: of the batch axis.
        counts: counts of the axes, such as samples and elements; what reducing all would remove.
        rank: number of axes, None if not known.
        certain: whether the counts are there for sure; an unknown call may have reduced them.
        more: whether there may be positions beside ``counts``.
        paired: whether there may be a second batch axis: every sample with every other.
    """

    place: Place = Place.NONE
    counts: frozenset[Count] = frozenset()
    rank: int | None = 0
    certain: bool = True
    more: bool = False
    paired: bool = False

    @property
    def is_scalar(self) -> bool:
        """Whether nothing is left to reduce, for sure."""
        return not self.counts and not self.more


SCALAR = Axes()
#: A batch of data of unknown rank.
BATCH_AXES = Axes(Place.FIRST, frozenset({Count.SAMPLES, Count.ELEMENTS}), None)
#: What an unknown call makes of a batch.
PRESUMED_AXES = replace(BATCH_AXES, certain=False)
#: A weight, or something of its shape.
WEIGHT_AXES = Axes(Place.NONE, frozenset(), None)
#: One sample.
SAMPLE_AXES = Axes(Place.NONE, frozenset({Count.ELEMENTS}), None)


@record(frozen=True, slots=True)
class Tensor:
    """A tensor, or a number derived from one.

    Attributes:
        summands: the terms of the value; none stands for a constant.
        axes: what is not yet reduced.
        batch: what the data behind it are.
        is_mask: whether its entries are true and false.
        may_be_container: a batch of a loader may be a tuple or a dictionary of tensors.
        has_names: whether an entry of it was asked for by name, so that its length is the number of its entries.
        is_part: whether it is one entry of such a batch, a tensor or else a list.
        across: what its data were before an axis was put before the first: the batch may be second now.
        arithmetic: whether anything was computed with it.
        made_of: which operations of losses written by hand went into it: ``difference``, ``square``,
            ``exp``, ``log``; also ``draw`` for random numbers, ``choice`` for what a mask chooses by them,
            ``probability`` for a softmax, ``positions`` for ``torch.arange``, ``padding`` for a mask of what
            is none and ``number`` for one that is not 0.
        sometimes: whether its terms come from several alternatives, too many to keep apart.
        evidence: how sure it is that a count counts what it is taken for.
        text: source of the expression, where it counts something.
        least_rank: how many axes it has at least, 0 where nothing says so.
        may_be_zero: whether it counts what a mask keeps, and nothing keeps it from being 0.
        later_axis: whether it is the size of an axis that is not the first.
        perhaps_row: whether it came of a loop over something that may be a batch or a list of batches.
    """

    summands: tuple[Summand, ...] = ()
    axes: Axes = SCALAR
    batch: Batch = Batch.ARGUMENT
    is_mask: bool = False
    may_be_container: bool = False
    has_names: bool = False
    is_part: bool = False
    across: Batch | None = None
    arithmetic: bool = False
    made_of: frozenset[str] = frozenset()
    sometimes: bool = False
    evidence: Evidence = Evidence.SHAPE
    text: str = ""
    least_rank: int = 0
    may_be_zero: bool = False
    later_axis: bool = False
    perhaps_row: bool = False

    @property
    def is_written_loss(self) -> bool:
        """Whether it looks like a loss written as arithmetic: a squared error, a KL divergence."""
        made = self.made_of
        if "square" in made and made & {"difference", "exp", "log"}:
            return True
        return self.axes.certain and bool(made & {"square", "log"})

    @property
    def is_loss(self) -> bool:
        """Whether a loss call went into it."""
        return any(summand.site is not None for summand in self.summands)

    @property
    def growth(self) -> Growth | None:
        """The one growth of all summands; None if they differ or one is not known."""
        growths = {summand.growth for summand in self.summands}
        if not growths:
            return ONE
        return next(iter(growths)) if len(growths) == 1 else None


@record(frozen=True, slots=True)
class Unknown:
    """A loss that went through something that cannot be followed; absorbs everything."""

    reason: str


@record(frozen=True, slots=True)
class Opaque:
    """Something that is not known: an argument, an attribute, the result of an unknown call.

    Attributes:
        name: the variable or attribute, or the function that was called.
        batch: what it is if it is data.
        called: whether it is the result of a call.
        varies: whether it changes from one round of a loop to the next.
        is_row: whether it is the index of a sample.
        usual: truth of a flag when nobody sets it.
        is_leaf: whether it was made to require a gradient here: data that is moved, or looked at.
        is_one: whether it is the number 1 when nobody sets it.
        in_model: whether it is an attribute of a model, such as a layer of it.
    """

    name: str = ""
    batch: Batch = Batch.ARGUMENT
    called: bool = False
    varies: bool = False
    is_row: bool = False
    usual: bool | None = None
    is_leaf: bool = False
    is_one: bool = False
    in_model: bool = False


#: Name of what comes of comparing two things not known: a truth value, or a mask.
COMPARISON = "comparison"
#: The same, where what is compared with is a threshold by its name.
CHOICE = "choice"
#: Name of the number by which torch knows a reduction, where the reduction is not known.
REDUCTION_NUMBER = "number of a reduction"


@record(frozen=True, slots=True)
class Constant:
    """A value known from the source; ``evidence`` says whether it is only a default."""

    value: Scalar
    evidence: Evidence = Evidence.SHAPE


@record(frozen=True, slots=True)
class External:
    """A name of another module, resolved: ``torch.nn.MSELoss``.

    Attributes:
        name: with the module.
        unread: whether that is a module of the project that cannot be read, so that it may do anything.
    """

    name: str
    unread: bool = False


@record(frozen=True, slots=True)
class Imported:
    """Something of another module of the project, looked up when it is used.

    Attributes:
        path: of the module.
        name: in it, with dots, empty for the module itself.
        dotted: the name under which it was imported.
    """

    path: str
    name: str
    dotted: str


@record(frozen=True, slots=True)
class Object:
    """An instance of a class of a library that has no value of its own here."""

    name: str
    identity: int
    arguments: tuple[tuple[str, Value], ...] = ()

    def argument(self, *names: str) -> Value | None:
        """Return a constructor argument by its name, or by its position written as a number."""
        return next((value for key, value in self.arguments if key in names), None)


@record(frozen=True, slots=True)
class Criterion:
    """A loss that can be called: an instance of its class, with the reduction it has."""

    model: LossModel = field(hash=False)
    site: Site = Site(0, 0)
    reduction: str | None = None
    identity: int = 0


@record(frozen=True, slots=True)
class OptimizerValue:
    """An optimizer; its learning rate is in the heap.

    Attributes:
        identity: its owner in the heap.
        name: resolved class.
        model: what is known of the class, None if nothing.
        trains_inputs: whether its parameters are data, not weights.
        companions_on: options that see the size of the gradient.
        mark: where it is built.
    """

    identity: int
    name: str
    model: OptimizerModel | None = field(hash=False)
    trains_inputs: bool
    options: frozenset[str]
    mark: int


@record(frozen=True, slots=True)
class Instance:
    """An instance of a class of this module; attributes are in the heap."""

    identity: int
    body: ClassCode


@record(frozen=True, slots=True)
class Class:
    """A class of this module."""

    body: ClassCode


@record(frozen=True, slots=True)
class Super:
    """``super()`` in a method of ``home``."""

    owner: Instance
    home: ClassCode


@record(frozen=True, slots=True)
class Function:
    """A function of this module, with the frame it is defined in and the object it is bound to."""

    code: FunctionCode
    frame: int
    owner: Value | None = None
    home: ClassCode | None = None


@record(frozen=True, slots=True)
class Method:
    """A method of something that is not a class of this module, looked up and not yet called."""

    owner: Value
    name: str


@record(frozen=True, slots=True)
class Partial:
    """``functools.partial(func, *args, **keywords)``."""

    func: Value
    args: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]


@record(frozen=True, slots=True)
class Items:
    """A tuple or list of known entries."""

    entries: tuple[Value, ...]
    is_tuple: bool = False


@record(frozen=True, slots=True)
class Repeated:
    """A list of like entries.

    Attributes:
        entry: one of them.
        count: what the length grows with, None if that is not known.
        evidence: how sure that is.
        length: source of the length, where it is that of other lists.
        parts: whether they are parts of one batch, cut along its first axis.
    """

    entry: Value
    count: Growth | None
    evidence: Evidence = Evidence.SHAPE
    length: str = ""
    parts: bool = False


@record(frozen=True, slots=True)
class Mapping:
    """A dictionary with known keys; ``rest`` stands for entries under unknown ones."""

    entries: Entries
    rest: Value | None = None


@record(frozen=True, slots=True)
class Shape:
    """``x.shape``; ``start`` is how many leading axes were cut off."""

    tensor: Tensor
    start: int = 0
    text: str = ""


@record(frozen=True, slots=True)
class Loader:
    """Something that yields batches.

    Attributes:
        single: whether it yields one sample at a time.
        evidence: whether it is known to be a loader or only called like one.
        of_tensors: whether a batch is known to be a list of tensors.
        drops_last: whether it leaves out the last, shorter batch.
        is_full: whether its only batch is the whole data set.
    """

    single: bool = False
    evidence: Evidence = Evidence.SHAPE
    of_tensors: bool = False
    drops_last: bool = False
    is_full: bool = False


@record(frozen=True, slots=True)
class Dataset:
    """Something that yields single samples."""


@record(frozen=True, slots=True)
class Enumerated:
    """``enumerate(inner)``."""

    inner: Value


@record(frozen=True, slots=True)
class Zipped:
    """``zip(*inners)``."""

    inners: tuple[Value, ...]


@record(frozen=True, slots=True)
class Counting:
    """``range(...)``: ``count`` is what the number of rounds grows with, None if not known.

    ``axes_from`` is the first of the axes of a tensor that are counted, None for other ranges.
    """

    count: Growth | None
    axes_from: int | None = None
    evidence: Evidence = Evidence.SHAPE


@record(frozen=True, slots=True)
class Parameters:
    """The weights of a model, or one of them."""

    single: bool = False
    is_data: bool = False


@record(frozen=True, slots=True)
class Gradient:
    """``p.grad``, or a multiple of it.

    Attributes:
        of_inputs: whether p is data.
        growth: of the factor, None if it is not known.
        text: source of the divisor, where there is one.
        is_measure: whether it is a number made of gradients, such as their norm.
    """

    of_inputs: bool = False
    growth: Growth | None = ONE
    text: str = ""
    is_measure: bool = False


@record(frozen=True, slots=True)
class ParamGroups:
    """``optimizer.param_groups``, or one of them."""

    optimizer: OptimizerValue
    single: bool = False


@record(frozen=True, slots=True)
class Options:
    """A parsed command line or a configuration object with known defaults, by name.

    Attributes:
        defaults: the values that the options have at first.
        name: the parameter that it is handed in as.
        identity: the owner, in the heap, of the values that they have now; 0 if none can have changed.
    """

    defaults: tuple[tuple[str, Value], ...]
    name: str = ""
    identity: int = 0


@record(frozen=True, slots=True)
class Alternatives:
    """One of several values, each under the branch conditions that lead to it."""

    options: tuple[Option, ...]


@record(frozen=True, slots=True)
class Option:
    """An alternative: a value and the truth of the tests that it needs."""

    value: Value
    guards: frozenset[tuple[str, bool]] = frozenset()


Value: TypeAlias = (
    "Tensor | Unknown | Opaque | Constant | External | Imported | Object | Criterion | OptimizerValue | Instance"
    " | Class | Super | Function | Method | Partial | Items | Repeated | Mapping | Shape | Loader | Dataset"
    " | Enumerated | Zipped | Counting | Parameters | Gradient | ParamGroups | Options | Alternatives"
)

#: More alternatives than this become Unknown.
MAX_OPTIONS = 8


Entries: TypeAlias = "tuple[tuple[Scalar, Value], ...]"


def merged(before: Entries, after: Entries) -> Entries:
    """Return the entries of a dictionary updated with others."""
    entries: dict[Scalar, Value] = dict(before)
    entries.update(after)
    return tuple(entries.items())


def options_of(value: Value) -> tuple[Option, ...]:
    """Return a value as alternatives: itself alone if there is only one."""
    return value.options if isinstance(value, Alternatives) else (Option(value),)


def join(options: tuple[Option, ...]) -> Value:
    """Return one value for several alternatives."""
    kept: list[Option] = []
    for option in options:
        # there are few, and to compare two values takes less than the hash of one
        for index, other in enumerate(kept):
            if other.value is option.value or other.value == option.value:
                kept[index] = Option(other.value, other.guards & option.guards)
                break
        else:
            kept.append(option)
    if len(kept) == 1:
        return kept[0].value
    if len(kept) > MAX_OPTIONS:
        return _union(tuple(option.value for option in kept))
    return Alternatives(tuple(kept))


def _union(values: tuple[Value, ...]) -> Value:
    """Return one value for more alternatives than are kept apart: the terms of all of them."""
    if any(isinstance(value, Unknown) for value in values):
        return Unknown(f"more than {MAX_OPTIONS} alternatives")
    tensors = [value for value in values if isinstance(value, Tensor)]
    if not tensors:
        return Opaque("alternatives")
    terms: dict[object, Summand] = {}
    for tensor in tensors:
        for summand in tensor.summands:
            terms.setdefault((summand.site, summand.growth, summand.gradient, summand.batch), summand)
    axes = tensors[0].axes
    if any(tensor.axes != axes for tensor in tensors):
        counts = frozenset(count for tensor in tensors for count in tensor.axes.counts)
        axes = Axes(Place.SOMEWHERE, counts, None, certain=False, more=True)
    return Tensor(
        tuple(terms.values()),
        axes,
        max(tensor.batch for tensor in tensors),
        arithmetic=True,
        sometimes=True,
        evidence=min(tensor.evidence for tensor in tensors),
    )
