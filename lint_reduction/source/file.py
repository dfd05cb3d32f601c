"""Bytes to text, as Python reads source: encoding cookies, byte order marks, any line ending."""

from __future__ import annotations

import io
import os
import re
import stat
import tokenize
from pathlib import Path

from lint_reduction.errors import SourceError

#: A larger file is generated; parsing it would take minutes and gigabytes.
MAX_BYTES = 2_000_000

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file.

    Raises:
        SourceError: it is gone, may not be read, or is no file.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceError("not a regular file")
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return _read_all(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SourceError((error.strerror or str(error)).lower()) from None


def _read_all(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    data = os.read(descriptor, size + 1)
    chunk = data
    while chunk and len(data) > size:
        chunk = os.read(descriptor, 1 << 20)
        data += chunk
    return data


def decode(data: bytes) -> str:
    """Return source text, without a byte order mark and with its own line endings.

    Raises:
        SourceError: the encoding is not known, or the bytes are not in it.
    """
    if b"\0" in data:
        raise SourceError("binary: contains null bytes")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        raise SourceError(_reason(error)) from None
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"not valid {encoding}: byte 0x{data[error.start]:02x}", line) from None
    except (LookupError, ValueError) as error:
        raise SourceError(f"cannot be decoded as {encoding}: {error}") from None


def _reason(error: SyntaxError) -> str:
    message = str(error.msg or error)
    return "not valid utf-8" if "invalid or missing encoding declaration" in message else message


def is_ascii_superset(data: bytes) -> bool:
    """Say whether the names in a file stand in its bytes as they are, so that the prefilter may look."""
    for line in data[:400].split(b"\n")[:2]:
        match = _COOKIE.match(line)
        if match is not None:
            try:
                return b"abcXYZ_.019".decode(match[1].decode("ascii")) == "abcXYZ_.019"
            except (LookupError, UnicodeDecodeError):
                return True
    return True
