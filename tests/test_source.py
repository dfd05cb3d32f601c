"""What is on disk: which files are looked at, how they are read, and which are known to hold nothing."""

from __future__ import annotations

import ast
import errno
import functools
import itertools
import os
import random
import re
import tokenize
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from lint_reduction.config import Settings
from lint_reduction.errors import ConfigError, SourceError
from lint_reduction.finding import Confidence
from lint_reduction.libraries import load_libraries
from lint_reduction.run.pipeline import Contexts, Overrides, lint_alone, lint_candidate, lint_text, make_context
from lint_reduction.source.discover import DEFAULT_EXCLUDE, Candidate, Patterns, discover
from lint_reduction.source.file import MAX_BYTES, decode, is_ascii_superset, read_bytes
from tests.command import CLEAN, ERROR, run
from tests.fixture_files import FIXTURES

EVERYTHING = make_context(Settings(), Overrides(select=("ALL",), min_confidence=Confidence.LOW))
DEFAULT = make_context(Settings(), Overrides())


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(root: Path, *names: str, text: str = "") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def ignore(root: Path, name: str, *patterns: str) -> None:
    touch(root, name, text="\n".join(patterns) + "\n")


def files(*paths: str, force_exclude: bool = False, isolated: bool = True) -> list[str]:
    """Return the paths of the files that are looked at."""
    contexts = Contexts(Overrides(isolated=isolated))
    leaves_out = contexts.leaves_out if force_exclude else None
    found = discover([Path(path) for path in paths or (".",)], contexts.excludes, leaves_out=leaves_out)
    return [candidate.path.as_posix() for candidate in found if not candidate.problem]


def _nothing_is_excluded(path: str, is_directory: bool, below: str | None) -> bool:
    return False


def problems(*paths: str) -> list[tuple[str, str]]:
    found = discover([Path(path) for path in paths or (".",)], _nothing_is_excluded)
    return [(candidate.path.as_posix(), candidate.problem) for candidate in found if candidate.problem]


# Discovery.


def test_python_files_of_a_directory_are_found_sorted_and_once(root: Path) -> None:
    touch(root, "b.py", "a.py", "sub/c.py", "sub/deep/d.py", "x.pyc", "x.txt", "py", "sub/Makefile", "z.PY")
    wanted = ["a.py", "b.py", "sub/c.py", "sub/deep/d.py"]
    assert files() == wanted
    assert files(".", "sub", "sub/deep", "a.py", "a.py") == wanted
    assert files("sub/deep", "b.py", "sub", "a.py") == wanted
    assert files("sub") == ["sub/c.py", "sub/deep/d.py"]


def test_paths_are_shown_as_they_were_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(root, "sub/a.py", "..b.py")
    assert files("./sub") == ["sub/a.py"]
    assert files(str(root / "sub")) == [f"{root}/sub/a.py"]
    monkeypatch.chdir(root / "sub")
    assert files("..") == ["../..b.py", "../sub/a.py"]


