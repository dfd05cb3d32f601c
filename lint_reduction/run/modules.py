"""The modules around the files of a run: those of the project, and on request those of installed packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint_reduction.source.environment import environment_of

if TYPE_CHECKING:
    from lint_reduction.analysis import Project
    from lint_reduction.run.pipeline import Context


def project_of(context: Context) -> Project:
    """Return the modules around the files under a configuration."""
    from lint_reduction.analysis import Project

    if context.project is None:
        environment = environment_of(context.settings.root) if context.settings.follow_installed else None
        context.project = Project(context.libraries, context.contents, environment)
    return context.project
