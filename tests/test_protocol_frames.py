"""Framing: lengths, masks, and the first byte at which a header breaks a rule."""

from __future__ import annotations

import importlib.util
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from django_websocket_ev.protocol import frames
from django_websocket_ev.protocol.close import ProtocolError
from django_websocket_ev.protocol.frames import (
    Header,
    apply_mask,
    build_binary,
    build_frame,
    build_text,
    parse_header,
    xor_mask,
)
from fuzzing import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    WIDTHS,
    frame,
    mask_payload,
)

#: Payload sizes on both sides of where a length takes 16 and 64 bits instead of 7.
SIZES = [0, 1, 124, 125, 126, 127, 128, 65534, 65535, 65536, 65537]


def length_on_the_wire(size: int) -> bytes:
    if size < 126:
        return bytes((size,))
    if size < 65536:
        return b"\x7e" + size.to_bytes(2, "big")
    return b"\x7f" + size.to_bytes(8, "big")


def read_by_websockets(data: bytes, *, mask: bool) -> Frame:
    """Return the one frame in ``data`` as the library `websockets` understands it."""
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=mask, max_size=None)
    with pytest.raises(StopIteration) as caught:
        next(parsing)
    assert not reader.buffer
    return caught.value.value


# Building.


@pytest.mark.parametrize("size", SIZES)
def test_a_built_length_takes_as_few_bits_as_can_be(size):
    payload = b"x" * size
    assert build_frame(BINARY, payload) == b"\x82" + length_on_the_wire(size) + payload
    assert build_binary(payload) == build_frame(BINARY, payload)
    assert build_text("x" * size) == b"\x81" + length_on_the_wire(size) + payload


@pytest.mark.parametrize("size", SIZES)
def test_a_built_frame_with_a_mask_is_a_client_s(size):
    payload = b"x" * size
    assert build_frame(BINARY, payload, mask=MASK) == frame(BINARY, payload)


def test_a_text_is_measured_in_bytes_of_utf8():
    # 42 characters, 126 bytes.
    assert build_text("\N{EURO SIGN}" * 42)[:4] == b"\x81\x7e\x00\x7e"


def test_a_lone_surrogate_is_no_text():
    with pytest.raises(UnicodeEncodeError):
        build_text("\ud800")


@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
def test_the_first_byte_has_the_opcode_and_the_last_fragment_s_mark(opcode):
    assert build_frame(opcode) == bytes((0x80 | opcode, 0))
    assert build_frame(opcode, fin=False) == bytes((opcode, 0))


def test_the_examples_of_the_rfc():
    # Section 5.7.
    assert build_text("Hello") == b"\x81\x05\x48\x65\x6c\x6c\x6f"
    assert build_frame(TEXT, b"Hello", mask=MASK) == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    assert build_frame(TEXT, b"Hel", fin=False) == b"\x01\x03\x48\x65\x6c"
    assert build_frame(CONTINUATION, b"lo") == b"\x80\x02\x6c\x6f"
    assert build_frame(PING, b"Hello") == b"\x89\x05\x48\x65\x6c\x6c\x6f"
    assert build_binary(bytes(256))[:4] == b"\x82\x7e\x01\x00"
    assert build_binary(bytes(65536))[:10] == b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_websockets_reads_what_is_built(size, fin, mask):
    payload = random.Random(size).randbytes(size)
    read = read_by_websockets(
        build_frame(BINARY, payload, fin=fin, mask=mask), mask=mask is not None
    )
    assert (read.opcode, bytes(read.data), read.fin) == (BINARY, payload, fin)
    assert (read.rsv1, read.rsv2, read.rsv3) == (False, False, False)


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_websockets_builds_the_same_bytes(size, fin):
    payload = random.Random(size).randbytes(size)
    theirs = Frame(Opcode.BINARY, payload, fin=fin).serialize(mask=False)
    assert build_frame(BINARY, payload, fin=fin) == theirs


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_what_websockets_builds_is_read(size, fin):
    payload = random.Random(size).randbytes(size)
    data = Frame(Opcode.TEXT, payload, fin=fin).serialize(mask=True)  # with a key of its own
    header = parse_header(data)
    assert (header.fin, header.opcode, header.length) == (fin, TEXT, size)
    assert apply_mask(data[header.size :], header.mask) == payload


# Masking.


