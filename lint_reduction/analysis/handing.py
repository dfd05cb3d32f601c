"""Modules that train on a loss of another one for a third: found by names, before anything is interpreted.

A main module may hand the loss of one module to the loop of another, and a trainer may know a model by its base
class only. Neither names a loss of a library. Both are found from the side of the loss: once it is known which
losses are left to others, the modules are looked for that mention them.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lint_reduction.analysis.outline import Outline, top_of
from lint_reduction.analysis.project import Project
from lint_reduction.analysis.relevance import bases_of, trains
from lint_reduction.facts import OpenLoss
from lint_reduction.source.imports import Found, is_file

#: Classes of one family whose losses are tried with a trainer.
_STAND_INS = 16


@dataclass(frozen=True, slots=True)
class Left:
    """What the modules of a project leave to others.

    Attributes:
        root: the directory below which there may be others.
        makers: by the path of a module, the names at its top that return a loss or hold one that does.
        methods: the classes whose method returns one, and the method.
        families: the names of each of these classes and of its bases, with how far above it they are.
        pattern: finds any of the names in a file.
    """

    root: str
    makers: Mapping[str, frozenset[str]]
    methods: tuple[tuple[Found, str], ...]
    families: Mapping[Found, Mapping[str, int]]
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
        stand_ins: classes whose loss it may train on, though it knows them by a base class only, and how far above.
    """

    words: frozenset[str] = frozenset()
    stand_ins: Mapping[Found, int] = field(default_factory=dict)


def left_to_others(project: Project, losses: Mapping[str, tuple[OpenLoss, ...]]) -> tuple[Left, ...]:
    """Return what is left to others in each project, by the losses that each module leaves open."""
    by_root: dict[str, dict[str, tuple[OpenLoss, ...]]] = {}
    for path, opened in sorted(losses.items()):
        by_root.setdefault(_root(path), {})[path] = opened
    return tuple(_left(project, root, opened) for root, opened in by_root.items())


def _root(path: str) -> str:
    """Return the directory around the packages of a module, or around that of a module of no package."""
    here = Path(path).parent
    if not is_file(here / "__init__.py"):
        return f"{here.parent}{os.sep}"
    while is_file(here / "__init__.py"):
        here = here.parent
    return f"{here.parent if here.name == 'src' else here}{os.sep}"


def _left(project: Project, root: str, losses: Mapping[str, tuple[OpenLoss, ...]]) -> Left:
    makers: dict[str, frozenset[str]] = {}
    methods: list[tuple[Found, str]] = []
    for path, opened in losses.items():
        makers[path] = _makers(project, path, {loss.name for loss in opened})
        methods += [(Found(path, loss.name), loss.method) for loss in opened if loss.method]
    families = {found: _family(project, found) for found, _ in methods}
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
    annotated = _annotated(lines)
    named = {found: annotated & left.families[found].keys() for found, _ in called}
    far = {found: min(left.families[found][name] for name in names) for found, names in named.items() if names}
    methods = {method for found, method in called if found in far}
    return Given(words | methods, dict(list(far.items())[:_STAND_INS]))


def nearest(all_given: Iterable[Given]) -> dict[Found, int]:
    """Return how near the trainer is that knows a class best; one that knows it less well is for others."""
    near: dict[Found, int] = {}
    for one in all_given:
        near.update((found, far) for found, far in one.stand_ins.items() if far <= near.get(found, far))
    return near


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
    found = project.find(importer, dotted)
    return None if found is None else definer(project, found)


def definer(project: Project, found: Found) -> Found | None:
    """Return where a name is defined that a module has, through the modules that hand it on."""
    return _origin(project, found, set())


def _origin(project: Project, found: Found | None, seen: set[Found]) -> Found | None:
    while found is not None and found.name:
        # by its first part alone: a package that imports from a module that it lacks leads to ever longer names
        step = Found(found.path, found.name.partition(".")[0])
        if step in seen:
            break
        seen.add(step)
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


def _family(project: Project, found: Found) -> dict[str, int]:
    """Return the names of a class and of its bases in the project, with how far above it they are."""
    far: dict[str, int] = {}
    row, seen = [found], {found}
    while row:
        far.update((one.name.rpartition(".")[2], len(seen)) for one in row if one.name not in far)
        bases = [base for one in row for base in _bases(project, one)]
        row = [base for base in dict.fromkeys(bases) if base not in seen]
        seen.update(row)
    return far


def _bases(project: Project, found: Found) -> Iterator[Found]:
    lines = project.outline(found.path)
    for definition in () if lines is None else lines.definitions:
        for base in bases_of(definition) if definition.qualname == found.name else ():
            where = definer(project, Found(found.path, base))
            if where is not None:
                yield where


def _annotated(lines: Outline) -> frozenset[str]:
    """Return the words in the annotations of parameters and variables."""
    words: set[str] = set()
    for node in ast.walk(lines.tree):
        annotation = node.annotation if isinstance(node, (ast.arg, ast.AnnAssign)) else None
        for part in () if annotation is None else ast.walk(annotation):
            if isinstance(part, ast.Name):
                words.add(part.id)
            elif isinstance(part, ast.Attribute):
                words.add(part.attr)
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                words.update(re.findall(r"\w+", part.value))
    return frozenset(words)
