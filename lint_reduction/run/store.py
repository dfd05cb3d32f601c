"""The file in which a cache is kept: where it is, who may have written it, and how it is read and replaced.

It stands in a folder of the user, or where the user or the settings say. Since a project under analysis could bring
a file of its own that says that nothing is to be found, one is believed only with a signature, made with a key that
never leaves the folder of the user.
"""

from __future__ import annotations

import os
import stat
import time

from lint_reduction.run.rows import short_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: A larger file is not read, and none is written.
LIMIT = 64_000_000
#: Raised when older files mean something else.
VERSION = 1
_KEY_BYTES = 32
_SIGNATURE = 64
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
#: What is older, in seconds, belongs to a run that was stopped while it wrote.
_ABANDONED = 600.0


def read_file(path: str, limit: int = LIMIT) -> bytes:
    """Read a regular file of bounded size, and neither a link nor something that never ends.

    Raises:
        OSError: it is none.
    """
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_size > limit:
            raise OSError("no file of a cache")
        return file.read(limit)


def replace_file(path: str, data: bytes) -> None:
    """Replace a file at once, so that a reader never sees half of it.

    Raises:
        OSError: it cannot be written; the old one stays.
    """
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def read_key(folder: str) -> bytes | None:
    """Return the key of the user whose folder this is, None if there is none."""
    try:
        key = read_file(f"{folder}{os.sep}key", _KEY_BYTES)
    except OSError:
        return None
    return key if len(key) == _KEY_BYTES else None


def make_key(folder: str) -> bytes:
    """Return the key of the user whose folder this is, a new one if there is none.

    Raises:
        OSError: it cannot be written.
    """
    key = read_key(folder)
    if key is None:
        key = os.urandom(_KEY_BYTES)
        replace_file(f"{folder}{os.sep}key", key)
    return key


def file_for(folder: str, root: str) -> str:
    """Return where the cache of a project is kept in a folder."""
    name = short_digest(root.encode("utf-8", "surrogatepass"))[:24]
    return f"{folder}{os.sep}{name}.json"


def load(path: str, key: bytes) -> dict[str, Any] | None:
    """Return what a file holds, None if there is nothing to be believed in it."""
    try:
        data = read_file(path)
        signature, text = data[:_SIGNATURE], data[_SIGNATURE:]
        if signature != short_digest(text, key).encode():
            return None
        document = _parsed(text.decode())
    except (OSError, ValueError, StopIteration, RecursionError, MemoryError):
        return None
    known = isinstance(document, dict) and document.get("version") == VERSION
    return document if known else None


def save(path: str, key: bytes, document: dict[str, Any]) -> None:
    """Write a file.

    Raises:
        OSError: it cannot be written, or would be too large.
    """
    import json

    text = json.dumps({**document, "version": VERSION}, separators=(",", ":")).encode()
    if len(text) + _SIGNATURE > LIMIT:
        raise OSError("too large")
    replace_file(path, short_digest(text, key).encode() + text)
    for old in left_behind(path):
        try:
            if os.stat(old).st_mtime < time.time() - _ABANDONED:
                os.unlink(old)
        except OSError:
            continue


def left_behind(path: str) -> list[str]:
    """Return the files that runs left which were stopped while they wrote a cache."""
    folder, _, name = path.rpartition(os.sep)
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [f"{folder}{os.sep}{other}" for other in names if other.startswith(f"{name}.") and other.endswith(".tmp")]


class _Context:
    """What the scanner of ``json`` is made from."""

    strict = True
    object_hook = object_pairs_hook = parse_constant = None
    parse_float = float
    parse_int = int
    memo: dict[str, str] = {}  # noqa: RUF012  # the scanner empties it


def _parsed(text: str) -> Any:
    """Read JSON that ``save`` wrote: by the scanner of ``json`` alone, as importing all of it takes longer."""
    try:
        from _json import make_scanner
    except ImportError:
        import json

        return json.loads(text)
    return make_scanner(_Context)(text, 0)[0]  # type: ignore[arg-type]  # it takes any object with these attributes
