"""The nodes that the path of a finding runs through."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from lint_reduction.facts import Argument, Fate, LossFlow, LossSite, Span, Step, StepKind
from lint_reduction.finding import Finding
from lint_reduction.growth import Count
from lint_reduction.verify.experiment import Scalar
from lint_reduction.verify.losses import TENSORS
from lint_reduction.verify.modules import FunctionNode, Module, Modules, NoExperimentError, Placed, Scope

_PARAMETERS_OF_REDUCTION = ("reduction", "size_average", "reduce")


@dataclass(frozen=True, slots=True)
class Spot:
    """A node of a module."""

    module: Module
    node: Placed


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments that a loss call takes from settings.

    Attributes:
        options: their values by parameter.
        is_built: whether the call is one of something else, that builds the loss from them.
    """

    options: tuple[tuple[str, Scalar], ...]
    is_built: bool


@dataclass(frozen=True, slots=True)
class RouteNodes:
    """The path of a finding as nodes.

    Attributes:
        start: the module that the run begins in.
        function: qualified name of the function that it begins in, empty for the module.
        receiver: the class whose ``self`` that function has.
        calls: the calls that lead on, outermost first.
        end: where the path ends; the function itself where that returns the loss to nobody in view.
        end_kind: what ends it.
        site: what the finding is about.
        sites: the loss calls with their resolved names.
        steps: the other steps, with their kinds.
        known: expressions whose value is known.
        optimizer: where the optimizer is built.
        functions: the functions that the run passes through.
        settings: for loss calls, the arguments that they take from settings.
        is_known: whether all that is done to the loss is known.
    """

    start: Module
    function: str
    receiver: Spot | None
    calls: tuple[Spot, ...]
    end: Spot
    end_kind: StepKind
    site: Spot
    sites: tuple[tuple[Spot, str], ...] = ()
    steps: tuple[tuple[Spot, StepKind], ...] = ()
    known: tuple[tuple[Spot, Scalar], ...] = ()
    optimizer: Spot | None = None
    functions: frozenset[Scope] = field(default_factory=frozenset)
    settings: tuple[tuple[ast.AST, Settings], ...] = ()
    is_known: bool = False

    @property
    def passed(self) -> frozenset[ast.AST]:
        """What the run passes through on its way, with the classes of it: to mention one of these says nothing."""
        passed: set[ast.AST] = set() if self.returns_loss else set(self.functions)
        for spot in (*self.calls, self.end):
            home = spot.module.class_of(spot.module.function(spot.node) or spot.node)
            passed |= {home} if home is not None else set()
        return frozenset(passed | ({self.receiver.node} if self.receiver is not None else set()))

    @property
    def returns_loss(self) -> bool:
        """Whether the path ends in what a function returns to a caller that is not in view."""
        return isinstance(self.end.node, FunctionNode)

    @property
    def end_function(self) -> str:
        """Qualified name of the function that the path ends in."""
        return self.end.module.qualname(self.end.node)


def route_of(finding: Finding, path: str, modules: Modules) -> RouteNodes:
    """Return the path of a finding as nodes.

    Args:
        finding: the finding; its flow has the path.
        path: absolute path of the file that the finding is in.
        modules: where to look.

    Raises:
        NoExperimentError: something on the path is not to be found.
    """
    flow = finding.flow
    if flow is None:
        raise NoExperimentError("the finding is about a single call, which has no path")
    return _Reader(modules, finding.origin or path, flow).read(finding, path)


