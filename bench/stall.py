"""Stall: do thousands of echoes notice that other views of the same process are blocked?

    python -m bench stall

Clients connect to one process and each sends a message per second. Meanwhile views wait: in
time.sleep, in a query, for a slow page, each alone and then all at once. Printed is how long
echoes took that were sent while a view was blocked, and, as a check on the experiment itself,
how long they take when a view computes instead of waiting.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import mean
from urllib.request import ProxyHandler, build_opener

from bench.grid import grid
from bench.measure import (
    machine,
    percentile,
    pinned_to,
    raise_file_limit,
    starved_seconds,
    two_cores,
)
from bench.pace import Paced
from bench.postgres import database
from bench.servers import ROOT, RUNWSSERVER, Running, Server, python, serving

GOAL = 0.1  # seconds: the 99th percentile of echoes while views are blocked
SLOW = 2.0  # seconds that the slow page takes
REQUEST_TIMEOUT = 30.0  # seconds
PAUSE = 0.5  # seconds between acts: echoes of one are back before the next begins

WAITING_VIEWS = {
    "sleep": "time.sleep(2)",
    "query": "SELECT pg_sleep(2)",
    "fetch": "requests.get of a slow page",
}


@dataclass(frozen=True)
class Act:
    """Something that happened while the clients went on sending."""

    name: str
    start: float  # seconds of the monotonic clock
    end: float
    starved: float  # part of the time that others kept server and clients off their cores
    blocks: bool  # a view that computes, not one that waits


@dataclass(frozen=True)
class Row:
    """How the echoes fared that were sent during one act. Latencies in seconds."""

    name: str
    blocks: bool
    seconds: float
    messages: int
    unanswered: int
    starved: float
    p50: float
    p99: float
    worst: float


class _SlowPage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(SLOW)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"fetched")

    def log_message(self, format: str, *arguments: object) -> None:
        """The table is what should be read, not a line per request."""


@contextmanager
def slow_page() -> Iterator[str]:
    """The URL of a page that takes two seconds, served by threads of this process."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _SlowPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


def project(environment: Mapping[str, str]) -> Server:
    return Server(
        "django-websocket-ev",
        python("django_websocket_ev", "-m", "django", *RUNWSSERVER),
        path="/echo/",
        environment={"DJANGO_SETTINGS_MODULE": "bench.stallproject.settings", **environment},
    )


def ask(server: Running, views: Sequence[str]) -> None:
    """Request all these views at once and return when the last has answered."""
    opener = build_opener(ProxyHandler({}))  # a proxy of the environment is not meant for this

    def one(view: str) -> None:
        opener.open(f"http://{server.address}/{view}/", timeout=REQUEST_TIMEOUT).read()

    with ThreadPoolExecutor(len(views)) as pool:
        list(pool.map(one, views))


def perform(
    server: Running, views: Sequence[str], calm: float, starved: Callable[[], float]
) -> list[Act]:
    """Nothing for a while, then each waiting view, all of them at once, and one that computes."""

    def act(name: str, *views: str, blocks: bool = False) -> Act:
        time.sleep(PAUSE)
        start, starved_before = time.monotonic(), starved()
        if views:
            ask(server, views)
        else:
            time.sleep(calm)
        end = time.monotonic()
        return Act(name, start, end, (starved() - starved_before) / (end - start), blocks)

    acts = [act("nothing else")]
    acts += [act(WAITING_VIEWS[view], view) for view in views]
    acts.append(act("all of these at once", *views))
    acts.append(act("0.5 s of computing", "compute", blocks=True))
    return acts


def under_echoes(
    server: Running, views: Sequence[str], given: argparse.Namespace, cores: tuple[int, int]
) -> tuple[list[Act], Paced]:
    """Perform the acts while the clients send. The cores are the server's and the clients'."""
    command = [sys.executable, "-m", "bench.pace", server.url]
    command += [f"--clients={given.clients}", f"--interval={given.interval}"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as clients:
        assert clients.stdout is not None

        def starved() -> float:
            pids = (server.pid, clients.pid)
            return mean(starved_seconds(pid, core) for pid, core in zip(pids, cores, strict=True))

        if clients.stdout.readline() != "ready\n":
            raise SystemExit(f"The {given.clients} clients could not all connect.")
        time.sleep(given.interval)  # each has sent once: views and buffers are warm
        acts = perform(server, views, given.calm, starved)
        report, _ = clients.communicate()  # closes its standard input first
    return acts, Paced(**json.loads(report))


def evaluate(act: Act, paced: Paced) -> Row:
    """The latencies of the echoes whose messages were sent during the act."""
    start, end = act.start * 1e9, act.end * 1e9
    took = sorted(latency / 1e9 for sent, latency in paced.echoes if start <= sent < end)
    unanswered = sum(start <= sent < end for sent in paced.unanswered)
    if not took:
        raise SystemExit(f"Not one echo came back during: {act.name}")
    return Row(
        name=act.name,
        blocks=act.blocks,
        seconds=act.end - act.start,
        messages=len(took) + unanswered,
        unanswered=unanswered,
        starved=act.starved,
        p50=percentile(took, 50),
        p99=percentile(took, 99),
        worst=took[-1],
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    head = ("meanwhile", "for s", "messages", "lost", "p50 ms", "p99 ms", "max ms", "starved")
    lines = [
        (
            row.name,
            f"{row.seconds:.2f}",
            f"{row.messages:,}",
            f"{row.unanswered}",
            *(f"{seconds * 1e3:.2f}" for seconds in (row.p50, row.p99, row.worst)),
            f"{row.starved:.0%}",
        )
        for row in rows
    ]
    return grid([head, *lines], head=1)


def verdict(rows: Sequence[Row], paced: Paced) -> bool:
    """Whether no echo was lost, none was late while views waited, and a stall would have shown."""
    waiting = [row for row in rows if not row.blocks]
    blocked = [row for row in rows if row.blocks]
    return (
        not paced.lost
        and not paced.unanswered
        and all(row.p99 < GOAL for row in waiting)
        and all(row.p99 > GOAL for row in blocked)
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench stall",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clients", type=int, default=3000)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two messages")
    parser.add_argument("--calm", type=float, default=4.0, help="seconds of nothing else")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    raise_file_limit()
    cores = server_core, load_core = two_cores()
    views = list(WAITING_VIEWS)
    with pinned_to(load_core), database() as found, slow_page() as url:
        if found is None:
            views.remove("query")
            print("No PostgreSQL here (neither PGDATABASE nor initdb): the query is left out.")
        environment = {"BENCH_SLOW_PAGE": url, **(found or {})}
        with serving(project(environment), server_core) as server:
            acts, paced = under_echoes(server, views, given, cores)
    rows = [evaluate(act, paced) for act in acts]
    good = verdict(rows, paced)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"{given.clients:,} clients, each a message every {given.interval:g} s\n")
    print(table(rows))
    print(f"\n{'As' if good else 'NOT as'} expected: while views wait, every echo comes back and")
    print(f"p99 stays below {GOAL * 1e3:.0f} ms; while one computes, it does not.")
    print("starved: part of the time that the machine let server and clients wait for a core")
    if given.json:
        figures = {"machine": machine(), "rows": [asdict(row) for row in rows], "lost": paced.lost}
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    if not good:
        raise SystemExit(1)
