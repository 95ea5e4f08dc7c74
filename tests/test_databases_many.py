"""Thousands of WebSockets that query a PostgreSQL which allows twenty connections."""

from __future__ import annotations

import selectors
import threading
from contextlib import ExitStack, closing, contextmanager

import psycopg
import pytest

import postgres
import rawclient
import servers
from conftest import missing
from project.client import serve
from test_scale import answers, file_limit

pytestmark = pytest.mark.slow

CLIENTS = 2_000

#: What PostgreSQL allows, and how many of those it keeps for superusers.
MAX_CONNECTIONS = 20
RESERVED = 3

#: What a project may have, besides the superuser who counts its connections.
MOST = MAX_CONNECTIONS - RESERVED - 1

#: Seconds that each may stand in line for a connection: a slow machine opens few of them.
PATIENCE = 120

#: With a pool, and without one.
EITHER = [
    pytest.param(
        {"OPTIONS": {"pool": {"min_size": 4, "max_size": MOST, "timeout": PATIENCE}}},
        {},
        id="pool",
    ),
    pytest.param({}, {"WEBSOCKET_DB_CONNECTIONS": MOST, "TEST_PATIENCE": PATIENCE}, id="limit"),
]


@pytest.fixture(scope="module")
def small():
    """A PostgreSQL with few connections, and a user who is no superuser."""
    if postgres.binaries() is None:
        missing("PostgreSQL", "apt install postgresql")
    with postgres.cluster(
        max_connections=MAX_CONNECTIONS, superuser_reserved_connections=RESERVED
    ) as config:
        with superuser(config) as connection:
            connection.execute("CREATE ROLE project LOGIN")
        yield {**config, "USER": "project"}


@contextmanager
def superuser(config):
    address = f"host={config['HOST']} user=postgres dbname={config['NAME']}"
    with closing(psycopg.connect(address, autocommit=True)) as connection:
        yield connection


@contextmanager
def counted(config):
    """Yield a list that fills with how many connections of the project's PostgreSQL has."""
    counts = []
    is_over = threading.Event()
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'project'"

    def count(connection):
        while not is_over.wait(0.01):
            counts.append(connection.execute(query).fetchone()[0])

    with superuser(config) as connection:
        counter = threading.Thread(target=count, args=[connection])
        counter.start()
        try:
            yield counts
        finally:
            is_over.set()
            counter.join()


@contextmanager
def site(config, database, options, settings):
    """Serve with ``config`` as the default database."""
    with serve(
        database,
        DATABASES={"default": {**config, **options}},
        MIDDLEWARE=[],
        WEBSOCKET_PING_INTERVAL=None,  # these clients know no Pong
        **settings,
    ) as running:
        yield running


@contextmanager
def crowd(server, clients):
    """Open so many WebSockets; yield their sockets."""
    with ExitStack() as stack:
        stack.enter_context(file_limit(clients + 100))
        socks = [stack.enter_context(rawclient.dial(server)) for _ in range(clients)]
        handshakes = [rawclient.request("/databases/adds/")] * clients
        heads = answers(socks, handshakes, lambda received: received.endswith(b"\r\n\r\n"))
        assert {head.split(b"\r\n")[0] for head in heads} == {b"HTTP/1.1 101 Switching Protocols"}
        yield socks


def read_text(sock):
    """Return the text of the frame that has come."""
    received = sock.recv(65536)
    while len(received) < _size(received):
        piece = sock.recv(65536)
        assert piece, f"the server ended after {received!r}"
        received += piece
    assert len(received) == _size(received)
    return received[2 if received[1] < 126 else 4 :].decode()


def _size(frame):
    """Return how many bytes a frame has that is not huge, as far as is known yet."""
    if len(frame) < 2 or frame[1] < 126:
        return 2 + sum(frame[1:2])
    return 4 + int.from_bytes(frame[2:4], "big")


def ask_all(socks, start, in_flight):
    """Let each client ask for its own number, so many at a time; return what each was told."""
    told = {}
    waiting = enumerate(socks, start)
    with selectors.DefaultSelector() as selector:

        def send_next():
            for number, sock in waiting:
                selector.register(sock, selectors.EVENT_READ, number)
                sock.sendall(rawclient.text(str(number)))
                return

        for _ in range(in_flight):
            send_next()
        while selector.get_map():
            ready = selector.select(servers.PATIENCE)
            assert ready, f"{len(selector.get_map())} clients got no answer"
            for key, _ in ready:
                told[key.data] = read_text(key.fileobj)
                selector.unregister(key.fileobj)
                send_next()
    return [told[number] for number in sorted(told)]


def expected(start, clients=CLIENTS):
    return [str(number + 1) for number in range(start, start + clients)]


@pytest.mark.parametrize(("options", "settings"), EITHER)
def test_2000_clients_all_have_their_answers(small, database, options, settings):
    with (
        site(small, database, options, settings) as server,
        crowd(server, CLIENTS) as socks,
        counted(small) as counts,
    ):
        assert ask_all(socks, 1_000, in_flight=CLIENTS) == expected(1_000)
        half = socks[::2]
        assert ask_all(half, 5_000, in_flight=50) == expected(5_000, len(half))
    assert 4 < max(counts) <= MOST


def test_without_either_the_same_clients_ask_for_too_much(small, database):
    with site(small, database, {}, {}) as server, crowd(server, 200) as socks:
        told = ask_all(socks, 1_000, in_flight=200)
    # Else the test above would show nothing.
    assert any("connection slots" in text or "too many clients" in text for text in told)
