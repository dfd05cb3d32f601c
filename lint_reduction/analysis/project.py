"""The modules of a project: where an import leads, and what the module there says, lowered once.

A module that is imported is parsed for what its importer names, and for what that needs. Its places are marks
like those of the importer, beginning at a number of its own, and are found when a flow leads there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lint_reduction.analysis.code import ModuleCode
from lint_reduction.analysis.outline import Outline, Top, outline, top_of
from lint_reduction.analysis.relevance import Relevant, requested, trains
from lint_reduction.errors import SourceError
from lint_reduction.facts import Span
from lint_reduction.libraries import Libraries, known_packages
from lint_reduction.source.environment import Environment
from lint_reduction.source.file import MAX_BYTES, decode, is_ascii_superset, read_bytes
from lint_reduction.source.hydra import compose
from lint_reduction.source.imports import Found, find, find_below, inside, is_file, root_of
from lint_reduction.source.tracing import note_content, tracing
from lint_reduction.source.training_words import TrainingWords
from lint_reduction.source.yaml_file import Tree, read_yaml

if TYPE_CHECKING:
    from lint_reduction.analysis.lowering import Lowered

#: Texts and outlines that are kept: they take twenty times the text, and most modules are asked for once or twice.
_KEPT = 12
#: Marks of one module; a larger module has no places.
MARKS = 1 << 20
#: A larger file of an installed package is not followed, nor one that is larger than the second and names no torch.
_MAX_INSTALLED, _MAX_WITHOUT_TORCH = 400_000, 16_000
#: Modules of installed packages that are parsed in one run.
_MAX_INSTALLED_UNITS = 400


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A module that was imported, lowered for some names."""

    path: str
    module: ModuleCode
    names: frozenset[str]
    functions: frozenset[str] | None
    first_mark: int


