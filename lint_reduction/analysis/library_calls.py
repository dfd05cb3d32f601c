"""Functions and classes of libraries that mean something to the path of a loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lint_reduction.analysis import gradients, reporting, sinks, tensors, wrapping
from lint_reduction.analysis.arithmetic import binary
from lint_reduction.analysis.builtin_calls import accumulated
from lint_reduction.analysis.code import Call, Const
from lint_reduction.analysis.conversion import as_tensor
from lint_reduction.analysis.criteria import loss_value
from lint_reduction.analysis.loaders import loader
from lint_reduction.analysis.loops import number
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.methods import operands, product_of
from lint_reduction.analysis.operations import operate
from lint_reduction.analysis.optimizers import default_optimizer, lambda_lr, make_optimizer
from lint_reduction.analysis.products import contracted
from lint_reduction.analysis.settings_files import (
    copied,
    instantiated,
    loaded,
    loaded_by_path,
    merged_settings,
    same_settings,
)
from lint_reduction.analysis.training import Companioned, InputGradient
from lint_reduction.analysis.values import (
    BATCH_AXES,
    REDUCTION_NUMBER,
    Constant,
    Criterion,
    Function,
    Gradient,
    Instance,
    Items,
    Mapping,
    Method,
    Object,
    Opaque,
    Parameters,
    Partial,
    Repeated,
    Shape,
    Tensor,
    Unknown,
    Value,
    options_of,
)
from lint_reduction.facts import Batch, StepKind
from lint_reduction.growth import ONE
from lint_reduction.libraries.schema import CompanionModel, SinkModel, WrapperModel

_OPERATORS = {
    "add": "+", "sub": "-", "subtract": "-", "mul": "*", "multiply": "*", "div": "/", "divide": "/",
    "true_divide": "/", "floor_divide": "//", "pow": "**", "matmul": "@",
}  # fmt: skip


def call_library(machine: Machine, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    """Call something of a library by its resolved name, None if nothing is known of it."""
    libraries = machine.libraries
    if name in libraries.optimizers:
        return make_optimizer(machine, name, libraries.optimizers[name], call, values)
    if name in libraries.functions:
        return _table_function(machine, libraries.functions[name], name, call, values)
    handler = _HANDLERS.get(name)
    if handler is not None:
        return handler(machine, call, values)
    operation = libraries.operation(name)
    if operation is not None:
        result = _operation(machine, operation, call, values)
        if result is not None:
            return result
    wrapped = wrapping.wrap(machine, name, call, values)
    return _by_last_name(machine, name, call, values) if wrapped is None else wrapped


def _table_function(
    machine: Machine,
    model: SinkModel | WrapperModel | CompanionModel,
    name: str,
    call: Call,
    values: Sequence[Value],
) -> Value | None:
    match model:
        case SinkModel(criterion_of=criterion_of) if criterion_of:
            _train_with(machine, model, call, values)
            return Object(name, machine.new_identity())
        case SinkModel():
            given = sinks.argument(call, values, model.argument)
            if given is not None:
                sinks.table_sink(machine, model, given, call, values)
            return Constant(None)
        case WrapperModel():
            return sinks.wrapped(machine, model, values)
        case CompanionModel(companion=companion):
            if name.rpartition(".")[2][:1].islower():
                machine.record(Companioned(companion, call.mark))
                return Opaque("norm", called=True)
            return Object(name, machine.new_identity())
    return None


def _train_with(machine: Machine, model: SinkModel, call: Call, values: Sequence[Value]) -> None:
    """A trainer is given a criterion: what it returns for a batch is trained on."""
    given = sinks.argument(call, values, model.argument)
    optimizer = sinks.argument(call, values, model.optimizer)
    if optimizer is None and model.default_optimizer:
        optimizer = default_optimizer(machine, model, call.mark)
    batch = tensors.data(Batch.LOADER)
    for option in options_of(given) if given is not None else ():
        criterion = option.value
        if isinstance(criterion, Criterion):
            machine.sites[criterion.site.index].called = True
            value = loss_value(machine, criterion.model, criterion.reduction, criterion.site, [batch, batch])
        elif isinstance(criterion, (Function, Instance)):
            value = machine.call_value(criterion, replace(call, args=()), ())
        else:
            continue
        sinks.train(machine, value, call.mark, model=model, optimizer=optimizer, kind=StepKind.RETURN)


def _operation(machine: Machine, operation: str, call: Call, values: Sequence[Value]) -> Value | None:
    """Call a tensor operation as a function: its first argument is the tensor."""
    owner = sinks.argument(call, values, (0, "input"))
    if owner is None:
        owner = sinks.argument(call, values, (0, "tensors"))
    if operation in _OPERATORS and len(values) > 1:
        exprs = (call.args[0].value, call.args[1].value)
        op = _OPERATORS[operation]
        return machine.lift_two(values[0], values[1], lambda a, b: binary(machine, op, a, b, call.mark, exprs))
    if operation in ("square", "sqrt") and owner is not None:
        exponent = Constant(2 if operation == "square" else 0.5)
        return machine.lift(owner, lambda v: machine.binary("**", machine.tensor(v), exponent, call))
    if owner is None:
        if machine.libraries.operations.get(operation) in ("creating", "drawing"):
            return operate(machine, operation, Constant(0), operands(call, values))
        return None
    if operation == "where" and len(values) == 3:
        given = operands(call, values, 1)
        given = replace(given, exprs=(call.args[0].value, *given.exprs))
        return machine.lift(owner, lambda v: operate(machine, operation, v, given) or Opaque(operation))
    given = operands(call, values, 1)
    if isinstance(owner, Unknown) and machine.libraries.operations.get(operation) is None:
        return owner
    if machine.libraries.operations.get(operation) is None:
        return None
    return machine.lift(owner, lambda v: operate(machine, operation, v, given) or Opaque(operation, called=True))


def _by_last_name(machine: Machine, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    root, _, _ = name.partition(".")
    last = name.rpartition(".")[2]
    if last.endswith(_LOADERS):
        return loader(machine, call, values)
    if last in _ITERATION and values:
        return values[0]
    if last[:1].isupper():
        if "optim" in name.lower():
            return make_optimizer(machine, name, None, call, values)
        arguments = [
            (arg.keyword or "*" * arg.stars or str(i), v)
            for i, (arg, v) in enumerate(zip(call.args, values, strict=True))
        ]
        for value in values:
            _note_criterion(machine, value)
        return Object(name, machine.new_identity(), tuple(arguments))
    if root in ("numpy", "np", "math", "statistics") and last in _NUMBER_FUNCTIONS:
        return _number_function(machine, last, call, values)
    return None


def is_known_by_name(name: str) -> bool:
    """Say whether the last component of a name says what it does: a loader, an iterator, an optimizer."""
    last = name.rpartition(".")[2]
    return last.endswith(_LOADERS) or last in _ITERATION or (last[:1].isupper() and "optim" in name.lower())


_LOADERS = ("DataLoader", "Loader", "NeighborSampler")
#: Functions of numbers whose values do not grow with anything.
_BOUNDED = frozenset({"cos", "sin", "tanh"})
_NUMBER_FUNCTIONS = frozenset({"prod", "sqrt", "abs", "mean", "sum", "log", "exp", *_BOUNDED})
_ITERATION = frozenset(
    {"tqdm", "trange", "track", "islice", "cycle", "chain", "prange", "progress_bar", "deepcopy", "copy"}
)


def _note_criterion(machine: Machine, value: Value) -> None:
    for option in options_of(value):
        if isinstance(option.value, Criterion):
            machine.sites[option.value.site.index].called = True


def _number_function(machine: Machine, last: str, call: Call, values: Sequence[Value]) -> Value | None:
    if not values:
        return None
    value = values[0]
    if last == "prod" and isinstance(value, Shape):
        return product_of(machine, value, call)
    if last == "sqrt" and isinstance(value, Opaque):
        return binary(machine, "**", value, Constant(0.5), call.mark, (call.args[0].value, None))
    if last in _BOUNDED:
        return Opaque(last, varies=True)
    if last == "mean":
        reporting.note_mean(machine, value, call.mark)
    if last == "sqrt" and isinstance(value, Tensor):
        return machine.binary("**", value, Constant(0.5), call)
    if last == "sum" and isinstance(value, Repeated) and reporting.is_read_off(value.entry):
        return accumulated(value.entry, number(value.count), value.evidence, call.mark)
    if isinstance(value, Tensor):
        result = operate(machine, last, value, operands(call, values, 1)) or value
        return tensors.detach(result) if isinstance(result, Tensor) else result
    return Opaque(last, called=True)


def _partial(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    if not values:
        return None
    pairs = list(zip(call.args, values, strict=True))[1:]
    keywords = [(arg.keyword, value) for arg, value in pairs if arg.keyword]
    for arg, value in pairs:
        if arg.stars == 2 and isinstance(value, Mapping):
            keywords += [(str(key), entry) for key, entry in value.entries]
    args = tuple(value for arg, value in pairs if not arg.keyword and not arg.stars)
    return Partial(values[0], args, tuple(keywords))


def _autograd_grad(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``autograd.grad(outputs, inputs)``: training if the inputs are weights, a penalty or an attack if not."""
    outputs = sinks.argument(call, values, (0, "outputs"))
    inputs = sinks.argument(call, values, (1, "inputs"))
    if outputs is None or inputs is None:
        return None
    if any(_is_weights(option.value) for option in options_of(inputs)):
        gradient = sinks.first(sinks.argument(call, values, (2, "grad_outputs")))
        sinks.train(machine, outputs, call.mark, gradient=gradient)
        return Repeated(Gradient(), ONE)
    machine.record(InputGradient(call.mark))
    batch = max(as_tensor(machine, outputs).batch, as_tensor(machine, inputs).batch)
    gradient_of = replace(tensors.data(batch, BATCH_AXES), may_be_container=True)
    return (
        Items((gradient_of,))
        if not isinstance(inputs, Items) or len(inputs.entries) == 1
        else Repeated(gradient_of, ONE)
    )


