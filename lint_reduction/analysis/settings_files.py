"""Settings read from YAML files: ``yaml.safe_load``, ``OmegaConf.load``, ``@hydra.main`` and ``instantiate``.

A path is followed if it is written out (or the default of an option) and leads, from the directory of the module or
the root of the project, to one file. What the file says is a default that a user may change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lint_reduction.analysis.code import Arg, Call, Const, FunctionCode, Var
from lint_reduction.analysis.machine import Machine
from lint_reduction.analysis.options import current, default_value, tracked
from lint_reduction.analysis.values import (
    Constant,
    External,
    Imported,
    Items,
    Mapping,
    Object,
    Opaque,
    Options,
    Partial,
    Value,
)
from lint_reduction.source.yaml_file import NotLiteral, Tree

_SUFFIXES = (".yaml", ".yml")
#: What ``open`` and its like return for a YAML file; its argument is the path.
_FILE = "a YAML file"
_NOWHERE = Var("")
#: How deep instances are made of instances.
_MAX_NESTED = 5


def opened(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """Return the file that a call opens to read settings, None for any other."""
    mode = next((v for a, v in zip(call.args, values, strict=True) if a.keyword == "mode"), None)
    if mode is None and len(values) > 1 and not call.args[1].keyword:
        mode = values[1]
    path = _written(values[0]) if values else ""
    reads = mode is None or (isinstance(mode, Constant) and str(mode.value) in ("r", "rt", "rb"))
    if not path.endswith(_SUFFIXES) or not reads:
        return None
    return Object(_FILE, machine.new_identity(), (("0", Constant(path)),))


def file_method(machine: Machine, owner: Object, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    """Call a method of a path or of an open file that hands its content on."""
    if owner.name == _FILE and name in ("read", "__enter__"):
        return owner
    if owner.name in ("pathlib.Path", "pathlib.PurePath") and name in ("open", "read_text", "read_bytes"):
        given = (owner, *values) if name == "open" else (owner,)
        args = (Arg(_NOWHERE), *call.args) if name == "open" else (Arg(_NOWHERE),)
        return opened(machine, replace(call, args=args), given)
    return None


def _written(value: Value) -> str:
    """Return the path that a value is, empty if it is not known."""
    if isinstance(value, Object) and value.name in (_FILE, "pathlib.Path", "pathlib.PurePath"):
        inner = value.argument("0")
        return "" if inner is None or len(value.arguments) != 1 else _written(inner)
    return value.value if isinstance(value, Constant) and isinstance(value.value, str) else ""


def loaded(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``yaml.safe_load(file)``: the settings in the file, None if they are not known."""
    is_file = bool(values) and isinstance(values[0], Object) and values[0].name == _FILE
    return loaded_by_path(machine, call, values) if is_file else None


