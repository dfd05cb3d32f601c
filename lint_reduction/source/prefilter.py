"""Which files cannot hold a finding, decided on bytes, before anything is decoded or parsed.

Sound for what the analysis can find: a loss of a library must be called by its name or be imported
under it, and a loss written as arithmetic is only reported where it is trained on in the same file, which
names torch or a library that trains, or has a method that a trainer calls.
Known holes: a name built by ``getattr`` from parts, an identifier that equals a name only after Unicode
normalization, and a class that is used at the top of its module and has nothing of its training but a base elsewhere.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from lint_reduction.libraries import Libraries
from lint_reduction.source.training_words import TrainingWords

#: Endings that most names of losses have; a file without any of them is done with in a few scans.
_ANCHORS = ("Loss", "_loss", "cross_entropy", "kl_div")
#: How much of their ends words have in common.
_STEM = 6
_REDUCTION = (b"sum", b"mean")
_BACKWARD = b"backward"
#: Functions that return a gradient, however they are imported.
_GRADIENT = tuple(re.compile(word + rb"\b[\s\\]*(?:\.[\s\\]*\w*grad|as\b|import\b)") for word in (b"autograd", b"func"))
#: What is done with gradients in a class whose base elsewhere trains.
_GRAD = re.compile(rb"\.grad\b")


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
        words: words of which one occurs wherever a loss of any of them is named.
        roots: the libraries that have something to train with.
        sinks: words of which one occurs wherever such a library trains on a loss, unless it is called backward, by
            what they have in common.
        steps: methods that a trainer calls, whose library need not be named.
        training: words of which one is used wherever something is trained on, by a library or in another module.
    """

    groups: tuple[Group, ...]
    words: tuple[bytes, ...]
    roots: tuple[bytes, ...]
    sinks: tuple[tuple[bytes, tuple[bytes, ...]], ...]
    steps: tuple[bytes, ...]
    training: TrainingWords

    def may_hold_finding(self, data: bytes) -> bool:
        """Return False only if no rule can find anything in a file with this content."""
        if any(word in data for word in self.words) and self._names_loss(data):
            return True
        return self._may_train(data) and (
            self.training.are_in(data)
            or any(function.search(data) for function in (*_GRADIENT, _GRAD))
            or any(_names_loss(data, group) for group in self.groups)
        )

    def _may_train(self, data: bytes) -> bool:
        """Return False, fast, for most files that train on nothing."""
        if any(step in data for step in self.steps):
            return True
        backward = _BACKWARD in data
        if any(word in data for word in _REDUCTION):
            return self._trains(data, backward)
        # what it trains on may be of another module of the project
        return backward and b"." + _BACKWARD in data

    def _names_loss(self, data: bytes) -> bool:
        return any(group.root in data and _names_loss(data, group) for group in self.groups)

    def _trains(self, data: bytes, backward: bool) -> bool:
        if not any(root in data for root in self.roots):
            return False
        named = backward or any(stem in data and any(sink in data for sink in sinks) for stem, sinks in self.sinks)
        return named or any(function.search(data) for function in _GRADIENT)


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
    kept = (
        word for word in _bytes(words) if _BACKWARD not in word and not any(step.encode() in word for step in steps)
    )
    return Prefilter(
        tuple(groups), _needed(groups), _bytes(trainers), _by_stem(kept), _bytes(steps), TrainingWords.of(libraries)
    )


def _last(name: str) -> str:
    """Return the last component of a name, for an instance that is called that of its class."""
    return name.removesuffix(".__call__").rpartition(".")[2]


def _needed(groups: Iterable[Group]) -> tuple[bytes, ...]:
    """Return the words for some groups: what most names end in, and of other groups what is found fastest."""
    common = {anchor.encode() for anchor in _ANCHORS}
    words = set(common)
    for group in groups:
        others = [anchor for anchor, _ in group.anchors if not any(word in anchor for word in common)]
        # a library is named once for all of them, and a longer word is found faster
        words |= {group.root} if len(others) > 1 else set(others)
    return tuple(sorted(words))


def _by_stem(words: Iterable[bytes]) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
    """Return words by what they end in, so that those of one end take one look."""
    by_stem: dict[bytes, list[bytes]] = defaultdict(list)
    for word in words:
        by_stem[word[-_STEM:]].append(word)
    return tuple((stem, tuple(kept)) for stem, kept in sorted(by_stem.items()))


def _bytes(words: set[str]) -> tuple[bytes, ...]:
    """Return words without those that hold another, which is found wherever they are; torch first."""
    kept = [word for word in words if not any(other != word and other in word for other in words)]
    return tuple(word.encode() for word in sorted(kept, key=lambda word: (word != "torch", word)))


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
