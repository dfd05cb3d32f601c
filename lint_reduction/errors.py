"""The errors that a user can cause; anything else that is raised is a bug."""

from __future__ import annotations


class LintReductionError(Exception):
    """Base of all errors with a message for the user: one line, naming the place and the reason."""


class ConfigError(LintReductionError):
    """A configuration file, an option or a rule name is wrong; the run ends with exit status 2."""


class SourceError(LintReductionError):
    """One file cannot be read or parsed; it becomes a finding (RED000), and the run goes on.

    Attributes:
        reason: what is wrong, without the path.
        line: 1-based line, 1 where the whole file is meant.
        column: 1-based column.
    """

    def __init__(self, reason: str, line: int = 1, column: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column


class ProbeError(LintReductionError):
    """A training step or a batch is such that nothing can be measured of it."""
