"""``value.name``: attributes of tensors, of objects of this module and of libraries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lint_reduction.analysis import tensors
from lint_reduction.analysis.code import Assign, ClassCode, Expr, FunctionCode, assigned_attributes
from lint_reduction.analysis.enumerations import numbered_member
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.options import option_value
from lint_reduction.analysis.training import InputGradient
from lint_reduction.analysis.values import (
    PRESUMED_AXES,
    Class,
    Constant,
    Criterion,
    Dataset,
    External,
    Function,
    Gradient,
    Imported,
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
    Place,
    Shape,
    Super,
    Tensor,
    Unknown,
    Value,
    join,
    options_of,
)
from lint_reduction.facts import Batch, Evidence
from lint_reduction.growth import SAMPLES, Growth

#: Methods of a module, a loader or a tensor that hand their owner back.
MODULE_METHODS = frozenset(
    """
    to cuda cpu float double half bfloat16 train eval requires_grad_ share_memory type xpu mps apply compile
    __enter__ __iter__ copy to_empty ipu
    """.split()
)
PARAMETER_METHODS = frozenset({"parameters", "named_parameters", "trainable_parameters", "get_parameters"})

_NUMBERS = frozenset({"device", "dtype", "ndim", "is_cuda", "requires_grad", "grad_fn", "is_leaf", "layout"})
_WEIGHTS = frozenset({"weight", "bias"})
#: Attribute of an object that holds the criterion which it is by inheritance.
INHERITED = "the criterion inherited"
#: What ``max`` and the like over an axis return, by name.
_OF_PAIRS = {"values": 0, "indices": 1}
_SWAPPED = frozenset({"T", "mT", "H", "mH"})


def attribute(machine: Machine, value: Value, name: str) -> Value:
    """Return an attribute of a single value; a method of a foreign object stays a ``Method``."""
    match value:
        case External(module, unread):
            return External(machine.libraries.canonical(f"{module}.{name}"), unread)
        case Imported(path, inner, whole):
            return machine.resolve(Imported(path, f"{inner}.{name}" if inner else name, f"{whole}.{name}"))
        case Instance():
            return instance_attribute(machine, value, name)
        case Super(owner, home):
            return _inherited(machine, owner, home, name)
        case Class(body):
            member = numbered_member(machine, body, name)
            return member or _class_attribute(machine, body, name, None) or Opaque(name)
        case Tensor():
            return _tensor_attribute(machine, value, name)
        case Opaque():
            return _opaque_attribute(machine, value, name)
        case Constant() if name == "value":
            # a member of an enumeration
            return value
        case _:
            return _other_attribute(machine, value, name)


def _other_attribute(machine: Machine, value: Value, name: str) -> Value:
    match value:
        case OptimizerValue() if name == "param_groups":
            return ParamGroups(value)
        case Loader() if name == "dataset":
            return Dataset()
        case Loader(evidence=evidence) if name == "batch_size":
            # what each batch but the last has
            return tensors.count(SAMPLES, min(evidence, Evidence.CONFIGURATION), "batch_size", Batch.LOADER)
        case Criterion() if name == "reduction":
            return machine.state.heap.get((value.identity, name), Constant(value.reduction))
        case Parameters(_, is_data) if name == "grad":
            return Gradient(is_data)
        case Parameters() | Gradient() if name == "data":
            return value
        case Object(kind) if name in _WEIGHTS and kind.startswith("torch.nn."):
            return Parameters(single=True, is_data=is_table(kind))
        case Options(name=options_name):
            return option_value(machine, value, name) or Opaque(name if not options_name else f"{options_name}.{name}")
        case Mapping(entries) if name not in ("items", "values", "keys", "get", "update", "pop", "setdefault"):
            return dict(entries).get(name, Method(value, name))
        case Unknown():
            return value
        case Items(entries, True) if name in _OF_PAIRS and len(entries) == 2:
            return entries[_OF_PAIRS[name]]
    return Method(value, name)


def _tensor_attribute(machine: Machine, value: Tensor, name: str) -> Value:
    if name == "shape":
        return Shape(value, text=f"{value.text}.shape" if value.text else "")
    if name == "grad":
        if value.batch > Batch.PARAMETERS:
            machine.record(InputGradient(0))
        return Gradient(of_inputs=value.batch > Batch.PARAMETERS)
    if name == "data":
        return tensors.detach(value)
    if name in _SWAPPED:
        return replace(value, axes=replace(value.axes, place=Place.SOMEWHERE)) if value.summands else value
    if name in _NUMBERS:
        return Opaque(name)
    if name in machine.libraries.operations or name.rstrip("_") in machine.libraries.operations or name == "backward":
        return Method(value, name)
    if value.is_loss:
        return Method(value, name)
    if machine.libraries.names.role(name) == "criterion":
        return Opaque(name, value.batch, called=True)
    counted = machine.libraries.names.count(name) if value.may_be_container else None
    if counted is not None:
        return tensors.count(Growth.of(counted), Evidence.NAME, name, value.batch)
    return replace(tensors.data(value.batch, PRESUMED_AXES), may_be_container=True, is_part=True)


def _opaque_attribute(machine: Machine, value: Opaque, name: str) -> Value:
    if name == "shape":
        return Shape(replace(tensors.data(value.batch), text=value.name), text=f"{value.name}.shape")
    if name == "grad":
        if value.is_leaf:
            machine.record(InputGradient(0))
        return Gradient(of_inputs=value.is_leaf)
    if name == "dataset":
        return Dataset()
    if name in machine.libraries.operations or name == "backward":
        return Method(value, name)
    in_model = value.in_model or machine.libraries.names.is_model(value.name)
    if name in _WEIGHTS and in_model:
        return Parameters(single=True)
    if value.called and machine.libraries.names.role(name) != "criterion":
        return Opaque(name, value.batch, called=True, varies=value.varies)
    return Opaque(name, value.batch, varies=value.varies, called=value.called, in_model=in_model)


def as_leaf(value: Opaque) -> Opaque:
    """Return a variable after it was made to require a gradient: data, unless it is called like a weight."""
    words = ("param", "weight", "bias", "theta")
    is_weight = value.name in ("p", "w", "b") or any(word in value.name.lower() for word in words)
    return value if is_weight else replace(value, is_leaf=True)


def is_table(kind: str) -> bool:
    """Say whether a class of torch has a row of weights for each index, such as latent codes of samples."""
    return kind.rpartition(".")[2] in ("Embedding", "EmbeddingBag")


def instance_attribute(machine: Machine, value: Instance, name: str) -> Value:
    """Return an attribute of an object of this module: assigned, a method, or of the class."""
    known = machine.state.heap.get((value.identity, name))
    if known is not None:
        return known
    inner = machine.state.heap.get((value.identity, INHERITED))
    if name == "reduction" and isinstance(inner, Criterion):
        return Constant(inner.reduction)
    found = _class_attribute(machine, value.body, name, value)
    if found is not None:
        return found
    late = _assigned_elsewhere(machine, value, name)
    if late is not None:
        machine.state.heap[(value.identity, name)] = late
        return late
    inherited = name in machine.libraries.methods or name in MODULE_METHODS or name in PARAMETER_METHODS
    return Method(value, name) if inherited else Opaque(name)


def set_attribute(machine: Machine, owner: Instance, name: str, value: Value) -> None:
    """Set an attribute of an object of this module, or run what it does instead: a property has a function for it."""
    for home in lineage(machine, owner.body):
        setter = home.methods.get(f"{name} setter")
        if setter is not None:
            machine.call_function(Function(setter, machine.home_of(home).identity, owner, home), (value,), {})
            return
    machine.state.heap[(owner.identity, name)] = value


def _class_attribute(machine: Machine, body: ClassCode, name: str, owner: Instance | None) -> Value | None:
    return _attribute_of(machine, body, lineage(machine, body), name, owner)


def _attribute_of(
    machine: Machine, body: ClassCode, homes: Sequence[ClassCode], name: str, owner: Instance | None
) -> Value | None:
    for home in homes:
        method = home.methods.get(name)
        if method is not None:
            static = any(getattr(d, "name", "") == "staticmethod" for d in method.decorators)
            bound: Value | None = None if static else owner
            if any(getattr(d, "name", "") == "classmethod" for d in method.decorators):
                bound = Class(body)
            function = Function(method, machine.home_of(home).identity, bound, home)
            if owner is not None and any(getattr(d, "name", "") in _PROPERTIES for d in method.decorators):
                return machine.call_function(function, (), {})
            return function
        for statement in home.body:
            if isinstance(statement, Assign) and any(getattr(t, "name", "") == name for t in statement.targets):
                return machine.evaluate_at(machine.home_of(home), statement.value)
    return None


def _inherited(machine: Machine, owner: Instance, home: ClassCode, name: str) -> Value:
    """Return a method as ``super()`` finds it: of a class behind ``home`` in the order of its owner."""
    order = lineage(machine, owner.body)
    behind = order[order.index(home) + 1 :] if home in order else lineage(machine, home)[1:]
    found = _attribute_of(machine, owner.body, behind, name, owner)
    if found is not None:
        return found
    if inherited_loss(machine, owner.body):
        return Method(Super(owner, home), name)
    return Method(Opaque("super"), name)


def inherited_loss(machine: Machine, body: ClassCode) -> str:
    """Return the loss of a library that a class of this module is a kind of, empty if it is none."""
    return next((name for name in foreign_bases(machine, body) if name in machine.libraries.losses), "")


_PROPERTIES = frozenset({"property", "cached_property"})


def lineage(machine: Machine, body: ClassCode) -> tuple[ClassCode, ...]:
    """Return a class and those of its bases that are of the project, in the order in which Python asks them."""
    known = machine.lineages.get(id(body))
    if known is None:
        # what inherits from itself has no other bases
        machine.lineages[id(body)] = (body,)
        known = machine.lineages[id(body)] = (body, *_merged(machine, _bases(machine, body)))
    return known


def _bases(machine: Machine, body: ClassCode) -> list[ClassCode]:
    values = (machine.evaluate_at(machine.home_of(body), base) for base in body.bases)
    return [option.value.body for value in values for option in options_of(value) if isinstance(option.value, Class)]


def _merged(machine: Machine, bases: list[ClassCode]) -> Iterator[ClassCode]:
    """Yield the bases of a class in the order of Python: each before its own bases, and as they are listed."""
    rows = [row for row in (*(list(lineage(machine, base)) for base in bases), list(bases)) if row]
    while rows:
        heads = (row[0] for row in rows if not any(row[0] in other[1:] for other in rows))
        # Python would not take an order in which there is none
        following = next(heads, rows[0][0])
        yield following
        rows = [left for row in rows if (left := [code for code in row if code is not following])]


def foreign_bases(machine: Machine, body: ClassCode) -> set[str]:
    """Return the resolved names of the bases that are of other modules."""
    names = set()
    for current in lineage(machine, body):
        for base in current.bases:
            for option in options_of(machine.evaluate_at(machine.home_of(current), base)):
                if isinstance(option.value, (External, Opaque)):
                    names.add(option.value.name)
    return names


def has_unread_base(machine: Machine, body: ClassCode) -> bool:
    """Say whether a base of a class is in a module that cannot be read."""
    bases = ((machine.home_of(current), base) for current in lineage(machine, body) for base in current.bases)
    options = (option.value for home, base in bases for option in options_of(machine.evaluate_at(home, base)))
    return any(isinstance(value, External) and value.unread for value in options)


def _assigned_in(machine: Machine, method: FunctionCode) -> dict[str, list[Expr]]:
    """Return what a method assigns to attributes of its object, by their names."""
    found = machine.assigned.get(method)
    if found is None:
        found = machine.assigned[method] = {}
        for name, expr in assigned_attributes(method.body or ()):
            found.setdefault(name, []).append(expr)
    return found


def _assigned_elsewhere(machine: Machine, owner: Instance, name: str) -> Value | None:
    """Return what other methods assign to an attribute, as far as that needs no local variable."""
    values: list[Value] = []
    for home in lineage(machine, owner.body):
        for method in home.methods.values():
            for expr in _assigned_in(machine, method).get(name, ()):
                values.append(machine.evaluate_in_method(method, home, owner, expr))
        if values:
            break
    if not values:
        return None
    return join(tuple(option for value in values for option in options_of(value)))
