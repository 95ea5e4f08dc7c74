"""What the load generators in Python share: clients on picows, and windows of load.

The one of `run` is in C: c/client.c.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.measure import cpu_seconds

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


class Echoing(Protocol):
    """A client that sends again whenever its message comes back, until told to rest."""

    echoes: int
    wrong: int
    lost: bool
    playing: bool
    in_flight: bool

    def serve(self) -> None:
        """Send the first message."""


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
    def now(cls, pid: int, clients: Sequence[Echoing]) -> _Mark:
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


async def rest(clients: Sequence[Echoing]) -> None:
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


async def window(clients: Sequence[Echoing], pid: int, warmup: float, seconds: float) -> Sample:
    """One message in flight per client; the server `pid` is measured after a warm-up."""
    for client in clients:
        client.serve()
    await asyncio.sleep(warmup)
    start = _Mark.now(pid, clients)
    await asyncio.sleep(seconds)
    sample = start.until(_Mark.now(pid, clients))
    await rest(clients)
    return sample
