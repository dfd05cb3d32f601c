"""Which files cannot hold a finding, decided on bytes, before anything is decoded or parsed.

Sound for what the analysis can find: a loss of a library must be called by its name or be imported
under it, and a loss written as arithmetic is only reported where it is trained on in the same file.
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
        sinks: words of which one occurs wherever a loss is trained on.
    """

    groups: tuple[Group, ...]
    sinks: tuple[bytes, ...]

    def may_hold_finding(self, data: bytes) -> bool:
        """Return False only if no rule can find anything in a file with this content."""
        if any(_names_loss(data, group) for group in self.groups if group.root in data):
            return True
        trained = any(sink in data for sink in self.sinks)
        return trained and b"torch" in data and any(word in data for word in _REDUCTION)


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
    sinks = {"backward"} | {s.returns for s in libraries.tables.sinks} | {"autograd.grad", "value_and_grad"}
    sinks |= {s.criterion_of.rpartition(".")[2] for s in libraries.tables.sinks}
    sinks |= {name for name, role in libraries.names.roles.items() if role == "loss_scaler"}
    return Prefilter(tuple(groups), tuple(sorted(s.encode() for s in sinks if s)))


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
