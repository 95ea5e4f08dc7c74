"""What a client compresses, and what becomes of it, for the tests of permessage-deflate."""

from __future__ import annotations

import random
import zlib

from django_websocket_ev.protocol.close import ProtocolError
from django_websocket_ev.protocol.deflate import Agreement, Inflater
from django_websocket_ev.protocol.receiver import Receiver
from rawclient import frame

RSV1, RSV2, RSV3 = 4, 2, 1

#: The default, and its opposite.
FORGETS = Agreement(server_no_context_takeover=True, client_no_context_takeover=True)
KEEPS = Agreement()

#: What ends a message and is not sent, and what ends a stream of DEFLATE.
TAIL = b"\x00\x00\xff\xff"
END = b"\x03\x00"

choose = random.Random(7692)
WORDS = [choose.randbytes(choose.randrange(3, 12)) for _ in range(300)]


def prose(size: int) -> bytes:
    """Return what can be compressed, though not to nothing."""
    text = b"".join(choose.choice(WORDS) for _ in range(size // 3 + 1))
    return text[:size]


def deflate(payload: bytes, bits: int = 15) -> bytes:
    """Return ``payload`` as one message of a client that keeps no context."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -bits)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(TAIL)


def receiver(agreement: Agreement = FORGETS, max_message_size: int | None = 2**20) -> Receiver:
    return Receiver(max_message_size, Inflater(agreement))


def receive(*pieces: bytes, agreement: Agreement = FORGETS, max_message_size=2**20) -> list:
    """Feed the pieces to a new receiver; return its events, an error as its code."""
    own = receiver(agreement, max_message_size)
    events = [event for piece in pieces for event in own.feed(piece)]
    return [event.code if isinstance(event, ProtocolError) else event for event in events]


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def compressed(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a frame whose payload is compressed already."""
    return frame(opcode, payload, fin=fin, reserved=RSV1)


def take_apart(data: bytes) -> tuple[int, bool, bytes]:
    """Return the opcode of a server's one frame, whether it is compressed, and its payload."""
    size, start = data[1], 2
    if size > 125:
        start += 2 if size == 126 else 8
        size = int.from_bytes(data[2:start], "big")
    assert data[0] & 0xB0 == 0x80
    assert len(data) == start + size
    return data[0] & 0x0F, bool(data[0] & 0x40), data[start:]


def inflate_alone(payload: bytes, bits: int = 15) -> bytes:
    """Return the message of a payload, which must refer to nothing before it."""
    return zlib.decompressobj(-bits).decompress(payload + TAIL)
