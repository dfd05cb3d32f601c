"""Which files to look at: those named, and those in the directories named that nothing excludes."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lint_reduction.errors import ConfigError
from lint_reduction.source.listing import IGNORE, SUFFIXES, names_in
from lint_reduction.source.tracing import kind_at, note_content, note_walk

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: Directories that hold no code of the project.
DEFAULT_EXCLUDE = (
    ".bzr", ".direnv", ".eggs", ".git", ".hg", ".ipynb_checkpoints", ".lint_reduction_cache", ".mypy_cache",
    ".nox", ".pants.d", ".pytest_cache", ".pytype", ".ruff_cache", ".svn", ".tox", ".venv", "__pycache__",
    "__pypackages__", "_build", "buck-out", "build", "dist", "node_modules", "site-packages", "venv",
)  # fmt: skip


_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns of paths, as in a ``.gitignore``; plain names, as most are, are looked up instead of tried in turn.

    Attributes:
        names: of files and directories, anywhere.
        others: the patterns that are no plain names, or all of them where one takes another back.
    """

    names: frozenset[str]
    others: GitIgnoreSpec | None

    @classmethod
    def of(cls, lines: Iterable[str]) -> Patterns:
        """Return the patterns that some lines stand for."""
        written = tuple(lines)
        takes_back = any(line.startswith("!") for line in written)
        names = frozenset() if takes_back else frozenset(line for line in written if _NAME.fullmatch(line))
        others = tuple(line for line in written if line not in names)
        return cls(names, git_patterns(others) if others else None)

    def match(self, path: str, is_directory: bool) -> bool:
        """Say whether a relative path, or a directory that it stands in, is meant."""
        if not self.names.isdisjoint(path.split("/")):
            return True
        return self.others is not None and self.others.match_file(path + "/" * is_directory)


def git_patterns(lines: Iterable[str]) -> GitIgnoreSpec:
    """Return what matches the patterns of a ``.gitignore``; most runs need none, and the import takes its time."""
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines)