def loaded_by_path(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``OmegaConf.load(path)``: the settings in the file, None if they are not known."""
    written = _written(values[0]) if values else ""
    here = machine.module_frame.path
    if machine.project is None or not here or not written.endswith(_SUFFIXES):
        return None
    tree = machine.project.settings(here, written)
    return None if tree is None else _settings(machine, tree, f"{written} at {call.mark}")


def given_by_hydra(machine: Machine, code: FunctionCode) -> Value | None:
    """Return the settings that ``@hydra.main(config_path="conf", config_name="config")`` hands to a function."""
    here = machine.module_frame.path
    for decorator in code.decorators:
        if not isinstance(decorator, Call) or machine.project is None or not here:
            continue
        if machine.evaluate(decorator.func) != External("hydra.main"):
            continue
        given = {a.keyword: a.value.value for a in decorator.args if a.keyword and isinstance(a.value, Const)}
        directory, name = given.get("config_path"), given.get("config_name")
        if isinstance(directory, str) and isinstance(name, str):
            tree = machine.project.composed(here, directory, name)
            return None if tree is None else _settings(machine, tree, f"{name} at {code.mark}")
    return None


def _settings(machine: Machine, tree: dict[str, Tree], key: str) -> Options:
    """Return settings as options; those of one place are one object, however often it is passed."""
    entries = tuple((name, _option(machine, name, value, f"{key}.{name}")) for name, value in tree.items())
    known = machine.settings.get(key)
    options = Options(entries, identity=machine.new_identity() if known is None else known)
    machine.settings[key] = options.identity
    return tracked(machine, options)


def _option(machine: Machine, name: str, value: Tree, key: str) -> Value:
    if isinstance(value, dict):
        return _settings(machine, value, key)
    return Opaque(name) if isinstance(value, (NotLiteral, list)) else default_value(name, Constant(value))


def same_settings(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``OmegaConf.create(settings)``, ``EasyDict(settings)``: the same settings in another dress."""
    value = values[0] if values else None
    if isinstance(value, Options):
        return value
    starred = len(call.args) == 1 and call.args[0].stars == 2
    return tracked(machine, Options(_named(value), identity=machine.new_identity())) if starred else None


def copied(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``copy.deepcopy(settings)``: what is changed in the one is not changed in the other."""
    return _copy(machine, values[0]) if values else None


def _copy(machine: Machine, value: Value) -> Value:
    if not isinstance(value, Options):
        return value
    entries = tuple((name, _copy(machine, entry)) for name, entry in current(machine, value))
    return tracked(machine, replace(value, defaults=entries, identity=machine.new_identity()))


def merged_settings(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``OmegaConf.merge(settings, ...)``: the later wins; what is not known may change anything a user may."""
    if not any(isinstance(value, Options) for value in values):
        return None
    entries: dict[str, Value] = {}
    for value in values:
        entries = _overridden(machine, entries, dict(current(machine, value)) if isinstance(value, Options) else {})
    return tracked(machine, Options(tuple(entries.items()), identity=machine.new_identity()))


def _overridden(machine: Machine, before: dict[str, Value], after: dict[str, Value]) -> dict[str, Value]:
    result = dict(before)
    for name, value in after.items():
        old = result.get(name)
        if isinstance(old, Options) and isinstance(value, Options):
            inner = _overridden(machine, dict(current(machine, old)), dict(current(machine, value)))
            value = tracked(machine, Options(tuple(inner.items()), identity=machine.new_identity()))
        result[name] = value
    return result


def _named(value: Value | None) -> tuple[tuple[str, Value], ...]:
    return tuple((str(key), entry) for key, entry in value.entries) if isinstance(value, Mapping) else ()


def instantiated(machine: Machine, call: Call, values: Sequence[Value]) -> Value | None:
    """``instantiate(settings, ...)``: call what ``_target_`` names, None if that is not known."""
    pairs = list(zip(call.args, values, strict=True))
    if not pairs or pairs[0][0].keyword or any(arg.stars for arg, _ in pairs):
        return None
    extra = tuple((arg.keyword, value) for arg, value in pairs[1:] if arg.keyword)
    positional = tuple(value for arg, value in pairs[1:] if not arg.keyword)
    return _instance(machine, call, values[0], positional, extra, 0)


def _instance(
    machine: Machine,
    call: Call,
    settings: Value,
    positional: tuple[Value, ...],
    extra: tuple[tuple[str, Value], ...],
    depth: int,
) -> Value | None:
    if not isinstance(settings, Options) or depth > _MAX_NESTED:
        return None
    entries = {**dict(current(machine, settings)), **dict(extra)}
    target = entries.get("_target_")
    if not isinstance(target, Constant) or not isinstance(target.value, str) or "_args_" in entries:
        return None
    func = _target(machine, target.value)
    keywords = {name: value for name, value in entries.items() if not name.startswith("_")}
    for name, value in keywords.items():
        if isinstance(value, Options):
            keywords[name] = _instance(machine, call, value, (), (), depth + 1) or value
    flag = entries.get("_partial_")
    if isinstance(flag, Opaque) and flag.usual:
        return Partial(func, positional, tuple(keywords.items()))
    # the last argument says that there are others, which are not written here
    args = (*(Arg(_NOWHERE) for _ in positional), *(Arg(_NOWHERE, name) for name in keywords), Arg(_NOWHERE, "", 2))
    given = (*positional, *keywords.values(), Mapping(()))
    return machine.call_value(func, replace(call, args=args), given)


def _target(machine: Machine, name: str) -> Value:
    canonical = machine.libraries.canonical(name)
    if machine.project is None or machine.libraries.lists(canonical):
        return External(canonical)
    found = machine.project.find(machine.module_frame.path, name)
    return External(canonical) if found is None else machine.resolve(Imported(found.path, found.name, canonical))


def options_method(machine: Machine, owner: Options, name: str, call: Call, values: Sequence[Value]) -> Value | None:
    """Call a method of settings as of a dictionary."""
    entries = dict(current(machine, owner))
    if name in ("get", "pop", "setdefault") and values and isinstance(values[0], Constant):
        key = str(values[0].value)
        return entries[key] if key in entries else default_value(key, values[1] if len(values) > 1 else None)
    if name == "items":
        return Items(tuple(Items((Constant(k), v), is_tuple=True) for k, v in entries.items()))
    if name == "values":
        return Items(tuple(entries.values()))
    if name in ("update", "merge_with", "merge_update"):
        _update(machine, owner, call, values)
    return Opaque(name, called=True)


def _update(machine: Machine, owner: Options, call: Call, values: Sequence[Value]) -> None:
    """Change settings as far as that is known; what may be changed otherwise is not known any more."""
    given: dict[str, Value] = {}
    for arg, value in zip(call.args, values, strict=True):
        if arg.keyword:
            given[arg.keyword] = value
        elif isinstance(value, Options):
            given.update(current(machine, value))
        elif isinstance(value, Mapping) and value.rest is None:
            given.update(_named(value))
        else:
            given.update((name, Opaque(name)) for name, _ in owner.defaults)
    for name, value in given.items():
        machine.state.heap[(owner.identity, name)] = value