def test_paths_in_reports_are_relative_below_the_current_directory_and_absolute_elsewhere(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(root, "sub/a.py", "..b.py", text=ERROR)
    out = run(root, "--output-format", "concise").out
    assert [line.partition(":")[0] for line in out.splitlines()[:-1]] == ["..b.py", "sub/a.py"]
    monkeypatch.chdir(root / "sub")
    out = run("..", "--output-format", "concise").out
    assert [line.partition(":")[0] for line in out.splitlines()[:-1]] == [f"{root}/..b.py", "a.py"]


def test_a_file_that_is_named_is_looked_at_whatever_it_is_called(root: Path) -> None:
    touch(root, "script", "build/a.py", "x.txt", "ignored.py")
    ignore(root, ".gitignore", "ignored.py")
    assert files("script", "build/a.py", "x.txt", "ignored.py") == ["build/a.py", "ignored.py", "script", "x.txt"]
    assert files(".") == []


def test_a_file_that_is_named_is_named_wherever_else_it_is_found(root: Path) -> None:
    touch(root, "a.py", "b.py")
    for paths in ((".", "a.py"), ("a.py", ".")):
        found = discover(map(Path, paths), _nothing_is_excluded)
        assert [(str(c.path), c.named) for c in found] == [("a.py", True), ("b.py", False)]


@pytest.mark.parametrize("name", DEFAULT_EXCLUDE)
def test_directories_without_code_of_the_project_are_left_out(root: Path, name: str) -> None:
    touch(root, f"{name}/a.py", f"sub/{name}/a.py", f"{name}s.py", f"sub{name}/a.py", f"sub/{name}.py")
    assert files() == sorted([f"{name}s.py", f"sub/{name}.py", f"sub{name}/a.py"])
    assert files(f"sub{name}", "sub") == sorted([f"sub/{name}.py", f"sub{name}/a.py"])
    assert files(f"{name}/a.py") == [f"{name}/a.py"]


def test_a_directory_that_is_named_is_looked_at_even_if_it_is_excluded_or_ignored(root: Path) -> None:
    (root / ".git").mkdir()
    touch(root, "build/a.py", "build/lib/b.py", "build/dist/c.py", "out/a.py", "out/deep/b.py", "out/deep/gen/c.py")
    ignore(root, ".gitignore", "out/")
    ignore(root, "out/deep/.gitignore", "gen")
    assert files() == []
    assert files("build") == ["build/a.py", "build/lib/b.py"]
    assert files("build/lib") == ["build/lib/b.py"]
    assert files("out") == ["out/a.py", "out/deep/b.py"]
    assert files("out/deep") == ["out/deep/b.py"]
    assert files("build", "out", force_exclude=True) == ["out/a.py", "out/deep/b.py"]
    assert files(".", "build/lib") == ["build/lib/b.py"]


@pytest.mark.parametrize(
    "patterns", [["build", "a.b-c"], ["build", "*.py"], ["build", "!x/build"], ["/build"], ["build/"], []]
)
def test_names_are_looked_up_as_patterns_are_tried(patterns: list[str]) -> None:
    spec = GitIgnoreSpec.from_lines(patterns)
    parts = ["build", "builds", "a.b-c", "x", "y.py", "Build"]
    for path in (Path(*chosen) for length in (1, 2, 3) for chosen in itertools.product(parts, repeat=length)):
        for is_directory in (True, False):
            wanted = spec.match_file(path.as_posix() + "/" * is_directory)
            assert Patterns.of(patterns).match(path.as_posix(), is_directory) is wanted


def test_files_that_are_named_are_excluded_only_if_that_is_forced(root: Path) -> None:
    touch(root, "build/deep/a.py", "a.py", "gen/b.py")
    touch(root, "lint-reduction.toml", text='extend-exclude = ["/gen/*.py"]')
    named = ("build/deep/a.py", "a.py", "gen/b.py")
    assert files(*named, isolated=False) == ["a.py", "build/deep/a.py", "gen/b.py"]
    assert files(*named, force_exclude=True, isolated=False) == ["a.py"]


def test_a_project_below_a_directory_that_is_called_like_an_excluded_one_is_looked_at(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = root / "build" / "venv" / "project"
    touch(project, "a.py", "lib/b.py", "lint-reduction.toml")
    touch(root, "lint-reduction.toml", text='exclude = ["project"]')
    monkeypatch.chdir(project)
    for isolated in (False, True):
        assert files(isolated=isolated) == ["a.py", "lib/b.py"]
        assert files("a.py", "lib/b.py", force_exclude=True, isolated=isolated) == ["a.py", "lib/b.py"]
    monkeypatch.chdir(root)
    assert files("build/venv/project/a.py", force_exclude=True, isolated=False) == ["build/venv/project/a.py"]


def test_force_exclude_holds_for_standard_input(root: Path) -> None:
    arguments = ("-", "--output-format", "concise", "--stdin-filename")
    assert run(*arguments, "build/a.py", stdin=ERROR.encode()).code == 1
    assert run(*arguments, "build/a.py", "--force-exclude", stdin=ERROR.encode()).code == 0
    assert run(*arguments, "a.py", "--force-exclude", stdin=ERROR.encode()).code == 1


# .gitignore.


def test_what_git_ignores_is_left_out(root: Path) -> None:
    (root / ".git").mkdir()
    touch(
        root, "a.py", "gen.py", "sub/gen.py", "sub/a.py", "out/a.py", "sub/out/a.py", "only/here.py", "sub/only/here.py"
    )
    ignore(root, ".gitignore", "# generated", "gen.py", "out/", "/only", "")
    assert files() == ["a.py", "sub/a.py", "sub/only/here.py"]
    assert files("sub") == ["sub/a.py", "sub/only/here.py"]


def test_patterns_of_the_repository_above_count(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".git").mkdir()
    touch(root, "sub/deep/a.py", "sub/deep/gen.py", "sub/deep/out.py")
    ignore(root, ".gitignore", "gen.py")
    ignore(root, "sub/.gitignore", "deep/out.py")
    assert files("sub/deep") == ["sub/deep/a.py"]
    monkeypatch.chdir(root / "sub" / "deep")
    assert files() == ["a.py"]


def test_patterns_above_the_repository_do_not_count(root: Path) -> None:
    ignore(root, ".gitignore", "*.py")
    touch(root, "repository/a.py")
    (root / "repository" / ".git").mkdir()
    assert files("repository") == ["repository/a.py"]


@pytest.mark.parametrize("is_repository", [True, False])
def test_nested_patterns_and_those_of_the_directory_itself_count(root: Path, is_repository: bool) -> None:
    if is_repository:
        (root / ".git").mkdir()
    touch(root, "a.py", "gen.py", "sub/a.py", "sub/gen.py", "sub/other.py", "sub/deep/other.py", "sub/deep/a.py")
    ignore(root, ".gitignore", "gen.py")
    ignore(root, "sub/.gitignore", "/other.py")
    assert files() == ["a.py", "sub/a.py", "sub/deep/a.py", "sub/deep/other.py"]


def test_a_worktree_has_a_file_instead_of_the_directory_of_git(root: Path) -> None:
    touch(root, ".git", text="gitdir: elsewhere\n")
    touch(root, "sub/a.py", "sub/gen.py")
    ignore(root, ".gitignore", "gen.py")
    assert files("sub") == ["sub/a.py"]


def test_a_later_pattern_and_a_nearer_file_may_take_back(root: Path) -> None:
    (root / ".git").mkdir()
    touch(root, "a.py", "keep.py", "sub/a.py", "sub/keep.py", "sub/back.py", "sub/deep/back.py", "sub/deep/keep.py")
    ignore(root, ".gitignore", "*.py", "!keep.py")
    ignore(root, "sub/.gitignore", "!back.py")
    ignore(root, "sub/deep/.gitignore", "keep.py")
    assert files() == ["keep.py", "sub/back.py", "sub/deep/back.py", "sub/keep.py"]


def test_nothing_is_taken_back_below_a_directory_that_is_ignored(root: Path) -> None:
    (root / ".git").mkdir()
    touch(root, "out/keep.py", "kept/keep.py", "kept/other.py")
    ignore(root, ".gitignore", "out/", "kept/*", "!keep.py", "!out/keep.py")
    ignore(root, "out/.gitignore", "!keep.py")
    assert files() == ["kept/keep.py"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("**/gen", ["a.py", "src/a.py"]),
        ("src/**/gen", ["a.py", "gen/a.py", "src/a.py"]),
        ("src/**", ["a.py", "gen/a.py"]),
        ("g?n", ["a.py", "src/a.py"]),
        ("[fg]en/", ["a.py", "src/a.py"]),
        ("gen/a.py", ["a.py", "src/a.py", "src/deep/gen/a.py", "src/gen/a.py"]),
        ("\\#a.py", ["a.py", "gen/a.py", "src/a.py", "src/deep/gen/a.py", "src/gen/a.py"]),
        ("a.py   ", []),
    ],
)
def test_patterns_are_those_of_git(root: Path, pattern: str, left: list[str]) -> None:
    touch(root, "a.py", "gen/a.py", "src/a.py", "src/gen/a.py", "src/deep/gen/a.py")
    ignore(root, ".gitignore", pattern)
    assert files() == left


@pytest.mark.parametrize("pattern", ["!", "\\", "a\\", "[z-a]", "[", "//", "/", "***", "!!", "\ufeff", "\0"])
def test_a_pattern_that_git_makes_no_sense_of_is_passed_over(root: Path, pattern: str) -> None:
    touch(root, "a.py", "gen.py")
    ignore(root, ".gitignore", pattern, "gen.py")
    assert "gen.py" not in files()


def test_patterns_in_any_encoding_and_with_any_line_ending(root: Path) -> None:
    touch(root, "a.py", "gen.py", "out.py")
    (root / ".gitignore").write_bytes(b"caf\xe9\r\ngen.py\r\nout.py")
    assert files() == ["a.py"]


def test_git_is_not_asked_on_request(root: Path) -> None:
    touch(root, "gen.py", "sub/out.py", text=ERROR)
    ignore(root, ".gitignore", "gen.py")
    ignore(root, "sub/.gitignore", "*")
    assert run(".").code == 0
    touch(root, "lint-reduction.toml", text="respect-gitignore = false")
    assert run(".", "--statistics").out.startswith("2  RED101")


# Things that are no ordinary files.


@pytest.mark.parametrize("name", ["nowhere", "nowhere.py", "a.py/b.py", "x" * 5000, "nul\0byte"])
def test_a_path_that_does_not_exist_is_an_error(root: Path, name: str) -> None:
    touch(root, "a.py")
    with pytest.raises(ConfigError, match=r"(no such file or directory|not a directory|too long|null byte)"):
        files("a.py", name)


def test_a_directory_that_is_called_like_a_file_is_a_directory(root: Path) -> None:
    touch(root, "pkg.py/a.py", text=ERROR)
    assert files() == files("pkg.py") == ["pkg.py/a.py"]
    assert run(".").code == 1


def test_links_to_directories_are_not_followed_and_loops_do_no_harm(root: Path) -> None:
    touch(root, "real/a.py", text=ERROR)
    (root / "real" / "up").symlink_to(root)
    (root / "real" / "itself").symlink_to(root / "real" / "itself")
    (root / "real" / "x.py").symlink_to(root / "real" / "x.py")
    (root / "link").symlink_to(root / "real")
    assert files() == ["real/a.py"]
    assert files("link") == ["link/a.py"]
    assert files("link", "real") == ["link/a.py", "real/a.py"]
    assert run(".", "--statistics").out == "1  RED101  unscaled-sum\n"


def test_links_to_files_are_followed_and_those_to_nowhere_passed_over(root: Path) -> None:
    touch(root, "elsewhere/real", text=ERROR)
    (root / "src").mkdir()
    (root / "src" / "a.py").symlink_to("../elsewhere/real")
    (root / "src" / "b.py").symlink_to("nowhere.py")
    assert files("src") == ["src/a.py"]
    assert run("src").code == 1


def test_a_link_that_is_named_and_leads_nowhere_cannot_be_read(root: Path) -> None:
    (root / "nowhere.py").symlink_to("missing.py")
    (root / "loop.py").symlink_to("loop.py")
    ran = run("nowhere.py", "loop.py", "--output-format", "concise")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "loop.py:1:1: RED000 too many levels of symbolic links",
        "nowhere.py:1:1: RED000 no such file or directory",
        "Found 2 errors.",
    ]


