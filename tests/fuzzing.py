"""Frames as clients send them, well-formed and not, and what is true of them.

Nothing in here uses the package: a mistake of its own could not show against itself.
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

#: The masking key of RFC 6455 section 5.7's example.
MASK = b"\x37\xfa\x21\x3d"

#: The bits of a length, what byte 1 says of them, and the largest one they can give.
WIDTHS = {7: (None, 125), 16: (126, 2**16 - 1), 64: (127, 2**64 - 1)}


def mask_payload(payload: bytes, key: bytes) -> bytes:
    """Mask byte by byte, as section 5.3 writes it down."""
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes = MASK,
    length: int | None = None,
    bits: int | None = None,
) -> bytes:
    """Return a client's frame.

    ``length`` and ``bits`` announce another length, or in another width, than
    the payload's own; an empty ``mask`` leaves it out.
    """
    if length is None:
        length = len(payload)
    if bits is None:
        bits = 7 if length < 126 else 16 if length < 2**16 else 64
    short, _largest = WIDTHS[bits]
    masked = 0x80 if mask else 0
    head = bytes((fin << 7 | rsv << 4 | opcode, masked | (length if short is None else short)))
    extended = {7: b"", 16: struct.pack("!H", length & 0xFFFF), 64: struct.pack("!Q", length)}
    return head + extended[bits] + mask + (mask_payload(payload, mask) if mask else payload)


def plain(event: Any) -> tuple[str, Any]:
    """Return an event in a form that can be compared: a Ping equals no Pong, an error its like."""
    if isinstance(event, Exception):
        return type(event).__name__, (event.code, event.reason)
    return type(event).__name__, event


# RFC 3629 section 4, its grammar word for word.
_TAIL = rb"[\x80-\xbf]"
_CHARACTER = rb"""
    [\x00-\x7f]
    | [\xc2-\xdf] %(tail)s
    | \xe0 [\xa0-\xbf] %(tail)s | [\xe1-\xec] %(tail)s{2}
    | \xed [\x80-\x9f] %(tail)s | [\xee-\xef] %(tail)s{2}
    | \xf0 [\x90-\xbf] %(tail)s{2} | [\xf1-\xf3] %(tail)s{3} | \xf4 [\x80-\x8f] %(tail)s{2}
""" % {b"tail": _TAIL}
_BEGINNING = rb"""
    [\xc2-\xdf]
    | (\xe0 [\xa0-\xbf] | [\xe1-\xec\xee\xef] %(tail)s | \xed [\x80-\x9f])
    | [\xe0-\xef]
    | (\xf0 [\x90-\xbf] | [\xf1-\xf3] %(tail)s | \xf4 [\x80-\x8f]) %(tail)s?
    | [\xf0-\xf4]
