"""A WebSocket ends with the login that it was opened with."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from project.client import closing, serve
from servers import PATIENCE

ENDED = (4401, "the session has ended")

ENGINES = (
    "db",
    *(
        pytest.param(engine, marks=pytest.mark.slow)
        for engine in ("cache", "cached_db", "file", "signed_cookies")
    ),
)


@pytest.fixture(scope="module")
def patient(database):
    """A server that looks at its sessions so seldom that no test waits for it."""
    with serve(database, WEBSOCKET_SESSION_CHECK=3600) as running:
        yield running


@pytest.fixture(scope="module", params=ENGINES)
def site(request, database, tmp_path_factory):
    """A server that looks at its sessions often, for each backend of them."""
    with serve(
        database,
        SESSION_ENGINE=f"django.contrib.sessions.backends.{request.param}",
        SESSION_FILE_PATH=str(tmp_path_factory.mktemp("sessions")),
        WEBSOCKET_SESSION_CHECK=0.1,
    ) as running:
        running.engine = request.param
        yield running


class Visitor(requests.Session):
    """A browser with a login of its own."""

    def __init__(self, server, name):
        super().__init__()
        self.server = server
        self.name = name
        self.visit(f"/login/{name}/")

    def visit(self, path):
        response = self.get(self.server.url(path), timeout=PATIENCE)
        assert response.ok, response.text

    @contextmanager
    def open(self, path="/login/for/users/"):
        cookie = f"sessionid={self.cookies['sessionid']}"
        with connect(self.server.ws(path), additional_headers={"Cookie": cookie}) as websocket:
            assert websocket.recv(PATIENCE) == self.name
            yield websocket


def is_open(websocket):
    """Return whether it lives, and has come by all that was under way before."""
    try:
        websocket.send("still here")
        return websocket.recv(PATIENCE) == "still here"
    except ConnectionClosed:
        return False


@pytest.mark.parametrize("path", ["/login/for/users/", "/login/for/all/"])
def test_a_logout_closes_at_once(patient, path):
    visitor, other = Visitor(patient, "ann"), Visitor(patient, "ann")
    with visitor.open(path) as first, visitor.open(path) as second, other.open(path) as third:
        visitor.visit("/logout/")
        assert closing(first) == closing(second) == ENDED
        assert is_open(third)  # the same user's, elsewhere


@pytest.mark.parametrize(
    "what", ["/login/flush", "/login/bob/password/", "/login/bob/deactivate/", "/login/bob/delete/"]
)
def test_what_this_process_sees_closes_at_once(patient, what):
    visitor, other = Visitor(patient, "bob"), Visitor(patient, "eve")
    with visitor.open() as websocket, other.open() as bystander:
        visitor.visit(what)
        assert closing(websocket) == ENDED
        assert is_open(bystander)
    other.visit("/login/bob/delete/")


def test_a_login_elsewhere_closes_nothing(patient):
    visitor = Visitor(patient, "ida")
    with visitor.open() as websocket:
        Visitor(patient, "ida")
        assert is_open(websocket)


@pytest.mark.parametrize(
    "what", ["/login/flush", "/login/expire", "/login/cyd/deactivate_quietly/"]
)
def test_what_nobody_tells_is_found_in_time(site, what):
    if site.engine == "signed_cookies":
        # The session is in the cookie: a logout takes that from the browser, no more.
        what = "/login/cyd/deactivate_quietly/"
    visitor, other = Visitor(site, "cyd"), Visitor(site, "eve")
    with visitor.open() as websocket, other.open() as bystander:
        visitor.visit(what)
        assert closing(websocket) == ENDED
        assert is_open(bystander)
    other.visit("/login/cyd/delete/")


def test_a_socket_without_a_user_is_left_alone(site):
    visitor = Visitor(site, "dan")
    with (
        connect(site.ws("/login/for/all/")) as nobody,
        connect(site.ws("/echo/")) as echo,
        visitor.open() as websocket,
    ):
        assert nobody.recv(PATIENCE) == ""
        visitor.visit("/login/dan/delete/")
        assert closing(websocket) == ENDED
        assert is_open(nobody)
        assert is_open(echo)


@pytest.mark.slow
def test_0_turns_it_off(database):
    with serve(database, WEBSOCKET_SESSION_CHECK=0) as running:
        visitor = Visitor(running, "fay")
        with visitor.open() as websocket:
            visitor.visit("/login/fay/deactivate/")
            assert is_open(websocket)
        visitor.visit("/login/fay/delete/")
