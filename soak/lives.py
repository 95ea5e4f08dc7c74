"""What a client may do with its life. Each is a coroutine that is over when its connection is.

A life that finds the server wrong raises Wrong. That TCP ends sooner than a life would have it
is no fault where the server was provoked.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from soak.client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Client,
    build_frame,
)

OFFERS = (
    "",
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=10, permessage-deflate",
)
NORMAL = b"\x03\xe8"
LARGEST = 200_000  # bytes of a message; the server's limit is above
WORDS = ["alpha", "beta", "gamma", "delta", "äöü", "漢字", "🚀", ""]


class Wrong(Exception):
    """The server did what it should not."""


class Life:
    """One client's life, from a seed. Its pauses are ``leisure`` times as long as they might be."""

    def __init__(self, port: int, chance: random.Random, leisure: float = 1) -> None:
        self.port = port
        self.chance = chance
        self.leisure = leisure
        self.messages = 0
        self.client: Client | None = None

    async def open(self, path: str, offer: str = "", **options: int) -> Client:
        self.client = await Client.open(self.port, path, offer, **options)
        return self.client

    async def run(self, behaviour: Callable[[Life], Awaitable[None]]) -> None:
        """Live; leave nothing open."""
        try:
            await behaviour(self)
        finally:
            if self.client is not None:
                self.client.reset()

    async def pause(self, most: float) -> None:
        await asyncio.sleep(self.chance.uniform(0, most * self.leisure))

    # A conversation.

    def payload(self) -> tuple[int, bytes]:
        """A message: most are small, some are large."""
        size = self.chance.choice((5, 20, 100, 1000, 3000, 20_000))
        if self.chance.random() < 0.02:
            size = LARGEST
        size = self.chance.randint(0, size)
        if self.chance.random() < 0.3:
            return BINARY, self.chance.randbytes(size)
        return TEXT, " ".join(self.chance.choices(WORDS, k=size // 8)).encode()

    def frames(self, client: Client, opcode: int, payload: bytes) -> list[bytes]:
        """A message in one frame or several, compressed or not."""
        rsv1 = client.compresses and self.chance.random() < 0.7
        if rsv1:
            payload = client.compress(payload)
        if self.chance.random() < 0.7:
            return [build_frame(opcode, payload, rsv1=rsv1)]
        cuts = sorted(
            self.chance.randint(0, len(payload)) for _ in range(self.chance.randint(1, 5))
        )
        pieces = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
        frames = [build_frame(opcode, pieces[0], fin=False, rsv1=rsv1)]
        for piece in pieces[1:-1]:
            frames.append(build_frame(CONTINUATION, piece, fin=False))
            frames.append(build_frame(PING, b"in between"))
        frames.append(build_frame(CONTINUATION, pieces[-1]))
        return frames

    async def talk(self, client: Client, most: int) -> None:
        """Send and hear the same, a few times over, sometimes several at once."""
        for _ in range(self.chance.randint(0, most)):
            sent = [self.payload() for _ in range(self.chance.choice((1, 1, 1, 3)))]
            for opcode, payload in sent:
                for frame in self.frames(client, opcode, payload):
                    await client.send(frame)
            for expected in sent:
                came = await client.read_message()
                if came != expected:
                    raise Wrong(
                        f"an echo is {came[0]}, {len(came[1])} bytes and not"
                        f" {expected[0]}, {len(expected[1])} bytes"
                    )
                self.messages += 1
            await self.pause(3)

    async def leave(self, client: Client) -> None:
        """Say goodbye, or do not."""
        way = self.chance.choice(("politely", "politely", "rudely", "by FIN", "by RST"))
        if way == "politely":
            await client.send_frame(CLOSE, NORMAL)
            code = await client.read_close()
            if code != 1000:
                raise Wrong(f"a Close with 1000 was answered with {code}")
            await client.read_end()
        elif way == "rudely":
            await client.send_frame(CLOSE, NORMAL)
        elif way == "by FIN":
            client.end_output()
            await client.read_end()


async def talker(life: Life) -> None:
    client = await life.open("/echo/", life.chance.choice(OFFERS))
    await life.talk(client, 12)
    await life.leave(client)


async def rememberer(life: Life) -> None:
    """Talks with context takeover."""
    client = await life.open("/takeover/", life.chance.choice(OFFERS))
    await life.talk(client, 12)
    await life.leave(client)


async def idler(life: Life) -> None:
    """Does nothing for long but answer Pings."""
    client = await life.open("/echo/", life.chance.choice(OFFERS))
    try:
        span = life.chance.uniform(0, 20) * life.leisure
        code = await asyncio.wait_for(client.read_close(), span)
    except asyncio.TimeoutError:
        await life.talk(client, 1)
        await life.leave(client)
    else:
        raise Wrong(f"one who answers its Pings was closed with {code}")


async def listener(life: Life) -> None:
    client = await life.open("/ticker/", life.chance.choice(OFFERS))
    for _ in range(life.chance.randint(0, 10)):
        await client.read_message()
    await life.leave(client)


async def visitor(life: Life) -> None:
    """Plain HTTP, on a connection that is kept for a while."""
    life.client = client = await Client.connect(life.port)
    for _ in range(life.chance.randint(1, 3)):
        await client.send(b"GET /page/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await life.pause(1)


async def staller(life: Life) -> None:
    """Reads nothing of what comes without end."""
    client = await life.open("/stream/", receive_buffer=4096)
    await life.pause(15)  # the server's patience is shorter than most of this
    if life.chance.random() < 0.5:
        await client.read_frame()


async def overloader(life: Life) -> None:
    """Sends more than its view takes."""
    client = await life.open("/slow/")
    for _ in range(life.chance.randint(1, 50)):
        await client.send_frame(TEXT, b"work" * life.chance.randint(0, 100))
    await life.pause(5)
    await life.leave(client)


async def mute(life: Life) -> None:
    """Is gone, for all that the server can see: answers neither Pings nor a Close."""
    client = await life.open("/echo/", life.chance.choice(OFFERS))
    await life.talk(client, 1)
    if life.chance.random() < 0.5:
        await client.send(build_frame(TEXT, b"x" * 3000)[: life.chance.randint(1, 3000)])
    code = await client.read_close(answers=False)
    if code != 1011:
        raise Wrong(f"one who answers no Pings was closed with {code}")
    await client.read_end()


async def half_open(life: Life) -> None:
    """Ends its own half, and listens to the other."""
    client = await life.open("/echo/", life.chance.choice(OFFERS))
    await life.talk(client, 2)
    client.end_output()
    await client.read_end()


async def refuser(life: Life) -> None:
    """Does not answer a Close."""
    client = await life.open("/leave/")
    await client.send_frame(TEXT, b"4000")
    code = await client.read_close()
    if code != 4000:
        raise Wrong(f"a view's close(4000) came as {code}")
    await client.read_end()


async def slow_requester(life: Life) -> None:
    """Never says the end of its request."""
    life.client = client = await Client.connect(life.port)
    request = b"GET /echo/ HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    await client.send(request[: life.chance.randint(1, len(request))])
    if life.chance.random() < 0.5:
        await life.pause(5)
    elif b" 408 " not in (await client.read_end())[:20]:
        raise Wrong("a request that does not end got no 408")


async def resetter(life: Life) -> None:
    """Resets its connection, sooner or later in its handshake."""
    if life.chance.random() < 0.5:
        await life.open("/echo/")
    else:
        life.client = await Client.connect(life.port)
        await life.client.send(b"GET /echo/ HTTP/1.1\r\n")


#: Bytes that break the protocol, and the code that they deserve.
BROKEN = (
    (build_frame(CONTINUATION, b"of nothing"), 1002),
    (b"\x81\x00", 1002),
    (b"\xb1\x80\x00\x00\x00\x00", 1002),
    (build_frame(TEXT, b"\xff\xfe"), 1007),
    (build_frame(BINARY, bytes(2**18 + 1)), 1009),
)


async def breaker(life: Life) -> None:
    client = await life.open("/echo/")
    await life.talk(client, 1)
    broken, deserved = life.chance.choice(BROKEN)
    await client.send(broken)
    code = await client.read_close()
    if code != deserved:
        raise Wrong(f"what deserves {deserved} was closed with {code}")
    if life.chance.random() < 0.5:
        await client.send_frame(CLOSE, deserved.to_bytes(2, "big"))
    await client.read_end()


#: How often each is chosen.
LIVES: dict[Callable[[Life], Awaitable[None]], int] = {
    talker: 30,
    rememberer: 10,
    idler: 15,
    listener: 10,
    visitor: 4,
    staller: 4,
    overloader: 4,
    mute: 6,
    half_open: 4,
    refuser: 4,
    slow_requester: 3,
    resetter: 4,
    breaker: 5,
}

#: Those whom the server may cut off, for they ask for it.
PROVOKING = {staller, overloader, mute, half_open, slow_requester, resetter, breaker}
