"""Where results of earlier runs are kept: a folder of the user, that nobody else can put anything into."""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False  # this module is imported before anything else: typing and pathlib take time
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Names the folder to use instead of the one that the platform has for it.
VARIABLE = "LINT_REDUCTION_CACHE_DIR"
_NAME = "lint-reduction"
#: What marks a folder that backups leave out, see https://bford.info/cachedir/.
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder was made by lint-reduction, and can be removed.\n"


def user_folder(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path | None:
    """Return the folder of this user: that of the environment variable, else the one that the platform has for it.

    It need not exist. None is returned where there is no home.
    """
    from pathlib import Path

    path = user_path(environ, platform)
    return Path(path) if path else None


def user_path(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str:
    """Return the folder of this user as ``user_folder`` does, empty where there is no home."""
    named = environ.get(VARIABLE)
    if named:
        return os.path.join(os.getcwd(), os.path.expanduser(named))  # of an unknown user it makes no error
    if platform == "win32":
        local = environ.get("LOCALAPPDATA")
        return os.path.join(local, _NAME, "Cache") if local else _in_home("AppData", "Local", _NAME, "Cache")
    if platform == "darwin":
        return _in_home("Library", "Caches", _NAME)
    base = environ.get("XDG_CACHE_HOME", "")
    # the specification says that a relative path is to be ignored
    return os.path.join(base, _NAME) if os.path.isabs(base) else _in_home(".cache", _NAME)


def _in_home(*parts: str) -> str:
    home = os.path.expanduser("~")
    return "" if home.startswith("~") else os.path.join(home, *parts)


def make_private(folder: Path) -> str:
    """Make a folder that only this user can write into, unless it is there, and mark it as a cache.

    Returns:
        Why it is not to be used, empty if it is: it cannot be made, or somebody else may have put something into it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = _not_private(os.lstat(folder))
        if not reason:
            mark(folder)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return reason


def belongs_to_user(about: os.stat_result) -> bool:
    """Say whether a file is this user's; where files have no such owner, each is."""
    return not hasattr(os, "geteuid") or about.st_uid == os.geteuid()


def _not_private(about: os.stat_result) -> str:
    if not stat.S_ISDIR(about.st_mode):
        return "it is a link, or no folder"
    if not belongs_to_user(about):
        return "it belongs to somebody else"
    if hasattr(os, "geteuid") and about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others can write into it"
    return ""


def mark(folder: Path) -> None:
    """Keep what is in a folder out of git and out of backups."""
    for name, text in ((".gitignore", "*\n"), ("CACHEDIR.TAG", _TAG)):
        if not (folder / name).exists():
            (folder / name).write_text(text, encoding="utf-8")
