"""A WebSocket client that may misbehave: it sends any bytes and reads frame by frame.

It shares no code with the package, so that neither hides the other's mistakes.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import time
from typing import NamedTuple

from servers import PATIENCE

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

#: A handshake's key and what RFC 6455 §1.3 says of it: the standard's own example.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class Frame(NamedTuple):
    """One frame from the server."""

    opcode: int
    payload: bytes
    fin: bool = True


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    key: bytes | None = b"\x37\xfa\x21\x3d",
    length: int | None = None,
    width: int | None = None,
) -> bytes:
    """Return a client's frame, or what looks like one.

    ``length`` is what the header announces where that is not the truth,
    ``width`` the bytes that the length takes where those are not the fewest (0, 2 or 8).
    """
    size = len(payload) if length is None else length
    if width is None:
        width = 0 if size < 126 else 2 if size < 65536 else 8
    masked = 0 if key is None else 0x80
    head = bytes([fin << 7 | reserved << 4 | opcode, masked | {0: size, 2: 126, 8: 127}[width]])
    head += size.to_bytes(width, "big") if width else b""
    return head + (payload if key is None else key + mask(payload, key))


def mask(payload: bytes, key: bytes) -> bytes:
    """Return ``payload`` masked with the four bytes of ``key``."""
    size = len(payload)
    keys = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ keys).to_bytes(size, "big")


def text(message: str) -> bytes:
    """Return the frame of a text message."""
    return frame(TEXT, message.encode())


def close(code: int | None = 1000, reason: str = "") -> bytes:
    """Return a Close frame, without a body where ``code`` is None."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


def request(path: str, *headers: str) -> bytes:
    """Return the opening handshake."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def dial(server, receive_buffer: int | None = None, port: int | None = None) -> socket.socket:
    """Return a socket that is connected to ``server``.

    ``receive_buffer`` is what the kernel may take for a client that does not read.
    """
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE)
    sock.connect(("127.0.0.1", port or server.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class RawClient:
    """A WebSocket over ``sock``, open once the server has answered the handshake.

    ``behind`` is sent in the same packet as the handshake.
    """

    def __init__(self, sock: socket.socket, path: str, *, behind: bytes = b"") -> None:
        self.sock = sock
        self._read = bytearray()
        self.send(request(path) + behind)
        self.head = self._until(b"\r\n\r\n").decode()
        assert self.head.startswith("HTTP/1.1 101 "), self.head
        assert f"Sec-WebSocket-Accept: {ACCEPT}\r\n" in self.head, self.head

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.sock.close()

    # Sending.

    def send(self, *parts: bytes) -> None:
        """Send bytes; a short piece arrives as one packet."""
        self.sock.sendall(b"".join(parts))

    def send_text(self, message: str) -> None:
        """Send a text message."""
        self.send(text(message))

    def all_has_arrived(self) -> None:
        """Return when the kernel of the other side has all that was sent."""
        patience_ends = time.monotonic() + PATIENCE
        while struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, bytes(4)))[0]:
            assert time.monotonic() < patience_ends, "it takes no more"

    def end_output(self) -> None:
        """Send a FIN: whether anybody still reads here, the server cannot know."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Send a RST, as a machine does that was started anew."""
        reset(self.sock)

    # Receiving.

    def read_frame(self) -> Frame:
        """Return the next frame, which must be one that a server may send."""
        first, second = self._exactly(2)
        assert not first & 0x70, f"reserved bits in {first:#x}"
        assert not second & 0x80, "a server's frame is masked"
        length = second
        if second == 126:
            length = int.from_bytes(self._exactly(2), "big")
            assert length > 125, "a length is not minimal"
        elif second == 127:
            length = int.from_bytes(self._exactly(8), "big")
            assert length > 65535, "a length is not minimal"
        return Frame(first & 0x0F, self._exactly(length), first >= 0x80)

    def read_text(self) -> str:
        """Return the next frame's text, which must be a whole message."""
        got = self.read_frame()
        assert got.opcode == TEXT, got
        assert got.fin, got
        return got.payload.decode()

    def read_close(self) -> tuple[int | None, str]:
        """Return code and reason of the next frame, which must be a Close."""
        got = self.read_frame()
        assert got.opcode == CLOSE, got
        if not got.payload:
            return None, ""
        return int.from_bytes(got.payload[:2], "big"), got.payload[2:].decode()

    def read_end(self) -> bytes:
        """Return the bytes that come before TCP ends, by FIN or RST."""
        try:
            while piece := self.sock.recv(65536):
                self._read += piece
        except ConnectionError:
            pass
        return bytes(self._read)

    def is_reset(self) -> bool:
        """Whether TCP ends by RST, and not by FIN behind all that was sent."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            return True
        return False

    def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            self._more()
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            self._more()
        return self._exactly(self._read.index(mark) + len(mark))

    def _more(self) -> None:
        piece = self.sock.recv(65536)
        assert piece, f"TCP ended within {bytes(self._read)!r}"
        self._read += piece


def connect(server, path: str, *, receive_buffer: int | None = None, behind: bytes = b""):
    """Return a :class:`RawClient` of ``server``."""
    return RawClient(dial(server, receive_buffer), path, behind=behind)


def reset(sock: socket.socket) -> None:
    """Close ``sock`` with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def has_read(other) -> None:
    """Return when the server has read what was sent to it before.

    A turn of its hub reads every socket that has something, so by the second
    message that comes back to ``other``, a client of /echo/, it has seen them all.
    """
    for _ in range(2):
        other.send("")
        other.recv(PATIENCE)
