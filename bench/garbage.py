"""Garbage: how long Python's collector holds up a process with thousands of sockets.

    python -m bench garbage

The collector looks through all that lives to find what refers to itself and to nothing else. A
process with 10,000 sockets has much that lives. Each way that a deployment may set the collector
up has a server of its own: its clients connect, then send a message a second each, and then
others come and go, 32 at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from bench.collector import WAYS
from bench.compiled import compile_all
from bench.grid import grid
from bench.measure import machine, pinned_to, raise_file_limit, two_cores
from bench.peers.known import OURS, PEERS
from bench.player import Player
from bench.scenarios import SCENARIOS
from bench.servers import Running, Server, serving

HEAD = (
    ("way", "while", "collections", "of all", "longest", "together", "p99", "worst"),
    ("", "", "", "", "ms", "ms", "ms", "ms"),
)


def our_server(way: str) -> Server:
    ours = PEERS[OURS].servers["echo"]
    return replace(ours, name=way, environment={**ours.environment, "BENCH_COLLECTOR": way})


@contextmanager
def watched(way: str, core: int) -> Iterator[tuple[Running, Callable[[], dict[str, Any]]]]:
    """A server, and a function that returns what its collector has done since the last call."""
    said: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def heed(line: str) -> None:
        if line.startswith("{"):
            said.put(json.loads(line))

    with serving(our_server(way), core, heed) as running:

        def ask() -> dict[str, Any]:
            os.kill(running.pid, signal.SIGUSR1)
            return said.get(timeout=30)

        yield running, ask


def measure(way: str, given: argparse.Namespace, folder: Path) -> Iterator[tuple[str, ...]]:
    """Yield the rows of one way."""
    paced = replace(SCENARIOS["paced"], clients=given.clients)
    handshakes = SCENARIOS["handshakes"]
    server_core, load_core = two_cores()
    with watched(way, server_core) as (running, ask), pinned_to(load_core):

        def row(what: str, p99: float | None = None, worst: float | None = None) -> tuple[str, ...]:
            did = ask()
            return (
                *(way, what, f"{did['collections']:,}", f"{did['of_all']:,}"),
                *(f"{did[key] * 1e3:,.1f}" for key in ("longest", "together")),
                *("-" if time is None else f"{time * 1e3:,.1f}" for time in (p99, worst)),
            )

        with Player(running, paced, folder, "", given.clients) as player:
            player.connect()
            player.warm_up(1.0)
            yield row(f"{given.clients:,} connect")
            found = player.measure(given.seconds / paced.longer)
            yield row("each sends every second", found.p99, found.worst)
            with Player(running, handshakes, folder, "", handshakes.clients) as passing:
                count = passing.measure(given.seconds / handshakes.longer).messages
            yield row(f"{count:,} more come and go")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench garbage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of the last two")
    given = parser.parse_args()
    raise_file_limit()
    rows: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        compile_all(Path(name))
        for way in WAYS:
            print(way, file=sys.stderr)
            rows += measure(way, given, Path(name))
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(grid([*HEAD, *rows], texts=2))


if __name__ == "__main__":
    main()
