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

#: Every character of ASCII, and what only an encoding with escapes reads as something else.
_ASCII = bytes(range(1, 128)).replace(b"\\", b"") + rb"\x41\u0041"
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


def check_size(data: bytes) -> None:
    """Make sure that a file is not too large to be analyzed.

    Raises:
        SourceError: it is.
    """
    if len(data) > MAX_BYTES:
        raise SourceError(f"too large to be analyzed: {len(data) / 1e6:.1f} MB, the limit is {MAX_BYTES / 1e6:.0f} MB")


def encode(text: str, original: bytes) -> bytes:
    """Return source text in the encoding of the bytes it was decoded from, with their byte order mark.

    Raises:
        SourceError: the encoding cannot write the text, or not as the original was written.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(original).readline)
    try:
        if original.decode(encoding).encode(encoding) != original:
            raise SourceError(f"cannot be written back in {encoding} as it was")
        return text.encode(encoding)
    except UnicodeError as error:
        raise SourceError(f"cannot be written in {encoding}: {error}") from None


def encode_declared(text: str) -> bytes:
    """Return source text in the encoding that it declares, in utf-8 where it cannot be written in that."""
    data = text.encode("utf-8", errors="surrogatepass")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return text.encode(encoding)
    except (SyntaxError, UnicodeError):
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
        if b"#".decode(encoding, errors="replace") != "#":
            # a cookie can be read only where bytes are characters; Python refuses such a file as well
            raise SourceError(f"cannot be decoded as {encoding}: its declaration is not written in it")
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SourceError(f"not valid {encoding}: byte 0x{data[error.start]:02x}", line) from None
    except (LookupError, ValueError) as error:
        raise SourceError(f"cannot be decoded as {encoding}: {error}") from None


def _reason(error: SyntaxError) -> str:
    message = str(error.msg or error)
    if "invalid or missing encoding declaration" in message:
        return "not valid utf-8"
    if message.startswith("encoding problem"):
        return "has a byte order mark and declares another encoding than utf-8"
    return message


def is_ascii_superset(data: bytes) -> bool:
    """Say whether the names in a file stand in its bytes as they are, so that the prefilter may look."""
    end = data.find(b"\n", data.find(b"\n") + 1)
    for line in data[: end if end >= 0 else None].splitlines()[:2]:
        match = _COOKIE.match(line)
        if match is not None:
            try:
                return _ASCII.decode(match[1].decode("ascii")) == _ASCII.decode("ascii")
            except (LookupError, ValueError):
                return False
    return True
