"""Settings: what a configuration file and the command line say, validated once.

The configuration closest to a file is the one that counts; nothing is merged. In one directory
``.lint-reduction.toml`` wins over ``lint-reduction.toml``, and that over ``[tool.lint-reduction]`` in
``pyproject.toml``, which is passed over if it has no such table.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lint_reduction.errors import ConfigError
from lint_reduction.finding import Confidence
from lint_reduction.impact import Severity

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FILES = (".lint-reduction.toml", "lint-reduction.toml", "pyproject.toml")

#: Keys of lists of tables, in the schema of the library tables; ``libraries.schema`` reads them.
TABLE_KEYS = ("loss", "optimizer", "sink", "wrapper", "companion", "alias")


@dataclass(frozen=True, slots=True)
class Settings:
    """What one configuration says.

    Attributes:
        root: the directory that paths in it are relative to.
        source: the file, for messages; empty for the defaults.
        select: rules to run instead of the default ones; None for those.
        extend_select: rules to run as well.
        ignore: rules not to run.
        per_file_ignores: rules not to run, by pattern of paths.
        exclude: patterns of paths to leave out, instead of the usual ones if given.
        extend_exclude: patterns of paths to leave out as well.
        respect_gitignore: whether to leave out what git ignores.
        follow_installed: whether losses are followed into packages that are installed beside the project.
        fixed_batch_size: the batch size never changes: a sum over it is no more than a note.
        min_confidence: findings that are less sure are not reported, unless their rule is named.
        min_severity: findings that are less severe are not reported.
        fail_on: a finding that is at least so severe makes a run fail; of the configuration of the current directory.
        baseline: a file of known findings that are left out; of the configuration of the current directory.
        cache_dir: where to keep what is known of files; of the configuration of the current directory.
        counts: what variables of some names count.
        tables: own losses, optimizers, sinks and more.
    """

    root: Path = field(default_factory=Path.cwd)
    source: str = ""
    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exclude: tuple[str, ...] | None = None
    extend_exclude: tuple[str, ...] = ()
    respect_gitignore: bool = True
    follow_installed: bool = False
    fixed_batch_size: bool = False
    min_confidence: Confidence = Confidence.MEDIUM
    min_severity: Severity = Severity.NOTE
    fail_on: Severity = Severity.WARNING
    baseline: Path | None = None
    cache_dir: Path | None = None
    counts: tuple[tuple[str, str], ...] = ()
    tables: Mapping[str, object] = field(default_factory=dict)


KNOWN_KEYS = (
    "select", "extend-select", "ignore", "per-file-ignores", "exclude", "extend-exclude", "respect-gitignore",
    "follow-installed", "fixed-batch-size", "min-confidence", "min-severity", "fail-on", "baseline",
    "cache-dir", "counts", *TABLE_KEYS,
)  # fmt: skip


def configuration_in(directory: Path) -> Path | None:
    """Return the configuration file that a directory has, None if it has none.

    Raises:
        ConfigError: a file there cannot be read.
    """
    for name in _FILES:
        path = directory / name
        if _is_file(path) and (name != "pyproject.toml" or _table(path) is not None):
            return path
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # a directory that may not be searched has no configuration
        return False


def load_settings(path: Path) -> Settings:
    """Read a configuration file.

    Raises:
        ConfigError: it cannot be read, has an unknown key, or a value of the wrong type.
    """
    table = _table(path)
    return read_settings({} if table is None else table, path.parent.absolute(), str(path))


def _table(path: Path) -> dict[str, object] | None:
    try:
        with path.open("rb") as file:
            values: dict[str, object] = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply") from None
    if path.name != "pyproject.toml":
        return values
    tool = values.get("tool")
    table = tool.get("lint-reduction") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.lint-reduction must be a table")
    return table


def read_settings(values: Mapping[str, object], root: Path, source: str) -> Settings:
    """Turn a parsed configuration into settings.

    Raises:
        ConfigError: a key is unknown, or a value of the wrong type.
    """
    for key in values:
        if key not in KNOWN_KEYS:
            raise ConfigError(unknown_key(source, key, KNOWN_KEYS))
    select = _texts(values, "select", source) if "select" in values else None
    exclude = _texts(values, "exclude", source) if "exclude" in values else None
    return Settings(
        root=root,
        source=source,
        select=select,
        extend_select=_texts(values, "extend-select", source),
        ignore=_texts(values, "ignore", source),
        per_file_ignores=_per_file(values, source),
        exclude=exclude,
        extend_exclude=_texts(values, "extend-exclude", source),
        respect_gitignore=_flag(values, "respect-gitignore", source, default=True),
        follow_installed=_flag(values, "follow-installed", source, default=False),
        fixed_batch_size=_flag(values, "fixed-batch-size", source, default=False),
        min_confidence=_confidence(values, source),
        min_severity=_severity(values, "min-severity", Severity.NOTE, source),
        fail_on=_severity(values, "fail-on", Severity.WARNING, source),
        baseline=_path(values, "baseline", root, source),
        cache_dir=_path(values, "cache-dir", root, source),
        counts=_counts(values, source),
        tables={key: values[key] for key in TABLE_KEYS if key in values},
    )


def unknown_key(place: str, key: str, known: tuple[str, ...]) -> str:
    """Return the message about an unknown key, with the nearest known one if it is near enough to be meant."""
    near = difflib.get_close_matches(key, known, n=1)
    return f"{place}: unknown key {key!r}; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}")


def _texts(values: Mapping[str, object], key: str, source: str) -> tuple[str, ...]:
    value = values.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{source}: {key} must be a list of strings")
    return tuple(value)


def _flag(values: Mapping[str, object], key: str, source: str, *, default: bool) -> bool:
    value = values.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{source}: {key} must be true or false")
    return value


def _confidence(values: Mapping[str, object], source: str) -> Confidence:
    known = {str(confidence): confidence for confidence in Confidence}
    value = values.get("min-confidence", "medium")
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"{source}: min-confidence must be one of {', '.join(known)}")
    return known[value]


def _path(values: Mapping[str, object], key: str, root: Path, source: str) -> Path | None:
    if key not in values:
        return None
    value = values[key]
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{source}: {key} must be a path")
    return root / value


def _severity(values: Mapping[str, object], key: str, default: Severity, source: str) -> Severity:
    known = {str(severity): severity for severity in Severity}
    value = values.get(key, str(default))
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"{source}: {key} must be one of {', '.join(known)}")
    return known[value]


def _per_file(values: Mapping[str, object], source: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    table = values.get("per-file-ignores", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{source}: per-file-ignores must be a table of patterns and lists of rules")
    return tuple((pattern, _texts(table, pattern, f"{source}: per-file-ignores")) for pattern in table)


def _counts(values: Mapping[str, object], source: str) -> tuple[tuple[str, str], ...]:
    table = values.get("counts", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{source}: counts must be a table of counts and lists of names")
    return tuple((name, count) for count in table for name in _texts(table, count, f"{source}: counts"))
