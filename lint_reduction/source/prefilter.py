"""Which files cannot hold a finding, decided on bytes, before anything is decoded or parsed.

Sound for what the analysis can find: a loss of a library must be called by its name or be imported
under it, and a loss written as arithmetic is only reported where it is trained on in the same file, which
names torch or a library that trains, or has a method that a trainer calls.
Known holes: a name built by ``getattr`` from parts, and an identifier that equals a name only after
Unicode normalization.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from lint_reduction.libraries import Libraries

#: Endings that most names of losses have; a file without any of them is done with in a few scans.
_ANCHORS = ("Loss", "_loss", "cross_entropy", "kl_div")
_REDUCTION = (b"sum", b"mean")
_BACKWARD = b".backward"
#: Functions that return a gradient, however they are imported.
_GRADIENT = tuple(re.compile(word + rb"\b[\s\\]*(?:\.[\s\\]*\w*grad|as\b|import\b)") for word in (b"autograd", b"func"))


@dataclass(frozen=True, slots=True)
class Group:
    """The losses of one library: a file that does not name the library cannot call them."""

    root: bytes
    anchors: tuple[tuple[bytes, re.Pattern[bytes]], ...]


@dataclass(frozen=True, slots=True)
class Prefilter:
    """Decides whether a file may hold a finding.

    Attributes:
        groups: the losses, by library.
        roots: the libraries that have something to train with.
        sinks: words of which one occurs wherever such a library trains on a loss.
        steps: methods that a trainer calls, whose library need not be named.
    """

    groups: tuple[Group, ...]
    roots: tuple[bytes, ...]
    sinks: tuple[bytes, ...]
    steps: tuple[bytes, ...]

    def may_hold_finding(self, data: bytes) -> bool:
        """Return False only if no rule can find anything in a file with this content."""
        if any(_names_loss(data, group) for group in self.groups if group.root in data):
            return True
        if any(step in data for step in self.steps):
            return True
        if any(word in data for word in _REDUCTION):
            return self._trains(data)
        # what it trains on may be of another module of the project
        return _BACKWARD in data

    def _trains(self, data: bytes) -> bool:
        if not any(root in data for root in self.roots):
            return False
        return any(sink in data for sink in self.sinks) or any(function.search(data) for function in _GRADIENT)


def _names_loss(data: bytes, group: Group) -> bool:
    return any(anchor in data and names.search(data) is not None for anchor, names in group.anchors)


def build_prefilter(libraries: Libraries) -> Prefilter:
    """Return the prefilter for some libraries."""
    by_root: dict[str, set[str]] = defaultdict(set)
    for name in libraries.losses:
        root, _, _ = name.partition(".")
        by_root[root].add(name.rpartition(".")[2])
    roots = {root: {root} for root in by_root}
    for old, new in libraries.tables.aliases:
        # a library that re-exports another's losses may be the only one that is named
        roots.setdefault(new.partition(".")[0], set()).add(old.partition(".")[0])
    groups = [Group(alias.encode(), _patterns(names)) for root, names in by_root.items() for alias in roots[root]]
    sinks = libraries.tables.sinks
    names = [name for s in sinks for name in (s.method, s.function, s.criterion_of) if name]
    words = {"backward", *(_last(name) for name in names)}
    words |= {name for name, role in libraries.names.roles.items() if role == "loss_scaler"}
    trainers = {"torch", *(name.partition(".")[0] for s in sinks for name in (*names, *s.bases))}
    steps = {s.returns for s in sinks if s.returns}
    return Prefilter(tuple(groups), _bytes(trainers), _bytes(words), _bytes(steps))


def _last(name: str) -> str:
    """Return the last component of a name, for an instance that is called that of its class."""
    return name.removesuffix(".__call__").rpartition(".")[2]


def _bytes(words: set[str]) -> tuple[bytes, ...]:
    # a shorter word is found wherever a longer one is that holds it
    kept = [word for word in words if not any(other != word and other in word for other in words)]
    return tuple(sorted(word.encode() for word in kept))


def _patterns(names: Iterable[str]) -> tuple[tuple[bytes, re.Pattern[bytes]], ...]:
    """Return a pattern per anchor that begins with it and looks behind for the rest of the name.

    A pattern with a literal beginning is found at the speed of a plain search.
    """
    by_anchor: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        anchor = next((a for a in _ANCHORS if name.endswith(a)), name)
        by_anchor[anchor].append(name)
    patterns = []
    for anchor, named in by_anchor.items():
        choices = "|".join(rf"(?<=\b{name})" for name in named)
        patterns.append((anchor.encode(), re.compile(rf"{anchor}\b(?:{choices})".encode())))
    return tuple(patterns)
