"""What files came to in earlier runs, so that only what changed, or rests on what changed, is analyzed again.

An entry holds what all rules find in a file, and not what is reported: it serves any selection of rules, any threshold
and any comment, which are cheap to apply, and depends only on the tables and the environment of a configuration. It is
valid as long as the file and all that was consulted for it are as they were. Files that cannot hold a finding are kept
as well, and so is what whole runs printed, for ``replay``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from lint_reduction.run import rows, stamp, store
from lint_reduction.run.keeping import Entry, Fresh, Read, Record, document_of
from lint_reduction.run.kept import Data
from lint_reduction.source.cache_dir import make_private, mark, user_folder
from lint_reduction.source.tracing import Trace


@dataclass(slots=True)
class FactsCache:
    """The cache of a project. That it cannot be read or written is never an error: files are analyzed then.

    Attributes:
        path: of its file.
        key: of the user.
        started: when the run began; what changes later may have been seen or not.
        problem: why nothing can be kept, empty if it can.
        document: what was kept before.
        changes: what is not as it was then.
        fresh: what this run found out, by absolute path.
        looked_at: the files of which it found out nothing new.
        paths: those of the rows, by their numbers; filled when they are asked for.
    """

    path: str
    key: bytes
    started: int
    problem: str = ""
    document: dict[str, object] = field(default_factory=dict)
    changes: rows.Changes = field(default_factory=rows.Changes)
    paths: list[str] = field(default_factory=list)
    fresh: dict[str, Fresh] = field(default_factory=dict)
    looked_at: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, folder: Path | None, root: str, started: int) -> FactsCache:
        """Return the cache of a project.

        Args:
            folder: where to keep it, None for the folder of the user.
            root: the root of the project.
            started: when the run began, in nanoseconds.
        """
        user = user_folder()
        if user is None:
            return cls("", b"", started, "there is no home directory")
        folder = user if folder is None else folder
        problem = make_private(user) or ("" if folder == user else _made(folder))
        cache = cls(store.file_for(str(folder), root), b"", started, problem)
        try:
            cache.key = store.make_key(str(user)) if not problem else b""
        except OSError as error:
            cache.problem = (error.strerror or str(error)).lower()
        if not cache.problem:
            cache._load()
        return cache

    def _load(self) -> None:
        document = store.load(self.path, self.key)
        if document is None:
            return
        quick = stamp.quick_stamp()
        if document.get("quick") != quick and document.get("content") != stamp.content_stamp():
            return
        self.changes = rows.compare(cast("rows.Rows", document["rows"]), {}, frozenset(), time.time_ns())
        self.document = document

    @property
    def known(self) -> rows.Rows:
        """What was on disk."""
        return cast("rows.Rows", self.document.get("rows", {}))

    @property
    def results(self) -> dict[str, list[Data]]:
        """What files came to: for which configuration, what, and the numbers of what it rests on."""
        return cast("dict[str, list[Data]]", self.document.get("results", {}))

    @property
    def contexts(self) -> list[str]:
        """The configurations that files were linted under."""
        return cast("list[str]", self.document.get("contexts", []))

    def is_clean(self, path: str, digest: str, *, named: bool) -> bool:
        """Say whether it is known that a file can hold no finding.

        Args:
            path: absolute.
            digest: of what its configuration says about the analysis.
            named: whether its syntax has to have been checked.
        """
        row = rows.get(self.known, path)
        if row is None or isinstance(row, str) or path in self.changes.contents or not row[4]:
            return False
        index, was_named = divmod(int(row[4]) - 1, 2)
        if self.contexts[index] != digest or (named and not was_named):
            return False
        self.looked_at.add(path)
        return True

    def get(self, path: str, digest: str) -> Data:
        """Return what is known of a file that was analyzed, None if nothing is."""
        entry = self.results.get(path)
        if entry is None or entry[0] != digest or not self.is_valid(path, entry):
            return None
        self.looked_at.add(path)
        return entry[1]

    def content(self, path: str) -> str:
        """Return the digest of a file of which something is known."""
        row = rows.get(self.known, path)
        return "" if row is None or isinstance(row, str) else str(row[3])

    def put(self, path: str, read: Read, digest: str, data: Data, trace: Trace) -> None:
        """Keep what was found out about a file."""
        self.fresh[path] = Fresh(read, False, digest, Entry(digest, data, frozenset(trace.contents), trace.kinds))

    def put_clean(self, path: str, read: Read, digest: str, *, named: bool) -> None:
        """Keep that a file can hold no finding."""
        self.fresh[path] = Fresh(read, named, digest)

    def put_read(self, path: str, read: Read) -> None:
        """Note that a file was read of which nothing is to be kept."""
        self.fresh[path] = Fresh(read)

    def is_valid(self, path: str, entry: list[Data]) -> bool:
        """Say whether an entry rests on nothing that changed."""
        changes = self.changes
        if not changes.contents and not changes.kinds:
            return True
        if path in changes.contents:
            return False
        contents, kinds = self.numbered(entry[2]), self.numbered(entry[3])
        return changes.contents.isdisjoint(contents) and changes.kinds.isdisjoint(kinds)

    def numbered(self, numbers: Data) -> list[str]:
        """Return the paths with some numbers."""
        if not self.paths:
            self.paths = rows.paths_in(self.known)
        return [self.paths[int(number)] for number in str(numbers).split()]

    def decoded(self, entry: list[Data]) -> Entry:
        """Return an entry with the paths that it rests on."""
        kinds = {path: rows.kind_of(rows.get(self.known, path)) for path in self.numbered(entry[3])}
        return Entry(str(entry[0]), entry[1], frozenset(self.numbered(entry[2])), kinds)

    def save(self, record: Record | None = None) -> None:
        """Write down what is known; ``problem`` says afterwards why that was not possible."""
        if self.problem or not (self.fresh or record is not None or self.changes.renewed):
            return
        try:
            store.save(self.path, self.key, document_of(self, record, time.time_ns()))
        except OSError as error:
            self.problem = (error.strerror or str(error)).lower()


def _made(folder: Path) -> str:
    """Make a folder, and return why that was not possible, empty if it was."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark(folder)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""
