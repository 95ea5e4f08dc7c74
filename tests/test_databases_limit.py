"""WEBSOCKET_DB_CONNECTIONS: views wait their turn for a connection, and PostgreSQL counts them."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager

import psycopg
import pytest
import requests
from websockets.sync.client import connect

import servers
from project.client import ask, serve
from servers import PATIENCE

BACKEND = "SELECT pg_backend_pid()"

#: Takes a while, and tells how many connections there are meanwhile.
COUNT = "SELECT count(*) FROM pg_stat_activity, pg_sleep(0.01) WHERE usename = current_user"


@contextmanager
def limited(postgresql, database, most, **settings):
    """Serve with so many connections, which no view gives back on its own.

    PostgreSQL has no more for this server's user either.
    """
    user = f"limited_to_{most}"
    address = f"host={postgresql['HOST']} user=postgres dbname={postgresql['NAME']}"
    with closing(psycopg.connect(address, autocommit=True)) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {user}")
        connection.execute(f"CREATE ROLE {user} LOGIN CONNECTION LIMIT {most}")
    with serve(
        database,
        DATABASES={
            "default": {**postgresql, "USER": user},
            "missing": {**postgresql, "NAME": "missing"},
            # Its connections open, and then fail.
            "half made": {**postgresql, "OPTIONS": {"assume_role": "nobody's"}},
        },
        **{"WEBSOCKET_DB_CONNECTIONS": most, "WEBSOCKET_DB_IDLE": 600, **settings},
    ) as running:
        yield running


@pytest.fixture(scope="module")
def two(postgresql, database):
    """A server with two connections at most."""
    with limited(postgresql, database, 2) as running:
        yield running


@pytest.fixture(scope="module")
def one(postgresql, database):
    """A server with one connection at most."""
    with limited(postgresql, database, 1) as running:
        yield running


@pytest.fixture
def echo(one):
    with connect(one.ws("/echo/")) as websocket:
        yield websocket


def send(websocket, query, echo):
    """Send a query; return when its view is at it."""
    websocket.send(query)
    echo.send("what came before is taken in")
    echo.recv(PATIENCE)


def answer(websocket):
    return json.loads(websocket.recv(PATIENCE))


def is_waiting(websocket):
    try:
        websocket.recv(timeout=0)
    except TimeoutError:
        return True
    return False


@pytest.mark.slow
def test_many_that_ask_at_once_share_few_connections(two):
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(two.ws("/databases/sql/"))) for _ in range(20)]
        for _ in range(3):
            for client in clients:
                client.send(COUNT)
            counts = [answer(client)[0] for client in clients]
            assert set(counts) <= {1, 2}
            assert 2 in counts


@pytest.mark.slow
def test_http_waits_its_turn_as_well_and_gives_back_at_its_end(one):
    with (
        requests.Session() as first,
        requests.Session() as second,
        connect(one.ws("/databases/sql/")) as websocket,
    ):
        for _ in range(3):
            for session in (first, second):
                # Its client stays connected, and so does its green thread.
                found = session.get(one.url("/databases/http/"), params={"query": COUNT})
                assert found.json() == [1]
            assert ask(websocket, COUNT) == [1]


@pytest.mark.slow
def test_who_needs_one_takes_that_which_has_been_idle_for_longest(two):
    path = two.ws("/databases/sql/")
    with connect(path) as first, connect(path) as second, connect(path) as third:
        pids = [ask(websocket, BACKEND) for websocket in (first, second)]
        assert ask(first, BACKEND) == pids[0]
        # Now the second has waited for longer than the first.
        ask(third, BACKEND)
        assert ask(first, BACKEND) == pids[0]
        assert ask(second, BACKEND) != pids[1]


@pytest.mark.parametrize("path", ["/databases/atomic/", "/databases/keeps/"])
def test_nobody_takes_one_from_inside_atomic_or_from_a_view_that_keeps_it(one, echo, path):
    with connect(one.ws("/databases/sql/")) as waiting:
        with connect(one.ws(path)) as holding:
            pid = ask(holding, BACKEND)
            send(waiting, BACKEND, echo)
            assert ask(holding, BACKEND) == pid
            assert is_waiting(waiting)
        assert answer(waiting) != pid


def test_first_come_is_first_served(one, echo):
    with ExitStack() as stack:
        holding = stack.enter_context(connect(one.ws("/databases/atomic/")))
        ask(holding, BACKEND)
        clients = [stack.enter_context(connect(one.ws("/databases/sql/"))) for _ in range(5)]
        for client in clients:
            send(client, "SELECT extract(epoch FROM clock_timestamp())::float8", echo)
        holding.close()
        times = [answer(client) for client in clients]
        assert times == sorted(times)


def test_one_that_gives_up_leaves_the_line(one, echo):
    path = one.ws("/databases/gives_up/")
    with connect(path) as first, connect(path) as second, connect(path) as third:
        with connect(one.ws("/databases/atomic/")) as holding:
            ask(holding, BACKEND)
            for client in (first, second):
                client.send(f"0.05 {BACKEND}")
            assert [answer(client) for client in (first, second)] == ["gave up"] * 2
        for client in (third, second, first):
            assert isinstance(ask(client, f"{PATIENCE} {BACKEND}"), list)


@pytest.mark.parametrize("alias", ["missing", "half%20made"])
def test_a_connection_that_cannot_be_opened_takes_no_place(one, alias):
    path = one.ws(f"/databases/errors/?alias={alias}")
    with connect(path) as first, connect(path) as second:
        for websocket in (first, second, first):
            assert "does not exist" in ask(websocket, BACKEND)


def test_a_connection_that_the_database_has_dropped_takes_no_place(one, postgresql, echo):
    with connect(one.ws("/databases/sql/")) as first, connect(one.ws("/databases/sql/")) as second:
        send(first, "SELECT pg_terminate_backend(pg_backend_pid())", echo)
        assert answer(first) == "OperationalError"
        assert ask(second, COUNT) == [1]
        assert ask(first, COUNT) == [1]


def test_a_green_thread_that_ends_without_a_close_keeps_no_place(one):
    with connect(one.ws("/databases/leaves/")) as websocket:
        for _ in range(3):
            assert ask(websocket, COUNT) == [1]


def test_a_connection_that_is_closed_inside_atomic_keeps_no_place(one):
    with (
        connect(one.ws("/databases/closes/")) as closing,
        connect(one.ws("/databases/sql/")) as other,
    ):
        for _ in range(2):
            pid = ask(closing, BACKEND)
            assert ask(other, BACKEND) != pid  # while the first is inside still
            closing.send("leave atomic")


def test_a_view_that_looks_for_messages_now_and_then_keeps_it_from_nobody(one):
    with (
        connect(one.ws("/databases/looks/")) as looking,
        connect(one.ws("/databases/sql/")) as other,
    ):
        looking.send(COUNT)
        for _ in range(5):
            assert answer(looking) == [1]
            assert ask(other, COUNT) == [1]


def test_a_view_that_never_runs_out_of_messages_keeps_it_from_nobody(one):
    query = "SELECT extract(epoch FROM clock_timestamp())::float8 FROM pg_sleep(0.01)"
    with (
        connect(one.ws("/databases/sql/")) as flooding,
        connect(one.ws("/databases/sql/")) as other,
    ):
        for _ in range(60):
            flooding.send(query)
        answer(flooding)
        between = ask(other, query)
        times = [answer(flooding) for _ in range(59)]
        assert between < times[-1]


@pytest.mark.slow
def test_who_waits_for_too_long_is_told_the_cure(postgresql, database):
    with (
        limited(postgresql, database, 1, TEST_PATIENCE=0.2) as running,
        connect(running.ws("/databases/atomic/")) as holding,
        connect(running.ws("/databases/errors/")) as other,
    ):
        ask(holding, BACKEND)
        error = ask(other, BACKEND)
        assert error.startswith("No connection to the database 'default' became free within 0.2 s")
        assert "all 1 that WEBSOCKET_DB_CONNECTIONS allows" in error
        assert "not inside atomic()" in error
        holding.close()
        assert isinstance(ask(other, BACKEND), list)


@pytest.mark.slow
def test_a_pool_has_its_own_limit(postgresql, database):
    pool = {"min_size": 1, "max_size": 3, "timeout": PATIENCE}
    databases = {"default": {**postgresql, "OPTIONS": {"pool": pool}}}
    with (
        serve(database, DATABASES=databases, WEBSOCKET_DB_CONNECTIONS=1) as running,
        connect(running.ws("/databases/atomic/")) as holding,
        connect(running.ws("/databases/sql/")) as other,
    ):
        assert ask(holding, BACKEND) != ask(other, BACKEND)


@pytest.mark.slow
def test_databases_in_memory_are_not_counted(database):
    memory = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    with (
        serve(database, DATABASES={"default": memory}, WEBSOCKET_DB_CONNECTIONS=1) as running,
        connect(running.ws("/databases/sql/")) as first,
        connect(running.ws("/databases/sql/")) as second,
    ):
        for number, websocket in enumerate((first, second)):
            ask(websocket, f"CREATE TABLE numbers AS SELECT {number} AS n")
        answers = [ask(websocket, "SELECT n FROM numbers") for websocket in (first, second)]
        assert answers == [[0], [1]]


TELL = """
from django.db.backends.base.base import BaseDatabaseWrapper
print(*(getattr(BaseDatabaseWrapper, name).__code__.co_filename
        for name in ("ensure_connection", "close")))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "hooks"), [({}, False), ({"WEBSOCKET_DB_CONNECTIONS": 1}, True)]
)
def test_django_is_as_it_was_where_no_limit_is_set(settings, hooks, database):
    done = subprocess.run(
        [sys.executable, "-m", "django_websocket_ev", "manage.py", "shell", "-v0", "-c", TELL],
        cwd=servers.PROJECT,
        env=servers.environment(settings, TEST_DATABASE=database),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    files = done.stdout.split()
    assert [file.endswith("database_limit.py") for file in files] == [hooks] * 2, done.stderr
