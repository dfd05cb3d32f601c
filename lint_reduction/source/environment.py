"""The packages that are installed beside a project: where they are, found without importing anything.

Of an environment only directories are known: those that packages are installed in, and those that ``.pth`` files
there name, as an editable installation does. The code lines of a ``.pth`` file are never run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lint_reduction.errors import SourceError
from lint_reduction.source.file import read_bytes
from lint_reduction.source.tracing import kind_at, note_content, note_listing

#: Names of directories that packages are installed in.
_INSTALLED_IN = ("site-packages", "dist-packages")
#: Where a virtual environment has them, on Unix and on Windows.
_PATTERNS = ("lib/python3*/site-packages", "Lib/site-packages")
#: Names that a virtual environment has at the root of a project.
_VIRTUAL = (".venv", "venv")
_MAX_PTH_FILES = 100
_MAX_PTH_BYTES = 64_000


@dataclass(frozen=True, slots=True)
class Environment:
    """Where packages are installed.

    Attributes:
        directories: where absolute imports may begin, in this order.
        outside: those of them whose files are no part of the project.
    """

    directories: tuple[str, ...]
    outside: tuple[str, ...]

    def holds(self, path: str) -> bool:
        """Say whether a file is one of an installed package."""
        return any(path.startswith(directory + os.sep) for directory in self.outside)


def environment_of(root: Path) -> Environment:
    """Return the environment of a project: the active one, one in its root, or that of this interpreter.

    Args:
        root: the root of the project; what is installed from a directory in it is a part of it.
    """
    base, installed = _installed_in(root)
    linked = [directory for packages in installed for directory in _linked(packages)]
    outside = [d for d in linked if not _is_within(d, root) or (base is not None and _is_within(d, base))]
    return Environment(tuple(dict.fromkeys([*installed, *linked])), tuple(dict.fromkeys([*installed, *outside])))


def _is_within(directory: str, base: Path) -> bool:
    return base == Path(directory) or base in Path(directory).parents


def _installed_in(root: Path) -> tuple[Path | None, tuple[str, ...]]:
    """Return the virtual environment that counts, None if none does, and where packages are installed."""
    active = os.environ.get("VIRTUAL_ENV", "")
    for base in ([Path(active)] if active else []) + [root / name for name in _VIRTUAL]:
        note_listing(str(base / "lib"))
        found = sorted(str(path) for pattern in _PATTERNS for path in base.glob(pattern) if path.is_dir())
        if found:
            return base, tuple(found)
    return None, tuple(path for path in sys.path if Path(path).name in _INSTALLED_IN and Path(path).is_dir())


def _linked(directory: str) -> Iterator[str]:
    """Yield the directories that the ``.pth`` files of a directory name."""
    note_listing(directory)
    for path in sorted(Path(directory).glob("*.pth"))[:_MAX_PTH_FILES]:
        note_content(str(path))
        try:
            lines = read_bytes(path)[:_MAX_PTH_BYTES].decode("utf-8", errors="replace").splitlines()
        except SourceError:
            continue
        for line in map(str.strip, lines):
            if not line or "\0" in line or line.startswith(("#", "import ", "import\t")):
                continue
            linked = os.path.normpath(os.path.join(directory, line))  # noqa: PTH118  # it may be absolute
            if kind_at(linked) == "d":
                yield linked
