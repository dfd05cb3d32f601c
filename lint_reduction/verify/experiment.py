"""What is sent to a worker to be run: the source of a finding, cut down to what matters, and where to look in it.

Plain data that goes through JSON. Places are those of ``ast``: lines from 1, columns in bytes of UTF-8 from 0.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

Scalar = None | bool | int | float | str


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a node of the source begins and ends.

    Attributes:
        unit: index of the unit.
        line, column, end_line, end_column: as ``ast`` counts them.
    """

    unit: int
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Link:
    """A name that a unit imports from another one.

    Attributes:
        name: the local name.
        unit: index of the unit it comes from.
        member: its name there, empty for the module itself.
    """

    name: str
    unit: int
    member: str


@dataclass(frozen=True, slots=True)
class Unit:
    """One source file, with all statements that nothing needs blanked out: lines and columns stay as they are.

    Attributes:
        path: for messages; never opened by a worker. A package that is only a folder is a unit without text.
        text: what is left of it; parses.
        links: the names it imports from other units.
    """

    path: str
    text: str
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Branch:
    """A test whose outcome is fixed because the path of the loss runs through one side of it.

    Attributes:
        place: of the ``if`` statement, conditional expression or ``while``, of the pattern of a ``match`` case.
        taken: whether its first side (body, case) is the one.
    """

    place: Place
    taken: bool


@dataclass(frozen=True, slots=True)
class Known:
    """The value of an expression as the analysis knows it, where running the expression would not tell.

    Attributes:
        place: of the expression.
        value: the value.
    """

    place: Place
    value: Scalar


@dataclass(frozen=True, slots=True)
class Counted:
    """An expression that counts something by what it is called, though a run of another size would not change it.

    Attributes:
        place: of the expression: ``batch_size``, ``args.accumulation_steps``.
        count: what it counts, a ``Count`` value.
    """

    place: Place
    count: str


@dataclass(frozen=True, slots=True)
class Callee:
    """What a loss call calls, by its resolved name.

    Attributes:
        place: of the call.
        name: ``torch.nn.MSELoss``.
        options: the arguments that it takes from settings, by name: unpacked, or given to what builds it.
        is_built: whether the arguments that are written are not its own, but those of what builds it from settings.
    """

    place: Place
    name: str
    options: tuple[tuple[str, Scalar], ...] = ()
    is_built: bool = False


@dataclass(frozen=True, slots=True)
class Experiment:
    """One finding, ready to be run.

    Attributes:
        rule: code of the rule.
        units: the sources; the first holds the function where the run begins.
        function: qualified name of that function, empty for the body of the module.
        receiver: unit index and qualified name of the class of its ``self``, None if it is no method.
        calls: the calls that lead from there to the end, outermost first.
        end: where the path of the loss ends; the definition of the function where that is what it returns.
        end_kind: what ends it, a ``StepKind`` value: ``backward``, ``return``, ``read``.
        end_function: qualified name of the function that holds the end.
        site: the loss call or reduction that the finding is about: no verdict unless it was run.
        sites: all loss calls on the path, with what they call.
        steps: other places on the path, each with its ``StepKind`` value.
        branches: the tests that are decided in advance.
        known: expressions whose value the analysis knows.
        optimizer: where the optimizer is built, None if none is in view.
        optimizer_function: qualified name of the function that builds it, run if the run itself does not get there.
        dials: the counts to vary, ``Count`` values, the one that decides first.
        counted: the numbers that a program is configured with and that follow a dial: a batch size, an accumulation.
        unseen: calls between the end of the path and the step that might change gradients, and are not in view.
        framework_divides: whether a framework divides by the number of micro-batches in its backward.
    """

    rule: str
    units: tuple[Unit, ...]
    function: str
    receiver: tuple[int, str] | None
    calls: tuple[Place, ...]
    end: Place
    end_kind: str
    end_function: str
    site: Place
    sites: tuple[Callee, ...] = ()
    steps: tuple[tuple[str, Place], ...] = ()
    branches: tuple[Branch, ...] = ()
    known: tuple[Known, ...] = ()
    optimizer: Place | None = None
    optimizer_function: str = ""
    dials: tuple[str, ...] = ("samples",)
    counted: tuple[Counted, ...] = ()
    framework_divides: bool = False
    unseen: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return it as JSON, the same text for the same experiment."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
