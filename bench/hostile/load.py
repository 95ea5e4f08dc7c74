"""The hostile clients of one kind, in a process of their own.

It says `ready` when it could begin, does so at the line `go`, and prints one JSON object at the
line `stop`: see `Report`. First all of them connect, a few at a time, then they attack together.
When its standard input ends they are all gone, by a reset. It is nice, so that the honest clients
on the same core are not kept waiting by it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from bench.hostile.kinds import Comer, Kind, Resetter, kinds
from bench.hostile.peers import Crowd
from bench.measure import raise_file_limit

CONNECTING = 64  # handshakes under way at once, before the attack
HANDSHAKE_TIMEOUT = 30.0  # seconds
LOOK = 1.0  # seconds to hear at the end what became of those that did not read
NICENESS = 10


@dataclass(frozen=True)
class Report:
    """What became of the hostile clients."""

    fates: dict[str, int]
    taken: int  # bytes that the server has read


async def gather(crowd: Crowd, number: int) -> None:
    """Connect them all, a few at a time."""
    free = asyncio.Semaphore(CONNECTING)

    async def one() -> None:
        async with free:
            peer = await crowd.connect()
            if crowd.make.opens:
                await asyncio.wait_for(peer.answered, HANDSHAKE_TIMEOUT)
        crowd.peers.append(peer)

    await asyncio.gather(*(one() for _ in range(number)))


async def come_back(crowd: Crowd) -> None:
    """Knock until let in."""
    while not crowd.stopped:
        peer = await crowd.connect()
        await peer.answered
        if peer.fate == "open":
            crowd.peers.append(peer)
            await peer.gone
        else:
            crowd.fates[peer.fate] += 1
            crowd.reset(peer)  # a proper end would use up the ports for a minute
            await peer.gone


async def reset_again(crowd: Crowd) -> None:
    """Connect and reset. What was written before is on its way then, or lost: as it happens."""
    number = 0
    while not crowd.stopped:
        peer = await crowd.connect()
        number += 1
        if number % 2:
            await asyncio.sleep(0)  # the request leaves
        crowd.reset(peer)
        await peer.gone
        crowd.fates["reset"] += 1


def storm_of(kind: Kind) -> Callable[[Crowd], Awaitable[None]] | None:
    """What each client does again and again, for those whose connecting is the attack."""
    if issubclass(kind.peer, Comer):
        return come_back
    return reset_again if issubclass(kind.peer, Resetter) else None


async def play(kind: Kind, port: int, number: int) -> None:
    loop = asyncio.get_running_loop()
    crowd = Crowd(kind.peer, port, kind.source)

    def next_line() -> Awaitable[str]:
        return loop.run_in_executor(None, sys.stdin.readline)

    async def again(storm: Callable[[Crowd], Awaitable[None]]) -> None:
        while not crowd.stopped:
            with suppress(OSError, RuntimeError):  # cut while it connected; uvloop has both words
                await storm(crowd)
            await asyncio.sleep(0.01)

    kind.peer.prepare()
    print("ready", flush=True)
    await next_line()
    storm = storm_of(kind)
    tasks = []
    if storm is None:
        await gather(crowd, number)
    else:
        tasks = [asyncio.ensure_future(again(storm)) for _ in range(number)]
    for peer in crowd.peers:
        if not peer.gone.done():
            peer.attack()
    await next_line()
    print(json.dumps(asdict(await end(crowd, tasks))), flush=True)
    await next_line()


def queued(port: int) -> int:
    """Bytes in the kernel that were sent to a port of this machine and nobody has read."""
    total = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        unacknowledged, unread = (int(size, 16) for size in queues.split(":"))
        if int(remote.partition(":")[2], 16) == port:
            total += unacknowledged
        elif int(local.partition(":")[2], 16) == port:
            total += unread
    return total


async def end(crowd: Crowd, tasks: list[asyncio.Future[None]]) -> Report:
    """Stop, see what has become of each, and leave."""
    crowd.stopped = True
    taken = crowd.sent - queued(crowd.port)
    taken -= sum(p.transport.get_write_buffer_size() for p in crowd.peers if not p.gone.done())
    for task in tasks:
        task.cancel()
    for peer in crowd.peers:
        peer.look()
    if not all(peer.reads for peer in crowd.peers):
        await asyncio.sleep(LOOK)
    fates = crowd.fates + Counter(peer.fate for peer in crowd.peers)
    for peer in crowd.peers:
        crowd.reset(peer)
    return Report(dict(fates), max(0, taken))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind")
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=1000)
    given = parser.parse_args()
    os.nice(NICENESS)
    raise_file_limit()
    gc.disable()
    kind = kinds(given.clients)[given.kind]
    uvloop.run(play(kind, given.port, given.clients * kind.crowds))


if __name__ == "__main__":
    main()
