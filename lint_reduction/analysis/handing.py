"""Modules that train on a loss of another one for a third: found by names, before anything is interpreted.

A main module may hand the loss of one module to the loop of another, and a trainer may know a model by its base
class only. Neither names a loss of a library. Both are found from the side of the loss: once it is known which
losses are left to others, the modules are looked for that mention them.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lint_reduction.analysis.outline import Outline, top_of
from lint_reduction.analysis.project import Found, Project
from lint_reduction.analysis.relevance import bases_of, trains
from lint_reduction.facts import OpenLoss

#: Classes of one family whose losses are tried with a trainer.
_STAND_INS = 16


@dataclass(frozen=True, slots=True)
class Left:
    """What the modules of a project leave to others.

    Attributes:
        root: the directory below which there may be others.
        makers: by the path of a module, the names at its top that return a loss or hold one that does.
        methods: the classes whose method returns one, and the method.
        families: the names of each of these classes and of its bases.
        pattern: finds any of the names in a file.
    """

    root: str
    makers: Mapping[str, frozenset[str]]
    methods: tuple[tuple[Found, str], ...]
    families: Mapping[Found, frozenset[str]]
    pattern: re.Pattern[bytes]

    def concerns(self, path: str) -> bool:
        """Say whether a file is where something of it may be used."""
        return path.startswith(self.root)

    def is_mentioned(self, data: bytes) -> bool:
        """Say whether a file mentions anything of it."""
        return self.pattern.search(data) is not None


@dataclass(frozen=True, slots=True)
class Given:
    """What of it one module is given.

    Attributes:
        words: names of losses, as the module has them.
        stand_ins: classes whose loss it may train on, though it knows them by a base class only.
    """

    words: frozenset[str] = frozenset()
    stand_ins: tuple[Found, ...] = ()


def left_to_others(project: Project, losses: Mapping[str, tuple[OpenLoss, ...]]) -> tuple[Left, ...]:
    """Return what is left to others in each project, by the losses that each module leaves open."""
    by_root: dict[str, dict[str, tuple[OpenLoss, ...]]] = {}
    for path, opened in sorted(losses.items()):
        by_root.setdefault(_root(path), {})[path] = opened
    return tuple(_left(project, root, opened) for root, opened in by_root.items())


def _root(path: str) -> str:
    """Return the directory around the packages of a module, or around that of a module of no package."""
    here = Path(path).parent
    if not (here / "__init__.py").is_file():
        return f"{here.parent}{os.sep}"
    while (here / "__init__.py").is_file():
        here = here.parent
    return f"{here.parent if here.name == 'src' else here}{os.sep}"


def _left(project: Project, root: str, losses: Mapping[str, tuple[OpenLoss, ...]]) -> Left:
    makers: dict[str, frozenset[str]] = {}
    methods: list[tuple[Found, str]] = []
    for path, opened in losses.items():
        makers[path] = _makers(project, path, {loss.name for loss in opened})
        methods += [(Found(path, loss.name), loss.method) for loss in opened if loss.method]
    families = {found: frozenset(_family(project, found)) for found, _ in methods}
    words = {name for names in makers.values() for name in names} | {method for _, method in methods}
    choices = b"|".join(re.escape(word.encode()) for word in sorted(words))
    return Left(root, makers, tuple(methods), families, re.compile(rb"\b(?:" + choices + rb")\b"))


def given(project: Project, path: str, lines: Outline, left: Left) -> Given:
    """Return what a module is given of the losses that others leave to it."""
    mentioned = {name for definition in lines.definitions for name in definition.own}
    words = frozenset(_words(project, path, lines, left, mentioned))
    called = [one for one in left.methods if one[1] in mentioned and one[0].path != path]
    if not called or not trains(lines, project.libraries):
        return Given(words)
    annotated = mentioned | _quoted(lines)
    known = [(found, method) for found, method in called if left.families[found] & annotated]
    stand_ins = tuple(dict.fromkeys(found for found, _ in known))
    return Given(words | {method for _, method in known}, stand_ins[:_STAND_INS])


def _words(project: Project, path: str, lines: Outline, left: Left, mentioned: set[str]) -> Iterator[str]:
    """Yield the names under which a module has losses that are left to others."""
    top = top_of(lines)
    for bound, dotted in top.imports.items():
        found = origin(project, path, dotted)
        if found is None:
            continue
        first = found.name.partition(".")[0]
        if first in left.makers.get(found.path, ()):
            yield bound
            yield first
        elif not found.name:
            package = found.path.removesuffix("__init__.py")
            for other, makers in left.makers.items():
                if other == found.path or (other.startswith(package) and package != found.path):
                    yield from makers & mentioned
    for star in top.stars:
        if project.find(path, star) is None:
            continue
        for other, makers in left.makers.items():
            for name in makers & mentioned:
                found = origin(project, path, f"{star}.{name}")
                if found is not None and found.path == other:
                    yield name


def origin(project: Project, importer: str, dotted: str) -> Found | None:
    """Return where a name is defined that a file imports, through the modules that hand it on."""
    return _origin(project, project.find(importer, dotted), set())


def _origin(project: Project, found: Found | None, seen: set[Found]) -> Found | None:
    while found is not None and found.name and found not in seen:
        seen.add(found)
        following = _handed_on(project, found, seen)
        if following is None:
            break
        found = following
    return found


def _handed_on(project: Project, found: Found, seen: set[Found]) -> Found | None:
    """Return where a module has a name from, None if it is its own, or nobody's."""
    first, _, rest = found.name.partition(".")
    known = project.top(found.path)
    if known is None or first in known.bound:
        return None
    if first in known.imports:
        return project.find(found.path, f"{known.imports[first]}.{rest}" if rest else known.imports[first])
    inner = project.inside(found.path, first)
    if inner is not None:
        return None if inner.name else Found(inner.path, rest)
    for star in known.stars:
        there = _origin(project, project.find(found.path, f"{star}.{found.name}"), seen)
        top = None if there is None else project.top(there.path)
        if there is not None and top is not None and there.name.partition(".")[0] in top.bound:
            return there
    return None


def _makers(project: Project, path: str, names: set[str]) -> frozenset[str]:
    """Return some names of a module and the functions and classes of it that mention them."""
    lines = project.outline(path)
    found = set(names)
    while lines is not None:
        more = {d.qualname.partition(".")[0] for d in lines.definitions[1:] if d.own & found} - found
        if not more:
            break
        found |= more
    return frozenset(found)


def _family(project: Project, found: Found) -> Iterator[str]:
    """Yield the names of a class and of its bases in the project."""
    queue, seen = [found], {found}
    while queue:
        current = queue.pop()
        yield current.name
        lines = project.outline(current.path)
        for definition in () if lines is None else lines.definitions:
            for base in bases_of(definition) if definition.qualname == current.name else ():
                where = _origin(project, Found(current.path, base), set())
                if where is not None and where not in seen:
                    seen.add(where)
                    queue.append(where)


def _quoted(lines: Outline) -> frozenset[str]:
    """Return the words of annotations that are written as strings."""
    words: set[str] = set()
    for definition in lines.definitions:
        if isinstance(definition.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            arguments = definition.node.args
            for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                if isinstance(argument.annotation, ast.Constant) and isinstance(argument.annotation.value, str):
                    words.update(re.findall(r"\w+", argument.annotation.value))
    return frozenset(words)
