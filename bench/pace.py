"""Clients that each send now and then, whatever has come back: they see how long an echo takes.

A process of its own. It says `ready` when every client is connected, goes on until its standard
input is closed, and then prints one JSON object: see `Paced`. The clock is the system's monotonic
one, which all processes of a machine share, so whoever starts this can tell which echoes were
under way while something else happened.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass

import uvloop
from picows import WSFrame, WSMsgType

from bench.load import Client, connect, disconnect
from bench.measure import raise_file_limit

TICK = 0.001  # seconds between looks at whose turn it is
STRAGGLERS = 10.0  # seconds that echoes may take once nothing is sent any more


@dataclass(frozen=True)
class Paced:
    """What the clients saw."""

    echoes: list[tuple[int, int]]  # when each was sent, and how long it took: nanoseconds
    unanswered: list[int]  # when each message was sent that never came back
    lost: int  # clients that were cut off


class PacedClient(Client):
    """Sends the time as a text; its echo then says how long it was away."""

    def __init__(self, echoes: list[tuple[int, int]]) -> None:
        super().__init__()
        self.echoes = echoes
        self.waiting: set[int] = set()

    def tick(self) -> None:
        sent = time.monotonic_ns()
        self.waiting.add(sent)
        self.transport.send(WSMsgType.TEXT, str(sent).encode())

    def on_text(self, frame: WSFrame) -> None:
        sent = int(frame.get_payload_as_bytes())
        self.waiting.remove(sent)
        self.echoes.append((sent, time.monotonic_ns() - sent))


async def send_by_turns(clients: list[PacedClient], interval: float, stop: asyncio.Event) -> None:
    """Each client once per `interval` seconds, evenly spread, until `stop` is set.

    The timetable does not wait for echoes: a server that stalls gets the same messages as one
    that does not, and every one of them counts.
    """
    start = time.monotonic()
    turn = 0
    while not stop.is_set():
        due = int((time.monotonic() - start) / interval * len(clients))
        while turn < due:
            clients[turn % len(clients)].tick()
            turn += 1
        await asyncio.sleep(TICK)


async def all_answered(clients: list[PacedClient]) -> None:
    while any(client.waiting for client in clients):
        await asyncio.sleep(0.01)


async def pace(url: str, number: int, interval: float) -> Paced:
    """Connect, send by turns until standard input ends, and wait for the last echoes."""
    echoes: list[tuple[int, int]] = []
    clients = await connect(url, lambda: PacedClient(echoes), number)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    print("ready", flush=True)
    await send_by_turns(clients, interval, stop)
    asyncio.get_running_loop().remove_reader(sys.stdin)
    with suppress(TimeoutError):  # what is still waiting then is reported as unanswered
        await asyncio.wait_for(all_answered(clients), STRAGGLERS)
    lost = sum(client.lost for client in clients)
    unanswered = [sent for client in clients for sent in client.waiting]
    await disconnect(clients)
    return Paced(echoes, unanswered, lost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--clients", type=int, default=3000)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds of one client")
    given = parser.parse_args()
    raise_file_limit()
    gc.disable()  # a pause of ours would look like one of the server's
    print(json.dumps(asdict(uvloop.run(pace(given.url, given.clients, given.interval)))))


if __name__ == "__main__":
    main()
