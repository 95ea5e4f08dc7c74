"""What the clients of `c/client.c` say, to the byte: its script."""

from __future__ import annotations

import zlib
from pathlib import Path

from bench.messages import documents, frame

CLOSE = bytes([0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xE8 ^ 2])  # 1000
KEY, PROOF = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3
TAIL = b"\x00\x00\xff\xff"

# Each message by itself, so that one client's echo can be inflated without those before.
OFFER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Origin: http://{address}\r\nUser-Agent: bench\r\nAccept-Encoding: gzip, deflate\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + "\r\n{extra}\r\n"
)


def text(size: int) -> bytes:
    """An ASCII text of so many bytes."""
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def write(
    file: Path, address: str, path: str, size: int, cookie: str = "", compressed: bool = False
) -> bytes:
    """Write a script and return the payload that an echo should have."""
    extra = f"Cookie: {cookie}\r\n" if cookie else ""
    if compressed:
        payload = documents(size)[0]
        extra += f"Sec-WebSocket-Extensions: {OFFER}\r\n"
        deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)]
    else:
        payload = body = text(size)
    request = HANDSHAKE.format(path=path, address=address, extra=extra).encode()
    # What comes back compressed depends on who compressed it: it is kept and inflated here.
    expected = b"" if compressed else payload
    parts = (request, frame(body, rsv1=compressed), expected, PROOF.encode(), CLOSE)
    file.write_bytes(b"".join(len(part).to_bytes(4, "little") + part for part in parts))
    return payload


def inflate(payload: bytes) -> bytes:
    """A message that was compressed by itself (RFC 7692, 7.2.2)."""
    return zlib.decompressobj(-15).decompress(payload + TAIL)
