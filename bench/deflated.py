"""The load generator of `compression`: clients whose frames were compressed beforehand.

So it has little to do but to look at what comes back. Each echo is compared with what was sent;
of those that are compressed, and each by itself, only every eighth. It says what was agreed on when
every client is connected, runs a window for each line that it then reads, and prints a JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import uvloop

from bench.load import CONNECTING, window
from bench.measure import raise_file_limit
from bench.messages import PING, PONG, TEXT, documents, frame

OFFER = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
SAMPLED = 8  # one echo of so many is inflated, where each stands for itself

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n{extra}\r\n"
)


class Script:
    """What every client sends: frames for the first round of the documents, and for all others.

    With context takeover they differ: from the second round on the window holds the documents
    before, which are always the same then, so these frames can be sent again and again.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        self.texts = texts
        self.plain = [frame(text, rsv1=False) for text in texts]
        self.alone = [frame(self._compress(text), rsv1=True) for text in texts]
        deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.first, self.others = (
            [frame(self._compress(text, deflater), rsv1=True) for text in texts] for _ in range(2)
        )

    @staticmethod
    def _compress(text: bytes, deflater: Any = None) -> bytes:
        deflater = deflater or zlib.compressobj(6, zlib.DEFLATED, -15)
        return (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]

    def frames(self, agreement: str | None, compresses: bool) -> tuple[list[bytes], list[bytes]]:
        if agreement is None or not compresses:
            return self.plain, self.plain
        if "client_no_context_takeover" in agreement:
            return self.alone, self.alone
        return self.first, self.others


class Client(asyncio.Protocol):
    """Sends the next document when the one before is back: an `Echoing`, for `window`."""

    def __init__(self, script: Script, path: str, offers: bool, compresses: bool) -> None:
        self.opened = asyncio.get_running_loop().create_future()
        self.echoes = self.wrong = self.wire = self.plain = 0
        self.playing = self.in_flight = self.lost = False
        self._script = script
        self._path = path
        self._offers = offers
        self._compresses = compresses
        self._buffer = b""
        self._at = 0
        self._inflater: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        extra = f"Sec-WebSocket-Extensions: {OFFER}\r\n" if self._offers else ""
        transport.write(HANDSHAKE.format(path=self._path, extra=extra).encode())

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("no WebSocket"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done():
            head, end, self._buffer = self._buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            self._open(head.decode())
        while self._take_frame():
            pass

    def _open(self, head: str) -> None:
        if " 101 " not in head:
            self.opened.set_exception(ConnectionError(head))
            return
        self.agreement = None
        for line in head.split("\r\n"):
            name, _, value = line.partition(": ")
            if name.lower() == "sec-websocket-extensions":
                self.agreement = value
        self._frames, self._later = self._script.frames(self.agreement, self._compresses)
        self._keeps_context = "server_no_context_takeover" not in (self.agreement or "")
        self.opened.set_result(None)

    def _take_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        length, start = buffer[1], 2
        if length > 125:
            width = 2 if length == 126 else 8
            length = int.from_bytes(buffer[2 : 2 + width], "big")
            start += width
        end = start + length
        if len(buffer) < end:
            return False
        self._buffer = buffer[end:]
        if buffer[0] & 0x0F == TEXT:
            self._hear(buffer[start:end], bool(buffer[0] & 0x40))
        elif buffer[0] & 0x0F == PING:  # it is another server's turn
            self.transport.write(frame(buffer[start:end], rsv1=False, opcode=PONG))
        return True

    def _hear(self, payload: bytes, compressed: bool) -> None:
        expected = self._script.texts[self._at]
        self.wire += len(payload)
        self.plain += len(expected)
        if compressed and (self._keeps_context or self.echoes % SAMPLED == 0):
            if self._inflater is None or not self._keeps_context:
                self._inflater = zlib.decompressobj(-15)
            payload = self._inflater.decompress(payload + TAIL)
            compressed = False
        if not compressed and payload != expected:
            self.wrong += 1
        self.echoes += 1
        self._at += 1
        if self._at == len(self._script.texts):
            self._at = 0
            self._frames = self._later
        if self.playing:
            self.transport.write(self._frames[self._at])
        else:
            self.in_flight = False

    def serve(self) -> None:
        self.playing = self.in_flight = True
        self.transport.write(self._frames[self._at])


async def connect(given: argparse.Namespace) -> list[Client]:
    """Every client, open; a few at a time."""
    script = Script(documents(given.size))
    host, port = given.address.split(":")
    free = asyncio.Semaphore(CONNECTING)

    async def one() -> Client:
        async with free:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: Client(script, given.path, given.offer, given.compress), host, int(port)
            )
            await client.opened
            return client

    return await asyncio.gather(*(one() for _ in range(given.clients)))


async def play(given: argparse.Namespace) -> None:
    clients = await connect(given)
    print(json.dumps({"agreement": clients[0].agreement}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        plain, wire = (sum(getattr(c, name) for c in clients) for name in ("plain", "wire"))
        if line == "once\n":  # one message each, for the memory that it leaves
            for client in clients:
                client.serve()
                client.playing = False
            while any(client.in_flight for client in clients):
                await asyncio.sleep(0.01)
            sample = {}
        else:
            sample = asdict(await window(clients, given.pid, given.warmup, given.seconds))
        sample["plain"] = sum(client.plain for client in clients) - plain
        sample["wire"] = sum(client.wire for client in clients) - wire
        print(json.dumps(sample), flush=True)
    for client in clients:
        client.transport.abort()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="host:port")
    parser.add_argument("path")
    parser.add_argument("--pid", type=int, required=True, help="the server's process")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--size", type=int, default=2048, help="bytes of a document")
    parser.add_argument("--offer", action="store_true", help="permessage-deflate")
    parser.add_argument("--compress", action="store_true", help="what is sent, if that is agreed")
    parser.add_argument("--warmup", type=float, default=0.3, help="seconds")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a measured window")
    given = parser.parse_args()
    raise_file_limit()
    gc.disable()
    uvloop.run(play(given))


if __name__ == "__main__":
    main()
