"""From a finding to an experiment: the files on its path, cut down to what running it needs."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import or_

from lint_reduction.facts import Doubt, StepKind
from lint_reduction.finding import Finding
from lint_reduction.growth import Count
from lint_reduction.verify import gate
from lint_reduction.verify.alternatives import Passed, keep_off
from lint_reduction.verify.blanking import blank
from lint_reduction.verify.branches import Sides, is_main_guard
from lint_reduction.verify.dials import CONSTANT, dials_of
from lint_reduction.verify.experiment import Branch, Callee, Counted, Experiment, Known, Link, Place, Unit
from lint_reduction.verify.modules import Module, Modules, NoExperimentError, Placed, Sources, Work
from lint_reduction.verify.needs import Slice
from lint_reduction.verify.route import RouteNodes, Spot, route_of
from lint_reduction.verify.settings import counted, option_uses, options

#: An experiment is a small thing; more than this is a program.
_MAX_UNITS = 32
_MAX_BYTES = 60_000
#: So many calls that are not in view are told.
_MAX_UNSEEN = 8
#: Steps that come after the end of the path, and not in each round where several micro-batches make up a step.
_AT_THE_STEP = (StepKind.WINDOW, StepKind.CLIP, StepKind.RESCALE, StepKind.OPTIMIZER, StepKind.LEARNING_RATE)


def experiment_of(
    finding: Finding, path: str, sources: Sources | Callable[[str], str | None], seconds: float = math.inf
) -> Experiment:
    """Return what to run for a finding.

    Nothing is executed and nothing but the files around the finding is read.

    Args:
        finding: the finding.
        path: absolute path of the file that it is in.
        sources: the files, those of a run for all its findings; or what returns the text of one by its absolute path,
            None for one that is not to be read. That of a notebook is the text of its cells.
        seconds: how long it may take.

    Raises:
        NoExperimentError: there is none; the message says why.
    """
    dials = dials_of(finding)
    if isinstance(dials, str):
        raise NoExperimentError(dials)
    modules = Modules(sources if isinstance(sources, Sources) else Sources(sources), Work(seconds))
    modules.sources.trim()
    if modules.get(path) is None:
        raise NoExperimentError("the file cannot be read or parsed")
    try:
        route = route_of(finding, path, modules)
        for narrow in (False, True):
            experiment = _cut(finding, route, dials, modules, narrow=narrow)
            if _is_small(experiment):
                _check(experiment)
                return experiment
    except RecursionError:
        raise NoExperimentError("the file is nested too deeply") from None
    raise NoExperimentError("what the loss hangs on is too large to be run by itself")


def _check(experiment: Experiment) -> None:
    """Ask what the worker will ask."""
    for unit in experiment.units:
        try:
            gate.read(unit.text)
        except gate.RefusedError as error:
            raise NoExperimentError(str(error)) from None


def _is_small(experiment: Experiment) -> bool:
    left = sum(len(line.strip()) for unit in experiment.units for line in filter(None, unit.text.split("\n")))
    return len(experiment.units) <= _MAX_UNITS and left <= _MAX_BYTES


@dataclass(frozen=True, slots=True)
class _Layout:
    """What is cut out, with the index of the unit of each module."""

    cut: Slice
    units: dict[Module, int]

    def place(self, spot: Spot) -> Place:
        return spot.module.place(self.units[spot.module], spot.node)

    def keeps(self, spot: Spot) -> bool:
        return spot.module.statement(spot.node) in self.cut.kept.get(spot.module, ())


def _cut(
    finding: Finding, route: RouteNodes, dials: tuple[Count, ...], modules: Modules, *, narrow: bool
) -> Experiment:
    in_rounds = dials[0] is Count.MICRO_BATCHES
    sides = Sides()
    reached = _lead(route, sides, in_rounds=in_rounds)
    cut = Slice(modules, route, sides, not in_rounds, narrow)
    cut.fill()
    cut.drop_empty()
    layout = _Layout(cut, {module: i for i, module in enumerate(dict.fromkeys((route.start, *cut.kept)))})
    if not all(layout.keeps(spot) for spot in (*route.calls, route.end, route.site)):
        raise NoExperimentError("the path of the loss runs through what handles an exception")
    return _experiment(finding, dials, layout, {spot for spot in reached if layout.keeps(spot)})


def _experiment(finding: Finding, dials: tuple[Count, ...], layout: _Layout, reached: set[Spot]) -> Experiment:
    route, cut, units = layout.cut.route, layout.cut, layout.units
    place = layout.place
    known, counts = _settings(finding, cut, units)
    optimizer = route.optimizer if route.optimizer is not None and layout.keeps(route.optimizer) else None
    return Experiment(
        finding.code,
        tuple(_unit(module, cut, units) for module in units),
        route.function,
        _receiver(route, units),
        tuple(place(call) for call in route.calls),
        place(route.end),
        route.end_kind.value,
        route.end_function,
        place(route.site),
        tuple(_callee(route, spot, name, layout) for spot, name in route.sites if spot in reached),
        tuple((kind.value, place(spot)) for spot, kind in route.steps if spot in reached),
        tuple(_branches(cut, units)),
        known,
        None if optimizer is None else place(optimizer),
        "" if optimizer is None else optimizer.module.qualname(optimizer.node),
        tuple(dial.value for dial in dials),
        counts,
        finding.flow is not None and finding.flow.framework_divides != "",
        tuple(cut.handed.unseen)[:_MAX_UNSEEN],
    )


def _callee(route: RouteNodes, spot: Spot, name: str, layout: _Layout) -> Callee:
    settings = dict(route.settings).get(spot.node)
    if settings is None:
        return Callee(layout.place(spot), name)
    return Callee(layout.place(spot), name, settings.options, settings.is_built)


def _lead(route: RouteNodes, sides: Sides, *, in_rounds: bool) -> set[Spot]:
    """Decide the tests on the path, those around its end and its loss first; return the places that a run reaches."""
    steps = [spot for spot, kind in route.steps if not (in_rounds and kind in _AT_THE_STEP)]
    first = (route.end, *reversed(route.calls), route.site)
    for spot in first:
        if not sides.lead_to(spot.module, spot.node):
            raise NoExperimentError("the loss and the end of its path are on different sides of a test")
    others = [*(spot for spot, _ in route.sites), *steps]
    for spot in others:
        sides.lead_to(spot.module, spot.node)
    if route.optimizer is not None:
        sides.lead_to(route.optimizer.module, route.optimizer.node)
    modules = dict.fromkeys(spot.module for spot in (*first, *others))
    for module in modules:
        sides.agree(module)
    spots = [*(spot for spot, _ in route.sites), *(spot for spot, _ in route.steps)]
    path = (*first, *spots)
    # what is not known of a loss may be done on any side
    nodes = {module: [spot.node for spot in path if spot.module is module] for module in modules}
    for module in modules if route.is_known else ():
        elsewhere = reduce(or_, (Passed.on(other, nodes[other]) for other in modules if other is not module), Passed())
        keep_off(sides, module, nodes[module], route.end.node, elsewhere)
    for module in modules:
        sides.agree(module)
    return {spot for spot in spots if sides.reaches(spot.module, spot.node)}


def _unit(module: Module, cut: Slice, units: dict[Module, int]) -> Unit:
    links = sorted(cut.links.get(module, {}).items())
    return Unit(
        module.path,
        blank(module, cut.kept.get(module, set())),
        tuple(Link(name, units[other], member) for name, (other, member) in links),
    )


def _receiver(route: RouteNodes, units: dict[Module, int]) -> tuple[int, str] | None:
    receiver = route.receiver
    return None if receiver is None else (units[receiver.module], receiver.module.qualname(receiver.node))


def _branches(cut: Slice, units: dict[Module, int]) -> list[Branch]:
    branches = []
    for module, index in units.items():
        kept = cut.kept.get(module, set())
        sides: dict[ast.AST, bool] = {node: True for node in kept if is_main_guard(node)}
        for node, side in (sides | cut.sides.taken).items():
            if isinstance(node, Placed) and module.statement(node) in kept:
                branches.append(Branch(module.place(index, node), side))
    return sorted(branches, key=lambda branch: branch.place)


def _settings(finding: Finding, cut: Slice, units: dict[Module, int]) -> tuple[tuple[Known, ...], tuple[Counted, ...]]:
    """Return the expressions whose value is known, and those that count something."""
    steps = [step for term in finding.flow.terms for step in term.steps] if finding.flow is not None else []
    is_constant = finding.code in CONSTANT and any(step.doubt is Doubt.CONSTANT for step in steps)
    counts: dict[Place, Counted] = {}
    known: dict[Place, Known] = {}
    values = options([statement for statements in cut.kept.values() for statement in statements])
    for module, index in units.items():
        kept = cut.kept.get(module, set())
        for node, count in counted(module, kept, finding.flow) if finding.flow is not None else ():
            # a rule about a constant takes it for one
            if not is_constant or count is not Count.SAMPLES:
                place = module.place(index, node)
                counts[place] = Counted(place, count.value)
        for node, value in option_uses(kept, values):
            place = module.place(index, node)
            known[place] = Known(place, value)
        for spot, value in cut.route.known:
            if spot.module is module and module.statement(spot.node) in kept:
                place = module.place(index, spot.node)
                known[place] = Known(place, value)
    sure = (known[place] for place in sorted(known) if place not in counts)
    return tuple(sure), tuple(counts[place] for place in sorted(counts))
