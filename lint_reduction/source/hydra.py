"""The settings that a program gets from Hydra when nobody overrides one on the command line.

Only what is common is composed: a primary file with plain values, and a ``defaults`` list of groups and files that
are named outright. Anything else leaves the settings unknown.

Source: https://hydra.cc/docs/advanced/defaults_list (1.3)
"""

from __future__ import annotations

import re
from pathlib import Path

from lint_reduction.source.tracing import kind_at, note_content
from lint_reduction.source.yaml_file import NotLiteral, Tree, read_yaml

#: A file that says where its values belong; only the default is known.
_PACKAGE = re.compile(r"^#\s*@package\b", re.MULTILINE)
_NAME = re.compile(r"[\w./-]+")


def compose(directory: Path, name: str) -> dict[str, Tree] | None:
    """Return the settings that a primary file and its defaults make, None if that is not known."""
    # what the program writes may be no path at all
    own = _plain(directory, name) if kind_at(str(directory)) == "d" else None
    if own is None:
        return None
    defaults = own.pop("defaults", [])
    if not isinstance(defaults, list):
        return None
    composed: dict[str, Tree] = {}
    has_self = "_self_" in defaults
    for entry in defaults:
        if entry == "_self_":
            composed = _merged(composed, own)
            continue
        part = _default(directory, entry)
        if part is None:
            return None
        composed = _merged(composed, part)
    if has_self:
        return composed
    # which of the two wins depends on the version: what both say is not known
    return _merged(composed, own, agree=True)


def _default(directory: Path, entry: Tree) -> dict[str, Tree] | None:
    """Return what one entry of a defaults list brings, None if that is not known."""
    if isinstance(entry, str):
        return _without_defaults(directory, entry)
    if not isinstance(entry, dict) or len(entry) != 1:
        return None
    ((group, choice),) = entry.items()
    if re.match(r"(override\s+)?/?hydra/", group) or choice is None:
        # how Hydra itself logs and launches, or nothing at all
        return {}
    optional = group.startswith("optional ")
    group = group.removeprefix("optional ").strip()
    if not isinstance(choice, str) or not _NAME.fullmatch(group) or group.startswith("/"):
        return None
    values = _without_defaults(directory / group, choice)
    if values is None:
        return {} if optional and not _file(directory / group, choice).exists() else None
    nested: Tree = values
    for part in reversed(group.split("/")):
        nested = {part: nested}
    assert isinstance(nested, dict)
    return nested


def _without_defaults(directory: Path, name: str) -> dict[str, Tree] | None:
    values = _plain(directory, name)
    return None if values is None or "defaults" in values else values


def _plain(directory: Path, name: str) -> dict[str, Tree] | None:
    if not _NAME.fullmatch(name) or name.startswith(("/", ".")):
        return None
    path = _file(directory, name)
    note_content(str(path))
    values = read_yaml(path)
    if values is None or _PACKAGE.search(path.read_text("utf-8-sig")):
        return None
    return values


def _file(directory: Path, name: str) -> Path:
    return directory / (name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")


def _merged(before: dict[str, Tree], after: dict[str, Tree], *, agree: bool = False) -> dict[str, Tree]:
    """Return two trees as one; where both say something the later wins, or nothing is known if they must agree."""
    merged = dict(before)
    for key, value in after.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _merged(old, value, agree=agree)
        elif agree and key in merged and old != value:
            merged[key] = NotLiteral()
        else:
            merged[key] = value
    return merged
