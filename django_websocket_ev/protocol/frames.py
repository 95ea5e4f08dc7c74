"""Framing: the header of a frame, masking, and building frames. RFC 6455 §5.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-------+-+-------------+-------------------------------+
    |F|R|R|R| opcode|M| length (7)  | extended length (16 or 64)    |
    +-+-+-+-+-------+-+-------------+-------------------------------+
    | masking key (32, when M is set)         | payload ...         |
    +-----------------------------------------+---------------------+
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from django_websocket_ev.protocol.close import PROTOCOL_ERROR, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

#: Payload bytes that a control frame may have at most (§5.5).
MAX_CONTROL_SIZE = 125

#: Bytes of payload from which on it is cheaper to send it behind its header than to copy it there.
LARGE = 65536

_FIN = 0x80
_RSV = 0x70
_RSV1 = 0x40
_MASKED = 0x80

#: The two bytes before a short text message from a server, by its length: a
#: look-up is cheaper than packing them.
SHORT_TEXT = [bytes((_FIN | TEXT, size)) for size in range(126)]
_SHORT_BINARY = [bytes((_FIN | BINARY, size)) for size in range(126)]


def xor_mask(payload: bytes | memoryview, key: bytes) -> bytes:
    """Return ``payload`` masked, or unmasked, with the 4 bytes of ``key`` (§5.3)."""
    size = len(payload)
    cycled = key * (size // 4 + 1)
    return (int.from_bytes(payload, "little") ^ int.from_bytes(cycled[:size], "little")).to_bytes(
        size, "little"
    )


apply_mask: Callable[[bytes | memoryview, bytes], bytes]
try:
    # In C, 40 times as fast for 1 MiB; the extra "speedups" brings it.
    from websockets.speedups import apply_mask
except ImportError:
    apply_mask = xor_mask


class Header(NamedTuple):
    """What stands before a payload."""

    fin: bool
    opcode: int
    length: int
    mask: bytes
    #: Bytes that the header itself takes.
    size: int
    #: The first bit of the reserved ones, by which permessage-deflate marks a
    #: message that is compressed (RFC 7692 §6).
    rsv1: bool = False


def parse_header(data: bytes, position: int = 0, *, rsv1: bool = False) -> Header | None:
    """Return the header that begins at ``position`` of ``data``; None if it is not whole.

    Each rule is applied to the first byte that can break it. Raises
    :class:`ProtocolError` for a frame that no client may send: reserved bits or
    opcodes, no mask, a length that is not minimal, a control frame that is long
    or fragmented. With ``rsv1`` the first frame of a message may have that bit.
    """
    available = len(data) - position
    if available < 1:
        return None
    first = data[position]
    opcode = first & 0x0F
    if first & _RSV and not (
        rsv1 and first & _RSV == _RSV1 and opcode in (TEXT, BINARY)  # RFC 7692 §6.1
    ):
        raise ProtocolError(PROTOCOL_ERROR, "a reserved bit is set, no extension uses it")  # §5.2
    if opcode not in OPCODES:
        raise ProtocolError(PROTOCOL_ERROR, f"opcode {opcode} is reserved")  # §5.2
    fin = first >= _FIN
    if opcode >= CLOSE and not fin:
        raise ProtocolError(PROTOCOL_ERROR, "a control frame is fragmented")  # §5.5
    if available < 2:
        return None
    second = data[position + 1]
    if second < _MASKED:
        raise ProtocolError(PROTOCOL_ERROR, "a client's frame is not masked")  # §5.1
    length = second & 0x7F
    if opcode >= CLOSE and length > MAX_CONTROL_SIZE:
        raise ProtocolError(PROTOCOL_ERROR, "a control frame has more than 125 bytes")  # §5.5
    size = 2
    if length == 126:
        size = 4
        if available < 4:
            return None
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        if length < 126:
            raise ProtocolError(PROTOCOL_ERROR, "a length is not minimal")  # §5.2
    elif length == 127:
        size = 10
        extended = data[position + 2 : position + 10]
        if extended[:1] >= b"\x80":
            raise ProtocolError(PROTOCOL_ERROR, "a length has its highest bit set")  # §5.2
        if extended.startswith(bytes(6)):
            raise ProtocolError(PROTOCOL_ERROR, "a length is not minimal")  # §5.2
        if available < 10:
            return None
        length = int.from_bytes(extended, "big")
    if available < size + 4:
        return None
    mask = data[position + size : position + size + 4]
    return Header(fin, opcode, length, mask, size + 4, first & _RSV1 != 0)


def build_text(message: str) -> bytes:
    """Return the one unmasked frame of a text message.

    Raises UnicodeEncodeError for a lone surrogate: it has no UTF-8.
    """
    payload = message.encode()
    size = len(payload)
    if size < 126:
        return SHORT_TEXT[size] + payload
    return build_frame(TEXT, payload)


def build_binary(payload: bytes) -> bytes:
    """Return the one unmasked frame of a binary message."""
    size = len(payload)
    if size < 126:
        return _SHORT_BINARY[size] + payload
    return build_frame(BINARY, payload)


def build_header(
    opcode: int, size: int, *, fin: bool = True, rsv1: bool = False, masked: bool = False
) -> bytes:
    """Return what stands before a payload of ``size`` bytes, but for the masking key."""
    first = opcode | (_FIN if fin else 0) | (_RSV1 if rsv1 else 0)
    second = _MASKED if masked else 0
    if size < 126:
        return bytes((first, second | size))
    if size < 65536:
        return bytes((first, second | 126)) + size.to_bytes(2, "big")
    return bytes((first, second | 127)) + size.to_bytes(8, "big")


def build_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv1: bool = False,
    mask: bytes | None = None,
) -> bytes:
    """Return a frame; ``mask``, four bytes, makes it a client's (§5.1)."""
    header = build_header(opcode, len(payload), fin=fin, rsv1=rsv1, masked=mask is not None)
    if mask is None:
        return header + payload
    return header + mask + apply_mask(payload, mask)
