"""What the analysis found in a module: plain data, no syntax.

Facts hold spans and never nodes, so they pickle, cache by content and travel to other processes.
Rules see nothing else.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from fractions import Fraction

from lint_reduction.growth import ONE, Count, Growth


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of source text; lines and columns are 1-based, the end column is exclusive.

    Columns count characters (code points), not bytes. ``path`` is the absolute path of another file, of
    the project or of an installed package, empty for the file at hand.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    path: str = ""

    def within(self, path: str) -> Span:
        """Return the same place, in another file."""
        return replace(self, path=path)


class Evidence(enum.IntEnum):
    """How sure the analysis is of something, from weak to strong."""

    GUESS = 0
    """Only a convention: an unknown call is taken for a model."""
    NAME = 1
    """A variable is called as such things are called: ``batch_size``."""
    CONFIGURATION = 2
    """The default of an option, which a user of the program may change."""
    SHAPE = 3
    """Read off a tensor, a loader or a literal: ``x.size(0)``."""


class Certainty(enum.Enum):
    """Whether a flow is taken on every run of its function."""

    ALWAYS = "always"
    SOMETIMES = "sometimes"
    """Some branch or some alternative value leads there."""
    OPTIONAL = "optional"
    """Only when an option of the program is not as usual."""


class Fate(enum.Enum):
    """Where the path of a loss ends."""

    TRAINED = "trained"
    """Its gradient updates parameters."""
    RETURNED = "returned"
    """Handed to a caller that is not in view."""
    LOGGED = "logged"
    """Made a number for people: ``.item()``, ``float()``, a format."""
    REPORTED = "reported"
    """A total over batches, divided to be a mean for people."""
    DETACHED = "detached"
    """Computed without a gradient."""
    ESCAPED = "escaped"
    """Handed to something the analysis cannot follow; also a gradient taken of inputs."""


class Doubt(enum.Enum):
    """What may be wrong with a divisor, or with what it is taken to count."""

    CONSTANT = "constant"
    """It is the same for every batch, however many samples that has."""
    EMPTY = "empty"
    """It counts what a mask keeps, and nothing keeps it from being 0."""
    LATER_AXIS = "later axis"
    """It is the size of an axis that is not the first, which is the batch where time comes first."""


class StepKind(enum.Enum):
    """What a step on the path of a loss does to it."""

    SITE = "loss"
    SUM = "sum"
    MEAN = "mean"
    REDUNDANT = "reduction of one number"
    MULTIPLY = "multiplication"
    MASK = "masking"
    MODULATE = "multiplication with itself"
    PER_SAMPLE = "use per sample"
    DIVIDE = "division"
    ACCUMULATE = "accumulation"
    ONES = "gradient argument"
    RESCALE = "gradient division"
    WINDOW = "step after several backward calls"
    BACKWARD = "backward"
    RETURN = "return"
    READ = "read"
    OPTIMIZER = "optimizer"
    LEARNING_RATE = "learning rate"
    CLIP = "gradient clipping"


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the path of a loss.

    Attributes:
        kind: what happens.
        span: where.
        growth: the factor by which the step changes the growth.
        evidence: how the counts of ``growth`` were seen.
        text: the expression that counts, for messages (``x.size(0)``); may be empty.
        axes: the counts that a reduction removes.
        doubt: what may be wrong with a divisor.
        method: the name in a bare method call that the step is (``sum`` of ``loss.sum()``), None for anything else.
        inside: where in an installed package it is done, ``span`` being the call of the project that leads there.
    """

    kind: StepKind
    span: Span
    growth: Growth = ONE
    evidence: Evidence = Evidence.SHAPE
    text: str = ""
    axes: frozenset[Count] = frozenset()
    doubt: Doubt | None = None
    method: Span | None = None
    inside: Span | None = None


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written out in the source."""

    value: None | bool | int | float | str | bytes | complex

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a loss call, bound to the parameter it lands in.

    Attributes:
        parameter: name of that parameter.
        keyword: whether it was given by name.
        literal: its value, where that is written out at this place.
        text: its source, shortened.
        known: its value, written here or found elsewhere (a constant, a default).
        span: where it stands.
    """

    parameter: str
    keyword: bool
    literal: Literal | None
    text: str
    known: Literal | None
    span: Span


class Decision(enum.Enum):
    """What fixes the reduction of a loss call."""

    DEFAULT = "default"
    KEYWORD = "keyword"
    POSITION = "position"
    LEGACY = "legacy flag"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True)
