"""Methods of values that are no objects of this module: tensors, lists, optimizers, unknown things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lint_reduction.analysis import gradients, sinks, tensors
from lint_reduction.analysis.attributes import MODULE_METHODS, PARAMETER_METHODS, as_leaf, is_table
from lint_reduction.analysis.code import Attr, Call, Expr, Var, text
from lint_reduction.analysis.conversion import DIFFERENCE
from lint_reduction.analysis.hooks import HOOKS, applied, hooked
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.operations import Operands, operate
from lint_reduction.analysis.optimizers import update_groups
from lint_reduction.analysis.settings_files import file_method, options_method
from lint_reduction.analysis.training import ZeroGrad
from lint_reduction.analysis.values import (
    CHOICE,
    COMPARISON,
    Alternatives,
    Constant,
    Criterion,
    Dataset,
    Function,
    Gradient,
    Instance,
    Items,
    Loader,
    Mapping,
    Method,
    Object,
    Opaque,
    OptimizerValue,
    Options,
    Parameters,
    ParamGroups,
    Repeated,
    Shape,
    Tensor,
    Unknown,
    Value,
    join,
    merged,
    options_of,
)
from lint_reduction.facts import Evidence
from lint_reduction.growth import ONE, Count, Growth

_GROWING = frozenset({"append", "extend", "insert", "add", "appendleft"})


def call_method(machine: Machine, owner: Value, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    """Call ``owner.name``; None if nothing is known of it."""
    if name == "backward":
        return sinks.backward(machine, owner, call, values)
    known = sinks.call_table_method(machine, owner, name, call, values)
    if known is not None:
        return known
    if name == "step" and isinstance(owner, (Opaque, Tensor, Object)) and _steps(machine, owner, call, values):
        sinks.step(machine, owner if isinstance(owner, Opaque) else Opaque("optimizer"), call, values)
        return Opaque(called=True)
    stepped = _stepped_by(machine, owner, name, call, values)
    if stepped is not None:
        sinks.step(machine, stepped, call, ())
        return Constant(None)
    if name == "zero_grad":
        machine.record(ZeroGrad(machine.windows, machine.loops, owner, machine.guards))
        return Constant(None)
    if name in HOOKS and values:
        return hooked(machine, owner, name, call, values[0])
    if name == "apply" and values:
        applied(machine, owner, call, values)
    return _method_of(machine, owner, name, call, values)


def _method_of(machine: Machine, owner: Value, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    match owner:
        case Tensor() | Shape():
            return _tensor_method(machine, owner, name, call, values)
        case Unknown():
            if name == "item":
                return Opaque()
            return operate(machine, name, owner, operands(call, values)) or owner
        case Items() | Repeated() | Mapping():
            return _container_method(machine, owner, name, call, values)
        case OptimizerValue():
            return _optimizer_method(machine, owner, name, call, values)
        case ParamGroups() if name == "update":
            return update_groups(machine, owner, call, values)
        case Parameters() | Gradient():
            return gradients.call_gradient_method(machine, owner, name, call, values)
        case Criterion():
            return _criterion_method(machine, owner, name)
        case Opaque():
            return _opaque_method(machine, owner, name, call, values)
    return _object_method(machine, owner, name, call, values)


def operands(call: Call, values: Sequence[Value], skip: int = 0) -> Operands:
    """Return the operands of a call, without the first ``skip`` positional ones."""
    positional: list[Value] = []
    keywords: dict[str, Value] = {}
    exprs: list[Expr] = []
    for arg, value in zip(call.args, values, strict=True):
        if arg.keyword:
            keywords[arg.keyword] = value
        elif arg.stars:
            positional.extend(value.entries if isinstance(value, Items) else (value,))
            exprs.append(arg.value)
        else:
            positional.append(value)
            exprs.append(arg.value)
    return Operands(tuple(positional[skip:]), keywords, tuple(exprs[skip:]), call.mark, text(call), call.method)


def _tensor_method(
    machine: Machine, owner: Tensor | Shape, name: str, call: Call, values: Sequence[Value]
) -> Value | None:
    if isinstance(owner, Shape):
        if name == "numel":
            return product_of(machine, owner, call)
        return Opaque("size")
    if name in ("items", "values") and owner.may_be_container:
        entry: Value = owner if name == "values" else Items((Opaque("key"), owner), is_tuple=True)
        return Repeated(entry, Growth())
    if name in ("get", "pop", "keys") and owner.may_be_container:
        return owner if name != "keys" else Opaque("keys")
    plain = name
    if name not in machine.libraries.operations and name.endswith("_"):
        plain = name.rstrip("_")
    if plain in _ARITHMETIC and values:
        return machine.binary(_ARITHMETIC[plain], owner, values[0], call)
    if plain in ("pow", "square", "sqrt"):
        exponent = values[0] if values else Constant(2 if plain == "square" else 0.5)
        return machine.binary("**", owner, exponent, call)
    if name == "where" and len(values) == 2:
        # the condition comes first in torch.where
        given = Operands((owner, values[1]), {}, tuple(arg.value for arg in call.args), call.mark, text(call))
        return operate(machine, name, values[0], given)
    result = operate(machine, plain, owner, operands(call, values))
    if result is None and not owner.is_loss and owner.may_be_container and name in MODULE_METHODS:
        return owner
    return result


def product_of(machine: Machine, shape: Shape, call: Call) -> Value:
    """Return the product of the sizes of some axes: ``x.shape[1:].numel()``, ``math.prod(x.shape)``."""
    whole = operate(machine, "numel", shape.tensor, Operands((), {}, (), call.mark, text(call)))
    if shape.start and isinstance(whole, Tensor) and whole.growth is not None:
        return tensors.count(whole.growth.without({Count.SAMPLES}), whole.evidence, text(call), whole.batch)
    return whole or tensors.count(ONE, Evidence.SHAPE, "")


_ARITHMETIC = {
    "add": "+", "sub": "-", "subtract": "-", "mul": "*", "multiply": "*", "div": "/", "divide": "/",
    "true_divide": "/", "floor_divide": "//", "__truediv__": "/", "__mul__": "*", "__add__": "+", "matmul": "@",
}  # fmt: skip


def _container_method(
    machine: Machine, owner: Items | Repeated | Mapping, name: str, call: Call, values: Sequence[Value]
) -> Value | None:
    if isinstance(owner, Mapping):
        return _mapping_method(owner, name, values)
    if name in _GROWING or name in ("clear", "sort", "reverse", "remove"):
        return Constant(None)
    if name in ("pop", "popleft"):
        entries = owner.entries if isinstance(owner, Items) else (owner.entry,)
        return join(tuple(o for e in entries for o in options_of(e))) if entries else Opaque()
    if name in ("to", "cuda", "train", "eval", "copy"):
        return owner
    if name in PARAMETER_METHODS:
        return Parameters()
    return None


def _mapping_method(owner: Mapping, name: str, values: Sequence[Value]) -> Value | None:
    entries = owner.entries
    rest = () if owner.rest is None else (owner.rest,)
    if name == "values":
        return Items((*(v for _, v in entries), *rest))
    if name == "keys":
        return Items(tuple(Constant(k) for k, _ in entries))
    if name == "items":
        pairs = tuple(Items((Constant(k), v), is_tuple=True) for k, v in entries)
        return Items((*pairs, *(Items((Opaque("key"), v), is_tuple=True) for v in rest)))
    if name in ("get", "pop", "setdefault", "__getitem__") and values:
        key = values[0]
        found = [v for k, v in entries if not isinstance(key, Constant) or k == key.value]
        if not found or not isinstance(key, Constant):
            found += [*rest, *values[1:]]
        return join(tuple(o for v in found for o in options_of(v))) if found else Constant(None)
    if name in ("copy", "to", "cuda", "train", "eval"):
        return owner
    if name in PARAMETER_METHODS:
        return Parameters()
    return Constant(None) if name == "update" else None


def _optimizer_method(
    machine: Machine, owner: OptimizerValue, name: str, call: Call, values: Sequence[Value]
) -> Value | None:
    if name == "step":
        sinks.step(machine, owner, call, values)
        return Opaque("loss", called=True)
    return Constant(None)


def _criterion_method(machine: Machine, owner: Criterion, name: str) -> Value | None:
    if name in MODULE_METHODS:
        return owner
    if name in PARAMETER_METHODS:
        return Parameters()
    if name == "forward":
        return None
    if name in ("item", "detach", "mean", "sum", "cpu", "data"):
        machine.sites[owner.site.index].used_as_value = True
    return Opaque()


def _opaque_method(machine: Machine, owner: Opaque, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    if name in ("state_dict", "load_state_dict"):
        return Constant(None)
    if name in PARAMETER_METHODS:
        machine.with_parameters.add(owner.name)
        return Parameters()
    if name in MODULE_METHODS and name not in machine.libraries.operations:
        return owner
    if name in ("items", "values"):
        entry = replace(owner, name="")
        return Repeated(Items((Opaque("key"), entry), is_tuple=True) if name == "items" else entry, None)
    if name in ("get", "pop") and values and isinstance(values[0], Constant):
        return Opaque(str(values[0].value), owner.batch, called=owner.called, varies=owner.varies)
    if name in ("item", "tolist") or name in _GROWING:
        return replace(owner, varies=owner.varies)
    if name in machine.libraries.operations or name in _ARITHMETIC or name in ("pow", "square", "sqrt"):
        return _operation_on_opaque(machine, owner, name, call, values)
    return None


def _stepped_by(machine: Machine, owner: Value, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    """Return the optimizer that a gradient scaler steps: ``scaler.step(optimizer)``."""
    if name != "step" or not values or not isinstance(owner, (Object, Opaque, Tensor)):
        return None
    scaler = isinstance(owner, Object) and owner.name.endswith("Scaler")
    options = options_of(values[0])
    if any(isinstance(option.value, OptimizerValue) for option in options):
        return values[0]
    names, shown = machine.libraries.names, text(call.args[0].value)
    stepped = values[0] if isinstance(values[0], Opaque) else Opaque("optimizer") if scaler else None
    return stepped if scaler or names.is_optimizer(shown) else None


def _steps(machine: Machine, owner: Opaque | Tensor | Object, call: Call, values: Sequence[Value]) -> bool:
    """Say whether ``owner.step()`` is the step of an optimizer, not of a scheduler or an environment."""
    if any(isinstance(value, Function) for value in values):
        return True
    names = machine.libraries.names
    shown = text(call.func.base) if isinstance(call.func, Attr) else ""
    return names.is_optimizer(shown) or (isinstance(owner, Opaque) and names.is_optimizer(owner.name))


def _operation_on_opaque(
    machine: Machine, owner: Opaque, name: str, call: Call, values: Sequence[Value]
) -> Value | None:
    if (
        owner.called
        and owner.name != DIFFERENCE
        and machine.libraries.operations.get(name) in ("summing", "averaging", "choosing", "norming")
    ):
        # an unknown function made it, so it may be a scalar already
        return Opaque(owner.name, owner.batch, called=True, varies=owner.varies)
    if name in _ARITHMETIC and values:
        return machine.binary(_ARITHMETIC[name], owner, values[0], call)
    if name in ("pow", "square", "sqrt"):
        exponent = values[0] if values else Constant(2 if name == "square" else 0.5)
        return machine.binary("**", machine.tensor(owner), exponent, call)
    kind = machine.libraries.operations.get(name)
    if kind == "linear" and name in MODULE_METHODS and name != "bool" and owner.name not in (COMPARISON, CHOICE):
        return owner
    return operate(machine, name, owner, operands(call, values))


def _object_method(machine: Machine, owner: Value, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    if isinstance(owner, (Object, Instance, Loader, Dataset)):
        if name in PARAMETER_METHODS:
            return Parameters(is_data=isinstance(owner, Object) and is_table(owner.name))
        if name in MODULE_METHODS:
            return owner
    if isinstance(owner, Object):
        return _library_object(machine, owner, name, call, values)
    if isinstance(owner, Options):
        return options_method(machine, owner, name, call, values)
    if isinstance(owner, (Constant, Method)):
        return Opaque(name, called=True)
    return None


def _library_object(machine: Machine, owner: Object, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    last = owner.name.rpartition(".")[2]
    if last.endswith("ArgumentParser") or last == "OptionParser":
        return sinks.parser_method(machine, owner, name, call, values)
    if last in ("ModuleList", "Sequential", "ModuleDict") and name in ("append", "add_module"):
        return owner
    return file_method(machine, owner, name, call, values)


def write_back(machine: Machine, call: Call, func: Value, values: Sequence[Value], result: Value) -> None:
    """Bind the owner of a method that changes its owner to what it has become."""
    if not isinstance(call.func, Attr) or not isinstance(call.func.base, (Var, Attr)):
        return
    name = call.func.name
    changes = name in _GROWING or name in ("update", "setdefault") or (name.endswith("_") and not name.startswith("_"))
    if not changes:
        return
    options = func.options if isinstance(func, Alternatives) else ()
    owners = [o.value.owner for o in options if isinstance(o.value, Method)]
    if isinstance(func, Method):
        owners = [func.owner]
    if len(owners) != 1 and not all(isinstance(o, (Items, Repeated)) for o in owners):
        return
    changed = [_changed(machine, owner, call, name, values, result) for owner in owners]
    known = tuple(o for value in changed if value is not None for o in options_of(value))
    if known:
        machine.assign(call.func.base, join(known))


def _changed(
    machine: Machine, owner: Value, call: Call, name: str, values: Sequence[Value], result: Value
) -> Value | None:
    if isinstance(owner, (Items, Repeated)) and name in _GROWING and values:
        return _grown(machine, owner, call, name, values[-1])
    if isinstance(owner, Mapping) and name == "update" and values and isinstance(values[0], Mapping):
        return Mapping(merged(owner.entries, values[0].entries), values[0].rest or owner.rest)
    if isinstance(owner, Mapping) and name == "update":
        given = tuple((a.keyword, v) for a, v in zip(call.args, values, strict=True) if a.keyword)
        return Mapping(merged(owner.entries, given), owner.rest)
    if isinstance(owner, Opaque) and name == "requires_grad_":
        return as_leaf(owner) if not values or values[0] == Constant(True) else None
    if isinstance(owner, Tensor) and name.endswith("_") and isinstance(result, (Tensor, Unknown)):
        return result
    return None


def _grown(machine: Machine, owner: Items | Repeated, call: Call, name: str, value: Value) -> Value | None:
    count = machine.rounds_since(call.func.base) if isinstance(call.func, Attr) else None
    added = value
    if name == "extend":
        if isinstance(value, Items) and isinstance(owner, Items) and count == Growth():
            return Items(owner.entries + value.entries)
        if not isinstance(value, (Items, Repeated)):
            return Repeated(Opaque(), None)
        if isinstance(value, Repeated):
            added = value.entry
            count = None if count is None or value.count is None else count * value.count
    if isinstance(owner, Items) and not machine.frame.loops and name in ("append", "add"):
        return Items((*owner.entries, value)) if len(owner.entries) < 64 else Repeated(value, None)
    before = owner.entries if isinstance(owner, Items) else (owner.entry,)
    if isinstance(owner, Repeated) and owner.count != count:
        count = None
    entries = (*before, *(added.entries if isinstance(added, Items) and name == "extend" else (added,)))
    return Repeated(join(tuple(o for e in entries for o in options_of(e))), count, machine.loop_evidence())
