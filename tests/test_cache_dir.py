"""The folder of the user in which results are kept: where it is, and who may write into it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lint_reduction.source.cache_dir import belongs_to_user, make_private, user_folder

HOME = Path("/home/ada")
posix = pytest.mark.skipif(os.name != "posix", reason="folders have modes and owners on POSIX systems")


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(HOME))


@posix
@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({}, "linux", HOME / ".cache/lint-reduction"),
        ({"XDG_CACHE_HOME": "/scratch/ada"}, "linux", Path("/scratch/ada/lint-reduction")),
        ({"XDG_CACHE_HOME": "relative"}, "linux", HOME / ".cache/lint-reduction"),
        ({"XDG_CACHE_HOME": ""}, "freebsd14", HOME / ".cache/lint-reduction"),
        ({"XDG_CACHE_HOME": "/scratch/ada"}, "darwin", HOME / "Library/Caches/lint-reduction"),
        ({"LOCALAPPDATA": "/local"}, "win32", Path("/local/lint-reduction/Cache")),
        ({}, "win32", HOME / "AppData/Local/lint-reduction/Cache"),
        ({"LINT_REDUCTION_CACHE_DIR": "/kept", "XDG_CACHE_HOME": "/scratch"}, "linux", Path("/kept")),
        ({"LINT_REDUCTION_CACHE_DIR": "~/kept"}, "linux", HOME / "kept"),
        ({"LINT_REDUCTION_CACHE_DIR": ""}, "linux", HOME / ".cache/lint-reduction"),
    ],
)
def test_the_folder_is_where_the_platform_has_it(environ: dict[str, str], platform: str, expected: Path) -> None:
    assert user_folder(environ, platform) == expected


def test_a_relative_folder_is_meant_from_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert user_folder({"LINT_REDUCTION_CACHE_DIR": "kept"}) == tmp_path / "kept"


def test_without_a_home_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert user_folder({}, "linux") is None


@posix
def test_a_folder_that_is_made_is_for_the_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert make_private(folder) == ""
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {".gitignore", "CACHEDIR.TAG"}
    assert make_private(folder) == ""


@posix
@pytest.mark.parametrize(("mode", "reason"), [(0o777, "others can"), (0o770, "others can"), (0o755, ""), (0o500, "")])
def test_a_folder_that_others_write_into_is_refused(tmp_path: Path, mode: int, reason: str) -> None:
    folder = tmp_path / "kept"
    assert make_private(folder) == ""
    folder.chmod(mode)
    assert make_private(folder).startswith(reason)
    assert bool(make_private(folder)) is bool(reason)
    folder.chmod(0o700)


@posix
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_private(tmp_path / "kept")
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "kept").stat().st_uid + 1)
    assert make_private(tmp_path / "kept") == "it belongs to somebody else"
    assert not belongs_to_user((tmp_path / "kept").stat())


@posix
def test_a_link_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("")
    assert make_private(tmp_path / "link") == "it is a link, or no folder"
    assert make_private(tmp_path / "file") == "file exists"
    assert make_private(tmp_path / "file" / "inner") == "not a directory"
