"""Hostile: what do honest clients notice of a thousand hostile ones, and what do those cost?

    python -m bench hostile

Each kind meets a server of its own. Honest clients connect and each sends a message per second,
for a while alone, then beside the hostile ones, then alone again. Printed is how long their echoes
took, how much memory the server had, and what became of the hostile ones.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.grid import grid
from bench.hostile import wire
from bench.hostile.kinds import MESSAGE_SIZE, Kind, kinds
from bench.hostile.load import Report
from bench.measure import (
    cpu_seconds,
    machine,
    percentile,
    pinned_to,
    raise_file_limit,
    resident,
    starved_seconds,
    two_cores,
)
from bench.pace import Paced
from bench.servers import ROOT, Running, plain, serving

SETTLE = 2.0  # seconds after the honest ones have connected, and after the hostile have left
SAMPLE = 0.05  # seconds between looks at the server's memory
NEWCOMER = 0.5  # seconds between two that come during the attack
NEWCOMERS_ADDRESS = "127.0.0.3"  # for them, no limit of another address counts
PATIENCE = 10.0  # seconds that a newcomer has


@dataclass(frozen=True)
class Echoes:
    """How the echoes fared that were sent in one phase. Seconds; None where none came back."""

    messages: int
    unanswered: int
    p50: float | None
    p99: float | None
    worst: float | None


@dataclass(frozen=True)
class Row:
    """One kind."""

    kind: str
    what: str
    bound: str
    fates: dict[str, int]
    taken: int  # bytes that the server has read of the hostile ones
    seconds: float  # of the attack
    before: Echoes
    during: Echoes
    after: Echoes
    lost: int  # honest clients that were cut off
    newcomers: list[float | None]  # seconds until the first echo; None for one not let in
    resident: tuple[int, int, int]  # bytes: median before, most during, median after
    server_share: float  # part of its core that the server used during the attack
    starved: float  # part of that time that others kept the server off its core

    @property
    def as_meant(self) -> bool:
        """Whether each hostile one met its bound, and no honest one was cut off or unheard."""
        phases = (self.before, self.during, self.after)
        allowed = kinds(1)[self.kind].fates
        return (
            not self.lost
            and not any(echoes.unanswered for echoes in phases)
            and set(self.fates) <= set(allowed)
        )


class Watch(threading.Thread):
    """Samples the server's memory until told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.samples: list[tuple[float, int]] = []
        self._pid = pid
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(SAMPLE):
            self.samples.append((time.monotonic(), resident(self._pid)))

    def stop(self) -> None:
        self._end.set()
        self.join()

    def between(self, start: float, end: float) -> list[int]:
        return [size for when, size in self.samples if start <= when < end]


class Newcomers(threading.Thread):
    """An honest client that comes every now and then, says one thing, hears it and leaves."""

    def __init__(self, server: Running) -> None:
        super().__init__(daemon=True)
        self.took: list[float | None] = []
        host, port = server.address.split(":")
        self._address = host, int(port)
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(NEWCOMER):
            begun = time.monotonic()
            try:
                self.took.append(time.monotonic() - begun if self._visit() else None)
            except OSError:
                self.took.append(None)

    def _visit(self) -> bool:
        request = wire.HANDSHAKE.format(path="/echo/", host="127.0.0.1", extra="")
        with socket.create_connection(
            self._address, PATIENCE, source_address=(NEWCOMERS_ADDRESS, 0)
        ) as sock:
            sock.sendall(request.encode())
            if b" 101 " not in sock.recv(4096):
                return False
            sock.sendall(wire.frame(wire.TEXT, b"hello"))
            came = sock.recv(4096)
            sock.sendall(wire.frame(wire.CLOSE, b"\x03\xe8"))
            return came == b"\x81\x05hello"

    def stop(self) -> None:
        self._end.set()
        self.join()


