"""Views on a database that waits: PostgreSQL through psycopg 3, with ATOMIC_REQUESTS."""

from __future__ import annotations

import socket
from itertools import count

import pytest
import requests
from websockets.sync.client import connect

from project.client import ask, serve
from project.settings import MIDDLEWARE
from servers import PATIENCE


@pytest.fixture(scope="module")
def site(postgresql, database):
    with serve(
        database,
        DATABASES={"default": {**postgresql, "ATOMIC_REQUESTS": True}},
        MIDDLEWARE=[*MIDDLEWARE, "django_websocket_ev.middleware.WebSocketMiddleware"],
    ) as running:
        yield running


@pytest.mark.parametrize("path", ["/accept/", "/class/around/", "/attribute/", "/plain/"])
def test_http_runs_in_its_transaction_as_ever(site, path):
    assert requests.get(site.url(path)).json()["atomic"] is True


@pytest.mark.parametrize("path", ["/accept/", "/class/around/", "/attribute/", "/require/"])
def test_a_websocket_never_runs_in_that_transaction(site, path):
    with connect(site.ws(path)) as websocket:
        assert ask(websocket)["atomic"] is False
        assert ask(websocket)["atomic"] is False


BACKEND = "SELECT pg_backend_pid()"


def test_clients_whose_queries_interleave_have_a_connection_each(site):
    first, second = connect(site.ws("/sql/")), connect(site.ws("/sql/"))
    with first, second:
        backends = [(ask(first, BACKEND), ask(second, BACKEND)) for _ in range(3)]
        assert len(set(backends)) == 1
        assert len(set(backends[0])) == 2


def test_the_connection_of_a_websocket_ends_with_it(site):
    with connect(site.ws("/sql/")) as websocket:
        backend = ask(websocket, BACKEND)
    with connect(site.ws("/sql/")) as websocket:
        for tries in count():
            # PostgreSQL takes its own time to end a backend that has been left.
            others = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend}"
            if ask(websocket, f"{others} AND pg_sleep(0.01) IS NOT NULL") == 0:
                break
            assert tries < 100 * PATIENCE


def test_views_that_sleep_query_and_fetch_hold_up_nobody(site):
    with (
        socket.create_server(("127.0.0.1", 0)) as slow_page,
        connect(site.ws("/echo/")) as echo,
        connect(site.ws("/blocks/fetch/")) as fetching,
        connect(site.ws("/blocks/query/")) as querying,
        connect(site.ws("/blocks/sleep/")) as sleeping,
    ):
        slow_page.settimeout(PATIENCE)
        fetching.send(f"http://127.0.0.1:{slow_page.getsockname()[1]}/")
        blocked = (fetching, querying, sleeping)
        assert [websocket.recv(PATIENCE) for websocket in blocked] == ["begun"] * 3
        asking, _ = slow_page.accept()

        for number in range(10):
            echo.send(f"message {number}")
            assert echo.recv(PATIENCE) == f"message {number}"
        for websocket in blocked:
            with pytest.raises(TimeoutError):
                websocket.recv(timeout=0)

        with asking:
            asking.recv(65536)
            asking.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")
        answers = [websocket.recv(PATIENCE) for websocket in blocked]
        assert answers == ["page", "queried", "slept"]
