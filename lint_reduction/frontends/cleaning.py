"""``clean``: remove what is kept of a project."""

from __future__ import annotations

import os
from pathlib import Path

from lint_reduction.run import store
from lint_reduction.run.pipeline import Contexts, Overrides
from lint_reduction.run.replay import project_root
from lint_reduction.source.cache_dir import user_folder


def clean(named: Path | None) -> list[str]:
    """Remove the cache of the project around the current directory, and return what was removed.

    Args:
        named: the folder that it is in, None for that of the settings and that of the user.

    Raises:
        OSError: something cannot be removed.
    """
    configured = None if named else Contexts(Overrides()).of(Path.cwd()).settings.cache_dir
    folders = [folder for folder in (named or configured, None if named else user_folder()) if folder is not None]
    removed = []
    for folder in folders:
        path = store.file_for(str(folder.absolute()), project_root(str(Path.cwd())))
        for found in [path, *store.left_behind(path)]:
            if os.path.lexists(found):
                Path(found).unlink()
                removed.append(found)
    return removed
