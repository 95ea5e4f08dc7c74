"""Compression: what permessage-deflate costs a message, what it saves, and what idle sockets hold.

    python -m bench compression

Servers take turns by the second, as in `run`. A client sends JSON that was compressed beforehand
and waits for its echo before it sends again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.grid import grid
from bench.load import Sample
from bench.measure import (
    machine,
    percentile,
    pinned_to,
    raise_file_limit,
    resident,
    two_cores,
)
from bench.servers import ROOT, Running, Server, ServerError, plain, python, serving

SIZES = (200, 2048, 16384)  # bytes of a message
SMALL = 32  # bytes of one that no threshold lets through
WARM_CLIENTS = 100  # connected before the idle ones are counted, so that all is imported
SETTLE = 2.0  # seconds

TAKEOVER = {"server_no_context_takeover": False, "client_no_context_takeover": False}
WITHOUT_ISAL = ("-m", "bench.without", "isal")


@dataclass(frozen=True)
class Entry:
    """A server, and how its clients speak to it."""

    name: str
    server: Server
    offers: bool = True
    agrees: bool = True  # the server, to what is offered
    compresses: bool = True


def websockets(mode: str) -> Server:
    return Server("websockets", python("bench.peers.websockets_deflate", mode))


def entries() -> list[Entry]:
    """Who echoes JSON. The first is what the ratios are against."""
    found = [
        Entry("websockets, no takeover, level 1", websockets("alone")),
        Entry("websockets, its default: takeover", websockets("default")),
        Entry("websockets, not compressed", websockets("default"), offers=False),
        Entry("ours, zlib", plain({}, *WITHOUT_ISAL)),
        Entry("ours, takeover both ways (zlib)", plain({"compression": TAKEOVER})),
        Entry("ours, not compressed", plain({}), offers=False),
    ]
    if find_spec("isal"):
        found.insert(3, Entry("ours, isal", plain({})))
    return found


def small_entries() -> list[Entry]:
    """Who echoes what is too short to be compressed."""
    return [
        Entry("ours, not negotiated", plain({}), offers=False),
        Entry("ours, negotiated", plain({}), compresses=False),
        Entry("ours, negotiated, client compresses", plain({})),
    ]


def idle_entries() -> list[tuple[Entry, bool]]:
    """Whose idle sockets are weighed, and whether each has sent a message before."""
    takeover = plain({"compression": TAKEOVER})
    off = plain({"compression": None})  # and the client offers it all the same
    return [
        (Entry("turned off", off, agrees=False), False),
        (Entry("negotiated", plain({})), False),
        (Entry("turned off, one echo each", off, agrees=False), True),
        (Entry("negotiated, one echo each", plain({})), True),
        (Entry("takeover both ways, one echo each", takeover), True),
    ]


class Player:
    """The load generator of one server."""

    def __init__(
        self, entry: Entry, server: Running, clients: int, size: int, given: argparse.Namespace
    ) -> None:
        self.entry = entry
        path = "/" + server.url.split("/", 3)[3]
        command = [sys.executable, "-m", "bench.deflated", server.address, path]
        command += [f"--pid={server.pid}", f"--clients={clients}", f"--size={size}"]
        command += [f"--seconds={given.seconds}"]
        command += ["--offer"] * entry.offers + ["--compress"] * entry.compresses
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        agreement = self._read()["agreement"]
        if (agreement is not None) != (entry.offers and entry.agrees):
            raise ServerError(f"{entry.name}: the answer to permessage-deflate was {agreement}")

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()  # closes its standard input, and so it ends

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ServerError(f"{self.entry.name} could not be measured.")
        return json.loads(line)

    def tell(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._read()


@dataclass(frozen=True)
class Run:
    """One server in one round."""

    cpu: float  # microseconds of the server's per message
    rate: float  # messages per second
    ratio: float  # bytes of the echoes on the wire to those of the messages
    load_share: float  # part of its core that the load generator used

    @classmethod
    def of(cls, said: dict[str, Any]) -> Run:
        ratio = said.pop("wire") / said.pop("plain")
        sample = Sample(**said)
        return cls(
            sample.server_cpu / sample.messages * 1e6,
            sample.messages / sample.seconds,
            ratio,
            sample.load_cpu / sample.seconds,
        )


@dataclass(frozen=True)
class Row:
    """Medians over the rounds, for one server and size."""

    size: int
    name: str
    rate: float
    cpu: float
    against: float  # the first one's CPU per message, in the same round
    low: float  # quartiles of that
    high: float
    ratio: float
    load_share: float


def measure(entered: Sequence[Entry], size: int, given: argparse.Namespace) -> list[Row]:
    """All servers are up, and take turns."""
    server_core, load_core = two_cores()
    runs: dict[str, list[Run]] = {entry.name: [] for entry in entered}
    with ExitStack() as stack:
        players = []
        for entry in entered:
            server = stack.enter_context(serving(entry.server, server_core))
            with pinned_to(load_core):
                player = Player(entry, server, given.clients, size, given)
                players.append(stack.enter_context(player))
        for player in players:
            player.tell("go")  # not counted: the interpreter specializes what it runs
        for number in range(given.rounds):
            for player in players if number % 2 == 0 else reversed(players):
                runs[player.entry.name].append(Run.of(player.tell("go")))
            print(f"{size} bytes: round {number + 1} of {given.rounds}", file=sys.stderr)
    baseline = next(iter(runs.values()))
    return [summarize(size, name, own, baseline) for name, own in runs.items()]


def summarize(size: int, name: str, own: Sequence[Run], baseline: Sequence[Run]) -> Row:
    against = sorted(run.cpu / base.cpu for run, base in zip(own, baseline, strict=True))
    return Row(
        size=size,
        name=name,
        rate=statistics.median(run.rate for run in own),
        cpu=statistics.median(run.cpu for run in own),
        against=statistics.median(against),
        low=percentile(against, 25),
        high=percentile(against, 75),
        ratio=statistics.median(run.ratio for run in own),
        load_share=statistics.median(run.load_share for run in own),
    )


def weigh(entry: Entry, talks: bool, given: argparse.Namespace) -> float:
    """KiB of the server's memory for each of many sockets that do nothing."""
    server_core, load_core = two_cores()
    with ExitStack() as stack:
        server = stack.enter_context(serving(entry.server, server_core))
        stack.enter_context(pinned_to(load_core))
        warm = stack.enter_context(Player(entry, server, WARM_CLIENTS, 2048, given))
        warm.tell("once")
        time.sleep(SETTLE)
        before = resident(server.pid)
        idle = stack.enter_context(Player(entry, server, given.idle, 2048, given))
        if talks:
            idle.tell("once")
        time.sleep(SETTLE)
        return (resident(server.pid) - before) / given.idle / 1024