@dataclass(eq=False)
class _Reader:
    modules: Modules
    origin: str
    flow: LossFlow

    def read(self, finding: Finding, path: str) -> RouteNodes:
        flow = self.flow
        if flow.fate is Fate.ESCAPED or flow.end.kind not in (StepKind.BACKWARD, StepKind.RETURN, StepKind.READ):
            raise NoExperimentError("the loss is handed on to something that is not in view")
        end = self.required(flow.end.span, "the end of the path")
        if flow.end.kind is StepKind.RETURN and not isinstance(end.node, FunctionNode | ast.Lambda):
            raise NoExperimentError("the loss is computed by a trainer that is not in view")
        start = self.module(flow.route.path or self.origin)
        calls = tuple(self.required(call, "a call on the path") for call in flow.route.calls)
        if not flow.route.function and not calls and self.function(end) is not None:
            raise NoExperimentError("the way to the end of the path is not known")
        site = self.required(finding.span if finding.span.path else finding.span.within(path), "the loss")
        return RouteNodes(
            start,
            flow.route.function,
            self.receiver(),
            calls,
            end,
            flow.end.kind,
            site,
            tuple(self.sites()),
            tuple(self.steps()),
            tuple(self.known()),
            self.optimizer(),
            frozenset(self.scope(spot) for spot in (*calls, end)),
            tuple(self.settings()),
            all(term.growth is not None for term in flow.terms),
        )

    def module(self, path: str) -> Module:
        module = self.modules.get(path)
        if module is None:
            raise NoExperimentError("a file on the path cannot be read or parsed")
        return module

    def spot(self, span: Span) -> Spot | None:
        if (span.line, span.column) == (span.end_line, span.end_column):
            return None
        module = self.module(span.path or self.origin)
        node = module.node(span)
        return None if node is None else Spot(module, node)

    def required(self, span: Span, what: str) -> Spot:
        spot = self.spot(span)
        if spot is None:
            raise NoExperimentError(f"{what} is no part of the syntax that can be run by itself")
        return spot

    def function(self, spot: Spot) -> FunctionNode | None:
        return spot.module.function(spot.node)

    def scope(self, spot: Spot) -> Scope:
        return self.function(spot) or spot.module.tree

    def receiver(self) -> Spot | None:
        name = self.flow.route.receiver
        if not name:
            return None
        module = self.module(self.origin)
        found = module.about(_classes).get(name)
        if found is not None:
            return Spot(module, found)
        raise NoExperimentError("the class that the run begins in is not found")

    def sites(self) -> Iterator[tuple[Spot, str]]:
        seen = set()
        for site in self._loss_sites():
            spot = self.spot(site.span)
            if spot is not None and spot.node not in seen:
                seen.add(spot.node)
                yield spot, site.callee

    def steps(self) -> Iterator[tuple[Spot, StepKind]]:
        given: list[Step] = [step for term in self.flow.terms for step in term.steps]
        seen = set()
        stepping = None if self.flow.optimizer is None else self.flow.optimizer.span
        if stepping is not None and self.optimizer() is None:
            # where nothing builds it in view, it is the step that is known
            given.append(Step(StepKind.OPTIMIZER, stepping))
        for step in (*given, *self.flow.steps):
            spot = None if step.kind is StepKind.SITE else self.spot(step.span)
            if spot is not None and (spot.node, step.kind) not in seen:
                seen.add((spot.node, step.kind))
                yield spot, step.kind

    def known(self) -> Iterator[tuple[Spot, Scalar]]:
        for site in self._loss_sites():
            for argument in site.arguments:
                value = argument.known.value if argument.known is not None else None
                if argument.known is None or argument.literal is not None or not _is_certain(site, argument):
                    continue
                spot = self.spot(argument.span)
                if spot is None or not isinstance(value, Scalar) or self.is_unpacked(site, spot):
                    continue
                node = spot.node.value if isinstance(spot.node, ast.keyword) else spot.node
                yield Spot(spot.module, node), value
        yield from self.chosen()

    def chosen(self) -> Iterator[tuple[Spot, Scalar]]:
        """Yield the reductions of calls that have several, as the growth of the loss on this path tells them apart."""
        for term in self.flow.terms:
            site = term.site
            if site is None or site.reduction is not None or not term.steps:
                continue
            argument = next((a for a in site.arguments if a.parameter == "reduction"), None)
            spot = None if argument is None or argument.literal is not None else self.spot(argument.span)
            if spot is None or term.steps[0].kind is not StepKind.SITE or self.is_unpacked(site, spot):
                continue
            node = spot.node.value if isinstance(spot.node, ast.keyword) else spot.node
            accepted = [reduction for reduction in site.accepts if reduction not in site.warns]
            left = [r for r in _written(node) or accepted if _is_of(r, term.steps[0])]
            if len(left) == 1:
                yield Spot(spot.module, node), left[0]

    def is_unpacked(self, site: LossSite, spot: Spot) -> bool:
        """Say whether an argument of a loss call is an entry of something that stands there, not what stands there."""
        is_entry = isinstance(spot.node, ast.Starred) or (isinstance(spot.node, ast.keyword) and spot.node.arg is None)
        return is_entry or spot == self.spot(site.span)

    def settings(self) -> Iterator[tuple[ast.AST, Settings]]:
        for site in self._loss_sites():
            call = self.spot(site.span)
            taken = []
            is_built = False
            for argument in site.arguments:
                value = argument.known.value if argument.known is not None else None
                spot = self.spot(argument.span)
                if argument.known is None or spot is None or not isinstance(value, Scalar):
                    continue
                if self.is_unpacked(site, spot):
                    taken.append((argument.parameter, value))
                    is_built = is_built or spot == call
            if call is not None and taken:
                yield call.node, Settings(tuple(taken), is_built)

    def _loss_sites(self) -> list[LossSite]:
        return [term.site for term in self.flow.terms if term.site is not None]

    def optimizer(self) -> Spot | None:
        fact = self.flow.optimizer
        spot = None if fact is None or fact.span is None else self.spot(fact.span)
        if spot is None or not isinstance(spot.node, ast.Call):
            return None
        function = spot.node.func
        return None if isinstance(function, ast.Attribute) and function.attr == "step" else spot


def _classes(module: Module) -> dict[str, ast.ClassDef]:
    """Return the classes of a module by qualified name, of two the outer or first one."""
    found: dict[str, ast.ClassDef] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            found.setdefault(module.qualname(node), node)
    return found


def _is_certain(site: LossSite, argument: Argument) -> bool:
    """Say whether a value is the one of this path: a call may be reached by several, with several reductions."""
    if argument.parameter in TENSORS:
        # what a variable is before anything is put in
        return False
    if argument.parameter not in _PARAMETERS_OF_REDUCTION or argument.known is None:
        return True
    return argument.parameter == "reduction" and argument.known.value == site.reduction


def _written(node: ast.AST) -> list[str]:
    """Return the texts that a conditional expression is one of, nothing for any other."""
    match node:
        case ast.IfExp(body=body, orelse=orelse):
            sides = (body, orelse)
            texts = [s.value for s in sides if isinstance(s, ast.Constant) and isinstance(s.value, str)]
            return [*texts, *_written(body), *_written(orelse)]
    return []


def _is_of(reduction: str, step: Step) -> bool:
    """Say whether a loss that is reduced so may grow as it does on a path."""
    if reduction == "none":
        return not step.axes
    return bool(step.axes) and (reduction == "sum") is (step.growth.exponent(Count.SAMPLES) > 0)
