"""Paths through a list of samples: which sample is marked in the path, ``batch[#3].x`` is a row of ``batch[*].x``."""

from __future__ import annotations

import re

_MARK = re.compile(r"\[#(-?\d+)(:?)\]")
_ANY = "[*]"


def marked(path: str, index: int, *, kept: bool = False) -> str:
    """Return the path of one sample of a list.

    Args:
        path: of the list, or of something that there is once for each sample.
        index: which sample.
        kept: whether the axis of the samples is kept, with one of them.
    """
    return f"{path}[#{index}{':' if kept else ''}]"


def whole(path: str) -> str:
    """Return the path of what all samples have, for that of one of them."""
    return _MARK.sub(_ANY, path) if "[#" in path else path


def row_of(path: str) -> int | slice | None:
    """Return which row a path is of what all samples have, None where it is no row."""
    found = _MARK.search(path) if "[#" in path else None
    if found is None:
        return None
    index = int(found[1])
    return slice(index, index + 1 or None) if found[2] else index


def is_of_sample(path: str) -> bool:
    """Whether a path leads through a list of samples."""
    return _ANY in path or row_of(path) is not None
