"""Where an import leads in a project: from dotted names to files, by what is on disk and nothing else."""

# ruff: noqa: PTH118, PTH120  # asked for every import of every file: paths as text take a third of the time

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lint_reduction.source.tracing import kind_at, remembered

#: What stands at the root of a project.
_ROOTS = (".git", ".hg", "pyproject.toml", "setup.py", "setup.cfg")


@dataclass(frozen=True, slots=True)
class Found:
    """Where a dotted name leads: a file, and what of it is meant, empty for the module itself."""

    path: str
    name: str


def find(importer: str, dotted: str) -> Found | None:
    """Return where a name leads that a file imports, None if not into the project.

    Args:
        importer: absolute path of the importing file.
        dotted: as written, with leading dots for a relative import.
    """
    return _find(os.path.dirname(importer), dotted)


def inside(path: str, name: str) -> Found | None:
    """Return the submodule of a package that an attribute of it may be."""
    package, file = os.path.split(path)
    if file != "__init__.py" or not is_module(package, name):
        return None
    return module_below(package, (name,))


@remembered
def _find(directory: str, dotted: str) -> Found | None:
    name = dotted.lstrip(".")
    level = len(dotted) - len(name)
    parts = tuple(part for part in name.split(".") if part)
    if level:
        here = directory
        for _ in range(level - 1):
            here = os.path.dirname(here)
        return module_below(here, parts)
    if not parts:
        return None
    base = next((base for base in _bases(directory) if is_module(base, parts[0])), None)
    return None if base is None else module_below(base, parts)


@remembered
def _bases(directory: str) -> tuple[str, ...]:
    """Return where absolute imports of a file may begin: its own directory, and the roots of its packages."""
    here = Path(directory)
    bases = [here]
    for parent in (here, *here.parents):
        if not is_file(parent / "__init__.py"):
            bases += [parent, parent / "src"]
        if is_root(parent) or parent.parent == parent:
            break
    return tuple(dict.fromkeys(map(str, bases)))


@remembered
def root_of(directory: str) -> Path:
    """Return the root of the project that a directory is in, the directory itself if there is none."""
    here = Path(directory)
    return next((parent for parent in (here, *here.parents) if is_root(parent)), here)


def is_root(directory: Path) -> bool:
    """Say whether a directory is the root of a project."""
    return any(kind_at(str(directory / name)) for name in _ROOTS)


def is_file(path: Path) -> bool:
    """Say whether there is a file at a path."""
    return kind_at(str(path)) == "f"


@remembered
def find_below(directories: tuple[str, ...], dotted: str) -> Found | None:
    """Return the module that a dotted name leads to in the first of some directories that has one."""
    parts = tuple(dotted.split("."))
    bases = (base for base in directories if is_module(base, parts[0]))
    found = (module_below(base, parts) for base in bases)
    return next((f for f in found if f is not None), None)


@remembered
def is_module(base: str, name: str) -> bool:
    """Say whether a directory holds a module or a package of a name."""
    path = os.path.join(base, name)
    return kind_at(f"{path}.py") == "f" or kind_at(path) == "d"


def module_below(base: str, parts: tuple[str, ...]) -> Found | None:
    """Return the module that the longest beginning of a dotted name leads to."""
    path = base
    for index, part in enumerate(parts):
        rest = ".".join(parts[index:])
        if not is_module(path, part):
            return _package(path, rest)
        inner = os.path.join(path, part)
        if kind_at(inner) != "d":
            return Found(f"{inner}.py", ".".join(parts[index + 1 :]))
        path = inner
    return _package(path, "")


def _package(path: str, rest: str) -> Found | None:
    package = os.path.join(path, "__init__.py")
    return Found(package, rest) if kind_at(package) == "f" else None
