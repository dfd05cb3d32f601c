"""What made a cached result besides the code under analysis: this package, and what it is built on.

The sources of the package are a part of it, since an editable installation changes without a new version.
"""

from __future__ import annotations

import os
import sys

from lint_reduction.run.rows import digest, short_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: Of the package, what has no say in what is found.
_WITHOUT = frozenset(("__pycache__", "verify"))
#: Packages whose version has a say.
_BUILT_ON = ("libcst-", "pathspec-", "pyyaml-")


def quick_stamp() -> str:
    """Return what is the same as long as nothing was installed or edited."""
    parts = [f"{path}\0{about.st_mtime_ns}\0{about.st_size}" for path, about in _sources()]
    return short_digest("\n".join((*_surroundings(), *parts)).encode("utf-8", "surrogatepass"))


def content_stamp() -> str:
    """Return what is the same for the same package, whenever it was installed."""
    parts = ["\n".join(_surroundings())]
    for path, _ in _sources():
        with open(path, "rb") as file:
            data = file.read()
        parts.append(f"{os.path.relpath(path, _PACKAGE)}\0{digest(data)}")
    return short_digest("\n".join(parts).encode("utf-8", "surrogatepass"))


def _surroundings() -> Iterator[str]:
    yield sys.version
    yield sys.platform
    for directory in sys.path:
        if not directory.endswith(("site-packages", "dist-packages")):
            continue
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        yield from sorted(n for n in names if n.lower().startswith(_BUILT_ON) and n.endswith(".dist-info"))


def _sources() -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files of the package in an order that is always the same."""
    stack = [_PACKAGE]
    while stack:
        entries = sorted(os.scandir(stack.pop()), key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir():
                if entry.name not in _WITHOUT:
                    stack.append(entry.path)
            elif entry.name.endswith((".py", ".toml")):
                yield entry.path, entry.stat()