class Process:
    """A load generator: says `ready`, is told what to do by lines, says what it saw in JSON."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"A load generator ended: {self._process.args}")
        return line

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def finish(self) -> str:
        """Close its input and return what it still has to say."""
        return self._process.communicate()[0]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def process(*arguments: str) -> Iterator[Process]:
    load = Process(*arguments)
    try:
        yield load
    finally:
        load.stop()


def measure(kind: Kind, given: argparse.Namespace) -> Row:
    """One kind beside the honest ones, on a server of its own."""
    server_core, load_core = two_cores()
    settings = {"max_message_size": MESSAGE_SIZE, **kind.settings}
    number = f"--clients={given.clients}"
    with pinned_to(load_core), serving(plain(settings), server_core) as server:
        port = server.address.split(":")[1]
        watch = Watch(server.pid)
        newcomers = Newcomers(server)
        with ExitStack() as stack:
            honest = stack.enter_context(process("bench.pace", server.url, number))
            watch.start()
            honest.line()
            time.sleep(SETTLE)
            calm = time.monotonic()
            time.sleep(given.calm)
            attacked = time.monotonic()
            hostile = stack.enter_context(process("bench.hostile.load", kind.name, port, number))
            hostile.line()
            newcomers.start()
            cpu = cpu_seconds(server.pid)
            starved = starved_seconds(server.pid, server_core)
            hostile.tell("go")
            begun = time.monotonic()
            time.sleep(given.seconds)
            ended = time.monotonic()
            cpu = cpu_seconds(server.pid) - cpu
            starved = starved_seconds(server.pid, server_core) - starved
            newcomers.stop()
            hostile.tell("stop")
            report = Report(**json.loads(hostile.line()))
            left = time.monotonic()
            hostile.finish()
            time.sleep(SETTLE)
            quiet = time.monotonic()
            time.sleep(given.calm)
            finished = time.monotonic()
            paced = Paced(**json.loads(honest.finish()))
        watch.stop()
    before, after = watch.between(calm, attacked), watch.between(quiet, finished)
    return Row(
        kind=kind.name,
        what=kind.what,
        bound=kind.bound,
        fates=report.fates,
        taken=report.taken,
        seconds=ended - begun,
        before=evaluate(paced, calm, attacked),
        during=evaluate(paced, begun, ended),
        after=evaluate(paced, left, finished),
        lost=paced.lost,
        newcomers=newcomers.took,
        resident=(
            round(statistics.median(before)),
            max(watch.between(attacked, quiet)),
            round(statistics.median(after)),
        ),
        server_share=cpu / (ended - begun),
        starved=starved / (ended - begun),
    )


def evaluate(paced: Paced, start: float, end: float) -> Echoes:
    """The echoes whose messages were sent between two moments of the monotonic clock."""
    first, last = start * 1e9, end * 1e9
    took = sorted(latency / 1e9 for sent, latency in paced.echoes if first <= sent < last)
    unanswered = sum(first <= sent < last for sent in paced.unanswered)
    found = (percentile(took, 50), percentile(took, 99), took[-1]) if took else (None,) * 3
    return Echoes(len(took) + unanswered, unanswered, *found)


def milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:,.1f}"


def newcomer(took: Sequence[float | None]) -> str:
    """The slowest newcomer's time, and how many were not let in."""
    served = [seconds for seconds in took if seconds is not None]
    refused = len(took) - len(served)
    slowest = milliseconds(max(served)) if served else "-"
    return f"{slowest} ({refused} refused)" if refused else slowest


def table(rows: Sequence[Row]) -> str:
    """The rows as text: first how the honest ones fared, then what the hostile ones met."""
    lines = [
        ("", "p99 ms", "", "", "max ms", "", "newcomers,", "RSS MiB", "", "", "", "", ""),
        (
            *("kind", "before", "during", "after", "during", "after", "slowest, ms"),
            *("before", "most", "after", "core", "starved", "lost"),
        ),
    ]
    ends = [("kind", "bounded by", "what became of them")]
    for row in rows:
        phases = (row.before, row.during, row.after)
        lines.append(
            (
                row.kind,
                *(milliseconds(phase.p99) for phase in phases),
                *(milliseconds(phase.worst) for phase in phases[1:]),
                newcomer(row.newcomers),
                *(f"{size / 2**20:.0f}" for size in row.resident),
                f"{row.server_share:.0%}",
                f"{row.starved:.0%}",
                f"{row.lost + sum(phase.unanswered for phase in phases)}",
            )
        )
        fates = ", ".join(f"{number:,} x {fate}" for fate, number in row.fates.items())
        if row.taken > 2**20:
            fates += f"; {row.taken / 2**20:,.0f} MiB read"
        ends.append((row.kind, row.bound, f"{fates}{'' if row.as_meant else '  NOT AS MEANT'}"))
    return f"{grid(lines)}\n\n{grid(ends, head=1, texts=3)}"


def arguments(known: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench hostile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--kind", nargs="+", choices=known, default=list(known), metavar="NAME",
        help=f"of {', '.join(known)}; default: all",
    )  # fmt: skip
    parser.add_argument(
        "--clients", type=int, default=1000, metavar="N", help="honest ones, and hostile ones"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="of the attack")
    parser.add_argument("--calm", type=float, default=4.0, help="seconds before it, and after")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def main() -> None:
    given = arguments(list(kinds(0)))
    raise_file_limit()
    rows = []
    for name in given.kind:
        rows.append(measure(kinds(given.clients)[name], given))
        print(f"{name}: done, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"{given.clients:,} honest clients, each a message a second; {given.clients:,} hostile\n")
    print(table(rows))
    print(
        "\ncore: part of its core that the server used; starved: part of the time that the machine"
    )
    print("let it wait for one; lost: honest clients cut off, and their messages without an echo")
    if given.json:
        figures = {"machine": machine(), "rows": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    if not all(row.as_meant for row in rows):
        raise SystemExit(1)
