"""Find PyTorch losses whose reduction makes the gradient depend on the batch.

The public API: ``lint_paths``, ``lint_source`` and the ``Finding`` that they return, which need no torch; and what
measures a training step with it: ``check_growth``, ``assert_growth`` and ``LossWatch``.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as of typing, which takes longer to import than a run in which nothing changed may take
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lint_reduction.finding import Finding
    from lint_reduction.run.report import Diagnostic
    from lint_reduction.verify.probe import assert_growth, check_growth
    from lint_reduction.verify.watch import LossWatch

__version__ = "0.1.0"
__all__ = [
    "Finding",
    "LossWatch",
    "__version__",
    "assert_growth",
    "check_growth",
    "lint_paths",
    "lint_source",
]

#: Names that are imported when they are used; those of ``verify`` import torch.
_LAZY = {
    "Finding": "lint_reduction.finding",
    "LossWatch": "lint_reduction.verify.watch",
    "assert_growth": "lint_reduction.verify.probe",
    "check_growth": "lint_reduction.verify.probe",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def lint_paths(
    paths: Iterable[str | Path], *, select: Iterable[str] | None = None, ignore: Iterable[str] = ()
) -> tuple[Diagnostic, ...]:
    """Lint files and directories and return what was found, sorted by path and place.

    Args:
        paths: what to lint.
        select: rules to run instead of those that the configuration or the defaults say.
        ignore: rules not to run.

    Raises:
        ConfigError: a path or a rule does not exist, or a configuration is wrong.
        RuntimeError: a bug in the tool.
    """
    from pathlib import Path

    from lint_reduction.run.pipeline import Overrides, lint

    chosen = None if select is None else tuple(select)
    report = lint([Path(path) for path in paths], Overrides(chosen, ignore=tuple(ignore)))
    if report.crashes:
        raise RuntimeError(report.crashes[0])
    return report.diagnostics


def lint_source(source: str, path: str = "<string>", *, select: Iterable[str] | None = None) -> tuple[Finding, ...]:
    """Lint source text and return what was found, sorted by place.

    Args:
        source: the text of a module.
        path: what to call it.
        select: rules to run instead of the default ones.

    Raises:
        ConfigError: a rule does not exist.
        RuntimeError: a bug in the tool.
    """
    from lint_reduction.config import Settings
    from lint_reduction.run.pipeline import Overrides, lint_text, make_context, with_large_stack

    chosen = None if select is None else tuple(select)
    context = make_context(Settings(), Overrides(chosen))
    result = with_large_stack(lambda: lint_text(source, path, path, context))
    if result.crash:
        raise RuntimeError(result.crash)
    return result.findings
