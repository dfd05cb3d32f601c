"""Loss calls: bind their arguments, work out the effective reduction, and make the value of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lint_reduction.analysis.code import Arg, Call, Const, Var, text
from lint_reduction.analysis.conversion import as_tensor
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.training import BoundArgument, SiteRecord
from lint_reduction.analysis.values import (
    SCALAR,
    WEIGHT_AXES,
    Axes,
    Constant,
    Criterion,
    External,
    Hop,
    Mapping,
    Place,
    Site,
    Summand,
    Tensor,
    Unknown,
    Value,
)
from lint_reduction.facts import Batch, Decision, StepKind
from lint_reduction.growth import DENSITY, ELEMENTS, ONE, SAMPLES, Count, Growth
from lint_reduction.libraries.schema import LEGACY, LossModel


@dataclass(frozen=True, slots=True)
class Bound:
    """The arguments of a loss call, by parameter.

    Attributes:
        values: value by parameter.
        arguments: the same with how they were given.
        is_open: whether there may be more (``*args``, ``**kwargs``).
        leading: the positional arguments in order.
    """

    values: dict[str, Value]
    arguments: tuple[BoundArgument, ...]
    is_open: bool
    leading: tuple[Value, ...]


def bind(parameters: Sequence[str], call: Call, values: Sequence[Value]) -> Bound:
    """Bind the arguments of a call to parameters.

    Args:
        parameters: names in order of position.
        call: the call.
        values: value of each argument of the call.
    """
    bound: dict[str, Value] = {}
    arguments: list[BoundArgument] = []
    leading: list[Value] = []
    is_open = False
    for arg, value in zip(call.args, values, strict=True):
        if arg.stars == 2 and isinstance(value, Mapping) and value.rest is None:
            bound.update((str(key), entry) for key, entry in value.entries)
            arguments.extend(_argument(str(k), arg, entry, is_literal=False) for k, entry in value.entries)
        elif arg.stars:
            is_open = True
        elif arg.keyword:
            bound[arg.keyword] = value
            arguments.append(_argument(arg.keyword, arg, value, isinstance(arg.value, Const)))
        else:
            if len(leading) < len(parameters) and not is_open:
                parameter = parameters[len(leading)]
                bound[parameter] = value
                arguments.append(_argument(parameter, arg, value, isinstance(arg.value, Const)))
            leading.append(value)
    return Bound(bound, tuple(arguments), is_open, tuple(leading))


def _argument(parameter: str, arg: Arg, value: Value, is_literal: bool) -> BoundArgument:
    return BoundArgument(parameter, bool(arg.keyword or arg.stars), is_literal, text(arg.value), value, arg.mark)


def legacy_reduction(size_average: object, reduce: object) -> str:
    """Return the reduction that the two deprecated flags stand for.

    Source: ``torch.nn._reduction.legacy_get_string``, torch 2.13.0.
    """
    size_average = True if size_average is None else size_average
    reduce = True if reduce is None else reduce
    if size_average and reduce:
        return "mean"
    return "sum" if reduce else "none"


def call_loss_name(machine: Machine, name: str, call: Call, values: Sequence[Value]) -> Value:
    """Call something that the tables list as a loss: build a criterion, or compute a loss."""
    model, is_class = machine.libraries.losses[name]
    bound = bind(model.positional if is_class else model.function_positional, call, values)
    legacy = _legacy(bound)
    given, decision = _reduction_given(model, bound, legacy)

    def with_reduction(value: Value) -> Value:
        reduction = _reduction_name(value)
        index = _record(machine, name, model, is_class, call, bound, reduction, decision, legacy)
        site = Site(index, call.mark)
        if is_class:
            return Criterion(model, site, reduction, machine.new_identity())
        machine.sites[index].called = True
        _note_tensors(machine, call, values)
        return loss_value(machine, model, reduction, site, _inputs(model, bound))

    return machine.lift(given, with_reduction)


def call_criterion(machine: Machine, criterion: Criterion, call: Call, values: Sequence[Value]) -> Value:
    """Call a criterion."""
    machine.sites[criterion.site.index].called = True
    key = (criterion.identity, "reduction")
    reduction = criterion.reduction
    if key in machine.state.heap:
        reduction = _reduction_name(machine.state.heap[key])
    _note_tensors(machine, call, values)
    bound = bind(criterion.model.inputs, call, values)
    value = loss_value(machine, criterion.model, reduction, criterion.site, _inputs(criterion.model, bound))
    if criterion.model.output:
        return Mapping(((criterion.model.output, value), (1, value)), rest=as_tensor(machine, Constant(0)))
    return value


def _note_tensors(machine: Machine, call: Call, values: Sequence[Value]) -> None:
    """A part of a batch of which a loss is computed is a tensor, and no tuple of tensors."""
    for arg, value in zip(call.args, values, strict=True):
        if isinstance(arg.value, Var) and isinstance(value, Tensor) and value.may_be_container:
            name = arg.value.name
            if machine.state.variables.get(name) is value:
                machine.state.variables[name] = replace(value, may_be_container=False)


def _legacy(bound: Bound) -> str | None:
    """Return what the legacy flags say: empty if none is given, None if that is not known."""
    flags = [bound.values.get(flag, Constant(None)) for flag in LEGACY]
    if all(isinstance(flag, Constant) and flag.value is None for flag in flags):
        return ""
    values = [flag.value for flag in flags if isinstance(flag, Constant)]
    return legacy_reduction(*values) if len(values) == 2 else None


def _reduction_given(model: LossModel, bound: Bound, legacy: str | None) -> tuple[Value, Decision]:
    if legacy != "":
        return (Unknown("legacy flag") if legacy is None else Constant(legacy)), Decision.LEGACY
    if "reduction" in bound.values and not model.fixed:
        argument = next(a for a in bound.arguments if a.parameter == "reduction")
        return bound.values["reduction"], Decision.KEYWORD if argument.keyword else Decision.POSITION
    if bound.is_open:
        return Unknown("arguments that are not known"), Decision.KEYWORD
    return Constant(model.default), Decision.DEFAULT


def _reduction_name(value: Value) -> str | None:
    if isinstance(value, Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, External):
        # a member of an enumeration: monai's LossReduction.MEAN
        last = value.name.rpartition(".")[2]
        return last.lower() if last.isupper() else None
    return None


def _record(
    machine: Machine,
    name: str,
    model: LossModel,
    is_class: bool,
    call: Call,
    bound: Bound,
    reduction: str | None,
    decision: Decision,
    legacy: str | None,
) -> int:
    # a package may be called from several places of a project, which decide for themselves
    key = call.mark, f"{name} from {machine.entry}" if machine.is_installed(machine.frame) else name
    index = machine.site_index.get(key)
    if index is None:
        index = machine.site_index[key] = len(machine.sites)
        tensors = 0
        for value in bound.leading:
            if not isinstance(value, Tensor):
                break
            tensors += 1
        machine.sites.append(
            SiteRecord(
                call.mark,
                name,
                model,
                is_class,
                set(),
                decision,
                bound.arguments,
                legacy or None,
                tensors,
                function=machine.frame.function,
                is_open=any(arg.stars for arg in call.args),
            )
        )
    record = machine.sites[index]
    record.reductions.add(reduction)
    if _known(bound.arguments) > _known(record.arguments):
        # another caller says more about what is handed through
        record.arguments, record.legacy_value = bound.arguments, legacy or None
    return index


def _known(arguments: Sequence[BoundArgument]) -> int:
    return sum(isinstance(argument.value, Constant) for argument in arguments)


def _inputs(model: LossModel, bound: Bound) -> list[Value]:
    named = [bound.values[name] for name in model.inputs if name in bound.values]
    return named or list(bound.leading[: len(model.inputs)])


def loss_value(machine: Machine, model: LossModel, reduction: str | None, site: Site, inputs: Sequence[Value]) -> Value:
    """Return the value of a loss for given inputs."""
    if reduction is None:
        return machine.unknown("the reduction is not known here", site.mark)
    tensors = _shaped_alike(model, inputs, [as_tensor(machine, value) for value in inputs])
    batch = _batch_of(tensors)
    unit = model.growth("mean") if reduction == "none" else model.growth(reduction)
    if unit is None:
        return machine.unknown(f"reduction {reduction!r} is not accepted", site.mark)
    axes = _unreduced(model) if reduction == "none" else SCALAR
    more = frozenset({Count.ELEMENTS}) if model.more_positions and reduction in ("sum", "batchmean") else frozenset()
    unit, axes = _of_inputs(unit, axes, tensors)
    if reduction == "sum" and model.divisor == "valid" and unit == SAMPLES and _ignores(machine, site):
        unit, more = Growth.of(Count.VALID), frozenset()
    given = [tensor for tensor in tensors if tensor.summands]
    if given and all(_is_masked(tensor) for tensor in given):
        unit *= DENSITY
    if reduction == "none" and any(tensor.axes.paired for tensor in tensors):
        axes = replace(axes, paired=True)
    if reduction == "batchmean" and any(t.least_rank > 2 or (t.axes.rank or 0) > 2 for t in tensors):
        # it divides by the first axis only
        unit, more = unit * ELEMENTS, frozenset()
    reduced = frozenset() if reduction == "none" else frozenset(count for count, _ in model.none.powers)
    hop = Hop(StepKind.SITE, site.mark, unit, axes=reduced)
    summand = Summand(unit, "", site, (hop,), batch, more, machine.grad_enabled)
    if any(isinstance(value, Unknown) for value in inputs):
        summand = summand.lost("its input is not known")
    elif any(tensor.axes.paired for tensor in tensors) and Count.ELEMENTS in reduced:
        summand = summand.lost("it may be over pairs of samples")
    elif given and all(t.perhaps_row for t in given) and (Count.SAMPLES in axes.counts or unit.in_samples):
        summand = summand.lost("its input may be one sample")
    elif any(_grows(tensor) for tensor in tensors):
        summand = summand.lost("its input is scaled by a count")
    return Tensor((summand,), axes, batch)


def _shaped_alike(model: LossModel, inputs: Sequence[Value], tensors: list[Tensor]) -> list[Tensor]:
    """Return the inputs of a loss, those that are not known to be a batch shaped like the weights beside them.

    What an elementwise loss compares with a weight has its shape: there are no samples in it.
    """
    weights = next((t for t in tensors if t.axes == WEIGHT_AXES and t.batch <= Batch.FIXED and t.summands), None)
    if weights is None or Count.ELEMENTS not in {count for count, _ in model.none.powers}:
        return tensors
    batches = [isinstance(v, Tensor) and v.batch >= Batch.DRAWN for v in inputs]
    return [t if is_batch or not t.summands else weights for t, is_batch in zip(tensors, batches, strict=True)]


def _batch_of(tensors: Sequence[Tensor]) -> Batch:
    """Return what the data of a loss are: one sample if one of its inputs is, else the most variable."""
    known = [t.batch for t in tensors if t.summands]
    if Batch.SINGLE in known:
        return Batch.SINGLE
    return max(known, default=Batch.ARGUMENT)


def _unreduced(model: LossModel) -> Axes:
    counts = frozenset(count for count, _ in model.none.powers)
    rank = 1 if counts == {Count.SAMPLES} and not model.more_positions else None
    return Axes(Place.FIRST, counts, rank, True, model.more_positions)


def _of_inputs(unit: Growth, axes: Axes, tensors: Sequence[Tensor]) -> tuple[Growth, Axes]:
    """Fit growth and axes to inputs that are single samples, or positions picked by a mask."""
    shaped = [t.axes for t in tensors if t.summands]
    if shaped and all(a.place is Place.NONE for a in shaped):
        return _without_batch(unit, axes, shaped)
    if all(_is_one_sample(t) for t in tensors) and any(a.place is Place.NONE for a in shaped):
        without = unit.without({Count.SAMPLES})
        left = axes.counts - {Count.SAMPLES}
        return without, SCALAR if not left else Axes(Place.NONE, left, None, False, axes.more)
    if shaped and all(a.place is Place.FIRST and Count.SAMPLES not in a.counts for a in shaped):
        # so many rows, whatever the size of the batch
        return unit.without({Count.SAMPLES}), replace(axes, counts=axes.counts - {Count.SAMPLES})
    known = [a for a in shaped if a.certain]
    if any(Count.ITERATIONS in a.counts and Count.SAMPLES not in a.counts for a in known):
        # made of a list that a loop has filled: the steps of an episode, not the rows of a batch
        power = unit.exponent(Count.SAMPLES)
        steps = unit.without({Count.SAMPLES}) * Growth.of(Count.ITERATIONS) ** power
        return steps, axes if not axes.counts else replace(axes, certain=False)
    if any(t.axes.counts == {Count.VALID} for t in tensors if t.summands):
        power = unit.exponent(Count.SAMPLES)
        picked = unit.without({Count.SAMPLES, Count.ELEMENTS}) * Growth.of(Count.VALID) ** power
        if axes.counts:
            counts = axes.counts - {Count.SAMPLES, Count.ELEMENTS} | {Count.VALID}
            axes = Axes(Place.MERGED if len(counts) == 1 else Place.SOMEWHERE, counts, None, axes.certain)
            axes = replace(axes, rank=1 if len(counts) == 1 else None)
        return picked, axes
    return unit, axes


def _is_one_sample(tensor: Tensor) -> bool:
    """Say whether a tensor has no batch axis, or was made of one sample."""
    if tensor.axes.certain and tensor.summands:
        return tensor.axes.place is Place.NONE
    return bool(tensor.summands) and (tensor.batch is Batch.SINGLE or tensor.perhaps_row)


def _ignores(machine: Machine, site: Site) -> bool:
    """Say whether a loss is told which targets to leave out."""
    return any(argument.parameter == "ignore_index" for argument in machine.sites[site.index].arguments)


def _is_masked(tensor: Tensor) -> bool:
    """Say whether a mask has set a part of a tensor to zero."""
    return not tensor.is_mask and all(s.growth == DENSITY for s in tensor.summands)


def _without_batch(unit: Growth, axes: Axes, shaped: Sequence[Axes]) -> tuple[Growth, Axes]:
    """Fit growth and axes to inputs without a batch axis: single samples, means over the batch, weights."""
    gone = {Count.SAMPLES}
    if not any(a.more or Count.ELEMENTS in a.counts for a in shaped):
        gone.add(Count.ELEMENTS)
    left = axes.counts - gone
    return unit.without(gone), SCALAR if not left else Axes(Place.NONE, left, None, False, axes.more)


def _grows(tensor: Tensor) -> bool:
    if tensor.is_mask:
        return False
    growths = [s.growth for s in tensor.summands if s.growth != DENSITY]
    return any(growth is None or growth.without({Count.ELEMENTS, Count.CLASSES}) != ONE for growth in growths)
