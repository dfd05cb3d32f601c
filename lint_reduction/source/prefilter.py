"""Which files cannot hold a finding, decided on bytes, before anything is decoded or parsed.

Sound for what the analysis can find: a loss of a library must be called by its name or be imported
under it, and a loss written as arithmetic is only reported where it is trained on in the same file, which
names torch or a library that trains, or has a method that a trainer calls.
Known holes: a name built by ``getattr`` from parts, an identifier that equals a name only after Unicode
normalization, and a class that is used at the top of its module and has nothing of its training but a base elsewhere.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from lint_reduction.libraries import Libraries
from lint_reduction.source.training_words import TrainingWords

#: Endings that most names of losses have.
_ANCHORS = ("Loss", "_loss", "cross_entropy", "kl_div")
#: What many of the words have in common: where it is not, none of them is.
_COMMON = (b"oss", b"torch")
#: How much of their ends words have in common that are looked for together.
_STEM = 5
_REDUCTION = (b"sum", b"mean")
_BACKWARD = b"backward"
#: Functions that return a gradient, however they are imported.
_GRADIENT = tuple(
    (word, re.compile(word + rb"\b[\s\\]*(?:\.[\s\\]*\w*grad|as\b|import\b)")) for word in (b"autograd", b"func")
)
#: What is done with gradients in a class whose base elsewhere trains.
_GRAD = re.compile(rb"\.grad\b")


@functools.cache
def _common_in(word: bytes) -> bytes | None:
    return next((part for part in _COMMON if part in word and part != word), None)


class _Text:
    """The content of a file, in which no word is looked for twice."""

    __slots__ = ("data", "known")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.known: dict[bytes, bool] = {}

    def has(self, word: bytes) -> bool:
        """Say whether a word is in the text, or in one of its words."""
        known = self.known.get(word)
        if known is None:
            common = _common_in(word)
            known = self.known[word] = (common is None or self.has(common)) and word in self.data
        return known

    def has_any(self, words: Iterable[bytes]) -> bool:
        """Say whether one of some words is."""
        for word in words:  # noqa: SIM110  # asked for each file, and a generator takes as long as a look
            if self.has(word):
                return True
        return False


@dataclass(frozen=True, slots=True)
class Group:
    """The losses of one library: a file that does not name the library cannot call them.

    Attributes:
        root: the name of the library.
        needed: words of which one is in every file that calls one, found faster than the anchors.
        anchors: by what names of its losses end in, what they look like.
    """

    root: bytes
    needed: tuple[bytes, ...]
    anchors: tuple[tuple[bytes, re.Pattern[bytes]], ...]

    def is_named(self, text: _Text) -> bool:
        """Say whether a loss of it is named, whatever library is."""
        return any(text.has(anchor) and names.search(text.data) is not None for anchor, names in self.anchors)

    def is_called(self, text: _Text) -> bool:
        """Say whether a loss of it may be called."""
        return text.has_any(self.needed) and text.has(self.root) and self.is_named(text)


@dataclass(frozen=True, slots=True)
class Prefilter:
    """Decides whether a file may hold a finding.

    Attributes:
        groups: the losses, by library.
        roots: the libraries that have something to train with.
        sinks: words of which one occurs wherever such a library trains on a loss, unless it is called backward, by
            what they have in common.
        steps: methods that a trainer calls, whose library need not be named.
        training: words of which one is used wherever something is trained on, by a library or in another module.
    """

    groups: tuple[Group, ...]
    roots: tuple[bytes, ...]
    sinks: tuple[tuple[bytes, tuple[bytes, ...]], ...]
    steps: tuple[bytes, ...]
    training: TrainingWords

    def may_hold_finding(self, data: bytes) -> bool:
        """Return False only if no rule can find anything in a file with this content."""
        text = _Text(data)
        if any(group.is_called(text) for group in self.groups):
            return True
        return self._may_train(text) and (
            self.training.are_in(data)
            or _asks_for_gradients(text)
            or _GRAD.search(data) is not None
            or any(group.is_named(text) for group in self.groups)
        )

    def _may_train(self, text: _Text) -> bool:
        """Return False, fast, for most files that train on nothing."""
        if text.has_any(self.steps):
            return True
        if text.has_any(_REDUCTION):
            # a library is seldom named where it is not torch, and then looked for in vain
            trains = text.has(_BACKWARD) or self._has_sink(text) or _asks_for_gradients(text)
            return trains and text.has_any(self.roots)
        # what it trains on may be of another module of the project
        return text.has(_BACKWARD) and b"." + _BACKWARD in text.data

    def _has_sink(self, text: _Text) -> bool:
        return any(text.has(stem) and text.has_any(sinks) for stem, sinks in self.sinks)


def _asks_for_gradients(text: _Text) -> bool:
    return any(text.has(word) and function.search(text.data) is not None for word, function in _GRADIENT)


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
    groups = [_group(alias.encode(), names) for root, names in by_root.items() for alias in roots[root]]
    # torch is named first in most files that name any: no other library is looked for in vain
    groups.sort(key=lambda group: (group.root != b"torch", group.root))
    sinks = libraries.tables.sinks
    names = [name for s in sinks for name in (s.method, s.function, s.criterion_of) if name]
    words = {"backward", *(_last(name) for name in names)}
    words |= {name for name, role in libraries.names.roles.items() if role == "loss_scaler"}
    trainers = {"torch", *(name.partition(".")[0] for s in sinks for name in (*names, *s.bases))}
    steps = {s.returns for s in sinks if s.returns}
    kept = (
        word for word in _bytes(words) if _BACKWARD not in word and not any(step.encode() in word for step in steps)
    )
    return Prefilter(tuple(groups), _bytes(trainers), _by_stem(kept), _bytes(steps), TrainingWords.of(libraries))


def _last(name: str) -> str:
    """Return the last component of a name, for an instance that is called that of its class."""
    return name.removesuffix(".__call__").rpartition(".")[2]


def _group(root: bytes, names: Iterable[str]) -> Group:
    anchors = _patterns(names)
    common = tuple(sorted({end.encode() for end in _ANCHORS for anchor, _ in anchors if end.encode() in anchor}))
    others = tuple(anchor for anchor, _ in anchors if not any(word in anchor for word in common))
    # a library is named once for all of its losses
    return Group(root, (*common, *(others if len(others) <= 1 else (root,))), anchors)


def _by_stem(words: Iterable[bytes]) -> tuple[tuple[bytes, tuple[bytes, ...]], ...]:
    """Return words by the end that they share, so that those of one end take one look."""
    by_stem: dict[bytes, list[bytes]] = defaultdict(list)
    for word in words:
        by_stem[word[-_STEM:]].append(word)
    # a longer word is found faster
    return tuple((stem if len(kept) > 1 else kept[0], tuple(kept)) for stem, kept in sorted(by_stem.items()))


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
