"""Bytes that hostile clients send, and the few that they understand.

Every frame of a client is masked; here with the key 0, so that it can be made once for all.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n{extra}\r\n"
)
OFFER = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


def header(opcode: int, length: int, *, fin: bool = True, rsv1: bool = False) -> bytes:
    """The header of a client's frame with the masking key 0."""
    first = fin << 7 | rsv1 << 6 | opcode
    if length < 126:
        return bytes([first, 0x80 | length]) + bytes(4)
    width, mark = (2, 126) if length < 65536 else (8, 127)
    return bytes([first, 0x80 | mark]) + length.to_bytes(width, "big") + bytes(4)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv1: bool = False) -> bytes:
    """A whole frame of a client."""
    return header(opcode, len(payload), fin=fin, rsv1=rsv1) + payload


def bomb(inflated: int) -> bytes:
    """A message of so many bytes, all alike, in one compressed frame: a thousandth of them."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    # A full flush forgets what came before, so this piece can follow itself.
    piece = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    packed = piece * (inflated >> 20)
    return frame(BINARY, packed[:-4], rsv1=True)


class Frames:
    """A server's bytes, cut into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield opcode and payload of each frame that is whole now."""
        data = self._rest + data
        position = 0
        while len(data) >= position + 2:
            length, start = data[position + 1], position + 2
            if length > 125:
                width = 2 if length == 126 else 8
                length = int.from_bytes(data[start : start + width], "big")
                start += width
            if len(data) < start + length:
                break
            yield data[position] & 0x0F, data[start : start + length]
            position = start + length
        self._rest = data[position:]
