"""The state of one interpretation: the frames, the trace, and the ways in to run more code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lint_reduction.analysis.code import Call, ClassCode, Expr, FunctionCode, ModuleCode, Stmt, Var
from lint_reduction.analysis.state import Guards, Loop, State, excludes, tests_of
from lint_reduction.analysis.training import Event, Rescale, RouteDraft, SiteRecord, Trace, Window
from lint_reduction.analysis.values import (
    Alternatives,
    Class,
    Function,
    Imported,
    Instance,
    Opaque,
    Option,
    Tensor,
    Unknown,
    Value,
    join,
    options_of,
)
from lint_reduction.facts import Evidence
from lint_reduction.growth import ONE, Growth
from lint_reduction.libraries import Libraries

if TYPE_CHECKING:
    from lint_reduction.analysis.project import Project

#: Functions called from functions, no deeper than this.
MAX_FRAMES = 12
#: Expressions that may be evaluated for one root; real training scripts stay under a tenth of it.
BUDGET = 200_000
#: Of them, for one file, in functions of other modules; after that these are functions not known.
BUDGET_ABROAD = 20_000
#: The same for functions of installed packages, so that these take nothing away from the project.
BUDGET_INSTALLED = 10_000


class BudgetExceededError(Exception):
    """A root takes too long; what it has traced so far is dropped."""


@dataclass(slots=True, eq=False)
class Frame:
    """One running function.

    Attributes:
        identity: number of the frame, part of the keys of its tests.
        function: qualified name, empty for the module.
        state: variables and more, replaced as control goes on.
        parent: the frame in which the function was defined.
        owner: what ``self`` is.
        home: the class that holds the method, for ``super()``.
        returns: the values returned so far, with the tests that lead there.
        exits: the states at those returns.
        loops: the loops that are open.
        leaves: states at ``break`` and ``continue`` of the innermost loop.
        windows: the accumulation windows at whose end control is.
        no_grad: how many ``no_grad`` contexts are open.
        asked: whether it was asked if there is anything at all to count.
        path: of the file, for the frame of a module.
        code: what the module says, for the frame of an imported one.
        called_at: mark of the call that began it, 0 where it is the first, or where nobody calls it in view.
    """

    identity: int
    function: str
    state: State
    parent: Frame | None = None
    owner: Value | None = None
    home: ClassCode | None = None
    returns: list[Option] = field(default_factory=list)
    exits: list[State] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    leaves: list[State] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    no_grad: int = 0
    asked: bool = False
    path: str = ""
    code: ModuleCode | None = None
    called_at: int = 0


def module_of(frame: Frame) -> Frame:
    """Return the frame of the module in which the function of a frame was defined."""
    while frame.parent is not None:
        frame = frame.parent
    return frame


@dataclass(frozen=True, slots=True)
class Hooks:
    """The parts of the interpreter that need each other, so that their modules need not.

    Attributes:
        evaluate: run an expression.
        execute: run a block.
        assign: bind a target to a value.
        call_function: run a function of this module.
        evaluate_in_method: run an expression as it stands in a method, without local variables.
        call_value: call anything with evaluated arguments.
        run_unused_functions: run the functions that a frame defined and nobody called.
        foreign_bases: the names of the bases of a class that are of other modules.
        resolve: what a name of another module of the project stands for.
        binary: apply an operator to two values, at the place of a call.
        tensor: the tensor that a value is taken for.
    """

    evaluate: Callable[[Machine, Expr], Value]
    execute: Callable[[Machine, Sequence[Stmt]], None]
    assign: Callable[[Machine, Expr, Value], None]
    call_function: Callable[[Machine, Function, Sequence[Value], dict[str, Value]], Value]
    evaluate_in_method: Callable[[Machine, FunctionCode, ClassCode, Instance, Expr], Value]
    call_value: Callable[[Machine, Value, Call, Sequence[Value]], Value]
    run_unused_functions: Callable[[Machine, Frame], None]
    foreign_bases: Callable[[Machine, ClassCode], set[str]]
    resolve: Callable[[Machine, Imported], Value]
    binary: Callable[[Machine, str, Value, Value, Call], Value]
    tensor: Callable[[Machine, Value], Tensor]


@dataclass(slots=True, eq=False)
class Machine:
    """Interprets one module.

    Attributes:
        module: the lowered module.
        libraries: what is known of other people's code.
        hooks: the parts of the interpreter.
        frames: running functions, the module first.
        all_frames: frames by identity, finished ones too: closures read them.
        trace: what the current root has done.
        sites: loss calls met so far.
        site_index: position in ``sites`` by mark and callee.
        visited: functions that were run.
        running: functions that are being run.
        budget: expressions left.
        abroad: expressions left in functions of other modules.
        identities: how many objects have an identity.
        averages_ranks: whether a model was wrapped so that its gradients are averaged over processes.
        gathers: whether something was called that brings together what several processes computed.
        installed, installed_modules: expressions left in functions of installed packages, and how many of those ran.
        entry: the call of the project by which control is in such a package.
        made: the calls of the project by which objects came to be, by their identities.
        settings, tracked: the identities of settings that were read, by where, and of all options kept in the heap.
        project: the modules around, None if only this one is looked at.
        modules: the frames of imported modules, by path.
        unread: the paths of those of the project that cannot be read.
        homes: the frames that classes were defined in.
        batch_sizes, names: those of all modules that ran, as in ``ModuleCode``.
        root: the function that is being run for its own sake, without calls.
        calling: mark of the call that is being made.
        lineages: a class and its bases by the identity of the class, as far as they were asked for.
        assigned: what methods assign to attributes of their object, as far as it was asked for.
        grown: qualified names of functions of this module that returned a loss which grows with the samples.
        starred: the names that are being looked for behind ``import *``, by the frame of the module.
        with_parameters: names of what is not known and was asked for its parameters: models.
        stand_in: what an argument is whose annotation names its class or one of the bases, None if nothing is.
    """

    module: ModuleCode
    libraries: Libraries
    hooks: Hooks
    frames: list[Frame] = field(default_factory=list)
    all_frames: dict[int, Frame] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)
    sites: list[SiteRecord] = field(default_factory=list)
    site_index: dict[tuple[int, str], int] = field(default_factory=dict)
    visited: set[int] = field(default_factory=set)
    running: list[FunctionCode] = field(default_factory=list)
    budget: int = BUDGET
    identities: int = 0
    averages_ranks: bool = False
    gathers: bool = False
    abroad: int = BUDGET_ABROAD
    installed: int = BUDGET_INSTALLED
    installed_modules: int = 0
    entry: int = 0
    made: dict[int, Call] = field(default_factory=dict)
    settings: dict[str, int] = field(default_factory=dict)
    tracked: set[int] = field(default_factory=set)
    project: Project | None = None
    modules: dict[str, Frame] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    homes: dict[int, Frame] = field(default_factory=dict)
    batch_sizes: set[str | int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    root: RouteDraft = field(default_factory=RouteDraft)
    calling: int = 0
    lineages: dict[int, tuple[ClassCode, ...]] = field(default_factory=dict)
    assigned: dict[FunctionCode, dict[str, list[Expr]]] = field(default_factory=dict)
    grown: set[str] = field(default_factory=set)
    stand_in: Instance | None = None
    with_parameters: set[str] = field(default_factory=set)
    starred: set[tuple[int, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.batch_sizes |= self.module.batch_sizes
        self.names |= self.module.names

    def evaluate(self, expr: Expr) -> Value:
        """Run an expression."""
        return self.hooks.evaluate(self, expr)

    def execute(self, body: Sequence[Stmt]) -> None:
        """Run a block."""
        self.hooks.execute(self, body)

    def assign(self, target: Expr, value: Value) -> None:
        """Bind a target to a value."""
        self.hooks.assign(self, target, value)

    def call_function(self, function: Function, positional: Sequence[Value], keywords: dict[str, Value]) -> Value:
        """Run a function of this module."""
        return self.hooks.call_function(self, function, positional, keywords)

    def evaluate_in_method(self, method: FunctionCode, home: ClassCode, owner: Instance, expr: Expr) -> Value:
        """Run an expression as it stands in a method, without local variables."""
        return self.hooks.evaluate_in_method(self, method, home, owner, expr)

    def call_value(self, func: Value, call: Call, values: Sequence[Value]) -> Value:
        """Call anything with evaluated arguments."""
        return self.hooks.call_value(self, func, call, values)

    def run_unused_functions(self, frame: Frame) -> None:
        """Run the functions that a frame defined and nobody called."""
        self.hooks.run_unused_functions(self, frame)

    def foreign_bases(self, body: ClassCode) -> set[str]:
        """Return the resolved names of the bases of a class that are of other modules."""
        return self.hooks.foreign_bases(self, body)

    def resolve(self, value: Imported) -> Value:
        """Return what a name of another module of the project stands for."""
        return self.hooks.resolve(self, value)

    def binary(self, op: str, left: Value, right: Value, call: Call) -> Value:
        """Apply an operator to two values, at the place of a call."""
        return self.hooks.binary(self, op, left, right, call)

    def tensor(self, value: Value) -> Tensor:
        """Return the tensor that a value is taken for."""
        return self.hooks.tensor(self, value)

    @property
    def frame(self) -> Frame:
        """Return the running function."""
        return self.frames[-1]

    @property
    def state(self) -> State:
        """Return the state of the running function."""
        return self.frames[-1].state

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Return all open loops, those of callers included."""
        return tuple(loop for frame in self.frames for loop in frame.loops)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Return the accumulation windows at whose end control is, those of callers included."""
        return tuple(window for frame in self.frames for window in frame.windows)

    @property
    def route(self) -> RouteDraft:
        """Return how control came here."""
        return replace(self.root, calls=tuple(frame.called_at for frame in self.frames if frame.called_at))

    @property
    def averages_only(self) -> bool:
        """Say whether gradients are averaged over processes, and nothing brings together what these computed."""
        names = self.libraries.names
        mentioned = (name for code in self.module.functions for name in code.identifiers)
        return self.averages_ranks and not self.gathers and not any(names.gathers(name) for name in mentioned)

    @property
    def in_loop(self) -> bool:
        """Say whether control is in a loop, of this function or of a caller."""
        return any(frame.loops for frame in self.frames)

    @property
    def repeats_same_data(self) -> bool:
        """Say whether control is in loops of which none yields data: the same arguments every round."""
        return self.in_loop and not any(loop.yields_data for loop in self.loops)

    @property
    def here(self) -> ModuleCode:
        """The module in which the function that runs was defined."""
        return module_of(self.frame).code or self.module

    @property
    def in_full_batches(self) -> bool:
        """Say whether control is in a loop over batches of which none is shorter than the others."""
        return any(loop.full_batches for loop in self.frame.loops)

    @property
    def grad_enabled(self) -> bool:
        """Say whether gradients are recorded here."""
        return not any(frame.no_grad for frame in self.frames)

    @property
    def module_frame(self) -> Frame:
        """Return the frame of the module that holds the running function."""
        return module_of(self.frames[-1])

    def is_abroad(self, frame: Frame | None) -> bool:
        """Say whether what is defined in a frame is of another module than the one that is looked at."""
        return frame is not None and bool(self.modules) and module_of(frame) is not self.frames[0]

    def is_installed(self, frame: Frame | None) -> bool:
        """Say whether what is defined in a frame is of a package that is installed beside the project."""
        if frame is None or self.project is None or not self.installed_modules:
            return False
        return self.project.is_installed(module_of(frame).path)

    def leaves_for(self, home: Frame | None) -> bool:
        """Say whether a call of what is defined in a frame leaves the module looked at, or is in a package."""
        return self.is_installed(home) or (self.is_abroad(home) and not self.is_abroad(self.frame))

    def may_run(self, home: Frame | None) -> bool:
        """Say whether there are expressions left for what is defined in a frame."""
        if not self.is_abroad(home):
            return True
        return (self.installed if self.is_installed(home) else self.abroad) > 0

    def charge(self, home: Frame | None, budget: int, installed: int) -> None:
        """Count the expressions since a budget was that large as those of the module that a frame is of."""
        spent = budget - self.budget
        if self.is_installed(home):
            self.installed = installed - spent
        else:
            self.abroad -= spent - (installed - self.installed)

    def home_of(self, body: ClassCode) -> Frame:
        """Return the frame that a class was defined in."""
        return self.homes.get(id(body), self.frames[0])

    def evaluate_at(self, frame: Frame, expr: Expr) -> Value:
        """Run an expression as it stands in another frame."""
        self.frames.append(frame)
        try:
            return self.evaluate(expr)
        finally:
            self.frames.pop()

    def new_identity(self) -> int:
        """Return a number for an object whose attributes are kept in the heap."""
        self.identities += 1
        return self.identities

    def push(self, function: str, parent: Frame | None, state: State) -> Frame:
        """Begin to run a function."""
        frame = Frame(self.new_identity(), function, state, parent, called_at=self.calling)
        self.calling = 0
        self.frames.append(frame)
        self.all_frames[frame.identity] = frame
        return frame

    def spend(self) -> None:
        """Count one expression.

        Raises:
            BudgetExceededError: none is left.
        """
        self.budget -= 1
        if self.budget < 0:
            raise BudgetExceededError

    def record(self, event: Event) -> None:
        """Write an event to the trace."""
        self.trace.events.append(event)

    @property
    def guards(self) -> Guards:
        """The tests that hold where control is."""
        return frozenset(self.state.path.items())

    def rescale(
        self, mark: int, growth: Growth | None, text: str = "", *, standing: bool = False, target: str = ""
    ) -> None:
        """Record that gradients are multiplied by something, on the branch where control is."""
        self.record(Rescale(mark, growth, text, standing, self.guards, target))

    def may_do_anything(self, mark: int, text: str) -> None:
        """Record that something runs which may change gradients, now or whenever there are some."""
        for standing in (True, False):
            self.rescale(mark, None, text, standing=standing)

    def unknown(self, reason: str, mark: int = 0) -> Unknown:
        """Return an unknown value, remembering why."""
        self.trace.reasons.setdefault(mark, reason)
        return Unknown(reason)

    def lift(self, value: Value, function: Callable[[Value], Value]) -> Value:
        """Apply a function to each alternative of a value."""
        if not isinstance(value, Alternatives):
            return function(value)
        options = value.options
        if len(options) == 1 and not options[0].guards:
            return function(options[0].value)
        results: list[Option] = []
        for option in options:
            results.extend(Option(o.value, o.guards | option.guards) for o in options_of(function(option.value)))
        return join(tuple(results))

    def lift_two(self, left: Value, right: Value, function: Callable[[Value, Value], Value]) -> Value:
        """Apply a function of two to each pair of alternatives that can occur together."""
        results: list[Option] = []
        if not isinstance(left, Alternatives) and not isinstance(right, Alternatives):
            value = function(left, right)
            return join(value.options) if isinstance(value, Alternatives) else value
        for a in options_of(left):
            for b in options_of(right):
                if excludes(a.guards, b.guards):
                    continue
                value = function(a.value, b.value)
                results.extend(Option(o.value, o.guards | a.guards | b.guards) for o in options_of(value))
        return join(tuple(results)) if results else Opaque()

    def tests(self, test: Expr, truth: bool) -> list[tuple[str, bool]]:
        """Return the keys of what is known when a condition is true, or false, in this frame."""
        return [(self._test_key(key), holds) for key, holds in tests_of(test, truth)]

    def _test_key(self, key: str) -> str:
        owner = self.frame.owner
        if key.startswith("self.") and isinstance(owner, (Instance, Class)):
            identity = owner.identity if isinstance(owner, Instance) else 0
            return f"object {identity}{key[4:]}"
        return f"frame {self.frame.identity} {key}"

    def rounds_since(self, target: Expr) -> Growth | None:
        """Return what the rounds of the loops opened since a variable was bound grow with.

        None if that is not known; an attribute counts as bound outside all loops.
        """
        depth = self.state.loop_of.get(target.name, 0) if isinstance(target, Var) else 0
        total = ONE
        for loop in self.frame.loops[depth:]:
            if loop.count is None:
                return None
            total *= loop.count
        return total

    def loop_evidence(self) -> Evidence:
        """Return how sure it is what the innermost loop runs over."""
        return self.frame.loops[-1].evidence if self.frame.loops else Evidence.SHAPE
