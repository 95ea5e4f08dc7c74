"""A view that waits holds no database connection: PostgreSQL counts them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from itertools import count

import pytest
import requests
from websockets.sync.client import connect

from project.client import ask, serve
from servers import PATIENCE

BACKEND = "SELECT pg_backend_pid()"


@pytest.fixture(scope="module")
def site(postgresql, database):
    databases = {
        "default": {**postgresql, "CONN_MAX_AGE": 600},
        # Its connections open, and then fail.
        "half made": {**postgresql, "OPTIONS": {"assume_role": "nobody's"}},
    }
    with serve(database, DATABASES=databases, WEBSOCKET_DB_IDLE=0.1) as running:
        yield running


@pytest.fixture
def watcher(site):
    """A client whose view keeps its connection, and asks PostgreSQL about the others."""
    with connect(site.ws("/databases/keeps/")) as websocket:
        yield websocket


def backends(watcher, condition="true"):
    """Return how many other connections PostgreSQL has to this database."""
    (number,) = ask(
        watcher,
        "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        f" AND backend_type = 'client backend' AND {condition}",
    )
    return number


def until(watcher, condition, number):
    """Return once there are so many of these connections."""
    for tries in count():
        if backends(watcher, condition) == number:
            return
        ask(watcher, "SELECT true FROM pg_sleep(0.01)")
        assert tries < 100 * PATIENCE


def test_a_view_that_waits_gives_its_connection_back(site, watcher):
    with connect(site.ws("/databases/sql/")) as websocket:
        (pid,) = ask(websocket, BACKEND)
        until(watcher, f"pid = {pid}", 0)
        (another,) = ask(websocket, BACKEND)
        assert another != pid


def test_a_view_that_is_asked_again_soon_keeps_it(site):
    with connect(site.ws("/databases/sql/")) as websocket:
        pids = {tuple(ask(websocket, BACKEND)) for _ in range(10)}
        # A slow machine may have waited as long once or twice.
        assert len(pids) < 5


def test_many_open_sockets_hold_no_connections(site, watcher):
    with ExitStack() as stack:
        for _ in range(30):
            ask(stack.enter_context(connect(site.ws("/databases/sql/"))), BACKEND)
        until(watcher, "true", 0)


def test_inside_atomic_it_stays(site, watcher):
    with (
        connect(site.ws("/databases/atomic/")) as websocket,
        connect(site.ws("/databases/sql/")) as other,
    ):
        (pid,) = ask(websocket, BACKEND)
        (others,) = ask(other, BACKEND)
        # Both have waited for as long when the other's is gone.
        until(watcher, f"pid = {others}", 0)
        assert backends(watcher, f"pid = {pid}") == 1
        assert ask(websocket, BACKEND) == [pid]


def test_none_keeps_it_for_the_view(site):
    with (
        connect(site.ws("/databases/keeps/")) as websocket,
        connect(site.ws("/databases/keeps/")) as watcher,
        connect(site.ws("/databases/sql/")) as other,
    ):
        (pid,) = ask(websocket, BACKEND)
        (others,) = ask(other, BACKEND)
        until(watcher, f"pid = {others}", 0)
        assert ask(websocket, BACKEND) == [pid]


def test_a_connection_that_the_server_has_dropped_is_replaced(site, watcher):
    with connect(site.ws("/databases/keeps/")) as websocket:
        (pid,) = ask(websocket, BACKEND)
        ask(watcher, f"SELECT pg_terminate_backend({pid})")
        until(watcher, f"pid = {pid}", 0)
        (another,) = ask(websocket, BACKEND)
        assert another != pid


def test_after_an_error_the_next_query_has_a_connection(site, watcher):
    with connect(site.ws("/databases/sql/")) as websocket:
        websocket.send("SELECT 1 FROM pg_sleep(60)")
        until(watcher, "query = 'SELECT 1 FROM pg_sleep(60)'", 1)
        ask(
            watcher,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query = 'SELECT 1 FROM pg_sleep(60)'",
        )
        assert json.loads(websocket.recv(PATIENCE)) == "OperationalError"
        assert ask(websocket, "SELECT 1") == [1]


def test_a_connection_that_breaks_while_it_is_set_up_is_not_used_again(site, watcher):
    with connect(site.ws("/databases/errors/?alias=half%20made")) as websocket:
        for _ in range(2):
            assert "does not exist" in ask(websocket, BACKEND)
        until(watcher, "true", 0)


def test_persistent_connections_do_not_pile_up_with_http(site, watcher):
    with ExitStack() as stack:
        for _ in range(5):
            session = stack.enter_context(requests.Session())
            # The session's client stays connected, and so does its green thread.
            assert session.get(site.url("/accept/")).ok
        until(watcher, "true", 0)


@pytest.mark.slow
def test_with_a_pool_many_share_few_connections(postgresql, database):
    pool = {"min_size": 1, "max_size": 3, "timeout": PATIENCE}
    default = {**postgresql, "OPTIONS": {"pool": pool}}
    with (
        serve(database, DATABASES={"default": default}) as running,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(connect(running.ws("/databases/sql/"))) for _ in range(30)]
        for _ in range(3):
            for client in clients:
                client.send(BACKEND)
            pids = {json.loads(client.recv(PATIENCE))[0] for client in clients}
            assert len(pids) <= 3


@pytest.mark.slow
def test_a_connection_that_the_server_has_dropped_is_replaced_in_the_pool(
    postgresql, database, watcher
):
    pool = {"min_size": 2, "max_size": 2, "timeout": PATIENCE}
    options = {"pool": pool, "application_name": "pooled"}
    default = {**postgresql, "OPTIONS": options}
    with (
        serve(database, DATABASES={"default": default}) as running,
        connect(running.ws("/databases/sql/")) as websocket,
    ):
        pooled = "application_name = 'pooled'"
        for _ in range(3):
            assert ask(websocket, "SELECT 1") == [1]
            until(watcher, pooled, 2)
            terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            ask(watcher, f"{terminate} WHERE {pooled}")
            until(watcher, pooled, 0)
        assert ask(websocket, "SELECT 1") == [1]


@pytest.mark.slow
def test_a_database_in_memory_is_kept(database):
    memory = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    with (
        serve(database, DATABASES={"default": memory}, WEBSOCKET_DB_IDLE=0.01) as running,
        connect(running.ws("/databases/sql/")) as websocket,
        connect(running.ws("/echo/")) as other,
    ):
        ask(websocket, "CREATE TABLE numbers AS SELECT 42 AS n")
        for _ in range(10):
            other.send("a while")
            other.recv(PATIENCE)
        with pytest.raises(TimeoutError):
            websocket.recv(0.1)
        assert ask(websocket, "SELECT n FROM numbers") == [42]
