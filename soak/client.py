"""A WebSocket client that may do anything, on asyncio's streams."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import zlib
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
TAIL = b"\x00\x00\xff\xff"  # RFC 7692 §7.2.1: what a compressed message has not at its end
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() then resets the connection

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n{extra}\r\n"
)


class Refused(Exception):
    """The server answered with another status than 101."""


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool
    rsv1: bool


def build_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv1: bool = False
) -> bytes:
    """A client's frame, masked with a key that nobody knows before."""
    first = fin << 7 | rsv1 << 6 | opcode
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    else:
        width, mark = (2, 126) if size < 65536 else (8, 127)
        head = bytes([first, 0x80 | mark]) + size.to_bytes(width, "big")
    key = os.urandom(4)
    keys = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return head + key + (int.from_bytes(payload, "big") ^ keys).to_bytes(size, "big")


class Client:
    """One connection. It answers Pings while it reads, and nothing else by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._deflater: zlib._Compress | None = None
        self._inflater: zlib._Decompress | None = None
        self._agreement = ""

    @classmethod
    async def connect(cls, port: int, receive_buffer: int | None = None) -> Client:
        """A TCP connection, and nothing said yet."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        # As over Ethernet: else the kernel takes megabytes for a client that does not read.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1460)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            return cls(*await asyncio.open_connection(sock=sock, limit=2**16))
        except BaseException:
            sock.close()
            raise

    @classmethod
    async def open(cls, port: int, path: str, offer: str = "", **options: int) -> Client:
        """An open WebSocket. Raises Refused."""
        client = await cls.connect(port, **options)
        try:
            await client._shake_hands(path, offer)
        except BaseException:
            client.reset()
            raise
        return client

    async def _shake_hands(self, path: str, offer: str) -> None:
        extra = f"Sec-WebSocket-Extensions: {offer}\r\n" if offer else ""
        await self.send(HANDSHAKE.format(path=path, extra=extra).encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        if " 101 " not in head.partition("\r\n")[0]:
            raise Refused(head.split(" ", 2)[1])
        for line in head.split("\r\n"):
            name, _, value = line.partition(": ")
            if name.lower() == "sec-websocket-extensions":
                self._agreement = value

    # Sending.

    @property
    def compresses(self) -> bool:
        return bool(self._agreement)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send_frame(self, opcode: int, payload: bytes = b"") -> None:
        await self.send(build_frame(opcode, payload))

    def compress(self, payload: bytes) -> bytes:
        """What a message's frames carry once compression is agreed on."""
        if self._deflater is None or "client_no_context_takeover" in self._agreement:
            self._deflater = zlib.compressobj(1, zlib.DEFLATED, -15)
        packed = self._deflater.compress(payload) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        return packed[:-4]

    def inflate(self, payload: bytes) -> bytes:
        if self._inflater is None or "server_no_context_takeover" in self._agreement:
            self._inflater = zlib.decompressobj(-15)
        return self._inflater.decompress(payload + TAIL)

    # Receiving. All raise IncompleteReadError or ConnectionError where TCP ends.

    async def read_frame(self, answers: bool = True) -> Frame:
        """The next frame that is no Ping; those are answered, or not."""
        while True:
            first, second = await self._reader.readexactly(2)
            length = second
            if second > 125:
                width = 2 if second == 126 else 8
                length = int.from_bytes(await self._reader.readexactly(width), "big")
            payload = await self._reader.readexactly(length)
            frame = Frame(first & 0x0F, payload, first >= 0x80, bool(first & 0x40))
            if frame.opcode != PING:
                return frame
            if answers:
                await self.send_frame(PONG, payload)

    async def read_message(self) -> tuple[int, bytes]:
        """The next message, or Close: its opcode and what it carries."""
        while True:
            frame = await self.read_frame()
            if frame.opcode != PONG:
                payload = self.inflate(frame.payload) if frame.rsv1 else frame.payload
                return frame.opcode, payload

    async def read_close(self, answers: bool = True) -> int:
        """The code of the Close that is to come, whatever comes before."""
        while True:
            frame = await self.read_frame(answers)
            if frame.opcode == CLOSE:
                return int.from_bytes(frame.payload[:2], "big")

    async def read_end(self) -> bytes:
        """All until TCP ends, by FIN or by RST."""
        last = b""
        try:
            while data := await self._reader.read(65536):
                last = data
        except ConnectionError:
            pass
        return last

    # Leaving.

    def end_output(self) -> None:
        self._writer.write_eof()

    def reset(self) -> None:
        sock = self._writer.get_extra_info("socket")
        if sock is not None and not self._writer.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._writer.transport.abort()
