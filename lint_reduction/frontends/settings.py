"""The settings that hold for a path, as a configuration that could be written down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lint_reduction.source.discover import DEFAULT_EXCLUDE

if TYPE_CHECKING:
    from lint_reduction.config import Settings
    from lint_reduction.run.pipeline import Context, Overrides


def describe_settings(path: Path, overrides: Overrides) -> str:
    """Return the settings for a file or a directory: where they come from, all values, and the rules that run.

    Raises:
        ConfigError: a configuration is wrong.
    """
    from lint_reduction.run.pipeline import Contexts

    absolute = path.absolute()
    context = Contexts(overrides).of(absolute if path.is_dir() else absolute.parent)
    source = f"from {context.settings.source}" if context.settings.source else "no configuration: the defaults"
    codes = [*(["RED001"] if context.selection.unused_suppressions else []), *sorted(context.selection.codes)]
    lines = [f"# settings of {path}", f"# {source}"]
    lines += [f"{key} = {_toml(value)}" for key, value in _values(context, overrides)]
    lines.append(f"# rules that run: {', '.join(codes) or 'none'}")
    return "\n".join(lines) + "\n"


def _values(context: Context, overrides: Overrides) -> Iterator[tuple[str, object]]:
    settings = context.settings
    if settings.select is not None:
        yield "select", settings.select
    yield "extend-select", settings.extend_select
    yield "ignore", settings.ignore
    yield "per-file-ignores", dict(settings.per_file_ignores)
    yield "exclude", DEFAULT_EXCLUDE if settings.exclude is None else settings.exclude
    yield "extend-exclude", settings.extend_exclude
    yield "respect-gitignore", settings.respect_gitignore
    yield "follow-installed", settings.follow_installed
    yield "fixed-batch-size", settings.fixed_batch_size
    yield "min-confidence", str(context.min_confidence)
    yield "min-severity", str(context.min_severity)
    yield "fail-on", str(overrides.fail_on or settings.fail_on)
    if settings.baseline is not None:
        yield "baseline", str(settings.baseline)
    if settings.cache_dir is not None:
        yield "cache-dir", str(settings.cache_dir)
    yield "counts", _counts(settings)
    yield from settings.tables.items()


def _counts(settings: Settings) -> dict[str, list[str]]:
    counts: dict[str, list[str]] = {}
    for name, count in settings.counts:
        counts.setdefault(count, []).append(name)
    return counts


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)
