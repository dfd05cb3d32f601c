"""What is written into a cache after a run: what is still true of the old, what is new, and only what those rest on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from lint_reduction.run import rows, stamp
from lint_reduction.run.kept import Data
from lint_reduction.run.replay import is_unconcerned
from lint_reduction.source.listing import look
from lint_reduction.source.tracing import Trace

if TYPE_CHECKING:
    from lint_reduction.run.cache import FactsCache

#: Files of which something is kept; where there are more, those of this run are.
MAX_FILES = 200_000
#: Runs whose output is kept, and how long that may be.
MAX_RUNS, MAX_TEXT = 4, 2_000_000
#: A file that changed less than this before a run may have changed in the middle of it, as clocks go.
MARGIN = 100_000_000


@dataclass(frozen=True, slots=True)
class Read:
    """A file as it was read.

    Attributes:
        when, last_change: the times of its changes just before that, as of ``rows``.
        size, inode: as they were then.
        content: the digest of what was read.
    """

    when: int
    last_change: int
    size: int
    inode: int
    content: str

    @classmethod
    def of(cls, about: os.stat_result, data: bytes) -> Read:
        """Return what is known of a file that was read."""
        return cls(rows.when(about), rows.last_change(about), about.st_size, about.st_ino, rows.digest(data))


@dataclass(frozen=True, slots=True)
class Record:
    """A run whose output is kept.

    Attributes:
        key: as of ``run_key``.
        trace: all that the run consulted besides the files it linted.
        without: names of directories that it never enters.
        texts: what it wrote, to standard output or to files.
        status: its exit status.
    """

    key: str
    trace: Trace
    without: frozenset[str]
    texts: Sequence[tuple[str | None, str]]
    status: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of a file that was analyzed, and what it rests on."""

    digest: str
    data: Data
    contents: frozenset[str]
    kinds: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fresh:
    """What this run found out about a file; without a digest, only that it was read."""

    read: Read
    named: bool = False
    digest: str = ""
    entry: Entry | None = None


@dataclass(slots=True)
class _Builder:
    """A document in the making.

    Attributes:
        cache: what is known.
        now: the time of writing.
        rows: of all that something rests on.
        contexts: the numbers of configurations.
        entries: of the files that were analyzed.
        steady: whether a file is as it was when it was read, as far as that was asked.
        seen: what was seen at paths in this run.
        torn: the paths at which not always the same was seen.
    """

    cache: FactsCache
    now: int
    rows: rows.Rows = field(default_factory=dict)
    contexts: dict[str, int] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    steady: dict[str, bool] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    torn: set[str] = field(default_factory=set)

    def keep_old(self) -> None:
        """Take over what is still true."""
        cache = self.cache
        dropped = cache.changes.contents | cache.fresh.keys()
        count = len(cache.fresh) + sum(len(names) for names in cache.known.values())
        for directory, names in cache.known.items():
            for name, row in names.items():
                path = os.path.join(directory, name)
                wanted = count <= MAX_FILES or path in cache.looked_at
                if isinstance(row, list) and row[4] and wanted and path not in dropped:
                    index, named = divmod(int(row[4]) - 1, 2)
                    clean = self.clean(cache.contexts[index], named=bool(named))
                    rows.put(self.rows, path, [*row[:4], clean])
        for path, entry in cache.results.items():
            wanted = count <= MAX_FILES or path in cache.looked_at
            if wanted and path not in dropped and cache.is_valid(path, entry):
                self.add(path, cache.decoded(entry))

    def clean(self, digest: str, *, named: bool) -> int:
        """Return how a row says that nothing came of its file."""
        return 1 + 2 * self.contexts.setdefault(digest, len(self.contexts)) + named

    def keep_fresh(self) -> None:
        """Add what the run found out."""
        for path, fresh in self.cache.fresh.items():
            clean = self.clean(fresh.digest, named=fresh.named) if fresh.digest and fresh.entry is None else 0
            read = fresh.read
            when = read.when if read.last_change < self.now - rows.TICK else 0
            rows.put(self.rows, path, [when, read.size, read.inode, read.content, clean])
        self.see(fresh.entry.kinds for fresh in self.cache.fresh.values() if fresh.entry is not None)
        for path, fresh in self.cache.fresh.items():
            if fresh.entry is not None and self.holds(fresh.entry.contents, fresh.entry.kinds):
                self.add(path, fresh.entry)

    def see(self, all_kinds: Iterable[Mapping[str, str]]) -> None:
        """Note what was seen at paths, and where it changed meanwhile."""
        for kinds in all_kinds:
            self.torn.update(path for path, kind in kinds.items() if self.seen.setdefault(path, kind) != kind)
        self.torn.update(path for path, kind in self.seen.items() if look(path) != kind)

    def add(self, path: str, entry: Entry) -> None:
        """Add an entry, with the rows that it rests on."""
        self.entries[path] = entry
        self.rest(path, *entry.contents)
        self.look(entry.kinds)

    def rest(self, *paths: str) -> None:
        """Make sure that there are rows of some files."""
        for path in paths:
            if not isinstance(rows.get(self.rows, path), list):
                rows.put(self.rows, path, self._row(path))

    def look(self, kinds: Mapping[str, str]) -> None:
        """Make sure that there are rows of some paths of which only matters what is there."""
        for path, kind in kinds.items():
            if rows.get(self.rows, path) is None:
                rows.put(self.rows, path, kind)

    def _row(self, path: str) -> str | list[int | str]:
        old = rows.get(self.cache.known, path)
        if isinstance(old, list) and path not in self.cache.changes.contents:
            return [*old[:4], 0]
        if look(path) != "f":
            return look(path)
        try:
            about = os.stat(path)
            return rows.row_of(about, rows.content_at(path), 0, self.now)
        except OSError:
            return "o"

    def holds(self, contents: Iterable[str], kinds: Mapping[str, str]) -> bool:
        """Say whether all that was consulted is still as it was when the run began."""
        return self.torn.isdisjoint(kinds) and all(map(self._is_steady, contents))

    def _is_steady(self, path: str) -> bool:
        known = self.steady.get(path)
        if known is None:
            known = self.steady[path] = self._is_as_it_was(path)
        return known

    def _is_as_it_was(self, path: str) -> bool:
        since = self.cache.started - MARGIN
        try:
            about = os.stat(path)
        except OSError:
            return True
        row = rows.get(self.rows, path)
        same = not isinstance(row, list) or row[0] == 0 or (row[0] == rows.when(about) and row[1] == about.st_size)
        return same and rows.last_change(about) < since

    def numbers(self) -> dict[str, int]:
        """Return the numbers of the paths that have a row."""
        return {path: number for number, path in enumerate(rows.paths_in(self.rows))}


