"""What parent and worker say to each other: frames of JSON, of which the parent believes nothing.

A worker that was taken over can write what it likes. So a frame has a length and a limit, a reply has known keys,
numbers are finite, and text cannot leave its place on a terminal or in a report.
"""

from __future__ import annotations

import enum
import json
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

#: The longest frame, in bytes.
LIMIT = 1 << 20

_HEADER = struct.Struct("!I")

_DEPTH = 8
_ENTRIES = 20_000
_TEXT = 2_000
_KEY = 200
#: No count or size is larger; Python prints longer ones slowly, and JavaScript not at all.
_WHOLE = 1 << 53

#: What a value may be: a type or several, a list of such values, or a mapping from known keys to them, where ``*``
#: stands for every other key. None is always possible.
Shape: TypeAlias = "type | tuple[type, ...] | list[Shape] | Mapping[str, Shape]"


class ProtocolError(Exception):
    """What came is not what was agreed on."""


class Status(enum.Enum):
    """What became of an experiment."""

    DONE = "done"
    """The laboratory returned a result."""
    FAILED = "failed"
    """It raised."""
    TRIPPED = "tripped"
    """It did what no experiment does, and the alarm went off."""
    TIMEOUT = "timeout"
    """It took too long; the worker was killed."""
    DIED = "died"
    """The worker ended by itself."""
    MALFORMED = "malformed"
    """The reply is not one, and the worker was killed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one experiment. Nothing in it can be trusted to be true, and all of it is safe to print.

    Attributes:
        status: what became of it.
        result: what the laboratory returned, empty unless ``status`` is DONE.
        reason: why there is no result, in one line.
        device: where the worker runs.
        layers: what the worker's sandbox consists of.
        seconds: how long it took.
        cached: whether it was known from an earlier run.
    """

    status: Status
    result: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""
    device: str = ""
    layers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cached: bool = False


def encode(value: Mapping[str, object]) -> bytes:
    """Return a frame.

    Raises:
        ProtocolError: the value is no JSON, or too long.
    """
    try:
        body = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from None
    if len(body) > LIMIT:
        raise ProtocolError(f"{len(body)} bytes, and {LIMIT} are allowed")
    return _HEADER.pack(len(body)) + body


def read_frame(read: Callable[[int], bytes | None]) -> bytes | None:
    """Return the next frame without its header, or None at the end of the stream.

    Args:
        read: returns at most so many bytes, and none at the end.

    Raises:
        ProtocolError: the stream ends within a frame, or a frame is too long.
    """
    header = _read_exactly(read, _HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise ProtocolError("the stream ends within a header")
    length = int(_HEADER.unpack(header)[0])
    if length > LIMIT:
        raise ProtocolError(f"a frame of {length} bytes")
    body = _read_exactly(read, length)
    if len(body) < length:
        raise ProtocolError("the stream ends within a frame")
    return body


def _read_exactly(read: Callable[[int], bytes | None], count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = read(min(count - len(parts), 65_536))
        if not part:
            break
        parts += part
    return bytes(parts)


def decode(frame: bytes) -> dict[str, object]:
    """Return the mapping in a frame, with its numbers, names and lengths within bounds and its text escaped.

    Raises:
        ProtocolError: it is no JSON, no mapping, or out of bounds.
    """
    try:
        value = json.loads(frame, parse_constant=_no_constant, parse_int=_whole, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are among the former
        raise ProtocolError(f"not JSON: {clean_text(str(error), 200)}") from None
    if not isinstance(value, dict):
        raise ProtocolError("not a mapping")
    cleaned, _ = _clean(value, _DEPTH, _ENTRIES)
    assert isinstance(cleaned, dict)
    return cleaned


def clean_text(text: str, limit: int = _TEXT) -> str:
    """Return text of one line that a terminal shows as it is: what is not printable is escaped, and the end cut off.

    Control and format characters, line separators and lone surrogates are not printable; accents and other scripts are.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def _escape(code: int) -> str:
    """Return how Python writes a character; a codec would have to be imported, and a locked worker cannot."""
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def require(value: object, shape: Shape, place: str = "reply") -> None:
    """Check that a value is of a shape; known keys may be missing, and unknown ones not be there.

    Raises:
        ProtocolError: it is not.
    """
    if value is None:
        return
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            raise ProtocolError(f"{place} is not a mapping")
        for key, entry in value.items():
            known = shape.get(key, shape.get("*"))
            if known is None:
                raise ProtocolError(f"{place} has an unknown key {key!r}")
            require(entry, known, f"{place}.{key}")
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise ProtocolError(f"{place} is not a list")
        for entry in value:
            require(entry, shape[0], f"{place}[]")
    elif not _is_a(value, shape):
        raise ProtocolError(f"{place} is a {type(value).__name__}")


def _is_a(value: object, types: type | tuple[type, ...]) -> bool:
    wanted = types if isinstance(types, tuple) else (types,)
    if isinstance(value, bool):
        return bool in wanted or object in wanted
    if isinstance(value, int) and float in wanted:
        return True
    return isinstance(value, wanted)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number of JSON")


def _whole(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > _WHOLE:
        raise ValueError("a whole number is too large")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value


def _clean(value: object, depth: int, entries: int) -> tuple[object, int]:
    """Return a value with its text escaped, and how many entries are left of those that it may have."""
    if depth < 0:
        raise ProtocolError("nested too deeply")
    if entries < 0:
        raise ProtocolError("too many entries")
    if isinstance(value, str):
        return clean_text(value), entries - 1
    if isinstance(value, list):
        items: list[object] = []
        for item in value:
            cleaned, entries = _clean(item, depth - 1, entries)
            items.append(cleaned)
        return items, entries - 1
    if isinstance(value, dict):
        mapping: dict[str, object] = {}
        for key, item in value.items():
            if len(key) > _KEY:
                raise ProtocolError("a key is too long")
            mapping[clean_text(key)], entries = _clean(item, depth - 1, entries)
        return mapping, entries - 1
    return value, entries - 1
