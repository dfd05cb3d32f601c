"""Frames between parent and worker: what comes is data of a stranger."""

from __future__ import annotations

import contextlib
import io
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lint_reduction.verify import protocol
from lint_reduction.verify.protocol import ProtocolError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc_", max_size=5), inner, max_size=4),
    max_leaves=5,
)


def framed(body: bytes) -> bytes:
    return struct.pack("!I", len(body)) + body


@given(st.dictionaries(st.text("abc", max_size=3), JSON, max_size=3))
def test_what_is_sent_comes_back(value: dict[str, object]) -> None:
    frame = protocol.read_frame(io.BytesIO(protocol.encode(value)).read)
    assert frame is not None
    assert protocol.decode(frame) == value


def test_frames_come_one_after_the_other_and_in_pieces() -> None:
    stream = io.BytesIO(protocol.encode({"a": 1}) + protocol.encode({"b": 2}))
    frames = [protocol.read_frame(lambda count: stream.read(1)) for _ in range(3)]
    assert frames == [b'{"a":1}', b'{"b":2}', None]


@pytest.mark.parametrize("value", [{"a": float("nan")}, {"a": float("inf")}, {"a": object()}, {"a": b""}])
def test_what_is_no_json_is_not_sent(value: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        protocol.encode(value)


def test_what_is_too_long_or_too_deep_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="allowed"):
        protocol.encode({"a": "x" * protocol.LIMIT})
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(ProtocolError):
        protocol.encode(deep)


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"\x00\x00", "within a header"),
        (b"\x00\x00\x00\x05{}", "within a frame"),
        (b"\xff\xff\xff\xff", "4294967295 bytes"),
        (struct.pack("!I", protocol.LIMIT + 1), "bytes"),
    ],
)
def test_a_broken_stream_is_told(stream: bytes, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        protocol.read_frame(io.BytesIO(stream).read)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"1",
        b'"text"',
        b"null",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 30 + b"}",
        b'{"a": ' + b"9" * 100_000 + b"}",
        b'{"a": ' + b"[" * 9 + b"]" * 9 + b"}",
        b'{"a": ' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"a": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"a": [' + b"1," * 30_000 + b"1]}",
        b'{"' + b"k" * 300 + b'": 1}',
        b'{"a": 1} {"b": 2}',
    ],
    ids=lambda body: str(body[:20]),
)
def test_what_is_out_of_bounds_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        protocol.decode(body)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, größer, 损失", "plain, größer, 损失"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("two\nlines\r\t", "two\\x0alines\\x0d\\x09"),
        ("\x00\x07\x7f\x9b", "\\x00\\x07\\x7f\\x9b"),
        ("\u202eright to left\u2066", "\\u202eright to left\\u2066"),
        ("line\u2028separator", "line\\u2028separator"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_text_stays_in_its_place(text: str, shown: str) -> None:
    value = protocol.decode(json.dumps({"a": [text], text: 1}).encode())
    assert value["a"] == [shown]
    assert shown in value
    shown.encode()


def test_long_text_is_cut() -> None:
    value = protocol.decode(json.dumps({"a": "x" * 10_000}).encode())
    assert isinstance(value["a"], str)
    assert len(value["a"]) == 2_000


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        protocol.decode(body)
    with contextlib.suppress(ProtocolError):
        protocol.read_frame(io.BytesIO(body).read)


SHAPE: protocol.Shape = {"n": int, "x": float, "t": str, "b": bool, "rows": [{"k": [float]}], "any": {"*": object}}


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"n": 1, "x": 1, "t": "", "b": True, "rows": [{"k": [1, 2.5]}, {}], "any": {"what": [{}], "else": None}},
        {"n": None, "rows": None},
    ],
)
def test_a_shape_is_met(value: object) -> None:
    protocol.require(value, SHAPE)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "reply is not a mapping"),
        ({"other": 1}, "unknown key 'other'"),
        ({"n": True}, "reply.n is a bool"),
        ({"n": 1.5}, "reply.n is a float"),
        ({"x": "1"}, "reply.x is a str"),
        ({"b": 1}, "reply.b is a int"),
        ({"rows": {}}, "reply.rows is not a list"),
        ({"rows": [1]}, r"reply.rows\[\] is not a mapping"),
        ({"rows": [{"k": ["x"]}]}, r"reply.rows\[\].k\[\] is a str"),
    ],
)
def test_a_shape_is_not_met(value: object, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        protocol.require(value, SHAPE)