def document_of(cache: FactsCache, record: Record | None, now: int) -> dict[str, object]:
    """Return what is to be written.

    Args:
        cache: what was known before, and what the run found out.
        record: the run itself, if what it printed is to be kept.
        now: the time, in nanoseconds.
    """
    builder = _Builder(cache, now)
    builder.keep_old()
    builder.keep_fresh()
    runs = _old_runs(builder, "" if record is None else record.key)
    if record is not None:
        runs += [(record.key, made) for made in _new_run(builder, record)]
    numbers = builder.numbers()

    def numbered(paths: Iterable[str]) -> str:
        return " ".join(str(numbers[path]) for path in paths)

    return {
        "quick": stamp.quick_stamp(),
        "content": stamp.content_stamp(),
        "rows": builder.rows,
        "contexts": list(builder.contexts),
        "results": {
            path: [entry.digest, entry.data, numbered(entry.contents), numbered(entry.kinds)]
            for path, entry in builder.entries.items()
        },
        "runs": {
            key: {**run, "contents": numbered(run["contents"]), "kinds": numbered(run["kinds"])} for key, run in runs
        },
    }


_Run = dict[str, "Iterable[str]"]


def _old_runs(builder: _Builder, but: str) -> list[tuple[str, _Run]]:
    """Return the runs that are still what they were, the latest last."""
    cache, kept = builder.cache, []
    runs = cast("Mapping[str, Mapping[str, object]]", cache.document.get("runs", {}))
    for key, run in runs.items():
        if key == but or not is_unconcerned(run, cache.known, cache.changes):
            continue
        contents, kinds = cache.numbered(cast("str", run["contents"])), cache.numbered(cast("str", run["kinds"]))
        builder.rest(*contents)
        builder.look({path: rows.kind_of(rows.get(cache.known, path)) for path in kinds})
        kept.append((key, cast("_Run", {**run, "contents": contents, "kinds": kinds})))
    return kept[-(MAX_RUNS - 1) :]


def _new_run(builder: _Builder, record: Record) -> Iterable[_Run]:
    """Yield the run that is to be kept, nothing if it may have seen files change."""
    trace, cache = record.trace, builder.cache
    read = {path for path in trace.contents if os.path.dirname(path) not in trace.walked or look(path)}
    builder.see([trace.kinds])
    builder.rest(*cache.fresh, *cache.looked_at)
    for entry in filter(None, map(builder.entries.get, cache.looked_at)):
        read |= entry.contents
        trace.kinds.update(entry.kinds)
    if sum(len(text) for _, text in record.texts) > MAX_TEXT or not builder.holds(read, trace.kinds):
        return
    builder.rest(*read)
    builder.look(trace.kinds)
    walked = {directory: rows.joined(names, record.without) for directory, names in trace.walked.items()}
    yield cast(
        "_Run",
        {
            "contents": sorted({*cache.fresh, *cache.looked_at, *read}),
            "kinds": sorted(trace.kinds),
            "walked": walked,
            "without": sorted(record.without),
            "listings": {directory: rows.listing_at(directory) for directory in sorted(trace.listings)},
            "texts": record.texts,
            "status": record.status,
        },
    )
