"""What is on disk, as far as it decides which files are looked at, and under which settings."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
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


def look(path: str) -> str:
    """Say what is at a path: ``f`` for a file, ``d`` for a directory, ``o`` for something else, empty for nothing."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return ""
    return "f" if stat.S_ISREG(mode) else "d" if stat.S_ISDIR(mode) else "o"
