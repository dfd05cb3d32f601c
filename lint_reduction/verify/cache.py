"""What experiments came to in earlier runs, in a folder of the user: what was run once need not be run again."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lint_reduction import __version__
from lint_reduction.source.cache_dir import belongs_to_user
from lint_reduction.verify import protocol
from lint_reduction.verify.protocol import ProtocolError, Reply, Status

#: How many entries are kept; one has a few kilobytes.
LIMIT = 4_000
#: The largest entry that is kept.
_LARGEST = 1 << 16

_PACKAGE = Path(__file__).parent.parent

_SHAPE: protocol.Shape = {"result": {"*": object}, "device": str, "layers": {"*": str}, "seconds": float}


def torch_version() -> str:
    """Return the version of torch that is installed, without importing it; empty if there is none."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""


@functools.cache
def sources() -> str:
    """Return a stamp of the code that measures, and of the tables it reads, so that no other code answers for it."""
    stamp = hashlib.sha256(__version__.encode())
    for folder, pattern in ((_PACKAGE, "*.py"), (_PACKAGE / "verify", "*.py"), (_PACKAGE / "libraries", "*")):
        for path in sorted(folder.glob(pattern)):
            if path.suffix in (".py", ".toml"):
                data = path.read_bytes()
                stamp.update(f"\n{path.name} {len(data)}\n".encode() + data)
    return stamp.hexdigest()


def key(experiment: Mapping[str, object], device: str, torch: str, code: str = "") -> str:
    """Return the name of an entry: all that decides what an experiment comes to, and the same for the same.

    Args:
        experiment: what is run.
        device: where.
        torch: its version.
        code: a stamp of what runs it, by default that of this package.

    Raises:
        ProtocolError: the experiment is no JSON.
    """
    try:
        text = json.dumps([experiment, device, torch, code or sources()], sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from None
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> bytes:
    """Read an entry: a regular file of the user, of bounded size, and neither a link nor something that never ends.

    Raises:
        OSError: it is none.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST or not belongs_to_user(about):
            raise OSError("no entry")
        return file.read(_LARGEST)


class Cache:
    """A folder of results. That it cannot be read or written is never an error: the experiment is run then.

    Nobody but the user may be able to write into it, since an entry decides what is refuted (see ``cache_dir``). It is
    parsed as carefully as what a worker says, of which it is a copy.

    Args:
        folder: it; it is made when there is something to keep.
        limit: how many entries it holds at most.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._count: int | None = None

    def get(self, name: str) -> Reply | None:
        """Return the reply of an earlier run, or None if there is none that can be read."""
        path = self._path(name)
        if self._is_elsewhere():
            return None
        try:
            value = protocol.decode(_read(path))
            protocol.require(value, _SHAPE, "entry")
            result, layers, seconds = value["result"], value["layers"], value["seconds"]
        except (OSError, ProtocolError, KeyError):
            return None
        if not isinstance(result, dict) or not isinstance(layers, dict) or not isinstance(seconds, (int, float)):
            return None
        with contextlib.suppress(OSError):  # the ones that are asked for are the last to go
            os.utime(path)
        return Reply(Status.DONE, result, "", str(value.get("device") or ""), layers, float(seconds), cached=True)

    def put(self, name: str, reply: Reply) -> None:
        """Keep a reply; only a result is worth it, as a timeout may not come again."""
        if reply.status is not Status.DONE or self._is_elsewhere():
            return
        value = {
            "result": reply.result,
            "device": reply.device,
            "layers": dict(reply.layers),
            "seconds": reply.seconds,
        }
        data = json.dumps(value, allow_nan=False).encode()
        if len(data) > _LARGEST:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(self._path(name), data)
            self._prune()

    def _is_elsewhere(self) -> bool:
        """Whether the folder, or the one it is in, is a link."""
        return self._folder.is_symlink() or self._folder.parent.is_symlink()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write(self, path: Path, data: bytes) -> None:
        """Replace a file at once, so that a reader never sees half of it."""
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, prefix="new-", suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(temporary).replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
        if self._count is not None:
            self._count += 1

    def _prune(self) -> None:
        """Remove the oldest entries once there are too many: a tenth at a time, as counting them costs a listing."""
        if self._count is None:
            self._count = sum(1 for _ in self._folder.glob("*.json"))
        if self._count <= self._limit:
            return
        entries = []
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(OSError):
                entries.append((path.stat().st_mtime_ns, path))
        entries.sort(key=lambda entry: entry[0])
        kept = self._limit - self._limit // 10
        for _, path in entries[: len(entries) - kept]:
            with contextlib.suppress(OSError):
                path.unlink()
        self._count = min(len(entries), kept)