def test_a_pipe_is_never_opened(root: Path) -> None:
    os.mkfifo(root / "pipe.py")
    touch(root, "a.py", text=ERROR)
    assert files() == ["a.py"]
    ran = run(".", "pipe.py", "--output-format", "concise")
    assert ran.code == 1
    assert "pipe.py:1:1: RED000 not a regular file" in ran.out
    assert "a.py:7:17: RED101" in ran.out


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.ENAMETOOLONG])
def test_a_directory_that_cannot_be_listed_is_reported_and_the_rest_goes_on(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    touch(root, "a.py", "closed/b.py", text=ERROR)
    listed = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if os.fspath(path).endswith("closed"):
            raise OSError(error, os.strerror(error), path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    reason = os.strerror(error).lower()
    assert problems() == problems("closed", ".") == [("closed", reason)]
    ran = run(".", "--output-format", "concise")
    assert ran.code == 1
    assert f"closed:1:1: RED000 {reason}" in ran.out
    assert "a.py:7:17: RED101" in ran.out


def test_a_file_that_may_not_be_read_is_reported_and_the_rest_goes_on(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(root, "a.py", "closed.py", text=ERROR)
    opened = os.open

    def refuse(path: str | Path, *arguments: int) -> int:
        if os.fspath(path).endswith("closed.py"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    for path in (".", "closed.py"):
        ran = run(path, "a.py", "--output-format", "concise")
        assert ran.code == 1
        assert "closed.py:1:1: RED000 permission denied" in ran.out
        assert "a.py:7:17: RED101" in ran.out


def test_a_file_in_a_directory_that_may_not_be_searched_is_reported(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(root, "closed/a.py")
    stat = Path.stat

    def refuse(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if self.name == "a.py":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return stat(self, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refuse)
    assert problems("closed/a.py") == [("closed/a.py", "permission denied")]
    ran = run("closed/a.py", "--output-format", "concise")
    assert (ran.code, ran.err) == (1, "")
    assert "closed/a.py:1:1: RED000 permission denied" in ran.out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permissions_on_disk(root: Path) -> None:
    touch(root, "a.py", "closed.py", "shut/b.py", "blind/c.py", text=ERROR)
    (root / "closed.py").chmod(0)
    (root / "shut").chmod(0)
    (root / "blind").chmod(0o600)
    try:
        ran = run(".", "shut/b.py", "--output-format", "concise")
    finally:
        for name in ("closed.py", "shut", "blind"):
            (root / name).chmod(0o700)
    assert (ran.code, ran.err) == (1, "")
    for line in ("closed.py:1:1: RED000 permission denied", "shut:1:1: RED000 permission denied", "a.py:7:17: RED101"):
        assert line in ran.out


def test_a_file_that_vanishes_while_the_run_goes_on_is_reported(root: Path) -> None:
    gone = lint_candidate(Candidate(Path("gone.py"), named=False), Contexts(Overrides(isolated=True)), root)
    assert [(f.code, f.message) for f in gone.findings] == [("RED000", "no such file or directory")]
    assert gone.unparsed


def test_a_file_that_grows_or_shrinks_while_it_is_read_is_read_to_its_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.py").write_bytes(b"x = 1\n" * 1000)

    class Size:
        def __init__(self, size: int) -> None:
            self.st_size = size

    for size in (0, 1, 5999, 6000, 6001, 99999):
        monkeypatch.setattr(os, "fstat", lambda descriptor, size=size: Size(size))
        assert read_bytes(root / "a.py") == b"x = 1\n" * 1000


@pytest.mark.parametrize("name", ["with space.py", "ünïcode.py", "日本.py", "quote'\".py", "-dash.py", "semi;colon.py"])
def test_odd_names(root: Path, name: str) -> None:
    touch(root, name, text=ERROR)
    assert files() == [name]
    assert run(".", "--output-format", "concise").out.startswith(f"{name}:7:17: RED101")


def test_a_name_that_is_no_text(root: Path) -> None:
    path = os.fsencode(root) + b"/caf\xe9.py"
    try:
        Path(os.fsdecode(path)).write_text(ERROR)
    except OSError:
        pytest.skip("this file system takes only names that are text")
    for output_format in ("concise", "full", "json"):
        ran = run(".", "--output-format", output_format)
        assert (ran.code, ran.err) == (1, "")
        assert "caf?.py" in ran.out


# Encodings, line endings, columns.

ACCENTED = ERROR.replace('"sum"', '"sum", **{"é": "ü"}').replace(', **{"é": "ü"})', ")  # é ü")
assert "é" in ACCENTED


def place(data: bytes) -> list[tuple[str, int, int]]:
    """Return code, line and column of what is found in a file with a content."""
    result = lint_alone(data, "x.py", "/x.py", DEFAULT)[0]
    assert not result.crash
    return [(f.code, f.span.line, f.span.column) for f in result.findings]


@pytest.mark.parametrize(
    ("head", "encoding", "line"),
    [
        ("", "utf-8", 7),
        ("# -*- coding: utf-8 -*-\n", "utf-8", 8),
        ("# -*- coding: latin-1 -*-\n", "latin-1", 8),
        ("# vim: set fileencoding=iso-8859-15 :\n", "iso-8859-15", 8),
        ("#!/usr/bin/env python\n# coding=cp1252\n", "cp1252", 9),
        ("\n# coding: koi8-r\n", "koi8-r", 9),
        ("# coding: shift_jis\n", "shift_jis", 8),
        ("# coding: euc-jp\n", "euc-jp", 8),
        ("", "utf-8-sig", 7),
        ("# coding: utf-8\n", "utf-8-sig", 8),
        ("# coding: utf-7\n", "utf-7", 8),
    ],
)
def test_encodings(head: str, encoding: str, line: int) -> None:
    text = ACCENTED.replace("é ü", "ж я") if encoding in ("koi8-r", "shift_jis", "euc-jp") else ACCENTED
    assert place((head + text).encode(encoding)) == [("RED101", line, 17)]


@pytest.mark.parametrize(
    ("data", "message", "line"),
    [
        (b"x = '\xff'\n" + ERROR.encode(), "not valid utf-8", 1),
        (ERROR.encode() + b"x = '\xff'\n", "not valid utf-8: byte 0xff", 14),
        (b"# coding: ascii\n" + ACCENTED.encode(), "not valid ascii: byte 0xc3", 8),
        (b"# coding: cp1252\nx = '\x81'\n" + ERROR.encode(), "not valid cp1252: byte 0x81", 2),
        (b"# coding: nonesuch\n" + ERROR.encode(), "unknown encoding: nonesuch", 1),
        (b"# coding: rot13\n" + ERROR.encode(), "cannot be decoded as rot13", 1),
        (b"# coding: hex\n" + ERROR.encode(), "cannot be decoded as hex", 1),
        (b"# coding: utf-16\n" + ERROR.encode(), "cannot be decoded as utf-16", 1),
        (b"# coding: utf-32\n" + ERROR.encode(), "cannot be decoded as utf-32", 1),
        (b"# coding: cp037\n" + ERROR.encode(), "cannot be decoded as cp037", 1),
        (ERROR.encode("utf-16"), "binary: contains null bytes", 1),
        (ERROR.encode("utf-32"), "binary: contains null bytes", 1),
        (ERROR.encode() + b"\0", "binary: contains null bytes", 1),
        (b"\x7fELF\x02\x01\x01" + bytes(range(256)), "binary: contains null bytes", 1),
        (b"\xef\xbb\xbf# coding: latin-1\n" + ERROR.encode(), "has a byte order mark and declares another", 1),
    ],
)
def test_what_cannot_be_decoded_is_said_to_be_so(data: bytes, message: str, line: int) -> None:
    result = lint_alone(data, "x.py", "/x.py", DEFAULT)[0]
    (finding,) = result.findings
    assert (finding.code, finding.span.line) == ("RED000", line)
    assert finding.message.startswith(message)
    assert "\n" not in finding.message
    assert result.unparsed


@pytest.mark.parametrize("data", [b"", b"\n", b"# nothing\n", b"\xef\xbb\xbf", b"\x0c", b" ", b"\r\n", b"\r"])
def test_files_without_a_statement_are_fine(data: bytes) -> None:
    for named in (True, False):
        assert lint_alone(data, "x.py", "/x.py", DEFAULT, named=named)[0].findings == ()
    assert place(data + b"# lint-reduction:\n") == []


@pytest.mark.parametrize("newline", ["\r\n", "\r", "\n"])
def test_line_endings(newline: str) -> None:
    assert place(ERROR.replace("\n", newline).encode()) == [("RED101", 7, 17)]
    assert place(ERROR.rstrip("\n").replace("\n", newline).encode()) == [("RED101", 7, 17)]
    out = run("-", stdin=ERROR.replace("\n", newline).encode()).out
    assert '7 |     criterion = nn.MSELoss(reduction="sum")\n' in out
    assert "\r" not in out


def test_mixed_line_endings() -> None:
    lines = ERROR.split("\n")
    mixed = "".join(line + random.Random(index).choice(["\n", "\r\n", "\r"]) for index, line in enumerate(lines))
    assert len({"\r\n" in mixed, "\n" in mixed.replace("\r\n", ""), "\r" in mixed.replace("\r\n", "")}) == 1
    assert place(mixed.encode()) == [("RED101", 7, 17)]


def test_form_feeds_between_statements_count_for_no_line() -> None:
    pages = ERROR.replace("\n\n\ndef", "\n\x0c\n\ndef").replace("    optimizer =", "\x0c\n    optimizer =")
    assert pages.count("\x0c") == 2
    assert place(pages.encode()) == [("RED101", 7, 17)]


def test_an_empty_line_that_goes_on_behind_a_backslash_counts_for_two() -> None:
    text = ERROR.replace("\n\n\ndef", "\n \\\n\n\ndef")
    assert text.count("\n") == ERROR.count("\n") + 1
    assert place(text.encode()) == [("RED101", 8, 17)]


def test_characters_that_only_look_like_line_ends_count_for_no_line() -> None:
    text = ERROR.replace("import torch\n", "import torch; s = '\x0b\x1c\x1d\x1e\x85\u2028\u2029'\n", 1)
    assert place(text.encode()) == [("RED101", 7, 17)]
    out = run("-", stdin=text.encode()).out
    assert '7 |     criterion = nn.MSELoss(reduction="sum")\n' in out


@pytest.mark.parametrize(
    ("before", "column"),
    [
        ("", 17),
        ("e = 'é'; ", 26),
        ("e = 'e\u0301'; ", 27),
        ("e = '日本'; ", 27),
        ("e = '🎉'; ", 26),
        ("e = '\t'; ", 26),
    ],
)
def test_columns_count_characters(before: str, column: int) -> None:
    data = ERROR.replace("    criterion", f"    {before}criterion").encode()
    assert place(data) == [("RED101", 7, column)]
    source, marks = run("-", stdin=data).out.splitlines()[3:5]
    # the mark stands under the call, on a terminal that gives two columns to a wide character and none to an accent
    wide, accents = sum(map(source.count, "日本🎉")), source.count("\u0301")
    assert marks.index("^") == source.index("nn.MSELoss") + wide - accents
    assert marks.count("^") == len('nn.MSELoss(reduction="sum")')


def test_tabs_count_for_one_column_and_are_shown_as_four() -> None:
    data = ERROR.replace("    ", "\t").encode()
    assert place(data) == [("RED101", 7, 14)]
    source, marks = run("-", stdin=data).out.splitlines()[3:5]
    assert marks.index("^") == source.index("nn.MSELoss")
    assert "\t" not in source


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (b"", True),
        (b"x = 1\n", True),
        (b"# coding: latin-1\n", True),
        (b"#!/usr/bin/python\n# coding: cp1252\n", True),
        (b"#" * 1000 + b"\n# coding: utf-16\n", False),
        (b"# coding: utf-16\n", False),
        (b"# coding: utf-7\n", False),
        (b"# coding: cp037\n", False),
        (b"# coding: unicode_escape\n", False),
        (b"# coding: nonesuch\n", False),
        (b"# coding: punycode\n", False),
        (b"# coding: undefined\n", False),
        (b"x = 1\n\n# coding: utf-16\n", True),
    ],
)
def test_the_prefilter_looks_only_at_bytes_that_are_characters(head: bytes, answer: bool) -> None:
    assert is_ascii_superset(head + b"import torch\n") is answer


def test_a_file_that_is_too_large_is_not_parsed_if_it_may_hold_a_loss() -> None:
    large = CLEAN.encode() + b"x = 1\n" * (MAX_BYTES // 6)
    (finding,) = lint_alone(large, "x.py", "/x.py", DEFAULT)[0].findings
    assert finding.message == "too large to be analyzed: 2.0 MB, the limit is 2 MB"


def test_reading_is_decoding_as_python_does() -> None:
    for path in sorted(FIXTURES.rglob("*.py"))[:40]:
        with tokenize.open(path) as file:
            assert decode(read_bytes(path)).replace("\r\n", "\n") == file.read()


def test_a_directory_and_a_missing_file_cannot_be_read(root: Path) -> None:
    for path in (root, root / "missing"):
        with pytest.raises(SourceError, match=r"^(not a regular file|no such file or directory)$"):
            read_bytes(path)


# The prefilter: whatever it drops, no rule could find anything in.


def tokens(text: str, change: Callable[[tokenize.TokenInfo], str]) -> str:
    """Return a text with its tokens changed, and everything between them as it was."""
    lines = text.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(StringIO(text).readline))):
        (row, start), (end_row, end) = token.start, token.end
        if row == end_row and token.type == tokenize.NAME:
            lines[row - 1] = lines[row - 1][:start] + change(token) + lines[row - 1][end:]
    return "".join(lines)


MODULES = {"nn": "layers", "F": "functions", "pl": "lit", "optim": "opt", "torch": "t"}


def renamed_modules(text: str) -> str:
    """Return a program that imports its modules under other names."""

    def renamed(token: tokenize.TokenInfo) -> str:
        line, before = token.line.lstrip(), token.line[: token.start[1]].rstrip()
        if token.string not in MODULES or before.endswith("."):
            return token.string
        if line.startswith(("import", "from")):
            bound = before.endswith(("import", ",", " as")) and token.line[token.end[1] : token.end[1] + 1] not in ". "
            if not bound or before == "from":
                return token.string
            return MODULES[token.string] if before.endswith(" as") else f"{token.string} as {MODULES[token.string]}"
        return MODULES[token.string]

    text = tokens(text, renamed)
    # what is used as torch.something needs the name of the package itself
    return _with_imports(text, ["import torch as t"])


def renamed_losses(text: str) -> str:
    """Return a program that imports each loss, and each function of torch, under another name."""
    losses = sorted(load_libraries().loss_names())
    pattern = re.compile(rf"\b(?:torch\.)?nn\.({'|'.join(losses)})\b")
    functions = re.compile(rf"\b(?:F|torch\.nn\.functional)\.({'|'.join(losses)})\b")
    classes = set(pattern.findall(text))
    called = set(functions.findall(text))
    imports = [f"from torch.nn import {name} as c_{i}" for i, name in enumerate(sorted(classes))]
    imports += [f"from torch.nn.functional import {name} as f_{i}" for i, name in enumerate(sorted(called))]
    text = pattern.sub(lambda match: f"c_{sorted(classes).index(match[1])}", text)
    text = functions.sub(lambda match: f"f_{sorted(called).index(match[1])}", text)
    return _with_imports(text, imports)


def _with_imports(text: str, imports: list[str]) -> str:
    lines = text.splitlines(keepends=True)
    at = max(
        (s.end_lineno or 0 for s in ast.parse(text).body if isinstance(s, (ast.Import, ast.ImportFrom))), default=0
    )
    return "".join([*lines[:at], *(f"{line}\n" for line in imports), *lines[at:]])


def starred(text: str) -> str:
    """Return a program that imports everything there is in torch.nn."""
    return _with_imports(re.sub(r"(?<![.\w])nn\.([A-Z]\w+)", r"\1", text), ["from torch.nn import *"])


def as_it_is(text: str) -> str:
    return text


@functools.cache
def codes_in(path: Path) -> list[str]:
    """Return the codes of what is found in a file when the prefilter is not asked."""
    return sorted(finding.code for finding in lint_text(path.read_text(), "x.py", "/x.py", EVERYTHING).findings)


@pytest.mark.parametrize("change", [as_it_is, renamed_modules, renamed_losses, starred])
def test_the_prefilter_keeps_every_file_in_which_something_is_found(change: Callable[[str], str]) -> None:
    changed = kept = 0
    for path in sorted(FIXTURES.rglob("*.py")):
        before = path.read_text()
        text = change(before)
        ast.parse(text)
        filtered = lint_alone(text.encode(), "x.py", "/x.py", EVERYTHING, named=False)[0]
        assert not filtered.crash
        assert sorted(finding.code for finding in filtered.findings) == codes_in(path), path
        changed += text != before
        kept += bool(filtered.findings)
    assert kept > 40
    assert change is as_it_is or changed > 20


@pytest.mark.parametrize(
    "program",
    [
        "from lightning import LightningModule\n\n\nclass A(LightningModule):\n    def training_step(self, batch, i):\n"
        "        x, y = batch\n        return (self(x) - y).pow(2).sum()\n",
        "from base import Base\n\n\nclass A(Base):\n    def training_step(self, batch, i):\n"
        "        x, y = batch\n        return (self(x) - y).pow(2).sum()\n",
        "from transformers import Trainer\n\n\nclass T(Trainer):\n    def compute_loss(self, model, inputs):\n"
        "        return (model(inputs.x) - inputs.y).pow(2).sum()\n",
        "from accelerate import Accelerator\n\naccelerator = Accelerator()\n\n\ndef train(model, loader, opt):\n"
        "    for x, y in loader:\n        accelerator.backward((model(x) - y).pow(2).sum())\n        opt.step()\n",
        "from fastai.vision.all import *\n\nlearn = Learner(dls, model, loss_func=lambda a, b: ((a - b) ** 2).sum())\n",
        "from torch.autograd import grad\n\n\ndef train(model, loader):\n    for x, y in loader:\n"
        "        for p, g in zip(model.parameters(), grad((model(x) - y).pow(2).sum(), model.parameters())):\n"
        "            p.data -= 0.1 * g\n",
        "import torch.autograd as ag\n\n\ndef train(model, loader):\n    for x, y in loader:\n"
        "        for p, g in zip(model.parameters(), ag.grad((model(x) - y).pow(2).sum(), model.parameters())):\n"
        "            p.data -= 0.1 * g\n",
        "from torch import nn\n\n\ndef train(model, loader, opt):\n    for x, y in loader:\n"
        '        nn.\\\n            MSELoss(reduction="sum")(model(x), y).backward()\n        opt.step()\n',
        "import torchvision.ops as o\n\n\ndef train(model, loader, opt):\n    for x, y in loader:\n"
        "        o.sigmoid_focal_loss(model(x), y).backward()\n        opt.step()\n",
    ],
)
def test_the_prefilter_keeps_losses_by_hand_and_trainers_however_they_are_imported(program: str) -> None:
    whole = lint_text(program, "x.py", "/x.py", EVERYTHING)
    assert whole.findings
    assert lint_alone(program.encode(), "x.py", "/x.py", EVERYTHING, named=False)[0].findings == whole.findings


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nprint('hello')\n",
        "import torch\n\nloss = model(x).sum()\n",
        "def backward(x):\n    return x.sum()\n",
        "import numpy as np\n\nloss = np.sum(x)\nMSELoss = 3\n",
        "import torch\n\nnn.MyMSELossOfMine()\n",
        "import torch\n\n\ndef pool(x):\n    # kept to be backward compatible\n    return x.mean(1)\n",
        "import torch\n\n\nclass Scale(torch.autograd.Function):\n    def backward(ctx, g):\n        return g.sum()\n",
    ],
)
def test_the_prefilter_drops_what_can_hold_nothing(text: str) -> None:
    assert not EVERYTHING.prefilter.may_hold_finding(text.encode())


def test_a_file_that_can_hold_nothing_is_parsed_only_if_it_was_named() -> None:
    for named, codes in ((True, ["RED000"]), (False, [])):
        result = lint_alone(b"x = (\n", "x.py", "/x.py", DEFAULT, named=named)[0]
        assert [finding.code for finding in result.findings] == codes
