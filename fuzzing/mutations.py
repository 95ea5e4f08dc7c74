"""What goes wrong with a frame: one of its parts, or its bytes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from fuzzing.frames import CLOSE, WIDTHS, frame


class Frame(NamedTuple):
    """A client's frame, before it is bytes."""

    opcode: int
    payload: bytes
    fin: bool
    rsv: int
    key: bytes

    def build(self) -> bytes:
        return frame(self.opcode, self.payload, fin=self.fin, rsv=self.rsv, mask=self.key)


# Bytes.

#: The bytes at which rules begin and end: of UTF-8, of DEFLATE's blocks, of lengths.
_EDGES = bytes((0, 1, 2, 3, 4, 5, 6, 7, 0x7D, 0x7E, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1,
                0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFE, 0xFF))  # fmt: skip


def _flip_a_bit(rng: random.Random, data: bytes, at: int, _other: bytes) -> bytes:
    return data[:at] + bytes((data[at] ^ 1 << int(rng.random() * 8),)) + data[at + 1 :]


def _change_a_byte(rng: random.Random, data: bytes, at: int, _other: bytes) -> bytes:
    at_edge = int(rng.random() * len(_EDGES))
    return data[:at] + _EDGES[at_edge : at_edge + 1] + data[at + 1 :]


def _insert_a_byte(rng: random.Random, data: bytes, at: int, _other: bytes) -> bytes:
    return data[:at] + bytes((int(rng.random() * 256),)) + data[at:]


def _delete_a_byte(_rng: random.Random, data: bytes, at: int, _other: bytes) -> bytes:
    return data[:at] + data[at + 1 :]


def _truncate(_rng: random.Random, data: bytes, at: int, _other: bytes) -> bytes:
    return data[:at]


def _splice(rng: random.Random, data: bytes, at: int, other: bytes) -> bytes:
    return data[:at] + other[int(rng.random() * (len(other) + 1)) :]


def _double(rng: random.Random, data: bytes, at: int, _other: bytes) -> bytes:
    return data[: at + 1 + int(rng.random() * 20)] + data[at:]


#: What is no UTF-8, each by another byte of it. RFC 3629 section 4.
_NO_TEXT = (
    b"\xed\xa0\x80",
    b"\xed\xbf",
    b"\xc0\xaf",
    b"\xf4\x90\x80\x80",
    b"\xf0\x8f",
    b"\xe2\x82",
)


def _insert_no_text(rng: random.Random, data: bytes, at: int, _other: bytes) -> bytes:
    """Put in what no text has, or the beginning of it, every other time at the end."""
    bad = rng.choice(_NO_TEXT)
    bad = bad[: 1 + int(rng.random() * len(bad))]
    return data + bad if rng.random() < 0.5 else data[:at] + bad + data[at:]


ByteMutation = Callable[[random.Random, bytes, int, bytes], bytes]

_BYTE_MUTATIONS: list[ByteMutation] = [
    _flip_a_bit,
    _flip_a_bit,
    _change_a_byte,
    _insert_a_byte,
    _delete_a_byte,
    _truncate,
    _splice,
    _double,
    _insert_no_text,
]


def mutate_bytes(rng: random.Random, data: bytes, other: bytes, head: int = 14) -> bytes:
    """Return ``data`` changed in one place, every other time one of its first bytes.

    ``other`` is of the same sort; parts of it may come in.
    """
    if not data:
        return other[: int(rng.random() * 4)]
    # Most of what matters is in the first bytes, of a request or of a frame.
    places = min(len(data), head) if rng.random() < 0.5 else len(data)
    mutation = _BYTE_MUTATIONS[int(rng.random() * len(_BYTE_MUTATIONS))]
    return mutation(rng, data, int(rng.random() * places), other)


# Frames. Each returns the bytes of what has become of a frame.


def _mutate_the_bytes(rng: random.Random, it: Frame, raw: bytes, other: bytes) -> bytes:
    return mutate_bytes(rng, raw, other)


#: Close codes beside those that may be sent, and some of these. RFC 6455 section 7.4.
_CODES = (0, 999, 1002, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 2999, 3000, 4999, 5000, 65535)


def _mutate_the_payload(rng: random.Random, it: Frame, raw: bytes, other: bytes) -> bytes:
    if it.opcode == CLOSE and rng.random() < 0.5:
        code = rng.choice(_CODES).to_bytes(2, "big")
        return it._replace(payload=code + it.payload[2:]).build()
    payload = mutate_bytes(rng, it.payload, other, head=4)
    return it._replace(payload=payload).build()


def _change_the_opcode(rng: random.Random, it: Frame, raw: bytes, _other: bytes) -> bytes:
    return bytes((raw[0] & 0xF0 | int(rng.random() * 16),)) + raw[1:]


def _change_fin_or_rsv(rng: random.Random, it: Frame, raw: bytes, _other: bytes) -> bytes:
    return bytes((raw[0] ^ rng.choice((0x80, 0x80, 0x40, 0x40, 0x20, 0x10, 0xC0)),)) + raw[1:]


def _leave_out_the_mask(rng: random.Random, it: Frame, raw: bytes, _other: bytes) -> bytes:
    return it._replace(key=b"").build()


def _announce_another_length(rng: random.Random, it: Frame, raw: bytes, _other: bytes) -> bytes:
    true = len(it.payload)
    length = rng.choice((true, true, true + 1, max(0, true - 1), 125, 126, 2**16, 2**40, 2**63))
    bits = rng.choice([bits for bits, (_, largest) in WIDTHS.items() if length <= largest])
    head = frame(it.opcode, fin=it.fin, rsv=it.rsv, length=length, bits=bits, mask=it.key)
    return head + raw[len(raw) - true :]


def _put_another_there(rng: random.Random, it: Frame, raw: bytes, other: bytes) -> bytes:
    return other


def _take_another_key(rng: random.Random, it: Frame, raw: bytes, _other: bytes) -> bytes:
    return it._replace(key=rng.randbytes(4)).build()


def _cut_in_two(rng: random.Random, it: Frame, raw: bytes, _other: bytes) -> bytes:
    """Make two fragments of one, or of a control frame what no control frame may be."""
    at = int(rng.random() * (len(it.payload) + 1))
    first = it._replace(fin=False, payload=it.payload[:at]).build()
    return first + Frame(0, it.payload[at:], it.fin, 0, it.key).build()


FrameMutation = Callable[[random.Random, Frame, bytes, bytes], bytes]

_FRAME_MUTATIONS: list[FrameMutation] = [
    *[_mutate_the_bytes] * 4,
    *[_mutate_the_payload] * 8,
    _take_another_key,
    _change_the_opcode,
    _change_fin_or_rsv,
    _leave_out_the_mask,
    _announce_another_length,
    _announce_another_length,
    _put_another_there,
    _cut_in_two,
]


def mutate(rng: random.Random, it: Frame, raw: bytes, other: bytes) -> bytes:
    """Return the bytes of a frame, ``raw``, after something went wrong with it.

    ``other`` is another frame's bytes.
    """
    mutation = _FRAME_MUTATIONS[int(rng.random() * len(_FRAME_MUTATIONS))]
    changed = mutation(rng, it, raw, other)
    # A mutation may happen to change nothing: then it was none.
    return changed if changed != raw else _flip_a_bit(rng, raw, int(rng.random() * len(raw)), raw)
