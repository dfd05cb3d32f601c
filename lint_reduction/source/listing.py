"""The names in a directory that decide which files are looked at, and under which settings."""

from __future__ import annotations

import os
from collections.abc import Iterable

#: Of the files that are looked at.
SUFFIXES = (".py", ".ipynb")
#: Files of settings; in one directory the first one counts.
CONFIGURATIONS = (".lint-reduction.toml", "lint-reduction.toml", "pyproject.toml")
IGNORE = ".gitignore"
_SETTINGS = frozenset((*CONFIGURATIONS, IGNORE))


def names_in(entries: Iterable[os.DirEntry[str]]) -> list[str]:
    """Return the names that matter, sorted; those of directories end in a slash."""
    names = []
    for entry in entries:
        name = entry.name
        if _is_directory(entry):
            names.append(f"{name}/")
        elif name.endswith(SUFFIXES) or name in _SETTINGS:
            names.append(name)
    names.sort()
    return names


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False