class LossSite:
    """A call that fixes how a loss is reduced: a constructor or a functional call.

    Attributes:
        callee: resolved name, ``torch.nn.MSELoss``.
        is_class: whether the callee is a module class, called to build a criterion.
        reduction: the effective reduction, None where it is not known.
        decided_by: what fixes it.
        span: the call.
        arguments: all arguments that could be bound to a parameter.
        accepts: the reductions that the callee runs with, empty where not known.
        warns: those of them that torch warns about.
        legacy: the deprecated parameters of the callee, ``size_average`` and ``reduce``.
        legacy_value: what the legacy flags given say, None where none is given or it is not known.
        tensors: how many leading positional arguments are tensors.
        used_as_value: a class whose instance is used as if it were the loss itself.
        function: qualified name of the function that holds the call, empty for the module.
        divisor: what a mean divides by: ``numel``, ``samples``, ``valid`` (the weights of what is not ignored).
        ignored_parameter: a parameter of the function or class around it that should decide the reduction and does not.
        is_open: whether there may be arguments that are not in view (``*args``, ``**options``).
        inside: where in an installed package the call is, ``span`` being that of the project which leads there.
        own_mean_too: whether the module also has a loss with weights of the same name under its own mean.
    """

    callee: str
    is_class: bool
    reduction: str | None
    decided_by: Decision
    span: Span
    arguments: tuple[Argument, ...] = ()
    accepts: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    legacy: tuple[str, ...] = ()
    legacy_value: str | None = None
    tensors: int = 0
    used_as_value: bool = False
    function: str = ""
    divisor: str = ""
    ignored_parameter: str = ""
    is_open: bool = False
    inside: Span | None = None
    own_mean_too: bool = False

    def argument(self, parameter: str) -> Argument | None:
        """Return the argument bound to a parameter, None if it is not given."""
        return next((a for a in self.arguments if a.parameter == parameter), None)


class Batch(enum.IntEnum):
    """What the data of a loss are, as far as the batch size goes; the larger one wins."""

    PARAMETERS = 0
    """Weights of a model: no samples at all."""
    SINGLE = 1
    """One sample by construction."""
    FIXED = 2
    """The same tensors at every step: a full-batch objective has no batch size."""
    ARGUMENT = 3
    """Handed in from outside."""
    DRAWN = 4
    """Computed afresh in each round of a loop."""
    LOADER = 5
    """What a data loader yields."""


@dataclass(frozen=True, slots=True)
class Term:
    """A summand of an objective.

    Attributes:
        site: the loss call it comes from, None for a loss written as arithmetic.
        steps: what was done to it, in order, beginning with the site.
        growth: what it grows with, None where that is not known.
        reason: why the growth is not known.
        batch: what its data are.
        undetermined: counts about which ``growth`` says nothing.
    """

    site: LossSite | None
    steps: tuple[Step, ...]
    growth: Growth | None
    reason: str = ""
    batch: Batch = Batch.ARGUMENT
    undetermined: frozenset[Count] = frozenset()

    def last(self, kind: StepKind) -> Step | None:
        """Return the last step of a kind."""
        return next((step for step in reversed(self.steps) if step.kind is kind), None)

    def cause(self, exponent: int) -> Step | None:
        """Return the step that brings the power of samples to an exponent, 1 or -1, for good."""
        reached: Step | None = None
        power = Fraction(0)
        for step in self.steps:
            before, power = power, power + step.growth.in_samples
            if power * exponent >= 1 and before * exponent < 1:
                reached = step
        return reached if power * exponent >= 1 else None

    @property
    def averaged_at_once(self) -> Step | None:
        """The mean over all samples and positions, where nothing else reduces or divides; None otherwise."""
        changing = (StepKind.SUM, StepKind.MEAN, StepKind.DIVIDE, StepKind.ACCUMULATE)
        steps = [step for step in self.steps if step.kind in changing]
        mean = steps[0] if len(steps) == 1 else None
        return mean if mean is not None and mean.kind is StepKind.MEAN and Count.SAMPLES in mean.axes else None

    @property
    def evidence(self) -> Evidence:
        """The weakest evidence along the path."""
        return min((step.evidence for step in self.steps), default=Evidence.SHAPE)