@dataclass(slots=True, eq=False)
class Project:
    """Finds and keeps the modules around the files that are linted.

    Attributes:
        libraries: says which names are losses and sinks.
        contents: what to read instead of some files, by their paths.
        environment: the packages installed beside the project, None to leave them alone.
    """

    libraries: Libraries
    contents: Mapping[str, bytes] = field(default_factory=dict)
    environment: Environment | None = None
    _texts: dict[str, tuple[str, Outline] | None] = field(default_factory=dict)
    _tops: dict[str, Top | None] = field(default_factory=dict)
    _names: dict[str, frozenset[str]] = field(default_factory=dict)
    _trains: dict[str, bool] = field(default_factory=dict)
    _training: TrainingWords | None = None
    _relevant: dict[tuple[str, frozenset[str]], Relevant] = field(default_factory=dict)
    _units: dict[str, Unit | None] = field(default_factory=dict)
    _by_first_mark: dict[int, Unit] = field(default_factory=dict)
    _settings: dict[tuple[str, str], dict[str, Tree] | None] = field(default_factory=dict)
    _composed: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    _installed_units: int = 0

    def find(self, importer: str, dotted: str) -> Found | None:
        """Return where a name leads that a file imports, None if not into the project or a package beside it.

        Args:
            importer: absolute path of the importing file.
            dotted: as written, with leading dots for a relative import.
        """
        absolute = not dotted.startswith(".")
        if absolute and self.is_installed(importer):
            return self._find_installed(dotted)
        found = find(importer, dotted)
        return self._find_installed(dotted) if found is None and absolute else found

    def is_installed(self, path: str) -> bool:
        """Say whether a file is one of a package that is installed beside the project."""
        return self.environment is not None and self.environment.holds(path)

    def is_installed_mark(self, mark: int) -> bool:
        """Say whether a place is in such a file."""
        unit = self._by_first_mark.get(mark - mark % MARKS) if mark >= MARKS else None
        return unit is not None and self.is_installed(unit.path)

    def _find_installed(self, dotted: str) -> Found | None:
        parts = dotted.split(".")
        if self.environment is None or parts[0] in known_packages() or not all(parts):
            return None
        return find_below(self.environment.directories, dotted)

    def inside(self, path: str, name: str) -> Found | None:
        """Return the submodule of a package that an attribute of it may be."""
        return inside(path, name)

    def settings(self, importer: str, written: str) -> dict[str, Tree] | None:
        """Return the settings in the one YAML file that a path in a module may mean, None if not known."""
        here = Path(importer).parent
        candidates = {Path(os.path.normpath(base / written)) for base in (here, root_of(str(here)))}
        found = [path for path in candidates if is_file(path)]
        key = str(found[0]) if len(found) == 1 else "", ""
        if key[0]:
            note_content(key[0])
        if key not in self._settings:
            self._settings[key] = read_yaml(found[0]) if key[0] else None
        return self._settings[key]

    def composed(self, importer: str, directory: str, name: str) -> dict[str, Tree] | None:
        """Return the settings that Hydra hands to a function of a module, None if not known."""
        key = os.path.normpath(Path(importer).parent / directory), name
        if key not in self._settings:
            with tracing() as trace:
                self._settings[key] = compose(Path(key[0]), name)
            self._composed[key] = trace.contents
        for path in self._composed[key]:
            note_content(path)
        return self._settings[key]

    def unit(self, path: str, names: frozenset[str]) -> Unit | None:
        """Return a module lowered for some names, None if it cannot be read or parsed."""
        note_content(path)
        known = self._units.get(path)
        if known is not None:
            needed = names & self._defined(path)
            names = known.names | needed
            if self._needed(path, names).functions == known.functions:
                # the other names need nothing that was not lowered
                self._units[path] = replace(known, names=names)
                return self._units[path]
        elif path in self._units:
            return None
        unit = self._load(path, names)
        self._units[path] = unit
        if unit is not None:
            self._by_first_mark[unit.first_mark] = unit
        return unit

    def trains(self, path: str) -> bool:
        """Say whether a module may train on something."""
        note_content(path)
        if path not in self._trains:
            self._trains[path] = self._may_train(path) and self._trains_outlined(path)
        return self._trains[path]

    def _may_train(self, path: str) -> bool:
        """Say whether the text of a module, which is not parsed, has a word that training takes."""
        if path in self._texts:
            return True
        if self._training is None:
            self._training = TrainingWords.of(self.libraries)
        try:
            data = self.contents.get(path)
            data = read_bytes(Path(path)) if data is None else data
        except SourceError:
            return False
        return self._training.are_in(data) or not is_ascii_superset(data)

    def _trains_outlined(self, path: str) -> bool:
        lines = self.outline(path)
        return lines is not None and trains(lines, self.libraries)

    def outline(self, path: str) -> Outline | None:
        """Return the outline of a module, None if it cannot be read or parsed."""
        note_content(path)
        known = self._text(path)
        return None if known is None else known[1]

    def top(self, path: str) -> Top | None:
        """Return what is bound at the top of a module, None if it cannot be read or parsed."""
        note_content(path)
        if path not in self._tops:
            lines = self.outline(path)
            self._tops[path] = None if lines is None else top_of(lines)
        return self._tops[path]

    def locate(self, marks: Iterable[int]) -> dict[int, Span]:
        """Return the spans of marks of imported modules."""
        by_unit: dict[int, list[int]] = {}
        for mark in marks:
            by_unit.setdefault(mark - mark % MARKS, []).append(mark)
        spans: dict[int, Span] = {}
        for first, wanted in by_unit.items():
            unit = self._by_first_mark[first]
            lowered = self._lower(unit.path, unit.names, first)
            spans.update((mark, span.within(unit.path)) for mark, span in lowered.locate(wanted).items() if mark)
        return spans

    def _load(self, path: str, names: frozenset[str]) -> Unit | None:
        if self._text(path) is None or (self.is_installed(path) and self._installed_units >= _MAX_INSTALLED_UNITS):
            return None
        self._installed_units += self.is_installed(path)
        needed = names & self._defined(path)
        first = (len(self._by_first_mark) + 1) * MARKS
        try:
            lowered = self._lower(path, needed, first)
        except SourceError:
            return None
        return Unit(path, lowered.module, needed, self._needed(path, needed).functions, first)

    def _lower(self, path: str, names: frozenset[str], first: int) -> Lowered:
        from lint_reduction.analysis.lowering import lower_module  # it imports libcst

        known = self._text(path)
        assert known is not None
        text, lines = known
        return lower_module(path, text, lines, self._needed(path, names), first)

    def _needed(self, path: str, names: frozenset[str]) -> Relevant:
        """Return what of a module some of its names need."""
        key = path, names
        if key not in self._relevant:
            known = self._text(path)
            assert known is not None
            self._relevant[key] = requested(known[1], self.libraries, names)
        return self._relevant[key]

    def _defined(self, path: str) -> frozenset[str]:
        if path not in self._names:
            known = self._text(path)
            top = [] if known is None else [d for d in known[1].definitions[1:] if d.parent is known[1].definitions[0]]
            self._names[path] = frozenset(d.name for d in top)
        return self._names[path]

    def _text(self, path: str) -> tuple[str, Outline] | None:
        if path not in self._texts:
            if len(self._texts) >= _KEPT:
                self._texts.pop(next(iter(self._texts)))
            self._texts[path] = _read(path, self.contents.get(path), installed=self.is_installed(path))
        return self._texts[path]


def _read(path: str, data: bytes | None, *, installed: bool) -> tuple[str, Outline] | None:
    try:
        data = read_bytes(Path(path)) if data is None else data
        if len(data) > MAX_BYTES or (installed and not _is_worth_following(data)):
            return None
        text = decode(data)
        lines = outline(text)
    except SourceError:
        return None
    return None if lines is None else (text, lines)


def _is_worth_following(data: bytes) -> bool:
    """Say whether a file of an installed package may concern a loss, and does not cost too much."""
    return len(data) <= (_MAX_INSTALLED if b"torch" in data else _MAX_WITHOUT_TORCH)
