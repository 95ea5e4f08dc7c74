"""Databases: thousands of sockets that query on each message, and a database of 20 connections.

    python -m bench databases

The clients connect, then all send a message in the same moment, then again with a query that
takes the database ten milliseconds, then one after the other at a steady rate. Counted are the
answers that are errors, and, at PostgreSQL, the connections that the server had open at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
import uvloop
from picows import WSFrame, WSMsgType

from bench import postgres
from bench.grid import grid
from bench.load import Client, connect, disconnect
from bench.measure import machine, percentile, pinned_to, raise_file_limit, two_cores
from bench.servers import RUNWSSERVER, Server, ServerError, python, serving

MAX_CONNECTIONS = 20  # of PostgreSQL, three of them for superusers, one of whom counts
MOST = 16  # what is left for the server
LOOK = 0.01  # seconds between looks at the connections
PATIENCE = 120.0  # seconds for all answers of an act
SLOW = 0.01  # seconds of a slow query

COUNT = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'project'"


def _project(name: str, command: Sequence[str], path: str, pool: bool, limit: bool) -> Server:
    options = {"pool": {"min_size": 4, "max_size": MOST, "timeout": PATIENCE}} if pool else {}
    return Server(
        name,
        tuple(command),
        path=path,
        environment={
            "DJANGO_SETTINGS_MODULE": "bench.databaseproject.settings",
            "BENCH_DATABASE": json.dumps({"OPTIONS": options}),
            "BENCH_SETTINGS": json.dumps({"WEBSOCKET_DB_CONNECTIONS": MOST} if limit else {}),
        },
    )


def _ours(name: str, *, pool: bool = False, limit: bool = False) -> Server:
    command = python("django_websocket_ev", "-m", "django", *RUNWSSERVER)
    return _project(f"ours, {name}", command, "/query/", pool, limit)


def _channels(name: str, path: str, *, pool: bool = False) -> Server:
    command = python(
        *("uvicorn", "bench.databaseproject.asgi:application", "--port", "{port}"),
        *("--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio"),
        *("--ws-ping-interval", "86400", "--ws-ping-timeout", "86400"),
        *("--log-level", "warning", "--no-access-log", "--lifespan", "off"),
    )
    return _project(f"Channels, {name}", command, path, pool, False)


SERVERS = (
    _ours("pool", pool=True),
    _ours("WEBSOCKET_DB_CONNECTIONS", limit=True),
    _ours("neither"),
    _channels("WebsocketConsumer", "/sync/"),
    _channels("WebsocketConsumer, pool", "/sync/", pool=True),
    _channels("async, database_sync_to_async", "/async/"),
    _channels("async, any thread", "/threads/"),
    _channels("async, any thread, pool", "/threads/", pool=True),
)


@dataclass(frozen=True)
class Row:
    """What came of one act on one server. Latencies in seconds, of right answers only."""

    server: str
    act: str
    messages: int
    errors: int  # answers that are no answer, and those that did not come
    connections: int  # the most that PostgreSQL saw at once
    rate: float  # right answers a second, from the first message to the last answer
    p50: float
    p99: float
    error: str  # the first


class Asking(Client):
    """Asks for a number, and knows how long the answer took."""

    def __init__(self) -> None:
        super().__init__()
        self.expected = ""
        self.sent = 0.0
        self.took: float | None = None
        self.error = ""

    def ask(self, number: int, seconds: float) -> None:
        self.expected, self.sent = str(number + 1), time.monotonic()
        self.took, self.error = None, "no answer"
        self.transport.send(WSMsgType.TEXT, f"{number} {seconds}".encode())

    def on_text(self, frame: WSFrame) -> None:
        text = frame.get_payload_as_bytes().decode()
        self.took = time.monotonic() - self.sent
        self.error = "" if text == self.expected else text


@contextmanager
def small_database() -> Iterator[dict[str, str]]:
    """libpq's PG* variables for a throw-away PostgreSQL with few connections."""
    programs = postgres._programs()
    if programs is None:
        raise ServerError("There is no PostgreSQL here: apt install postgresql")
    with postgres._throw_away(programs) as environment:
        with superuser(environment) as connection:
            connection.execute("CREATE ROLE project LOGIN")
            connection.execute(f"ALTER SYSTEM SET max_connections = {MAX_CONNECTIONS}")
        data = Path(environment["PGHOST"]) / "data"
        postgres._run([programs / "pg_ctl", "-D", data, "--wait", "--silent", "restart"])
        yield environment


