"""The modules around the files of a run: those of the project, and on request those of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lint_reduction.config import Settings
from lint_reduction.libraries import Libraries
from lint_reduction.source.environment import environment_of

if TYPE_CHECKING:
    from lint_reduction.analysis import Project


def project_of(settings: Settings, libraries: Libraries, contents: Mapping[str, bytes]) -> Project:
    """Return the modules around the files under a configuration.

    Args:
        settings: the configuration.
        libraries: what is known of other people's code.
        contents: what to read instead of some files, by their absolute paths.
    """
    from lint_reduction.analysis import Project

    environment = environment_of(settings.root) if settings.follow_installed else None
    return Project(libraries, contents, environment)
