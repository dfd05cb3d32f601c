"""Settings that a program reads from a YAML file, as far as they are written out there.

Nothing is constructed: the file is composed to nodes, of which plain scalars, mappings and lists are kept. What
has a tag of its own or holds an interpolation is not known, nor is a file that is large, deep or grows by aliases.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lint_reduction.errors import SourceError
from lint_reduction.source.file import read_bytes

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

#: Larger files are data, not settings.
_MAX_BYTES = 64_000
_MAX_NODES = 5_000
_MAX_DEPTH = 20
_MERGE = "tag:yaml.org,2002:merge"
_TRUTHS = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}


class NotLiteral:
    """What stands in a file and is not written out: an interpolation, a value with a tag of its own."""


Tree: TypeAlias = "None | bool | int | float | str | NotLiteral | list[Tree] | dict[str, Tree]"


class _TooLargeError(Exception):
    """A file has more nodes than settings have."""


def read_yaml(path: Path) -> dict[str, Tree] | None:
    """Return the settings in a file, None if they cannot be had: missing, broken, no mapping, too large."""
    try:
        data = read_bytes(path)
        text = data.decode("utf-8-sig") if len(data) <= _MAX_BYTES else ""
    except (SourceError, UnicodeDecodeError):
        return None
    if not text or _depth(text) > _MAX_DEPTH:
        return None
    import yaml  # only few programs read settings from a file

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = None if node is None else _Reader().read(node, 0)
    except (yaml.YAMLError, RecursionError, ValueError, _TooLargeError):
        return None
    return tree if isinstance(tree, dict) else None


def _depth(text: str) -> int:
    """Return how deep brackets are nested at most, quoted ones counted as well."""
    deepest = depth = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


class _Reader:
    """Turns nodes into a tree, counting them: an alias counts as often as it is used."""

    def __init__(self) -> None:
        self.left = _MAX_NODES

    def read(self, node: Node, depth: int) -> Tree:
        self._count(depth)
        kind, value = node.tag.rpartition(":")[2], node.value
        if not node.tag.startswith("tag:yaml.org,2002:"):
            return NotLiteral()
        if kind == "map":
            return self._mapping(node, depth)
        if kind == "seq":
            return [self.read(entry, depth + 1) for entry in value]
        return _scalar(kind, value)

    def _mapping(self, node: MappingNode, depth: int) -> dict[str, Tree]:
        own: dict[str, Tree] = {}
        merged: dict[str, Tree] = {}
        for key, value in node.value:
            self._count(depth)
            if key.tag == _MERGE:
                sources = value.value if value.tag.endswith(":seq") else [value]
                for source in sources:
                    tree = self.read(source, depth + 1)
                    merged = {**(tree if isinstance(tree, dict) else {}), **merged}
            elif isinstance(key.value, str):
                own[key.value] = self.read(value, depth + 1)
        return {**merged, **own}

    def _count(self, depth: int) -> None:
        self.left -= 1
        if self.left < 0 or depth > _MAX_DEPTH:
            raise _TooLargeError


def _scalar(kind: str, value: str) -> Tree:
    if kind == "null":
        return None
    if kind == "bool":
        return _TRUTHS[value.lower()]
    if kind in ("int", "float"):
        try:
            return int(value) if kind == "int" else float(value)
        except ValueError:
            # base 60, underscores, .inf: no program is the clearer for it
            return NotLiteral()
    if kind != "str" or "${" in value or value == "???":
        return NotLiteral()
    return value