@contextmanager
def superuser(environment: dict[str, str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=environment["PGHOST"],
        user=environment["PGUSER"],
        dbname=environment["PGDATABASE"],
        autocommit=True,
    ) as connection:
        yield connection


class Counter:
    """Looks at PostgreSQL again and again, and remembers the most connections."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.most = 0
        self._connection = connection
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(LOOK):
            row = self._connection.execute(COUNT).fetchone()
            assert row is not None
            self.most = max(self.most, row[0])

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


async def all_answered(clients: Sequence[Asking]) -> None:
    while any(client.took is None and not client.lost for client in clients):
        await asyncio.sleep(0.005)


async def act(clients: Sequence[Asking], seconds: float, rate: float | None) -> float:
    """Let each ask, all at once or so many a second; return the seconds until the last answer."""
    begun = time.monotonic()
    for number, client in enumerate(clients):
        if rate is not None:
            await asyncio.sleep(begun + number / rate - time.monotonic())
        client.ask(number, seconds)
    try:
        await asyncio.wait_for(all_answered(clients), PATIENCE)
    except TimeoutError:
        pass  # what is missing then is an error
    return time.monotonic() - begun


async def perform(
    server: Server, url: str, given: argparse.Namespace, connection: psycopg.Connection
) -> list[Row]:
    clients = await connect(url, Asking, given.clients)
    few = clients[: int(given.rate * given.seconds)]
    rows = []
    for name, who, seconds, rate in (
        ("at once", clients, 0.0, None),
        (f"at once, {SLOW * 1e3:.0f} ms each", clients, SLOW, None),
        (f"{given.rate:g} a second", few, 0.0, given.rate),
    ):
        counter = Counter(connection)
        took = await act(who, seconds, rate)
        await asyncio.get_running_loop().run_in_executor(None, counter.stop)
        rows.append(evaluate(server.name, name, who, counter.most, took))
    await disconnect(clients)
    return rows


def evaluate(server: str, name: str, clients: Sequence[Asking], most: int, took: float) -> Row:
    right = sorted(each.took for each in clients if each.took is not None and not each.error)
    errors = [client.error for client in clients if client.error]
    return Row(
        server=server,
        act=name,
        messages=len(clients),
        errors=len(errors),
        connections=most,
        rate=len(right) / took,
        p50=percentile(right, 50) if right else 0.0,
        p99=percentile(right, 99) if right else 0.0,
        error=errors[0] if errors else "",
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    head = (
        *("server", "act", "messages", "errors"),
        *("connections", "answers/s", "p50 s", "p99 s"),
    )
    lines = [
        (
            row.server,
            row.act,
            f"{row.messages:,}",
            f"{row.errors:,}",
            f"{row.connections}",
            f"{row.rate:,.0f}",
            f"{row.p50:.2f}",
            f"{row.p99:.2f}",
        )
        for row in rows
    ]
    seen = {f"{row.server}: {row.error.split('FATAL: ')[-1].strip()}" for row in rows if row.error}
    return "\n".join([grid([head, *lines], head=1, texts=2), "", *sorted(seen)])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench databases",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument(
        "--rate", type=float, default=50.0, help="messages a second of the last act"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="that the last act takes")
    parser.add_argument("--server", metavar="WORD", default="", help="only those with it in a name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    raise_file_limit()
    server_core, load_core = two_cores()
    rows: list[Row] = []
    with small_database() as environment, superuser(environment) as connection:
        for server in SERVERS:
            if given.server not in server.name:
                continue
            lent = {**server.environment, **environment}
            with (
                serving(
                    Server(server.name, server.command, server.path, environment=lent), server_core
                ) as running,
                pinned_to(load_core),
            ):
                rows += uvloop.run(perform(server, running.url, given, connection))
            print(table(rows[-3:]), flush=True)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"{given.clients:,} clients, max_connections {MAX_CONNECTIONS}\n")
    print(table(rows))
    if given.json:
        figures = {"machine": machine(), "rows": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
