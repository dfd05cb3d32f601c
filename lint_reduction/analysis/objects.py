"""Classes and functions of the module: making instances, and running bodies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import cast

from lint_reduction.analysis.attributes import foreign_bases, lineage
from lint_reduction.analysis.code import (
    Assign,
    Attr,
    Binary,
    Call,
    ClassCode,
    Const,
    Expr,
    FunctionCode,
    Item,
    Param,
    Var,
    dotted,
    last_name,
)
from lint_reduction.analysis.code import Items as ItemsExpr
from lint_reduction.analysis.machine import MAX_FRAMES, Frame, Machine
from lint_reduction.analysis.open_losses import grows
from lint_reduction.analysis.options import default_value
from lint_reduction.analysis.settings_files import given_by_hydra
from lint_reduction.analysis.state import State, merge
from lint_reduction.analysis.tensors import data
from lint_reduction.analysis.values import (
    BATCH_AXES,
    Class,
    Constant,
    External,
    Function,
    Instance,
    Items,
    Mapping,
    Opaque,
    Option,
    Options,
    Tensor,
    Value,
    join,
    options_of,
)
from lint_reduction.facts import Batch, Evidence

_NO_GRAD = frozenset({"no_grad", "inference_mode"})
#: Decorators that leave the value of a function as it is.
HARMLESS = frozenset(
    """
    staticmethod classmethod property cached_property abstractmethod no_grad inference_mode enable_grad override
    overload jit script script_if_tracing export ignore unused compile autocast custom_fwd custom_bwd wraps
    lru_cache cache jaxtyped beartype typechecked record record_function torch_compilable_check profile
    rank_zero_only disable torchscript final deprecated add_start_docstrings add_start_docstrings_to_model_forward
    replace_return_docstrings can_return_tuple auto_docstring merge_with_config_defaults forward_loss command option
    main hydra_main task flow log_execution_time timeit fixture
    """.split()
)


def decorator_names(code: FunctionCode | ClassCode) -> list[str]:
    """Return the last component of the name of each decorator."""
    names = []
    for decorator in code.decorators:
        func = decorator.func if isinstance(decorator, Call) else decorator
        names.append(dotted(func).rpartition(".")[2])
    return names


def instantiate(machine: Machine, body: ClassCode, positional: Sequence[Value], keywords: dict[str, Value]) -> Value:
    """Build an instance of a class of this module and run its constructor."""
    instance = Instance(machine.new_identity(), body)
    constructor = next((c for c in lineage(machine, body) if "__init__" in c.methods), None)
    if constructor is not None:
        code = constructor.methods["__init__"]
        identity = machine.home_of(constructor).identity
        machine.call_function(Function(code, identity, instance, constructor), positional, keywords)
    else:
        _set_fields(machine, instance, positional, keywords)
    return instance


def _set_fields(machine: Machine, instance: Instance, positional: Sequence[Value], keywords: dict[str, Value]) -> None:
    """Set the fields of a dataclass, a named tuple or the like."""
    fields = [name for home in lineage(machine, instance.body) for name, _ in _fields(home)]
    for name, value in (*zip(fields, positional, strict=False), *keywords.items()):
        machine.state.heap[(instance.identity, name)] = value


def _fields(body: ClassCode) -> Iterable[tuple[str, Expr]]:
    for statement in body.body:
        if isinstance(statement, Assign) and statement.annotation is not None:
            for target in statement.targets:
                if isinstance(target, Var):
                    yield target.name, statement.value


def configuration_of(machine: Machine, body: ClassCode) -> Options | None:
    """Return the defaults of a dataclass, None if the class is none."""
    if "dataclass" not in decorator_names(body) and not foreign_bases(machine, body) & _RECORDS:
        return None
    defaults = []
    for home in lineage(machine, body):
        defaults += [
            (name, default_value(name, machine.evaluate_at(machine.home_of(home), value)))
            for name, value in _fields(home)
        ]
    return Options(tuple(dict(reversed(defaults)).items()))


_RECORDS = frozenset({"pydantic.BaseModel", "typing.NamedTuple", "pydantic.BaseSettings", "tap.Tap"})


def call_instance(
    machine: Machine, instance: Instance, positional: Sequence[Value], keywords: dict[str, Value]
) -> Value | None:
    """Call an instance: run ``forward`` or ``__call__``, None if neither was lowered."""
    for home in lineage(machine, instance.body):
        for name in ("forward", "__call__"):
            code = home.methods.get(name)
            if code is not None:
                if code.body is None:
                    return None
                function = Function(code, machine.home_of(home).identity, instance, home)
                return machine.call_function(function, positional, keywords)
    return None


def call_function(
    machine: Machine, function: Function, positional: Sequence[Value], keywords: dict[str, Value]
) -> Value:
    """Run a function of this module with given arguments and return what it returns."""
    code = function.code
    if code.body is None or len(machine.frames) >= MAX_FRAMES or machine.running.count(code) > 1:
        return Opaque(code.name, called=True)
    home = machine.all_frames.get(function.frame)
    leaves = machine.leaves_for(home)
    if leaves and not machine.may_run(home):
        return Opaque(code.name, called=True)
    left, installed = machine.budget, machine.installed
    machine.visited.add(id(code))
    caller = machine.frame
    state = State(heap=caller.state.heap)
    frame = machine.push(code.qualname, home, state)
    frame.owner = function.owner if function.owner is not None else _inherited_owner(frame)
    frame.home = function.home or (frame.parent.home if frame.parent is not None else None)
    frame.no_grad = int(bool(_NO_GRAD & set(decorator_names(code))))
    machine.running.append(code)
    try:
        _bind(machine, frame, function, positional, keywords)
        machine.execute(code.body)
        machine.run_unused_functions(frame)
        value = _finish(machine, frame, caller, code)
        if not machine.is_abroad(home) and grows(machine, value):
            machine.grown.add(code.qualname)
        return value
    finally:
        machine.running.pop()
        machine.frames.remove(frame)
        if leaves:
            machine.charge(home, left, installed)


def _inherited_owner(frame: Frame) -> Value | None:
    return frame.parent.owner if frame.parent is not None else None


def _bind(
    machine: Machine, frame: Frame, function: Function, positional: Sequence[Value], keywords: dict[str, Value]
) -> None:
    """Bind parameters to arguments; a parameter that is not given has its default."""
    given = list(positional)
    if function.owner is not None:
        given.insert(0, function.owner)
    rest = dict(keywords)
    for param in function.code.params:
        frame.state.variables[param.name] = _argument(machine, function.code, param, given, rest)


def _argument(machine: Machine, code: FunctionCode, param: Param, given: list[Value], rest: dict[str, Value]) -> Value:
    if param.kind == "*":
        entries = tuple(given)
        given.clear()
        return Items(entries, is_tuple=True)
    if param.kind == "**":
        return Mapping(tuple(rest.items()), None if rest else Opaque())
    if param.name in rest:
        return rest.pop(param.name)
    if given and param.kind != "keyword":
        return given.pop(0)
    if param.default is not None:
        return machine.evaluate(param.default)
    return symbolic(machine, param, code)


def symbolic_instance(machine: Machine, body: ClassCode) -> Instance:
    """Return an instance of a class that nobody builds in view: its arguments are not known."""
    constructor = next((c.methods["__init__"] for c in lineage(machine, body) if "__init__" in c.methods), None)
    params = constructor.params[1:] if constructor is not None else ()
    instance = instantiate(machine, body, (), unknown_arguments(machine, params))
    assert isinstance(instance, Instance)
    return instance


def unknown_arguments(machine: Machine, params: Sequence[Param], code: FunctionCode | None = None) -> dict[str, Value]:
    """Return arguments for a call that is not in view; a criterion is the one that is there by default."""
    unknown = (p for p in params if p.kind in ("", "keyword") and not _has_criterion(machine, p))
    return {p.name: symbolic(machine, p, code) for p in unknown}


def _has_criterion(machine: Machine, param: Param) -> bool:
    named = isinstance(param.default, (Var, Attr, Call))
    return named and machine.libraries.names.role(param.name) == "criterion"


def stand_in_for(machine: Machine, annotation: Expr | None) -> Instance | None:
    """Return what stands in for a value of which only the annotation is known, None if nothing does."""
    stand_in = machine.stand_in
    if stand_in is None or annotation is None:
        return None
    family = {id(body) for body in lineage(machine, stand_in.body)}
    named = (o.value for expr in _types(annotation) for o in options_of(machine.evaluate(expr)))
    return stand_in if any(isinstance(v, Class) and id(v.body) in family for v in named) else None


def _types(annotation: Expr) -> Iterator[Expr]:
    """Yield the classes that an annotation names: of ``Optional[A]``, ``Union[A, B]``, ``A | B`` and ``"A"``."""
    match annotation:
        case Const(str() as text):
            for choice in text.replace("Optional[", "").strip("] ").split("|"):
                first, *rest = choice.strip().split(".")
                yield reduce(lambda base, name: Attr(base, name), rest, cast("Expr", Var(first)))
        case Item(base, key):
            parts = key.items if isinstance(key, ItemsExpr) else (key,)
            for part in parts if last_name(base) in ("Optional", "Union") else (base,):
                yield from _types(part)
        case Binary("|", left, right):
            yield from _types(left)
            yield from _types(right)
        case Var() | Attr():
            yield annotation


def symbolic(machine: Machine, param: Param, code: FunctionCode | None = None) -> Value:
    """Return what is known of a parameter when no caller is in view, of the function if that matters."""
    settings = given_by_hydra(machine, code) if code is not None and param in code.params[:1] else None
    if settings is not None:
        return settings
    names = machine.libraries.names
    if param.annotation is not None:
        stand_in = stand_in_for(machine, param.annotation)
        if stand_in is not None:
            return stand_in
        # of several types it may be any
        named = param.annotation if isinstance(param.annotation, (Var, Attr)) else None
        for option in () if named is None else options_of(machine.evaluate(named)):
            if isinstance(option.value, Class):
                options = configuration_of(machine, option.value.body)
                if options is not None:
                    return replace(options, name=param.name)
            if isinstance(option.value, External) and option.value.name == "torch.utils.data.DataLoader":
                return Opaque("loader")
    if names.role(param.name) == "batch":
        return replace(data(Batch.LOADER, BATCH_AXES), may_be_container=True, evidence=Evidence.NAME, text=param.name)
    if isinstance(param.default, Const) and isinstance(param.default.value, bool):
        return Opaque(param.name, usual=param.default.value)
    return Opaque(param.name, is_one=param.default == Const(1))


def _finish(machine: Machine, frame: Frame, caller: Frame, code: FunctionCode) -> Value:
    states = list(frame.exits)
    if frame.state.alive:
        states.append(frame.state)
        frame.returns.append(Option(Constant(None), frozenset(frame.state.path.items())))
    if not states:
        # it always raises: nothing comes back
        return Opaque(code.name, called=True)
    merged = states[0]
    for state in states[1:]:
        merged = merge(merged, state)
    caller.state.heap = merged.heap
    if code.is_generator:
        return Opaque(code.name, Batch.DRAWN, called=True, varies=True)
    results = [o for o in frame.returns if not (isinstance(o.value, Constant) and o.value.value is None)]
    value = join(tuple(results or frame.returns))
    if set(decorator_names(code)) <= HARMLESS:
        return value
    return machine.lift(value, lambda v: _through_decorator(machine, v, code))


def _through_decorator(machine: Machine, value: Value, code: FunctionCode) -> Value:
    if isinstance(value, Tensor) and value.is_loss:
        return machine.unknown(f"{code.name}() has a decorator that may change it", code.mark)
    return value