""" % {b"tail": _TAIL}
_UTF8 = re.compile(rb"(?:%s)*" % _CHARACTER, re.VERBOSE)
_UTF8_SO_FAR = re.compile(rb"(?:%s)*(?:%s)?" % (_CHARACTER, _BEGINNING), re.VERBOSE)


def is_utf8(data: bytes) -> bool:
    """Whether ``data`` is UTF-8."""
    return _UTF8.fullmatch(data) is not None


def begins_utf8(data: bytes) -> bool:
    """Whether more bytes could make UTF-8 of ``data``, if it is not already."""
    return _UTF8_SO_FAR.fullmatch(data) is not None


class Announced(NamedTuple):
    """What the header of a frame says, right or wrong."""

    opcode: int
    length: int
    #: Whether fewer bits would have held the length.
    wasteful: bool
    #: Where the frame's last byte should be; beyond the stream if it is unfinished.
    end: int


def announced_frames(stream: bytes) -> list[Announced]:
    """Return the frames of a stream by what their headers announce, the last may be unfinished.

    A header that is not whole counts as if zeros followed.
    """
    found = []
    position = 0
    while position < len(stream):
        head = stream[position : position + 10].ljust(10, b"\0")
        length = head[1] & 0x7F
        size, least = 2, 0
        if length == 126:
            size, least, (length,) = 4, 126, struct.unpack("!H", head[2:4])
        elif length == 127:
            size, least, (length,) = 10, 2**16, struct.unpack("!Q", head[2:])
        size += 4 * (head[1] >> 7)
        position += size + length
        found.append(Announced(head[0] & 0xF, length, length < least, position))
    return found


# A small fuzzer. `random.Random(seed)` makes the same streams each time, on each Python.

_TEXTS = (
    "",
    "a",
    "Hello",
    "\N{EURO SIGN}",
    "x\N{GRINNING FACE}y\ud7ff\ue000",
    "\N{GREEK SMALL LETTER PI}" * 80,
)
_CODES = (1000, 1000, 1001, 1005, 1011, 3000, 4999, 5000)


def _payload(rng: random.Random, opcode: int) -> bytes:
    if opcode == TEXT:
        return rng.choice(_TEXTS).encode()
    if opcode == CLOSE:
        code = struct.pack("!H", rng.choice(_CODES))
        return rng.choice((b"", code, code + _TEXTS[4].encode()))
    return rng.randbytes(
        rng.choice((0, 1, 4, 20, 125) if opcode >= CLOSE else (0, 7, 125, 126, 300))
    )


def _fragments(rng: random.Random) -> list[bytes]:
    """Return the frames of one message, control frames in between."""
    opcode = rng.choice((TEXT, TEXT, BINARY))
    payload = _payload(rng, opcode)
    cuts = sorted(rng.randint(0, len(payload)) for _ in range(rng.choice((0, 0, 1, 2, 3))))
    frames = []
    for begin, end in zip([0, *cuts], [*cuts, len(payload)], strict=True):
        if frames and rng.random() < 0.3:
            frames.append(_control(rng, rng.choice((PING, PONG))))
        key = rng.randbytes(4)
        frames.append(frame(opcode, payload[begin:end], fin=False, mask=key))
        opcode = CONTINUATION
    frames[-1] = bytes((frames[-1][0] | 0x80,)) + frames[-1][1:]
    return frames


def _control(rng: random.Random, opcode: int) -> bytes:
    return frame(opcode, _payload(rng, opcode), mask=rng.randbytes(4))


def _place(rng: random.Random, data: bytes) -> int:
    """Return a position in ``data``, every other time one of the header."""
    return rng.randrange(min(len(data), 14) if rng.random() < 0.5 else len(data))


def _flip_a_bit(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]


def _insert_a_byte(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.randbytes(1) + data[at:]


def _delete_a_byte(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + 1 :]


def _truncate(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    return data[: _place(rng, data)]


def _splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def _announce_another_length(rng: random.Random, data: bytes, _other: bytes) -> bytes:
    at = {126: 4, 127: 10}.get(data[1] & 0x7F, 2)
    true = len(data) - at - 4
    length = rng.choice((true, true, true + 1, max(0, true - 1), 126, 2**16, 2**40, 2**63))
    bits = rng.choice([bits for bits, (_, largest) in WIDTHS.items() if length <= largest])
    return frame(data[0] & 0xF, length=length, bits=bits, mask=data[at : at + 4]) + data[at + 4 :]


_MUTATIONS = (
    _flip_a_bit,
    _flip_a_bit,
    _insert_a_byte,
    _delete_a_byte,
    _truncate,
    _splice,
    _announce_another_length,
)


def _pieces(rng: random.Random, stream: bytes) -> list[bytes]:
    """Cut a stream as a network might: mostly whole, sometimes anywhere, sometimes bytewise."""
    if rng.random() < 0.01:
        return [stream[i : i + 1] for i in range(len(stream))]
    cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.choice((0, 0, 1, 2))))
    return [stream[i:j] for i, j in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def mutated_sessions(seed: int, count: int) -> Iterator[list[bytes]]:
    """Yield ``count`` streams of a few valid frames with one mutated among them, each in pieces."""
    rng = random.Random(seed)
    stock = [_fragments(rng) for _ in range(300)]
    stock += [[_control(rng, opcode)] for opcode in (PING, PONG, CLOSE) for _ in range(30)]
    for _ in range(count):
        frames = [*rng.choice(stock), *rng.choice(stock)]
        other = rng.choice(stock)[0]
        at = rng.randrange(len(frames))
        frames[at] = rng.choice(_MUTATIONS)(rng, frames[at], other)
        yield _pieces(rng, b"".join(frames))
