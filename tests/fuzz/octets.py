"""Changes of the bytes of a file: line ends, encodings, what is no text at all."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from random import Random

_ENCODINGS = (
    "latin-1", "cp1252", "utf-8", "utf-8-sig", "ascii", "utf-16", "utf-7", "shift_jis", "koi8-r", "cp037", "big5", "hz",
    "iso2022_jp", "rot13", "unicode_escape", "raw_unicode_escape", "punycode", "idna", "hex", "undefined", "nonesuch",
    "mbcs", "utf_8", "L1", "x" * 200,
)  # fmt: skip
_PIECES = (
    b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n", b"\x0c", b"\x1a", b"\x80", b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80", b"\xe2\x80\xa8", b"\xc2\x85", b"\x7f", b"\x1b[31m", b"\\", b"'", b'"""', b"#", b"\t", b" ",
    b"(", b")",
)  # fmt: skip


def _flipped(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1 :]


def _inserted(data: bytes, random: Random) -> bytes:
    at = random.choice((0, len(data), random.randrange(len(data) + 1)))
    piece = random.choice(_PIECES) if random.random() < 0.7 else random.randbytes(random.randrange(1, 6))
    return data[:at] + piece * random.choice((1, 1, 1, 3)) + data[at:]


def _removed(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.choice((1, 2, 10, 200)) :]


def _doubled(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at : at + random.choice((1, 5, 100))] * 2 + data[at + 100 :]


def _cut_off(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _line_ends(data: bytes, random: Random) -> bytes:
    ends = random.choice(((b"\r\n",), (b"\r",), (b"\r\n", b"\n"), (b"\n", b"\r", b"\r\n"), (b"\r\r\n",)))
    return b"".join(line + random.choice(ends) for line in data.split(b"\n"))


def _encoded(data: bytes, random: Random) -> bytes:
    """Declare an encoding, and most often write in it."""
    name = random.choice(_ENCODINGS)
    form = random.choice(
        ("# coding: {}\n", "# -*- coding: {} -*-\n", "#!/bin/x\n# vim: fileencoding={}\n", "# coding={} x\n")
    )
    text = form.format(name) + data.decode("utf-8", errors="replace")
    if random.random() < 0.6:
        try:
            return text.encode(name)
        except (LookupError, ValueError, TypeError, AssertionError):
            pass
    return text.encode()


def _marked(data: bytes, random: Random) -> bytes:
    return random.choice((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF8 * 2)) + data


def _without_end(data: bytes, random: Random) -> bytes:
    return data.rstrip(b"\n") + random.choice((b"", b"\\", b" ", b"\\\n", b"#", b"\n" * 5, b"\x0c", b"\r"))


OCTETS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flipped, _inserted, _inserted, _removed, _doubled, _cut_off, _line_ends, _line_ends, _encoded, _encoded, _marked,
    _without_end,
)  # fmt: skip