def _is_weights(value: Value) -> bool:
    match value:
        case Parameters(_, is_data):
            return not is_data
        case Items(entries):
            return any(_is_weights(entry) for entry in entries)
        case Repeated(entry):
            return _is_weights(entry)
        case Opaque(name):
            return any(word in name.lower() for word in ("param", "weight"))
        case Method(_, name):
            return name in ("parameters", "named_parameters")
    return False


def _func_grad(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``torch.func.grad(f)``: what f returns is differentiated with respect to its first argument."""
    if values and isinstance(values[0], Function):
        value = machine.call_value(values[0], replace(call, args=()), ())
        sinks.train(machine, value, call.mark)
    return Opaque("grad", called=True)


def _parameter(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    return Parameters(single=True)


def _module_list(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    if values and isinstance(values[0], (Items, Repeated, Mapping)):
        return values[0]
    return None


def _einops_reduce(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``einops.reduce(x, "b c h w -> b", "mean")``; the first axis is taken for the batch."""
    given = [arg.value.value if isinstance(arg.value, Const) else None for arg in call.args[:3]]
    if len(given) < 3 or not isinstance(given[1], str) or "->" not in given[1] or not isinstance(values[0], Tensor):
        return None
    before, after = (side.replace("(", " ").replace(")", " ").split() for side in given[1].split("->"))
    kinds = {"sum": "summing", "mean": "averaging", "max": "choosing", "min": "choosing", "prod": "multiplying"}
    kind = kinds.get(str(given[2]))
    if kind is None or not before:
        return None
    ellipsis = "..." in before
    dims = tuple(i for i, axis in enumerate(before) if axis not in after)
    axes = replace(values[0].axes, rank=None if ellipsis else len(before))
    tensor = replace(values[0], axes=axes) if values[0].axes.rank is None else values[0]
    return tensors.reduce(tensor, kind, None if len(dims) == len(before) else dims, False, call.mark)


def _foreach_div(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    return gradients.scale_each(machine, call, values, divides=True)


def _foreach_mul(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    return gradients.scale_each(machine, call, values, divides=False)


def _reduction_number(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``F._Reduction.get_enum(reduction)``: the number of a reduction, as mmdet asks for it."""
    numbers = {"none": 0, "mean": 1, "elementwise_mean": 1, "sum": 2}

    def number_of(value: Value) -> Value:
        if isinstance(value, Constant) and value.value in numbers:
            return replace(value, value=numbers[str(value.value)])
        return Opaque(REDUCTION_NUMBER, called=True)

    return machine.lift(values[0], number_of) if values else None


def _argument_parser(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    return Object("argparse.ArgumentParser", machine.new_identity())


_Handler = Callable[[Machine, Call, Sequence[Value]], "Value | None"]

_HANDLERS: dict[str, _Handler] = {
    "functools.partial": _partial,
    "torch.autograd.grad": _autograd_grad,
    "torch._foreach_div_": _foreach_div,
    "torch._foreach_mul_": _foreach_mul,
    "torch.func.grad": _func_grad,
    "torch.func.value_and_grad": _func_grad,
    "torch.func.grad_and_value": _func_grad,
    "torch.optim.lr_scheduler.LambdaLR": lambda_lr,
    "torch.nn.Parameter": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.nn.ModuleList": _module_list,
    "torch.nn.ModuleDict": _module_list,
    "torch.nn.ParameterList": _parameter,
    "torch.nn._reduction.get_enum": _reduction_number,
    "torch.nn.functional._Reduction.get_enum": _reduction_number,
    "einops.reduce": _einops_reduce,
    "torch.einsum": contracted,
    "argparse.ArgumentParser": _argument_parser,
    "yaml.safe_load": loaded,
    "yaml.full_load": loaded,
    "yaml.load": loaded,
    "omegaconf.OmegaConf.load": loaded_by_path,
    "omegaconf.OmegaConf.create": same_settings,
    "omegaconf.OmegaConf.merge": merged_settings,
    "argparse.Namespace": same_settings,
    "types.SimpleNamespace": same_settings,
    "easydict.EasyDict": same_settings,
    "hydra.utils.instantiate": instantiated,
    "copy.deepcopy": copied,
}