class Behavior(enum.Enum):
    """How the update of an optimizer follows a constant factor on the gradient."""

    EQUIVARIANT = "equivariant"
    """Proportional to the gradient: SGD, a step written by hand."""
    INVARIANT = "invariant"
    """Unchanged: Adam, RMSprop, Muon, Lion."""
    TRANSITIONAL = "transitional"
    """Equivariant in some steps: RAdam in its first five."""
    SEARCHING = "searching"
    """With tolerances and a first step of its own: LBFGS, where a sum is no error."""


class Companion(enum.Enum):
    """Something beside the loss that sees the size of the gradient even if the update does not."""

    CLIPPING = "gradient clipping"
    COUPLED_DECAY = "coupled weight decay"
    LOSS_SCALER = "an fp16 loss scale"
    FIRST_STEPS = "the first steps of the optimizer"
    INITIAL_ACCUMULATOR = "an initial accumulator value"
    MIXED_TERMS = "a term of other growth"


@dataclass(frozen=True, slots=True)
class OptimizerFact:
    """The optimizer that steps on a loss.

    Attributes:
        name: resolved name, or ``"a step written by hand"``.
        behavior: None where the class is not known.
        learning_rate: growth of the learning rate, None where it may be anything.
        span: where it is built, or where it steps; None where a framework builds it by default.
        learning_rate_span: where the learning rate gets its growth.
    """

    name: str
    behavior: Behavior | None
    learning_rate: Growth | None
    span: Span | None
    learning_rate_span: Span | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """How a run comes to the end of a flow: the function where it begins, and the calls from there.

    Attributes:
        function: qualified name of the first function, empty for the body of the module.
        path: absolute path of the file that holds it, empty for the file at hand.
        receiver: qualified name of the class whose object its ``self`` is, empty if it is no method.
        calls: the calls that lead on, the outermost first; a function that nobody calls in view has none.
    """

    function: str = ""
    path: str = ""
    receiver: str = ""
    calls: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class LossFlow:
    """The path of one objective from its loss calls to where it ends.

    Attributes:
        terms: the summands.
        axes: counts that are certainly not yet reduced; empty for a scalar or where not known.
        fate: where it ends.
        end: the step that ends it.
        function: qualified name of the function in which it ends.
        certainty: whether every run takes this flow.
        functions: how many functions the path runs through.
        optimizer: what steps on it, if that is in view.
        steps: what happens to the gradient after ``end``: division, clipping.
        gradient_growth: growth of the factors applied to the gradient after ``end``; None: unknown.
        companions: what else in view sees the size of the gradient.
        note: what the analysis wants to say about the end.
        framework_divides: the name of the setting by which a framework divides at the end, empty if none does.
        unflushed: whether micro-batches may be left over at the end of a loop, without a step of their own.
        ignored_normalizer: the parameter by which a trainer takes the loss for normalized, if it is not used.
        averages_ranks: whether the gradients of several processes are averaged, and nothing is gathered.
        route: a way to get there, for those who want to run it; flows that differ in nothing else are one.
    """

    terms: tuple[Term, ...]
    axes: tuple[Count, ...]
    fate: Fate
    end: Step
    function: str
    certainty: Certainty = Certainty.ALWAYS
    functions: int = 1
    optimizer: OptimizerFact | None = None
    steps: tuple[Step, ...] = ()
    gradient_growth: Growth | None = ONE
    companions: frozenset[Companion] = frozenset()
    note: str = ""
    framework_divides: str = ""
    unflushed: bool = False
    ignored_normalizer: str = ""
    averages_ranks: bool = False
    route: Route = field(default=Route(), compare=False)

    @property
    def window(self) -> Step | None:
        """The step of the optimizer behind several backward calls, None if it is not known that there are several."""
        return next((step for step in self.steps if step.kind is StepKind.WINDOW), None)

    def growth(self, term: Term) -> Growth | None:
        """Return what the gradient of a term grows with at the optimizer, None where not known."""
        if term.growth is None or self.gradient_growth is None:
            return None
        return term.growth * self.gradient_growth


@dataclass(frozen=True, slots=True)
class OpenLoss:
    """A loss that grows with the samples and is left to whoever calls what returns it.

    Attributes:
        name: of the function, the class or the criterion, at the top of its module.
        method: of the class, empty where it is called like a function.
    """

    name: str
    method: str = ""


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """All that is known of one module.

    Attributes:
        path: as given by the caller.
        sites: the loss calls, in source order.
        flows: the paths of losses.
        open_losses: what other modules may train on.
    """

    path: str
    sites: tuple[LossSite, ...] = ()
    flows: tuple[LossFlow, ...] = ()
    open_losses: tuple[OpenLoss, ...] = ()
