"""The load generator: clients that send a message, wait for its echo, and send again.

A process of its own, in C as far as it goes (picows on uvloop), so that the server is the slower
of the two and its core the busy one. It says `ready` when every client is connected. For each line
that it then reads it runs one window of load and prints one JSON object: see `Sample`. When its
standard input ends, so does it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import uvloop
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.measure import cpu_seconds, raise_file_limit

CONNECTING = 64  # handshakes under way at once: below any server's listen backlog
HANDSHAKE_TIMEOUT = 30.0  # seconds
REST_TIMEOUT = 10.0  # seconds
CLOSE_TIMEOUT = 10.0  # seconds


class Client(WSListener):
    """What every kind of client has: its transport, and whether it was cut off."""

    transport: WSTransport

    def __init__(self) -> None:
        self.closing = False
        self.lost = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self.on_text(frame)
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.lost = not self.closing

    def on_text(self, frame: WSFrame) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        """Both halves of the closing handshake, so that no server logs a client gone astray."""
        self.closing = True
        if not self.transport.is_disconnected:
            self.transport.send_close(WSCloseCode.OK)
            await self.transport.wait_disconnected()


AnyClient = TypeVar("AnyClient", bound=Client)


async def connect(url: str, make: Callable[[], AnyClient], number: int) -> list[AnyClient]:
    """Open `number` WebSockets, a few at a time. Whichever fails, raises."""
    free = asyncio.Semaphore(CONNECTING)

    async def one() -> AnyClient:
        client = make()
        async with free:
            await ws_connect(lambda: client, url, websocket_handshake_timeout=HANDSHAKE_TIMEOUT)
        return client

    return await asyncio.gather(*(one() for _ in range(number)))


async def disconnect(clients: Sequence[Client]) -> None:
    """Close every WebSocket; a server that answers no Close is left behind after a while."""
    closing = [asyncio.ensure_future(client.close()) for client in clients]
    _, unanswered = await asyncio.wait(closing, timeout=CLOSE_TIMEOUT)
    for task in unanswered:
        task.cancel()


class PingPong(Client):
    """Sends the same text again whenever it comes back, until told to rest."""

    def __init__(self, payload: bytes) -> None:
        super().__init__()
        self.payload = payload
        self.echoes = 0
        self.wrong = 0
        self.playing = False
        self.in_flight = False

    def serve(self) -> None:
        self.playing = self.in_flight = True
        self.transport.send(WSMsgType.TEXT, self.payload)

    def on_text(self, frame: WSFrame) -> None:
        if frame.get_payload_as_bytes() != self.payload:
            self.wrong += 1
        self.echoes += 1
        if self.playing:
            self.transport.send(WSMsgType.TEXT, self.payload)
        else:
            self.in_flight = False


@dataclass(frozen=True)
class Sample:
    """What was measured over one window."""

    seconds: float
    messages: int  # echoed, over all clients
    least: int  # echoed to the client that got fewest
    server_cpu: float  # seconds, user and system
    load_cpu: float  # seconds of this process


@dataclass(frozen=True)
class _Mark:
    """The counters at one end of the window."""

    clock: float
    server_cpu: float
    load_cpu: float
    echoes: list[int]

    @classmethod
    def now(cls, pid: int, clients: Sequence[PingPong]) -> _Mark:
        return cls(
            time.perf_counter(),
            cpu_seconds(pid),
            time.process_time(),
            [client.echoes for client in clients],
        )

    def until(self, end: _Mark) -> Sample:
        echoes = [after - before for before, after in zip(self.echoes, end.echoes, strict=True)]
        return Sample(
            seconds=end.clock - self.clock,
            messages=sum(echoes),
            least=min(echoes),
            server_cpu=end.server_cpu - self.server_cpu,
            load_cpu=end.load_cpu - self.load_cpu,
        )


async def rest(clients: Sequence[PingPong]) -> None:
    """Let every message come home. SystemExit if one does not, or came home changed."""
    for client in clients:
        client.playing = False
    deadline = time.monotonic() + REST_TIMEOUT
    while any(client.in_flight for client in clients) and time.monotonic() < deadline:
        await asyncio.sleep(0.001)
    lost = sum(client.lost for client in clients)
    unanswered = sum(client.in_flight for client in clients)
    wrong = sum(client.wrong for client in clients)
    if lost or unanswered or wrong:
        raise SystemExit(
            f"Not a fair run: {lost} clients lost, {unanswered} without their echo, "
            f"{wrong} echoes wrong."
        )


async def window(clients: Sequence[PingPong], pid: int, warmup: float, seconds: float) -> Sample:
    """One message in flight per client; the server `pid` is measured after a warm-up."""
    for client in clients:
        client.serve()
    await asyncio.sleep(warmup)
    start = _Mark.now(pid, clients)
    await asyncio.sleep(seconds)
    sample = start.until(_Mark.now(pid, clients))
    await rest(clients)
    return sample


async def play(given: argparse.Namespace) -> None:
    """Connect once, then one window per line of standard input."""
    payload = (b"0123456789abcdef" * (given.size // 16 + 1))[: given.size]
    clients = await connect(given.url, lambda: PingPong(payload), given.clients)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    # Reading in a thread keeps pings answered while another server is measured.
    while await loop.run_in_executor(None, sys.stdin.readline):
        sample = await window(clients, given.pid, given.warmup, given.seconds)
        print(json.dumps(asdict(sample)), flush=True)
    await disconnect(clients)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--pid", type=int, required=True, help="the server's process")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--size", type=int, default=32, help="bytes of a message")
    parser.add_argument("--warmup", type=float, default=0.3, help="seconds")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a measured window")
    given = parser.parse_args()
    raise_file_limit()
    gc.disable()  # no message leaves a cycle behind, and a pause would look like the server's
    uvloop.run(play(given))


if __name__ == "__main__":
    main()
