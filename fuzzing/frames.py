"""Frames as clients send them, well-formed and not, and what their headers announce.

Nothing in here uses the package: a mistake of its own could not show against itself.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

#: The masking key of RFC 6455 section 5.7's example.
MASK = b"\x37\xfa\x21\x3d"

#: The bits of a length, what byte 1 says of them, and the largest one they can give.
WIDTHS = {7: (None, 125), 16: (126, 2**16 - 1), 64: (127, 2**64 - 1)}

#: Every byte XORed with a byte of a key, as bytes.translate() takes it.
_MASKED = [bytes(byte ^ key for byte in range(256)) for key in range(256)]


def mask_payload(payload: bytes, key: bytes) -> bytes:
    """Mask every fourth byte with one byte of the key, as section 5.3 writes it down."""
    masked = bytearray(payload)
    for i in range(4):
        masked[i::4] = payload[i::4].translate(_MASKED[key[i]])
    return bytes(masked)


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


def completed(stream: bytes, most: int) -> bytes:
    """Return ``stream`` with zeros for what its last frame has announced.

    Where that is more than ``most`` bytes, it announces so many less.
    """
    if len(stream) - 1 in [0, *(header.end for header in announced_frames(stream))]:
        stream += b"\x80"  # all that is there is a first byte: make it an empty frame with a mask
    ends = [header.end for header in announced_frames(stream)]
    surplus = ends[-1] - len(stream) - most
    if surplus > 0:
        at = (ends[-2] if len(ends) > 1 else 0) + 2
        stream = stream.ljust(at + 8, b"\0")
        length = int.from_bytes(stream[at : at + 8], "big") - surplus
        stream = stream[:at] + length.to_bytes(8, "big") + stream[at + 8 :]
        ends[-1] -= surplus
    return stream + bytes(ends[-1] - len(stream))
