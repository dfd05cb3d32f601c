"""What happens to losses while a module is interpreted: sinks, steps and gradients, in order.

The interpreter writes a *trace*; ``flows.py`` reads it and makes facts of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lint_reduction.analysis.records import record
from lint_reduction.analysis.state import Guards, Loop
from lint_reduction.analysis.values import Hop, Value
from lint_reduction.facts import Companion, Decision, Evidence, Fate
from lint_reduction.growth import Growth
from lint_reduction.libraries.schema import LossModel


@record(frozen=True, slots=True)
class BoundArgument:
    """An argument of a loss call; ``facts.Argument`` with its place still a mark."""

    parameter: str
    keyword: bool
    literal: bool
    text: str
    value: Value
    mark: int


@dataclass(slots=True)
class SiteRecord:
    """A loss call as met in one or more contexts.

    Attributes:
        mark: of the call.
        callee: resolved name.
        model: what is known of it.
        is_class: whether it builds a criterion.
        reductions: the effective reductions that it had, None for one that is not known.
        decided_by: what fixed the reduction.
        arguments: as bound.
        legacy_value: what its legacy flags say, if they do.
        tensors: how many leading positional arguments are tensors.
        used_as_value: whether the criterion is used as if it were the loss.
        called: whether a criterion built here was called, or handed on to something that calls it.
        function: qualified name of the function that holds the call.
        ignored_parameter: a parameter around it that should decide the reduction and does not.
        is_open: whether there may be more arguments than are bound.
        inside: where in an installed package the call is, ``mark`` being that of the project which leads there.
    """

    mark: int
    callee: str
    model: LossModel
    is_class: bool
    reductions: set[str | None]
    decided_by: Decision
    arguments: tuple[BoundArgument, ...]
    legacy_value: str | None
    tensors: int
    used_as_value: bool = False
    called: bool = False
    function: str = ""
    ignored_parameter: str = ""
    is_open: bool = False
    inside: int = 0


@record(frozen=True, slots=True)
class Window:
    """A condition that holds in every so many rounds of a loop.

    Attributes:
        text: source of the number of rounds.
        growth: what that number grows with.
        evidence: how sure it is that the number is more than one.
        number: the number itself, where it is known.
        loops: the loops that the condition stands in.
        unflushed: whether the last rounds of the loop may meet the condition in no round.
    """

    text: str
    growth: Growth
    evidence: Evidence
    number: float | None
    loops: tuple[Loop, ...]
    unflushed: bool

    @property
    def key(self) -> tuple[str, tuple[Loop, ...]]:
        """What two conditions on the same rounds have in common."""
        return self.text, self.loops


@record(frozen=True, slots=True)
class Division:
    """What a framework does to a loss before it computes the gradient.

    Attributes:
        divides: whether it divides by the number of micro-batches, None if that is not known.
        setting: what says so.
        ignored_normalizer: the parameter by which it takes the loss for normalized, if that is not used.
    """

    divides: bool | None
    setting: str = ""
    ignored_normalizer: str = ""


NO_DIVISION = Division(divides=False)
UNKNOWN_DIVISION = Division(divides=None)


@record(frozen=True, slots=True)
class RouteDraft:
    """A route whose calls are still marks; its attributes are those of ``Route``."""

    function: str = ""
    path: str = ""
    receiver: str = ""
    calls: tuple[int, ...] = ()


@record(frozen=True, slots=True)
class Sink:
    """A loss reaches an end.

    Attributes:
        value: what arrives there.
        fate: which end.
        hop: the end itself.
        function: qualified name of the function that holds it.
        same_data: whether it is in loops of which none yields data.
        optimizer: what steps on it, where the sink says so itself.
        companions: what sees the size of the gradient there.
        trainer: whether a framework trains on what is returned here.
        note: more about the end.
        windows: the accumulation windows at whose end it is.
        loops: the loops that it is in.
        division: whether a framework divides by the number of micro-batches here.
        route: the functions and calls that lead there.
        guards: the tests that hold there.
    """

    value: Value
    fate: Fate
    hop: Hop
    function: str
    same_data: bool = False
    optimizer: Value | None = None
    companions: frozenset[Companion] = frozenset()
    trainer: bool = False
    note: str = ""
    windows: tuple[Window, ...] = ()
    loops: tuple[Loop, ...] = ()
    division: Division = NO_DIVISION
    route: RouteDraft = field(default=RouteDraft(), compare=False)
    guards: Guards = frozenset()


@record(frozen=True, slots=True)
class OptimizerStep:
    """``optimizer.step()``, with the growth of the learning rate, None if it may be anything.

    ``windows`` are the accumulation windows at whose end it is, ``loops`` those that it is in.
    """

    optimizer: Value
    mark: int
    learning_rate: Growth | None
    learning_rate_mark: int = 0
    windows: tuple[Window, ...] = ()
    loops: tuple[Loop, ...] = ()


@record(frozen=True, slots=True)
class ZeroGrad:
    """``optimizer.zero_grad()``, at the end of some accumulation windows, in some loops and where tests hold.

    ``owner`` is the optimizer or the model, None where the gradients of single tensors are set to zero.
    """

    windows: tuple[Window, ...]
    loops: tuple[Loop, ...]
    owner: Value | None = None
    guards: Guards = frozenset()


@record(frozen=True, slots=True)
class ManualUpdate:
    """``p -= lr * p.grad``; ``growth`` is that of the factor on the gradient, None if not known."""

    mark: int
    growth: Growth | None
    loops: tuple[Loop, ...] = ()


@record(frozen=True, slots=True)
class Rescale:
    """Gradients multiplied by something; ``growth`` None if it is not known.

    ``standing`` says that this happens to every gradient from now on: it is done by a hook; ``guards``
    are the tests that hold there; ``target`` says which gradients, empty for all.
    """

    mark: int
    growth: Growth | None
    text: str = ""
    standing: bool = False
    guards: frozenset[tuple[str, bool]] = frozenset()
    target: str = ""


@record(frozen=True, slots=True)
class Companioned:
    """Something that sees the size of the gradient."""

    companion: Companion
    mark: int


@record(frozen=True, slots=True)
class InputGradient:
    """The gradient of data is read: an attack, a saliency map, a penalty."""

    mark: int


Event = Sink | OptimizerStep | ZeroGrad | ManualUpdate | Rescale | Companioned | InputGradient


@dataclass(slots=True)
class Trace:
    """Everything that one run of a function did, in order.

    Attributes:
        events: sinks, steps and what happens to gradients.
        reasons: why values became unknown, by mark.
        factors: the numbers by which losses and gradients were multiplied or divided.
    """

    events: list[Event] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    factors: set[float] = field(default_factory=set)
