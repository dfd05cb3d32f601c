"""From what the roots did to facts: which optimizer steps on which loss, and what is worth keeping."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from lint_reduction.analysis.accumulation import Accumulated, accumulated
from lint_reduction.analysis.interest import certain_axes, flow_is_of_interest, site_is_of_interest
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.reporting import is_doubtful
from lint_reduction.analysis.state import UNUSUAL, excludes
from lint_reduction.analysis.stepping import OptimizerFactDraft, is_thrown_away, stepping_on
from lint_reduction.analysis.training import (
    BoundArgument,
    Companioned,
    InputGradient,
    ManualUpdate,
    OptimizerStep,
    Rescale,
    RouteDraft,
    Sink,
    SiteRecord,
    Trace,
)
from lint_reduction.analysis.values import (
    Constant,
    Hop,
    Option,
    Site,
    Summand,
    Tensor,
    options_of,
)
from lint_reduction.facts import (
    Argument,
    Batch,
    Certainty,
    Companion,
    Fate,
    Literal,
    LossFlow,
    LossSite,
    ModuleFacts,
    OptimizerFact,
    Route,
    Span,
    Step,
    StepKind,
    Term,
)
from lint_reduction.growth import ONE, Count, Growth

Locate = Callable[[Iterable[int]], dict[int, Span]]


@dataclass(slots=True)
class _Found:
    """A flow whose places are still marks."""

    sink: Sink
    option: Option
    summands: tuple[Summand, ...]
    optimizer: OptimizerFactDraft | None
    rescales: tuple[Rescale, ...]
    companions: frozenset[Companion]
    clips: tuple[int, ...]
    fate: Fate
    note: str
    accumulated: Accumulated | None = None
    averages_ranks: bool = False


def build(machine: Machine, traces: Iterable[Trace], locate: Locate, *, complete: bool) -> ModuleFacts:
    """Return the facts of a module.

    Args:
        machine: after all roots ran.
        traces: what they did.
        locate: finds the spans of marks.
        complete: also keep what no rule can be interested in, for ``lint-reduction facts``.
    """
    averages = machine.averages_only
    found = [flow for trace in traces for flow in _flows(trace, averages_ranks=averages)]
    found += _unused(machine)
    found = [flow for flow in found if _is_at_home(machine, flow)]
    if not complete:
        found = [flow for flow in found if _is_of_interest(machine, flow)]
    at_home = [(i, record) for i, record in enumerate(machine.sites) if not _is_installed(machine, record.mark)]
    sites = {i for i, record in at_home if (complete and not record.inside) or site_is_of_interest(record)}
    sites |= {s.site.index for flow in found for s in flow.summands if s.site is not None}
    marks = {mark for flow in found for mark in _marks(flow)}
    for index in sites:
        marks |= {machine.sites[index].mark, machine.sites[index].inside}
        marks.update(argument.mark for argument in machine.sites[index].arguments)
    if not marks:
        return ModuleFacts(machine.module.path)
    spans = locate(marks)
    averaged = _weights_of_means(machine.sites)
    built = {index: _site(machine.sites[index], spans, averaged) for index in sorted(sites)}
    flows = tuple(dict.fromkeys(_flow(flow, built, spans) for flow in found))
    ordered = tuple(sorted(built.values(), key=lambda site: site.span))
    return ModuleFacts(machine.module.path, ordered, flows)


def _is_installed(machine: Machine, mark: int) -> bool:
    return machine.project is not None and machine.project.is_installed_mark(mark)


def _is_at_home(machine: Machine, flow: _Found) -> bool:
    """Say whether no part of a loss stands in an installed package without a call of the project for it."""
    return not any(_is_installed(machine, hop.mark) for summand in flow.summands for hop in summand.hops)


# --- from events to flows


def _flows(trace: Trace, *, averages_ranks: bool) -> Iterator[_Found]:
    for index, event in enumerate(trace.events):
        if isinstance(event, Sink):
            for option in options_of(event.value):
                if isinstance(option.value, Tensor):
                    for found in _flow_of(trace, index, event, option, option.value):
                        found.averages_ranks = averages_ranks
                        yield found


def _flow_of(trace: Trace, index: int, sink: Sink, option: Option, tensor: Tensor) -> Iterator[_Found]:
    events, summands = trace.events, tensor.summands
    if sink.fate is Fate.TRAINED:
        summands = tuple(s for s in summands if s.gradient)
    if not summands:
        return
    if sink.fate is not Fate.TRAINED:
        yield _Found(sink, option, summands, None, (), frozenset(), (), sink.fate, sink.note)
        return
    optimizer = stepping_on(events, index, sink)
    later = events[index + 1 :]
    until = next((i for i, e in enumerate(later) if isinstance(e, (OptimizerStep, ManualUpdate))), len(later))
    rescales = tuple(e for e in later[:until] if isinstance(e, Rescale) and not e.standing)
    rescales += tuple(e for e in events[:index] if isinstance(e, Rescale) and e.standing)
    companions = sink.companions | {e.companion for e in events if isinstance(e, Companioned)}
    clips = tuple(e.mark for e in events if isinstance(e, Companioned) and e.companion is Companion.CLIPPING)
    fate, note = Fate.TRAINED, sink.note
    if optimizer is not None:
        companions |= optimizer.companions
        if optimizer.trains_inputs:
            fate, note = Fate.ESCAPED, "the optimizer moves data, not weights"
    elif any(isinstance(e, InputGradient) for e in events):
        fate, note = Fate.ESCAPED, "the gradient is taken with respect to inputs"
    if fate is Fate.TRAINED and is_thrown_away(events, index, sink):
        fate, note = Fate.ESCAPED, "its gradient is set to zero before a step"
    summands = tuple(_settled(s, sink) for s in summands)
    if not tensor.axes.is_scalar and not certain_axes(tensor):
        summands = tuple(map(_reduced, summands))
    found = _Found(sink, option, summands, optimizer, rescales, frozenset(companions), clips, fate, note)
    found.accumulated = accumulated(trace.events, index, sink, trace.factors)
    yield found


def _settled(summand: Summand, sink: Sink) -> Summand:
    """Arguments that are the same in every round of the loop around the sink are one fixed batch."""
    if sink.same_data and summand.batch is Batch.ARGUMENT:
        return replace(summand, batch=Batch.FIXED)
    return summand


#: What makes a number of a tensor.
_REDUCING = (StepKind.SITE, StepKind.SUM, StepKind.MEAN, StepKind.ONES, StepKind.ACCUMULATE)


def _reduced(summand: Summand) -> Summand:
    """What is trained on is a number; who made it one of data, and how, is not known if no step says so."""
    shown = summand.site is not None or any(hop.kind in _REDUCING for hop in summand.hops)
    return summand if shown or summand.batch is Batch.PARAMETERS else summand.lost("it is not known how it is reduced")


def _unused(machine: Machine) -> Iterator[_Found]:
    """Yield a flow for every criterion that is built and not called here: somebody else does."""
    for index, record in enumerate(machine.sites):
        if record.is_class and not record.called:
            for reduction in record.reductions:
                growth = None if reduction is None else record.model.growth(reduction)
                hop = Hop(StepKind.SITE, record.mark, growth or ONE)
                site = Site(index, record.mark)
                summand = Summand(growth, "the reduction is not known", site, (hop,))
                sink = Sink(Tensor((summand,)), Fate.ESCAPED, Hop(StepKind.READ, record.mark), "")
                note = "the criterion is not called here"
                yield _Found(sink, Option(sink.value), (summand,), None, (), frozenset(), (), Fate.ESCAPED, note)


# --- what happens after the sink


def _is_of_interest(machine: Machine, flow: _Found) -> bool:
    if flow.fate is Fate.REPORTED:
        return any(map(is_doubtful, flow.summands))
    tensor = flow.option.value
    assert isinstance(tensor, Tensor)
    if flow.fate is Fate.TRAINED and _is_spread(flow):
        return True
    return flow_is_of_interest(machine, flow.fate, tensor, flow.summands, _after(flow))


def _is_spread(flow: _Found) -> bool:
    """Say whether the gradient of a flow comes of several backward calls, by several processes or a framework."""
    division = flow.sink.division
    return bool(
        flow.averages_ranks
        or (flow.accumulated is not None and flow.accumulated.growth.exponent(Count.MICRO_BATCHES))
        or (division.divides and any(h.growth.exponent(Count.MICRO_BATCHES) for s in flow.summands for h in s.hops))
        or division.ignored_normalizer
    )


def _after(flow: _Found) -> Growth | None:
    """Return the growth of what happens to the gradient after the sink."""
    total = ONE if flow.optimizer is None else flow.optimizer.extra
    if flow.accumulated is not None and total is not None:
        total *= flow.accumulated.growth
    rescaled = _rescaled(flow.rescales)
    return None if total is None or rescaled is None else total * rescaled


def _rescaled(rescales: tuple[Rescale, ...]) -> Growth | None:
    """Return the growth of what gradients are multiplied by, None if it is not known or not the same for all.

    ``weight.grad /= n`` and ``bias.grad /= n`` divide each gradient once.
    """
    targets = {r.target for r in rescales if r.target and r.growth != ONE} or {""}
    growths = {_product([r for r in rescales if r.target in ("", target)]) for target in targets}
    return growths.pop() if len(growths) == 1 else None


def _product(rescales: Sequence[Rescale]) -> Growth | None:
    """Return the growth of what one gradient is multiplied by, None if it is not known."""
    total = ONE
    for index, rescale in enumerate(rescales):
        other = next((r for r in rescales[:index] if _excludes(r, rescale)), None)
        if rescale.growth is None or (other is not None and other.growth != rescale.growth):
            return None
        total *= ONE if other is not None else rescale.growth
    return total


def _excludes(one: Rescale, other: Rescale) -> bool:
    """Say whether only one of two divisions of the gradient is done: they stand in two branches."""
    return excludes(one.guards, other.guards)


# --- from marks to facts


def _marks(flow: _Found) -> Iterator[int]:
    yield flow.sink.hop.mark
    for summand in flow.summands:
        yield from (hop.mark for hop in summand.hops)
        yield from (mark for hop in summand.hops for mark in (hop.method, hop.inside) if mark)
    yield from (rescale.mark for rescale in flow.rescales)
    yield from flow.clips
    yield from flow.sink.route.calls
    if flow.accumulated is not None:
        yield flow.accumulated.step.mark
    if flow.optimizer is not None:
        yield flow.optimizer.mark
        yield flow.optimizer.learning_rate_mark


def _step(hop: Hop, spans: dict[int, Span]) -> Step:
    method = spans[hop.method] if hop.method else None
    inside = spans[hop.inside] if hop.inside else None
    return Step(hop.kind, spans[hop.mark], hop.growth, hop.evidence, hop.text, hop.axes, hop.doubt, method, inside)


def _flow(flow: _Found, sites: dict[int, LossSite], spans: dict[int, Span]) -> LossFlow:
    tensor = flow.option.value
    assert isinstance(tensor, Tensor)
    terms = tuple(_term(summand, sites, spans) for summand in flow.summands)
    steps = [Step(StepKind.RESCALE, spans[r.mark], r.growth or ONE) for r in flow.rescales]
    several = flow.accumulated
    if several is not None:
        at = spans[several.step.mark]
        steps.append(Step(StepKind.WINDOW, at, several.growth, several.evidence, several.text))
    steps += [Step(StepKind.CLIP, spans[mark]) for mark in flow.clips]
    functions = {flow.sink.function, *(t for t in _functions(flow, sites))}
    sometimes = len(options_of(flow.sink.value)) > 1 or tensor.sometimes
    return LossFlow(
        terms,
        certain_axes(tensor),
        flow.fate,
        _step(flow.sink.hop, spans),
        flow.sink.function,
        Certainty.OPTIONAL if UNUSUAL in flow.option.guards else _CERTAINTY[sometimes],
        len(functions),
        _optimizer(flow.optimizer, spans),
        tuple(steps),
        _after(flow),
        _companions(flow),
        flow.note,
        flow.sink.division.setting if flow.sink.division.divides else "",
        several is not None and several.unflushed,
        flow.sink.division.ignored_normalizer,
        flow.averages_ranks,
        _route(flow.sink.route, spans),
    )


def _route(draft: RouteDraft, spans: dict[int, Span]) -> Route:
    return Route(draft.function, draft.path, draft.receiver, tuple(spans[mark] for mark in draft.calls))


_CERTAINTY = {True: Certainty.SOMETIMES, False: Certainty.ALWAYS}


def _functions(flow: _Found, sites: dict[int, LossSite]) -> Iterator[str]:
    for summand in flow.summands:
        if summand.site is not None:
            yield sites[summand.site.index].function


def _companions(flow: _Found) -> frozenset[Companion]:
    growths = {s.growth.in_samples for s in flow.summands if s.growth is not None}
    mixed = {Companion.MIXED_TERMS} if len(growths) > 1 else set()
    return flow.companions | mixed


def _term(summand: Summand, sites: dict[int, LossSite], spans: dict[int, Span]) -> Term:
    site = None if summand.site is None else sites[summand.site.index]
    # a hop without a mark is a function such as a power: it has growth but no place of its own
    steps = tuple(_step(hop, spans) for hop in summand.hops if hop.mark)
    return Term(site, steps, summand.growth, summand.reason, summand.batch, summand.undetermined)


def _optimizer(draft: OptimizerFactDraft | None, spans: dict[int, Span]) -> OptimizerFact | None:
    if draft is None:
        return None
    rate_span = spans[draft.learning_rate_mark] if draft.learning_rate_mark else None
    span = spans[draft.mark] if draft.mark else None
    return OptimizerFact(draft.name, draft.behavior, draft.learning_rate, span, rate_span)


def _weights_of_means(records: Iterable[SiteRecord]) -> frozenset[str]:
    """Return the texts of the weights by which means divide."""
    means = [r for r in records if r.model.divisor == "valid" and r.reductions == {"mean"}]
    return frozenset(filter(None, map(_weights, means)))


def _weights(record: SiteRecord) -> str:
    """Return the text of the weights that a loss is given, empty if it is given none."""
    return next((argument.text for argument in record.arguments if argument.parameter == "weight"), "")


def _site(record: SiteRecord, spans: dict[int, Span], averaged: frozenset[str]) -> LossSite:
    reductions = record.reductions
    return LossSite(
        callee=record.callee,
        is_class=record.is_class,
        reduction=next(iter(reductions)) if len(reductions) == 1 else None,
        decided_by=record.decided_by,
        span=spans[record.mark],
        arguments=tuple(_argument(argument, record, spans) for argument in record.arguments),
        accepts=record.model.accepts,
        warns=record.model.warns,
        legacy=record.model.legacy,
        legacy_value=record.legacy_value,
        tensors=record.tensors,
        used_as_value=record.used_as_value,
        function=record.function,
        divisor=record.model.divisor,
        ignored_parameter=record.ignored_parameter,
        is_open=record.is_open,
        inside=spans[record.inside] if record.inside else None,
        own_mean_too=_weights(record) in averaged,
    )


def _argument(argument: BoundArgument, record: SiteRecord, spans: dict[int, Span]) -> Argument:
    known = Literal(argument.value.value) if isinstance(argument.value, Constant) else None
    span = spans[argument.mark] if argument.mark else spans[record.mark]
    return Argument(
        argument.parameter, argument.keyword, known if argument.literal else None, argument.text, known, span
    )
