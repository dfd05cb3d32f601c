"""Which files to look at: those named, and those in the directories named that nothing excludes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

from lint_reduction.errors import ConfigError

#: Directories that hold no code of the project.
DEFAULT_EXCLUDE = (
    ".bzr", ".direnv", ".eggs", ".git", ".hg", ".ipynb_checkpoints", ".lint_reduction_cache", ".mypy_cache",
    ".nox", ".pants.d", ".pytest_cache", ".pytype", ".ruff_cache", ".svn", ".tox", ".venv", "__pycache__",
    "__pypackages__", "_build", "buck-out", "build", "dist", "node_modules", "site-packages", "venv",
)  # fmt: skip


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
            try:
                lines = (directory / ".gitignore").read_text("utf-8", errors="replace").splitlines()
                self.specs[directory] = GitIgnoreSpec.from_lines(lines)
            except OSError:
                self.specs[directory] = None
        return self.specs[directory]

    def above(self, directory: Path) -> list[Path]:
        """Return the directories from a directory up to the root of its repository that have patterns."""
        if not self.respected:
            return []
        found = []
        for parent in (directory, *directory.parents):
            if self.spec(parent) is not None:
                found.append(parent)
            if (parent / ".git").exists():
                return found
        return []

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


def discover(
    paths: Iterable[Path],
    is_excluded: Callable[[str, bool], bool],
    *,
    respect_gitignore: bool = True,
    force_exclude: bool = False,
) -> list[Candidate]:
    """Return the files to look at, sorted, each once.

    Args:
        paths: files and directories; a file that is named is looked at even if it is excluded.
        is_excluded: says of an absolute path, and whether it is a directory, whether the settings exclude it.
        respect_gitignore: leave out what git ignores.
        force_exclude: leave out excluded files even if they are named.

    Raises:
        ConfigError: a path does not exist.
    """
    found: dict[str, Candidate] = {}
    ignored = Ignored(respect_gitignore)
    for path in paths:
        if path.is_dir():
            for candidate in _walk(path, is_excluded, ignored):
                found.setdefault(os.path.abspath(candidate.path), candidate)  # noqa: PTH100
        elif path.exists() or path.is_symlink():
            absolute = os.path.abspath(path)  # noqa: PTH100  # resolve() would follow symbolic links
            if not (force_exclude and _named_excluded(absolute, is_excluded)):
                found[absolute] = Candidate(path, named=True)
        else:
            raise ConfigError(f"{path}: no such file or directory")
    return [found[key] for key in sorted(found)]


def _named_excluded(path: str, is_excluded: Callable[[str, bool], bool]) -> bool:
    parents = Path(path).parents
    return is_excluded(path, False) or any(is_excluded(str(parent), True) for parent in parents)


def _walk(root: Path, is_excluded: Callable[[str, bool], bool], ignored: Ignored) -> Iterator[Candidate]:
    """Yield the Python files below a directory; symbolic links to directories are not followed."""
    absolute = Path(os.path.abspath(root))  # noqa: PTH100
    stack: list[tuple[str, list[Path]]] = [(str(absolute), ignored.above(absolute))]
    while stack:
        directory, bases = stack.pop()
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError as error:
            yield Candidate(
                _shown(directory, absolute, root), named=True, problem=(error.strerror or str(error)).lower()
            )
            continue
        if ignored.respected and directory != str(absolute) and ignored.spec(Path(directory)) is not None:
            bases = [Path(directory), *bases]
        for entry in entries:
            is_directory = _is_directory(entry)
            if not is_directory and not entry.name.endswith(".py"):
                continue
            if is_excluded(entry.path, is_directory) or (bases and ignored.ignores(entry.path, is_directory, bases)):
                continue
            if is_directory:
                stack.append((entry.path, bases))
            elif _is_file(entry):
                yield Candidate(_shown(entry.path, absolute, root), named=False)


def _shown(path: str, absolute: Path, root: Path) -> Path:
    """Return a path below a root as the user wrote the root."""
    return root / os.path.relpath(path, absolute)


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