#: Says of an absolute path, and whether it is a directory, whether the settings exclude it; below a directory
#: that is excluded and was named all the same, only by the part of the path below that.
IsExcluded: TypeAlias = "Callable[[str, bool, str | None], bool]"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to look at.

    Attributes:
        path: as the user will see it.
        named: whether the user named it, so that what is wrong with it is worth a finding.
        problem: why it, or the directory it stands for, cannot be read; empty if it can.
    """

    path: Path
    named: bool
    problem: str = ""


@dataclass(slots=True)
class Ignored:
    """What the ``.gitignore`` files around and above a directory leave out."""

    respected: bool
    specs: dict[Path, GitIgnoreSpec | None] = field(default_factory=dict)

    def spec(self, directory: Path) -> GitIgnoreSpec | None:
        """Return the patterns of the ``.gitignore`` in a directory."""
        if directory not in self.specs:
            note_content(str(directory / IGNORE))
            try:
                text = (directory / IGNORE).read_text("utf-8", errors="replace")
                self.specs[directory] = git_patterns(filter(is_pattern, text.splitlines()))
            except OSError:
                self.specs[directory] = None
        return self.specs[directory]

    def above(self, directory: Path) -> list[Path]:
        """Return the directories from a directory up to the root of its repository that have patterns.

        Outside of a repository, that is at most the directory itself.
        """
        if not self.respected:
            return []
        found = []
        for parent in (directory, *directory.parents):
            if self.spec(parent) is not None:
                found.append(parent)
            kind_at(str(parent / ".git"))
            if os.path.lexists(parent / ".git"):
                return found
        return [parent for parent in found if parent == directory]

    def within(self, directory: Path, bases: list[Path]) -> list[Path]:
        """Return the directories whose patterns count in a directory, the nearest first, given those around it."""
        return [directory, *bases] if self.respected and self.spec(directory) is not None else bases

    def ignores(self, path: str, is_directory: bool, bases: list[Path]) -> bool:
        """Say whether the patterns of some directories, the nearest first, leave out a path below them."""
        for base in bases:
            spec = self.spec(base)
            if spec is not None:
                relative = os.path.relpath(path, base).replace(os.sep, "/")
                include = spec.check_file(relative + "/" * is_directory).include
                if include is not None:
                    return include
        return False


def is_pattern(line: str) -> bool:
    """Say whether git would make sense of a line of a ``.gitignore``."""
    try:
        git_patterns([line])
    except (ValueError, re.error):
        return False
    return True


def discover(
    paths: Iterable[Path],
    is_excluded: IsExcluded,
    *,
    respect_gitignore: bool = True,
    leaves_out: Callable[[str, bool], bool] | None = None,
) -> list[Candidate]:
    """Return the files to look at, sorted, each once.

    Args:
        paths: files and directories; what is named is looked at even if it is excluded or ignored.
        is_excluded: says whether the settings exclude a path.
        respect_gitignore: leave out what git ignores.
        leaves_out: says of an absolute path that is named, and whether it is a directory, whether to leave it
            out all the same.

    Raises:
        ConfigError: a path does not exist.
    """
    found: dict[str, Candidate] = {}
    ignored = Ignored(respect_gitignore)
    for path in paths:
        candidate = _named(path)
        absolute = os.path.abspath(path)  # noqa: PTH100  # resolve() would follow symbolic links
        if leaves_out is not None and leaves_out(absolute, candidate is None):
            continue
        if candidate is not None:
            found[absolute] = candidate
            continue
        for inside in _walk(path, is_excluded, ignored):
            found.setdefault(os.path.abspath(inside.path), inside)  # noqa: PTH100
    return [found[key] for key in sorted(found)]


def _named(path: Path) -> Candidate | None:
    """Return a file that the user named, None for a directory.

    Raises:
        ConfigError: there is no such path.
    """
    try:
        return None if stat.S_ISDIR(path.stat().st_mode) else Candidate(path, named=True)
    except ValueError as error:
        raise ConfigError(f"{str(path)!r}: {error}") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR) and not path.is_symlink()
        if missing or error.errno == errno.ENAMETOOLONG:
            raise ConfigError(f"{path}: {reason}") from None
        return Candidate(path, named=True, problem=reason)


def _walk(root: Path, is_excluded: IsExcluded, ignored: Ignored) -> Iterator[Candidate]:
    """Yield the Python files below a directory; symbolic links to directories are not followed."""
    absolute = Path(os.path.abspath(root))  # noqa: PTH100
    below = str(absolute) if is_excluded(str(absolute), True, None) else None
    bases = ignored.above(absolute)
    if ignored.ignores(str(absolute), True, bases):
        bases = [base for base in bases if base == absolute]
    stack: list[tuple[str, list[Path]]] = [(str(absolute), bases)]
    while stack:
        directory, bases = stack.pop()
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError as error:
            yield Candidate(
                _shown(directory, absolute, root), named=True, problem=(error.strerror or str(error)).lower()
            )
            continue
        note_walk(directory, names_in(entries))
        if directory != str(absolute) and any(entry.name == IGNORE for entry in entries):
            bases = ignored.within(Path(directory), bases)
        for entry in entries:
            is_directory = _is_directory(entry)
            if not is_directory and not entry.name.endswith(SUFFIXES):
                continue
            if is_excluded(entry.path, is_directory, below) or (
                bases and ignored.ignores(entry.path, is_directory, bases)
            ):
                continue
            if is_directory:
                stack.append((entry.path, bases))
            elif _is_file(entry):
                yield Candidate(_shown(entry.path, absolute, root), named=False)
            else:
                kind_at(entry.path)


def _shown(path: str, absolute: Path, root: Path) -> Path:
    """Return a path below a root as the user wrote the root."""
    return root / path[len(str(absolute)) :].lstrip(os.sep)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        # a symbolic link that leads to itself
        return False
