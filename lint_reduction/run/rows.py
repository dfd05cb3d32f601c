"""What was on disk when results were made, one row for each path, and what of it is another now.

A row is what ``look`` says, or for a file whose content matters ``[when, size, inode, digest, clean]``: ``when`` is the
sum of the times of its last change, of the content and of the entry, 0 if that was just before it was noted, as the
next change may have the same time; ``clean`` says whether it was linted and nothing came of it.
"""

from __future__ import annotations

import os
import stat
import sys

from lint_reduction.source.listing import look, names_in

try:
    # hashlib would bring OpenSSL, which takes time to load
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Row: TypeAlias = "str | list[int | str]"
    #: By directory and name.
    Rows: TypeAlias = dict[str, dict[str, Row]]

#: How far apart two changes have to be to have different times on any file system.
TICK = 2_000_000_000
#: It takes longer to list a directory than to look for so many names in it.
_FEW = 8
#: Whether what is not among the names in a directory is not found under another spelling either.
_EXACT = sys.platform == "linux"


class Changes:
    """What is not as it was.

    Attributes:
        contents: the paths whose content, or which, may be another.
        kinds: the paths at which there is something else.
        walked: whether a directory that was searched has other names.
        renewed: whether rows were brought up to date: the same content with another time.
    """

    __slots__ = ("contents", "kinds", "renewed", "walked")

    def __init__(self) -> None:
        self.contents: set[str] = set()
        self.kinds: set[str] = set()
        self.walked = False
        self.renewed = False

    def __bool__(self) -> bool:
        return bool(self.contents or self.kinds or self.walked)


def digest(data: bytes) -> str:
    """Return what stands for a content."""
    import hashlib  # the fastest, and needed only where something changed

    return hashlib.sha256(data).hexdigest()[:32]


def short_digest(data: bytes, key: bytes = b"") -> str:
    """Return what stands for a text, or with a key what nobody else can say of it."""
    return blake2b(data, digest_size=32, key=key).hexdigest()


def when(about: os.stat_result) -> int:
    """Return when a file was changed: its content, or anything else of it."""
    return about.st_mtime_ns + about.st_ctime_ns


def last_change(about: os.stat_result) -> int:
    """Return when a file was changed last."""
    return max(about.st_mtime_ns, about.st_ctime_ns)


def row_of(about: os.stat_result, content: str, clean: int, now: int) -> Row:
    """Return the row of a file.

    Args:
        about: the file, as it was before it was read.
        content: the digest of what was read.
        clean: as in a row.
        now: the time of writing.
    """
    settled = last_change(about) < now - TICK
    return [when(about) if settled else 0, about.st_size, about.st_ino, content, clean]


def compare(rows: Rows, walked: Mapping[str, str], without: frozenset[str], now: int) -> Changes:
    """Return what is not as it was; the rows of files that only seem to be are brought up to date.

    Args:
        rows: of all paths.
        walked: the directories that were searched, and their names.
        without: names of directories that do not matter.
        now: the time.
    """
    changes = Changes()
    for directory, listed in walked.items():
        try:
            entries = list(os.scandir(directory))
        except OSError:
            entries = []
        if joined(names_in(entries), without) != listed:
            changes.walked = True
        _compare_entries(directory, rows.get(directory, {}), entries, changes, now)
    for directory, names in rows.items():
        if directory not in walked:
            _compare_paths(directory, names, changes, now)
    return changes


def joined(names: list[str], without: frozenset[str]) -> str:
    """Return names as of ``names_in``, in one text, without some directories."""
    return "/".join(name for name in names if name[-1] != "/" or name[:-1] not in without)


def _compare_entries(
    directory: str, names: dict[str, Row], entries: list[os.DirEntry[str]], changes: Changes, now: int
) -> None:
    by_name = {entry.name: entry for entry in entries}
    for name, row in names.items():
        entry = by_name.get(name)
        if entry is None:
            if row or not _EXACT:
                _compare_path(_joined(directory, name), names, name, changes, now)
            continue
        if not isinstance(row, str):
            try:
                about = entry.stat()
            except OSError:
                about = None
            if about is not None and _is_same(about, row):
                continue
        _compare_path(entry.path, names, name, changes, now)


def _is_same(about: os.stat_result, row: list[int | str]) -> bool:
    return about.st_mtime_ns + about.st_ctime_ns == row[0] and about.st_size == row[1] and about.st_ino == row[2]


def _compare_paths(directory: str, names: dict[str, Row], changes: Changes, now: int) -> None:
    present = _names_at(directory) if _EXACT and len(names) > _FEW else None
    for name, row in names.items():
        if not row and present is not None and name not in present:
            continue
        path = _joined(directory, name)
        if not isinstance(row, str):
            try:
                if _is_same(os.stat(path), row):
                    continue
            except OSError:
                pass
        _compare_path(path, names, name, changes, now)


def _names_at(directory: str) -> frozenset[str] | None:
    """Return the names in a directory, None if they cannot be had."""
    try:
        return frozenset(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError:
        return None


def _compare_path(path: str, names: dict[str, Row], name: str, changes: Changes, now: int) -> None:
    row = names[name]
    kind = look(path)
    if isinstance(row, str):
        if kind != row:
            changes.contents.add(path)
            changes.kinds.add(path)
        return
    if kind != "f":
        changes.contents.add(path)
        changes.kinds.add(path)
        return
    try:
        about = os.stat(path)
        same = about.st_size == row[1] and content_at(path) == row[3]
    except OSError:
        same = False
    if same:
        names[name] = row_of(about, str(row[3]), int(row[4]), now)
        changes.renewed = True
    else:
        changes.contents.add(path)


def content_at(path: str) -> str:
    """Return the digest of a file.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("no file")
        return digest(file.read())


def _joined(directory: str, name: str) -> str:
    return directory + name if directory.endswith(os.sep) else f"{directory}{os.sep}{name}"


def listing_at(directory: str) -> str:
    """Return what stands for all names in a directory, empty if it cannot be listed."""
    try:
        return digest("/".join(sorted(os.listdir(directory))).encode("utf-8", "surrogatepass"))
    except OSError:
        return ""


def paths_in(rows: Rows) -> list[str]:
    """Return all paths, in an order by which they are numbered."""
    return [_joined(directory, name) for directory, names in rows.items() for name in names]


def put(rows: Rows, path: str, row: Row) -> None:
    """Add a row, or replace one."""
    directory, _, name = path.rpartition(os.sep)
    rows.setdefault(directory or os.sep, {})[name] = row


def get(rows: Rows, path: str) -> Row | None:
    """Return the row of a path, None if there is none."""
    directory, _, name = path.rpartition(os.sep)
    return rows.get(directory or os.sep, {}).get(name)


def kind_of(row: Row | None) -> str:
    """Return what was at the path of a row."""
    return "f" if isinstance(row, list) else row or ""
