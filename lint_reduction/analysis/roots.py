"""Which functions of a module to run, and the trainers that call its methods.

The module body runs first and with it whatever it calls. Then come the functions that no other
mentions, then the rest, each with arguments of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lint_reduction.analysis import sinks, tensors
from lint_reduction.analysis.attributes import foreign_bases, has_unread_base, instance_attribute, lineage
from lint_reduction.analysis.code import ClassCode, FunctionCode
from lint_reduction.analysis.interpreter import run_with_unknown_arguments
from lint_reduction.analysis.machine import BUDGET, BudgetExceededError, Machine
from lint_reduction.analysis.objects import symbolic_instance, unknown_arguments
from lint_reduction.analysis.optimizers import default_optimizer
from lint_reduction.analysis.reading import escape
from lint_reduction.analysis.training import UNKNOWN_DIVISION, Division, RouteDraft, Sink, Trace
from lint_reduction.analysis.values import (
    Class,
    Constant,
    Function,
    Hop,
    Imported,
    Instance,
    Items,
    Mapping,
    Opaque,
    OptimizerValue,
    Repeated,
    Tensor,
    Value,
    options_of,
)
from lint_reduction.facts import Batch, Fate, StepKind
from lint_reduction.libraries.schema import SinkModel


@dataclass(frozen=True, slots=True)
class Root:
    """A function to run: of the module, or a method of a class of it.

    ``base`` is the class of another module that a method is inherited from.
    """

    code: FunctionCode
    home: ClassCode | None
    base: ClassCode | None = None


def run_module(machine: Machine) -> list[Trace]:
    """Run a module and every function in it that was lowered; return what each root did."""
    traces = [_run(machine, lambda: machine.execute(machine.module.body))]
    roots = _roots(machine)
    mentioned = [code.identifiers for code in machine.module.functions]
    first = [r for r in roots if not _is_mentioned(r.code, machine.module.functions, mentioned)]
    instances: dict[int, Instance] = {}
    for root in (*first, *roots):
        if id(root.code) not in machine.visited:
            traces.append(_run(machine, lambda root=root: _run_root(machine, root, instances)))
        elif root.home is not None and root.code.name in ("forward", "__call__"):
            # a loss class that the module itself tries out is there for others as well
            trace = _run(machine, lambda root=root: _run_method(machine, root, instances))
            traces.append(Trace([e for e in trace.events if isinstance(e, Sink) and e.fate is Fate.RETURNED]))
    for root in _inherited_roots(machine) if machine.project is not None else ():
        traces.append(_run(machine, lambda root=root: _run_root(machine, root, instances)))
    return traces


def set_stand_in(machine: Machine, path: str, name: str) -> None:
    """Let a class of another module stand in wherever one of its bases is annotated."""

    def build() -> None:
        found = machine.resolve(Imported(path, name, name))
        if isinstance(found, Class):
            machine.stand_in = symbolic_instance(machine, found.body)

    _run(machine, build)


def _inherited_roots(machine: Machine) -> Iterator[Root]:
    """Yield the methods that train on something and that a class has from a base in another module."""
    steps = machine.libraries.returns
    sinks = machine.libraries.sink_words()
    for value in list(machine.frames[0].state.variables.values()):
        for option in options_of(value):
            if not isinstance(option.value, Class) or machine.home_of(option.value.body) is not machine.frames[0]:
                continue
            seen: set[str] = set()
            for home in lineage(machine, option.value.body):
                for name, code in home.methods.items():
                    foreign = machine.home_of(home) is not machine.frames[0]
                    trains = name in steps or bool(code.identifiers & sinks)
                    if foreign and trains and name not in seen and code.body is not None:
                        yield Root(code, option.value.body, home)
                    seen.add(name)


def _is_mentioned(code: FunctionCode, functions: tuple[FunctionCode, ...], mentioned: list[frozenset[str]]) -> bool:
    return any(code.name in names for other, names in zip(functions, mentioned, strict=True) if other is not code)


def _run(machine: Machine, body: object) -> Trace:
    machine.trace = Trace()
    machine.budget = BUDGET
    machine.root, machine.calling = RouteDraft(), 0
    frame = machine.frames[0]
    options = {key: value for key, value in frame.state.heap.items() if key[0] in machine.tracked}
    try:
        assert callable(body)
        body()
    except BudgetExceededError:
        machine.trace = Trace()
    finally:
        # whatever was cut short leaves no frame behind
        del machine.frames[1:]
        machine.running.clear()
        frame.loops.clear()
        frame.no_grad = 0
        frame.state.alive = True
        # what one root does to the options of the program is not what another one finds
        frame.state.heap.update(options)
    return machine.trace


def _roots(machine: Machine) -> list[Root]:
    """Return the functions of the module and the methods of its classes that were lowered."""
    roots: list[Root] = []
    for value in list(machine.frames[0].state.variables.values()):
        for option in options_of(value):
            match option.value:
                case Function(code) if code.body is not None:
                    roots.append(Root(code, None))
                case Class(body):
                    roots.extend(Root(code, body) for code in body.methods.values() if code.body is not None)
    order = {id(code): i for i, code in enumerate(machine.module.functions)}
    known = [r for r in roots if id(r.code) in order]
    return sorted(known, key=lambda r: order[id(r.code)])


def _run_root(machine: Machine, root: Root, instances: dict[int, Instance]) -> None:
    frame = machine.frames[0]
    machine.root = _begins(machine, root)
    if root.home is None:
        result = run_with_unknown_arguments(machine, Function(root.code, frame.identity))
        _leaves(machine, result, root.code)
        return
    instance = instances.get(id(root.home))
    if instance is None:
        instance = instances[id(root.home)] = symbolic_instance(machine, root.home)
    before = dict(frame.state.heap)
    unread = has_unread_base(machine, root.home)
    if unread:
        machine.may_do_anything(root.code.mark, root.home.name)
    model = None if unread else _trainer(machine, root)
    if model is not None and not _is_manual(machine, instance):
        _run_manual_step(machine, root, instance)
        _run_trainer_step(machine, root, instance, model)
    elif root.base is not None or id(root.code) not in machine.visited:
        owner: Value | None = instance
        if any(getattr(d, "name", "") == "staticmethod" for d in root.code.decorators):
            owner = None
        result = run_with_unknown_arguments(machine, _method(machine, root, owner))
        _leaves(machine, result, root.code)
    frame.state.heap = before


def _begins(machine: Machine, root: Root) -> RouteDraft:
    path = "" if root.base is None else machine.home_of(root.base).path
    at_hand = path == machine.frames[0].path
    return RouteDraft(root.code.qualname, "" if at_hand else path, root.home.qualname if root.home else "")


def _method(machine: Machine, root: Root, owner: Value | None) -> Function:
    """Return a method as it is bound to an owner."""
    home = root.base or root.home
    assert home is not None
    return Function(root.code, machine.home_of(home).identity, owner, home)


def _run_method(machine: Machine, root: Root, instances: dict[int, Instance]) -> None:
    """Run a method for what it returns, whoever calls it in view."""
    assert root.home is not None
    machine.root = _begins(machine, root)
    instance = instances.get(id(root.home)) or symbolic_instance(machine, root.home)
    instances[id(root.home)] = instance
    before = dict(machine.frames[0].state.heap)
    result = run_with_unknown_arguments(machine, _method(machine, root, instance))
    _leaves(machine, result, root.code)
    machine.frames[0].state.heap = before


def _leaves(machine: Machine, result: Value, code: FunctionCode) -> None:
    """Record that losses are returned to a caller that is not in view."""
    match result:
        case Items(entries):
            for entry in entries:
                _leaves(machine, entry, code)
        case Mapping(entries):
            for _, entry in entries:
                _leaves(machine, entry, code)
        case Repeated(entry):
            _leaves(machine, entry, code)
        case Instance(identity):
            for (owner, _), value in list(machine.state.heap.items()):
                if owner == identity:
                    escape(machine, value, code.mark, "returned")
        case _ if any(isinstance(option.value, Tensor) for option in options_of(result)):
            hop = Hop(StepKind.RETURN, code.mark)
            machine.record(Sink(result, Fate.RETURNED, hop, code.qualname, route=machine.route))
        case _:
            escape(machine, result, code.mark, "returned")


def _trainer(machine: Machine, root: Root) -> SinkModel | None:
    """Return the table entry of a framework that trains on what a method returns."""
    assert root.home is not None
    models = machine.libraries.returns.get(root.code.name, ())
    if not models:
        return None
    bases = foreign_bases(machine, root.home)
    for model in models:
        if bases & set(model.bases):
            return model
    known = {name for base in bases for name in (base.rpartition(".")[2],)}
    for model in models:
        # a base class of another module of the project, called like the framework's
        if any(name.endswith(base.rpartition(".")[2]) for name in known for base in model.bases):
            return model
        unknown = bases - {"torch.nn.Module", "object", "abc.ABC"}
        if root.code.name == "training_step" and unknown:
            return model
    return None


#: The attribute of a LightningModule that says whether the framework runs backward and steps.
_AUTOMATIC = "automatic_optimization"


def _is_manual(machine: Machine, instance: Instance) -> bool:
    value = machine.state.heap.get((instance.identity, _AUTOMATIC))
    return isinstance(value, Constant) and value.value is False


def _run_manual_step(machine: Machine, root: Root, instance: Instance) -> None:
    """Run a step as it goes with manual optimization where that is an option, and leave the option unset."""
    automatic = instance.identity, _AUTOMATIC
    value = machine.state.heap.get(automatic)
    if value is None or isinstance(value, Constant):
        return
    machine.state.heap[automatic] = Constant(False)
    run_with_unknown_arguments(machine, _method(machine, root, instance))
    machine.state.heap[automatic] = Constant(True)


def _run_trainer_step(machine: Machine, root: Root, instance: Instance, model: SinkModel) -> None:
    """Run a step as the framework does: with a batch, and with the optimizer it is configured with."""
    function = _method(machine, root, instance)
    params = root.code.params[1:]
    keywords = unknown_arguments(machine, params)
    batch = tensors.data(Batch.LOADER)
    for param in params[:1] if model.returns == "training_step" else ():
        keywords[param.name] = replace(batch, may_be_container=True, text=param.name)
    result = machine.call_function(function, (), keywords)
    loss = sinks.returned(result, model)
    machine.frame.function = root.code.qualname
    sinks.train(
        machine,
        loss,
        root.code.mark,
        model=model,
        optimizer=_configured(machine, instance, model),
        kind=StepKind.RETURN,
        division=_division(machine, root, instance, model),
    )
    machine.frame.function = ""


def _division(machine: Machine, root: Root, instance: Instance, model: SinkModel) -> Division:
    """Return whether a framework divides what a step returns by the number of micro-batches.

    One that hands the step a normalizer leaves the division to it, unless a flag says that the step does without.
    """
    setting = model.bases[0].partition(".")[0] if model.bases else ""
    if not model.normalizer:
        return Division(model.divides, setting)
    flags = [instance_attribute(machine, instance, flag) for flag in model.normalizer_flags]
    if any(flag == Constant(False) for flag in flags):
        return Division(model.divides, setting)
    taking = [p.name for p in root.code.params if p.name == model.normalizer or p.kind == "**"]
    if not taking:
        # it is older than the normalizer
        return Division(model.divides, setting)
    if any(flag == Constant(True) for flag in flags) or root.code.identifiers & set(taking):
        return UNKNOWN_DIVISION
    return replace(UNKNOWN_DIVISION, ignored_normalizer=model.normalizer)


def _configured(machine: Machine, instance: Instance, model: SinkModel) -> Value | None:
    """Return the optimizer that a framework steps with."""
    if model.configure:
        method = instance_attribute(machine, instance, model.configure)
        if isinstance(method, Function) and method.code.body is not None:
            return _optimizer_in(machine.call_function(method, (), {}))
    return default_optimizer(machine, model, 0) if model.default_optimizer else None


def _optimizer_in(value: Value) -> Value | None:
    match value:
        case OptimizerValue():
            return value
        case Mapping(entries):
            return _optimizer_in(dict(entries).get("optimizer", Opaque()))
        case Items(entries) | Repeated(entry=Items(entries)) if entries:
            return _optimizer_in(entries[0])
    for option in options_of(value):
        if isinstance(option.value, (OptimizerValue, Mapping, Items)) and option.value is not value:
            found = _optimizer_in(option.value)
            if found is not None:
                return found
    return None
