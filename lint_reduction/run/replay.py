"""A command that was given before, with nothing changed since: what it printed is printed again.

That is decided before anything else is imported. A run is known by its arguments, its directory and the variables that
it looks at; it is the same run if each directory that it searched has the same names, and each file that it read or
looked for is as it was. Whatever is in doubt makes it another one.
"""

from __future__ import annotations

import os
import sys
import time

from lint_reduction.run import rows, stamp, store
from lint_reduction.source.cache_dir import user_path
from lint_reduction.source.listing import CONFIGURATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

#: What stands at the root of a project.
_ROOTS = (*CONFIGURATIONS, ".git", ".hg", "setup.py", "setup.cfg")
_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "VIRTUAL_ENV")
_OTHER_COMMANDS = frozenset(
    ("baseline", "clean", "explain", "facts", "generate-shell-completion", "rules", "server", "verify", "-", "-h")
)


class Unchanged:
    """What a run came to: the texts it wrote, to standard output or to files, and its exit status."""

    __slots__ = ("status", "texts")

    def __init__(self, texts: Sequence[tuple[str | None, str]], status: int) -> None:
        self.texts = texts
        self.status = status


def project_root(directory: str) -> str:
    """Return the root of the project that a directory is in: where settings or version control are, or itself."""
    here = directory
    while True:
        if any(os.path.lexists(f"{here}{os.sep}{name}") for name in _ROOTS):
            return here
        above = os.path.dirname(here)
        if above == here:
            return directory
        here = above


def run_key(arguments: Sequence[str]) -> str:
    """Return what a run is known by."""
    named = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith("LINT_REDUCTION_"))
    others = [f"{name}={os.environ.get(name, '')}" for name in _VARIABLES]
    packages = [path for path in sys.path if path.endswith("-packages")]
    terminal = sys.stdout is not None and sys.stdout.isatty()
    parts = [os.getcwd(), *named, *others, *packages, str(terminal), "", *arguments]
    return rows.short_digest("\0".join(parts).encode("utf-8", "surrogatepass"))


def replayed(arguments: Sequence[str]) -> Unchanged | None:
    """Return what a command comes to, if it was given before and nothing changed."""
    if not arguments or arguments[0] in _OTHER_COMMANDS or arguments[0].startswith("--help"):
        return None
    try:
        return _replayed(arguments)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        # a cache is no reason for a run to fail
        return None


def _replayed(arguments: Sequence[str]) -> Unchanged | None:
    user = user_path()
    key = store.read_key(user) if user else None
    if key is None:
        return None
    root = project_root(os.getcwd())
    path = store.file_for(_folder(arguments, root, user), root)
    document = store.load(path, key)
    run = None if document is None else document["runs"].get(run_key(arguments))
    if document is None or run is None:
        return None
    quick = stamp.quick_stamp()
    is_new = document["quick"] != quick
    if is_new and document["content"] != stamp.content_stamp():
        return None
    document["quick"] = quick
    changes = rows.compare(document["rows"], run["walked"], frozenset(run["without"]), time.time_ns())
    if changes and not is_unconcerned(run, document["rows"], changes):
        return None
    if any(rows.listing_at(directory) != names for directory, names in run["listings"].items()):
        return None
    if not changes and (changes.renewed or is_new):
        _renew(path, key, document)
    return Unchanged(run["texts"], run["status"])


def _renew(path: str, key: bytes, document: dict[str, Any]) -> None:
    try:
        store.save(path, key, document)
    except OSError:
        # the next run compares contents again
        return


def is_unconcerned(run: Mapping[str, Any], known: rows.Rows, changes: rows.Changes) -> bool:
    """Say whether nothing that a run consulted is among what changed."""
    if changes.walked:
        return False
    paths = rows.paths_in(known)
    contents, kinds = (run[part].split() for part in ("contents", "kinds"))
    return not any(paths[int(number)] in changes.contents for number in contents) and not any(
        paths[int(number)] in changes.kinds for number in kinds
    )


def _folder(arguments: Sequence[str], root: str, user: str) -> str:
    """Return the folder that the arguments name, or the settings, or that of the user."""
    named = _option(arguments)
    if named is not None:
        return os.path.abspath(named)
    if "--isolated" not in arguments:
        for name in CONFIGURATIONS:
            try:
                data = store.read_file(f"{root}{os.sep}{name}")
            except OSError:
                continue
            if b"cache-dir" in data:
                return _configured(root) or user
    return user


def _option(arguments: Sequence[str]) -> str | None:
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--cache-dir" and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith("--cache-dir="):
            return argument.partition("=")[2]
    return None


def _configured(root: str) -> str:
    from pathlib import Path

    from lint_reduction.config import configuration_in, load_settings
    from lint_reduction.errors import ConfigError

    try:
        path = configuration_in(Path(root))
        folder = None if path is None else load_settings(path).cache_dir
    except ConfigError:
        return ""
    return "" if folder is None else str(folder)
