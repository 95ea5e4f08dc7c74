"""Hostile clients, each a protocol of asyncio: what they send, and what the server did to them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from typing import Any

from bench.hostile import wire

#: As over Ethernet. Loopback's own 64 KiB lets the kernel take 2.5 MB for each client that
#: does not read, which would exhaust the kernel before it troubles the server.
SEGMENT = 1460
IP_BIND_ADDRESS_NO_PORT = 24  # Linux's; the module socket has it from Python 3.12 on
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() then resets the connection


class Peer(asyncio.Protocol):
    """Opens a WebSocket and is silent: it answers no Ping and no Close."""

    path = "/echo/"
    extra = ""  # of its handshake
    reads = True  # what comes once the WebSocket is open
    listens = True  # to what it reads, frame by frame
    answers_pings = False
    opens = True  # its WebSocket, before the signal to attack

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.transport: Any = None
        self.answered: asyncio.Future[None] = crowd.loop.create_future()
        self.gone: asyncio.Future[None] = crowd.loop.create_future()
        self.fate = "nothing"  # what the server has said so far
        self._head = b""
        self._frames: wire.Frames | None = None

    @classmethod
    def prepare(cls) -> None:
        """Make what takes long to make, once for all."""

    # What it does. `begin` is for what comes before, `attack` for after the signal.

    def begin(self) -> None:
        handshake = wire.HANDSHAKE.format(path=self.path, host="127.0.0.1", extra=self.extra)
        self.send(handshake.encode())

    def attack(self) -> None:
        """Nothing: silence is what it does."""

    def send(self, data: bytes) -> None:
        self.crowd.sent += len(data)
        self.transport.write(data)

    # What happens to it.

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.begin()

    def data_received(self, data: bytes) -> None:
        if self._frames is None:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self.on_status(head.split(b" ", 2)[1].decode(), rest)
        elif self.listens:
            self._hear(data)

    def on_status(self, status: str, rest: bytes) -> None:
        self.fate = status
        self._frames = wire.Frames()
        if status == "101":
            self.fate = "open"
            if not self.reads:
                self.transport.pause_reading()
            self._hear(rest)
        self.tell_answered()

    def tell_answered(self) -> None:
        if not self.answered.done():
            self.answered.set_result(None)

    def _hear(self, data: bytes) -> None:
        assert self._frames is not None
        for opcode, payload in self._frames.feed(data):
            if opcode == wire.CLOSE:
                self.fate = f"Close {int.from_bytes(payload[:2], 'big')}"
            elif opcode == wire.PING and self.answers_pings:
                self.send(wire.frame(wire.PONG, payload))

    def connection_lost(self, error: Exception | None) -> None:
        if self.fate == "open" or self.fate.startswith("Close"):
            self.fate += ", then cut"
        elif self.fate == "nothing":
            self.fate = "cut"
        self.tell_answered()
        if not self.gone.done():
            self.gone.set_result(None)

    def look(self) -> None:
        """See at the end what has become of a connection that was not read."""
        if not self.reads and not self.gone.done():
            self.transport.resume_reading()


class Flooder(Peer):
    """Sends the same bytes again as soon as the kernel takes more."""

    first = b""  # sent once, before them
    bytes_again = b""
    listens = False

    def __init__(self, crowd: Crowd) -> None:
        super().__init__(crowd)
        self._paused = False

    def attack(self) -> None:
        self.transport.set_write_buffer_limits(high=0)
        if self.first:
            self.send(self.first)
        self._fill()

    def _fill(self) -> None:
        while not (self._paused or self.transport.is_closing() or self.crowd.stopped):
            self.send(self.bytes_again)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.crowd.loop.call_soon(self._fill)


class Crowd:
    """So many clients of a kind, and what became of them."""

    def __init__(self, make: type[Peer], port: int, source: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.make = make
        self.port = port
        self.source = source
        self.peers: list[Peer] = []
        self.sent = 0
        self.fates: Counter[str] = Counter()  # of those that came back since
        self.stopped = False

    async def connect(self) -> Peer:
        """One more client, whose TCP connection is open."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        if not self.make.reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((self.source, 0))
        try:
            await self.loop.sock_connect(sock, ("127.0.0.1", self.port))
            _, peer = await self.loop.create_connection(lambda: self.make(self), sock=sock)
        except OSError:
            sock.close()
            raise
        return peer

    def reset(self, peer: Peer) -> None:
        """Leave without a word."""
        if not peer.gone.done():
            sock = peer.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            peer.transport.abort()
