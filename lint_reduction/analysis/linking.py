"""Imports: names of libraries, and names of other modules of the project, which are run as Python would."""

from __future__ import annotations

from lint_reduction.analysis.evaluation import star_imported
from lint_reduction.analysis.library_calls import is_known_by_name
from lint_reduction.analysis.machine import Frame, Machine
from lint_reduction.analysis.state import State
from lint_reduction.analysis.values import External, Imported, Items, Opaque, Value

#: Modules that are imported for one file; a larger project is not followed to its end.
MAX_MODULES = 60
#: The same for modules of installed packages.
MAX_INSTALLED_MODULES = 20


def run_import(machine: Machine, bindings: tuple[tuple[str, str], ...]) -> None:
    """Bind imported names; a name of the project is looked up when it is first used."""
    variables = machine.state.variables
    for bound, name in bindings:
        value = _imported(machine, name)
        if bound == "*":
            module = machine.module_frame.state.variables
            before = module.get("*")
            module["*"] = Items((value, *(before.entries if isinstance(before, Items) else ())))
        elif bound not in variables or not isinstance(variables[bound], (External, Imported)):
            variables[bound] = value


def _imported(machine: Machine, name: str) -> Value:
    canonical = machine.libraries.canonical(name)
    libraries = machine.libraries
    known = canonical in libraries.losses or canonical in libraries.optimizers or canonical in libraries.functions
    path = machine.module_frame.path
    if machine.project is None or known or not path:
        return External(canonical)
    found = machine.project.find(path, name)
    return External(canonical) if found is None else Imported(found.path, found.name, canonical)


def resolve(machine: Machine, value: Imported) -> Value:
    """Return what a name of another module stands for: its value there, or a name that is not known."""
    if not value.name:
        return value
    assert machine.project is not None
    installed = machine.project.is_installed(value.path)
    if installed and (machine.libraries.lists(value.dotted) or is_known_by_name(value.dotted)):
        return External(value.dotted)
    first, _, rest = value.name.partition(".")
    # imported under another name, it is mentioned nowhere under its own
    machine.names |= {first}
    frame = _module(machine, value.path)
    found = None if frame is None else _member(machine, frame, first)
    if found is None or (installed and isinstance(found, Opaque)):
        return External(value.dotted, value.path in machine.unread)
    return machine.lift(found, lambda v: _attributes(machine, v, rest)) if rest else found


def _attributes(machine: Machine, value: Value, names: str) -> Value:
    from lint_reduction.analysis.attributes import attribute

    for name in names.split("."):
        value = attribute(machine, value, name)
    return value


def _member(machine: Machine, frame: Frame, name: str) -> Value | None:
    value = frame.state.variables.get(name)
    if isinstance(value, Imported):
        # a name that is handed on; in a circle it stays what it is
        frame.state.variables.pop(name)
        value = resolve(machine, value)
        frame.state.variables[name] = value
    if value is not None:
        return value
    assert machine.project is not None
    inner = machine.project.inside(frame.path, name)
    if inner is not None:
        return Imported(inner.path, inner.name, name)
    return star_imported(machine, frame, name)


def _may_load(machine: Machine, path: str) -> bool:
    assert machine.project is not None
    if machine.project.is_installed(path):
        return machine.installed_modules < MAX_INSTALLED_MODULES and machine.installed > 0
    return len(machine.modules) - machine.installed_modules < MAX_MODULES and machine.abroad > 0


def _module(machine: Machine, path: str) -> Frame | None:
    """Return the frame of a module after it was run, None if it cannot be had."""
    assert machine.project is not None
    if path == machine.frames[0].path:
        return machine.frames[0]
    known = machine.modules.get(path)
    if known is not None or not _may_load(machine, path):
        return known
    unit = machine.project.unit(path, frozenset(machine.names))
    if unit is None:
        machine.unread |= set() if machine.project.is_installed(path) else {path}
        return None
    machine.batch_sizes |= unit.module.batch_sizes
    machine.names |= unit.module.names
    frames, heap, left, installed = machine.frames, machine.state.heap, machine.budget, machine.installed
    machine.frames = [frames[0]]
    frame = machine.push("", None, State(heap=dict(heap)))
    frame.path, frame.code = path, unit.module
    machine.modules[path] = frame
    machine.installed_modules += machine.project.is_installed(path)
    try:
        machine.execute(unit.module.body)
    finally:
        machine.frames = frames
        frame.state.alive = True
        machine.charge(frame, left, installed)
    for running in frames:
        # whatever the module built is there for all who run
        for key, value in frame.state.heap.items():
            running.state.heap.setdefault(key, value)
    return frame
