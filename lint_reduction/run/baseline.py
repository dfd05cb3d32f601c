"""Findings that a project knows and lives with: they are told apart from new ones, and count for nothing.

An entry is a rule, a file, the function and the statement that the finding is in, and how many there are of it: what
moves up or down stays known, and one more of the same does not hide behind the others.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lint_reduction.errors import ConfigError
from lint_reduction.run.report import Diagnostic, Report

#: Raised when older entries mean something else.
VERSION = 1


@dataclass(frozen=True, slots=True, order=True)
class Known:
    """What an entry is about.

    Attributes:
        path: of the file, relative to the directory of the baseline, with slashes.
        code: of the rule.
        function, statement: as in ``Context``.
    """

    path: str
    code: str
    function: str
    statement: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """The known findings of a project.

    Attributes:
        file: where they are kept.
        entries: how many there are of each.
    """

    file: Path
    entries: Mapping[Known, int]

    @classmethod
    def of(cls, file: Path, report: Report) -> Baseline:
        """Return the baseline that holds all findings of a report."""
        return cls(file, Counter(_known(file, diagnostic) for diagnostic in report.diagnostics))

    @classmethod
    def load(cls, file: Path) -> Baseline:
        """Read a baseline.

        Raises:
            ConfigError: it cannot be read, or is none.
        """
        try:
            document = json.loads(file.read_bytes())
        except OSError as error:
            raise ConfigError(f"{file}: {(error.strerror or str(error)).lower()}") from None
        except (ValueError, RecursionError):
            raise ConfigError(f"{file}: not a baseline: no JSON") from None
        try:
            if document["version"] != VERSION:
                raise ConfigError(f"{file}: a baseline of version {document['version']}, not {VERSION}; write it anew")
            return cls(file, dict(_entry(entry) for entry in document["entries"]))
        except (KeyError, TypeError, ValueError):
            raise ConfigError(f"{file}: not a baseline: an entry is none") from None

    def to_json(self) -> str:
        """Return the text of the file; sorted, so that two that hold the same are equal."""
        entries = [
            {"rule": k.code, "path": k.path, "function": k.function, "statement": k.statement, "count": count}
            for k, count in sorted(self.entries.items())
        ]
        return json.dumps({"version": VERSION, "entries": entries}, indent=1, ensure_ascii=False) + "\n"

    def apply(self, report: Report) -> tuple[Report, int]:
        """Take the known findings out of a report.

        Returns:
            The report, with the known findings apart, and how many entries stand for nothing any more. Entries of files
            that were not looked at are none of these.
        """
        left = Counter(self.entries)
        new = [d for d in report.diagnostics if not _take(left, _known(self.file, d))]
        moved = {id(d) for d in new if self._take_moved(left, _known(self.file, d))}
        new = [d for d in new if id(d) not in moved]
        kept = {id(d) for d in new}
        baselined = tuple(d for d in report.diagnostics if id(d) not in kept)
        shown = replace(report, diagnostics=tuple(new), baselined=baselined)
        looked_at = {_relative(self.file, path) for path in report.looked_at}
        return shown, sum(count for known, count in left.items() if known.path in looked_at or self._is_gone(known))

    def _take_moved(self, left: Counter[Known], known: Known) -> bool:
        """Take an entry of a file that is gone, for the same statement in another file."""
        for entry in sorted(left):
            same = (entry.code, entry.function, entry.statement) == (known.code, known.function, known.statement)
            if same and left[entry] > 0 and self._is_gone(entry):
                return _take(left, entry)
        return False

    def _is_gone(self, known: Known) -> bool:
        return not (self.file.absolute().parent / known.path).exists()


def _take(left: Counter[Known], known: Known) -> bool:
    if left[known] <= 0:
        return False
    left[known] -= 1
    return True


def _known(file: Path, diagnostic: Diagnostic) -> Known:
    context = diagnostic.context
    path = _relative(file, diagnostic.absolute)
    return Known(path, diagnostic.finding.code, context.function, context.statement)


def _relative(file: Path, absolute: str) -> str:
    return os.path.relpath(absolute, file.absolute().parent).replace(os.sep, "/")


def _entry(entry: Mapping[str, object]) -> tuple[Known, int]:
    texts = [entry[key] for key in ("path", "rule", "function", "statement")]
    count = entry["count"]
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ValueError("a count is none")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is none")
    return Known(*map(str, texts)), count