@pytest.mark.parametrize("apply", [xor_mask, apply_mask], ids=["xor_mask", "apply_mask"])
@pytest.mark.parametrize("size", [*range(71), 125, 126, 1023, 65535, 65537])
def test_a_mask_is_applied_byte_by_byte_and_undone_by_itself(apply, size):
    payload = random.Random(size).randbytes(size)
    for key in (MASK, b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x01", b"\x80\0\0\0"):
        masked = apply(payload, key)
        assert type(masked) is bytes
        assert masked == mask_payload(payload, key)
        assert apply(masked, key) == payload


def test_both_ways_to_mask_a_large_payload_are_one():
    payload = random.Random(0).randbytes(2**20 + 3)
    assert xor_mask(payload, MASK) == apply_mask(payload, MASK)
    assert xor_mask(payload, MASK)[-70:] == mask_payload(payload[-72:], MASK[3:] + MASK[:3])[2:]


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_both_ways_to_mask_are_one(payload, key):
    assert xor_mask(payload, key) == apply_mask(payload, key) == mask_payload(payload, key)


def test_the_mask_of_websockets_is_used_where_it_is_installed():
    speedups = pytest.importorskip("websockets.speedups")
    assert apply_mask is speedups.apply_mask


def test_python_masks_where_websockets_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    spec = importlib.util.spec_from_file_location("frames_without_speedups", frames.__file__)
    without = importlib.util.module_from_spec(spec)
    # A NamedTuple looks its annotations up there.
    monkeypatch.setitem(sys.modules, spec.name, without)
    spec.loader.exec_module(without)
    assert without.apply_mask is without.xor_mask
    assert without.build_frame(TEXT, b"Hello", mask=MASK) == frame(TEXT, b"Hello")


# Reading a header.


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("size", [*SIZES, 2**31, 2**40, 2**63 - 1])
def test_a_header_is_read_in_each_width(size, fin):
    header = frame(BINARY, fin=fin, length=size)
    assert parse_header(header) == Header(fin, BINARY, size, MASK, len(header))
    assert parse_header(b"abc" + header + b"payload", 3) == Header(
        fin, BINARY, size, MASK, len(header)
    )


@pytest.mark.parametrize("bits", WIDTHS)
def test_a_header_is_none_until_it_is_whole(bits):
    size = {7: 125, 16: 126, 64: 65536}[bits]
    header = frame(TEXT, length=size)
    assert len(header) == {7: 6, 16: 8, 64: 14}[bits]
    for end in range(len(header)):
        assert parse_header(header[:end]) is None
        assert parse_header(b"before" + header[:end], 6) is None


@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
def test_a_data_frame_may_be_a_fragment(opcode, fin):
    assert parse_header(frame(opcode, fin=fin)) == Header(fin, opcode, 0, MASK, 6)


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG])
@pytest.mark.parametrize("size", [0, 125])
def test_a_control_frame_has_125_bytes_at_most(opcode, size):
    assert parse_header(frame(opcode, bytes(size))) == Header(True, opcode, size, MASK, 6)


def broken(why: str, section: str, header: bytes, breaks_at: int):
    return pytest.param(why, header, breaks_at, id=f"{why}, {section}: {header.hex()}")


BROKEN = [
    *(
        broken("a reserved bit is set", "5.2", frame(opcode, rsv=rsv), 0)
        for rsv in range(1, 8)
        for opcode in (TEXT, CONTINUATION, PING)
    ),
    *(
        broken(f"opcode {opcode} is reserved", "5.2", frame(opcode, fin=fin), 0)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        for fin in (True, False)
    ),
    *(
        broken("a control frame is fragmented", "5.5", frame(opcode, fin=False), 0)
        for opcode in (CLOSE, PING, PONG)
    ),
    *(
        broken("is not masked", "5.1", frame(opcode, bytes(size), mask=b""), 1)
        for opcode in (TEXT, BINARY, CONTINUATION, PING, CLOSE)
        for size in (0, 125)
    ),
    *(
        broken("is not masked", "5.1", frame(BINARY, length=size, mask=b""), 1)
        for size in (126, 65536)
    ),
    *(
        broken("more than 125 bytes", "5.5", frame(opcode, length=size), 1)
        for opcode in (CLOSE, PING, PONG)
        for size in (126, 65536)
    ),
    # The low byte of 16 bits tells whether 7 would have done ...
    *(
        broken("not minimal", "5.2", frame(BINARY, length=size, bits=16), 3)
        for size in (0, 1, 124, 125)
    ),
    # ... the last of the upper six of 64 whether 16 would.
    *(
        broken("not minimal", "5.2", frame(BINARY, length=size, bits=64), 7)
        for size in (0, 125, 126, 65535)
    ),
    *(
        broken("highest bit", "5.2", frame(BINARY, length=size), 2)
        for size in (2**63, 2**63 + 1, 2**64 - 1)
    ),
]


@pytest.mark.parametrize(("why", "header", "breaks_at"), BROKEN)
def test_a_broken_header_is_a_protocol_error(why, header, breaks_at):
    with pytest.raises(ProtocolError, match=why) as caught:
        parse_header(header)
    assert caught.value.code == 1002


@pytest.mark.parametrize(("why", "header", "breaks_at"), BROKEN)
def test_a_rule_fails_at_the_first_byte_that_can_break_it(why, header, breaks_at):
    for end in range(breaks_at + 1):
        assert parse_header(header[:end]) is None
    for position in (0, 5):
        with pytest.raises(ProtocolError, match=why):
            parse_header(bytes(position) + header[: breaks_at + 1], position)