def table(rows: Sequence[Row]) -> str:
    head = (
        *("server", "bytes", "messages/s", "CPU us/msg"),
        *("against", "quartiles", "on the wire", "load core"),
    )
    lines = [
        (
            row.name,
            f"{row.size:,}",
            f"{row.rate:,.0f}",
            f"{row.cpu:.1f}",
            f"{row.against:.2f}",
            f"{row.low:.2f} - {row.high:.2f}",
            f"{row.ratio:.1%}",
            f"{row.load_share:.0%}",
        )
        for row in rows
    ]
    return grid([head, *lines], head=1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench compression",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clients", type=int, default=100, metavar="N")
    parser.add_argument("--rounds", type=int, default=10, help="0: weigh idle sockets only")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measured window")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), metavar="BYTES")
    parser.add_argument("--idle", type=int, default=2000, help="sockets that are weighed; 0: none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    raise_file_limit()
    rows: list[Row] = []
    small: list[Row] = []
    if given.rounds:
        rows = [row for size in given.sizes for row in measure(entries(), size, given)]
        small = measure(small_entries(), SMALL, given)
    weights = {
        entry.name: weigh(entry, talks, given) for entry, talks in idle_entries() if given.idle
    }
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"{given.clients} clients, {given.rounds} rounds of {given.seconds:g} s, medians\n")
    if given.rounds:
        print(table([*rows, *small]))
        print("\nagainst: CPU per message against the first server of that size")
    if weights:
        lines = [(name, f"{weight:.1f}") for name, weight in weights.items()]
        print(f"\n{grid([('idle sockets of ours', 'KiB each'), *lines], head=1)}")
    if given.json:
        figures = {
            "machine": machine(),
            "rows": [asdict(row) for row in [*rows, *small]],
            "idle_kib": weights,
        }
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
