"""A session in a WebSocket: saved while it is open, and never over what others saved."""

from __future__ import annotations

import pytest
import requests
from websockets.sync.client import connect

from project.client import closing
from servers import PATIENCE


class Visitor:
    """A browser: its pages and its WebSockets share a session."""

    def __init__(self, server):
        self.server = server
        self.pages = requests.Session()

    def page(self, **query):
        """Load the page and return the value in its session."""
        response = self.pages.get(self.server.url("/session/"), params=query)
        response.raise_for_status()
        return response.text

    def websocket(self, name=""):
        """Open a WebSocket with this browser's cookies."""
        cookies = "; ".join(f"{key}={value}" for key, value in self.pages.cookies.items())
        headers = {"Cookie": cookies} if cookies else None
        return connect(self.server.ws(f"/session/{name}"), additional_headers=headers)


@pytest.fixture
def visitor(server):
    """A browser with a session, whose value is "old"."""
    visitor = Visitor(server)
    visitor.page(set="old")
    return visitor


def ask(websocket, message):
    """Send a message and return the answer."""
    websocket.send(message)
    return websocket.recv(PATIENCE)


def test_a_view_reads_the_session_of_the_page(visitor):
    with visitor.websocket() as websocket:
        assert ask(websocket, "get") == "old"


def test_what_a_view_changes_is_saved_when_it_next_waits(visitor):
    with visitor.websocket() as websocket:
        websocket.send("set new")
        assert ask(websocket, "get") == "new"  # so it has waited in between
        assert visitor.page() == "new"


def test_what_a_view_changes_is_saved_when_it_ends(visitor):
    with visitor.websocket() as websocket:
        websocket.send("end new")
        assert closing(websocket)[0] == 1000
    assert visitor.page() == "new"


def test_what_a_view_changed_is_saved_when_the_client_is_gone_before_it_ends(visitor):
    # send() raises ConnectionClosed and ends the view, quietly: that is no failure.
    with visitor.websocket("gone/") as websocket:
        websocket.send("outlive new")
    visitor.server.wait_for_line(r"/session/gone/ closed")
    assert visitor.page() == "new"


@pytest.mark.parametrize(
    ("message", "code", "value"), [("forbid new", 1008, "new"), ("fail new", 1011, "old")]
)
def test_a_view_that_fails_saves_nothing_and_one_that_denies_does(visitor, message, code, value):
    # As SessionMiddleware: not for a status of 500, but for any other.
    with visitor.websocket() as websocket:
        websocket.send(message)
        assert closing(websocket)[0] == code
    assert visitor.page() == value


def test_a_session_that_the_view_only_read_is_not_saved_over_newer_data(visitor):
    with visitor.websocket() as websocket:
        assert ask(websocket, "get") == "old"
        visitor.page(set="newer")
        assert ask(websocket, "get") == "old"
        websocket.close()
    assert visitor.page() == "newer"


def test_a_session_that_a_decorator_changed_is_saved_once_with_the_handshake(server):
    with connect(server.ws("/begins-a-session/")) as websocket:
        visitor = Visitor(server)
        cookie = websocket.response.headers["Set-Cookie"].partition(";")[0]
        visitor.pages.cookies.set(*cookie.split("="))
        assert visitor.page() == "begun"
        visitor.page(set="newer")
        ask(websocket, "wait again")
        websocket.close()
    assert visitor.page() == "newer"


def test_a_session_deleted_meanwhile_closes_with_1008(visitor):
    with visitor.websocket() as websocket:
        assert ask(websocket, "get") == "old"
        visitor.page(delete="yes")
        websocket.send("set new")
        assert closing(websocket)[0] == 1008


def test_a_session_deleted_meanwhile_closes_with_1008_when_the_view_ends(visitor):
    with visitor.websocket() as websocket:
        assert ask(websocket, "get") == "old"
        visitor.page(delete="yes")
        websocket.send("end new")
        assert closing(websocket)[0] == 1008


@pytest.mark.slow
def test_a_new_session_whose_cookie_can_not_be_sent_any_more_is_warned_about(server):
    with Visitor(server).websocket("without-a-cookie/") as websocket:
        websocket.send("set lost")
        assert ask(websocket, "get") == "lost"
        server.wait_for_line(r"new session cannot be kept .*\(/session/without-a-cookie/\)")


def test_a_cookie_of_a_session_that_is_long_gone_is_as_none(visitor):
    visitor.page(delete="yes")
    visitor.pages.cookies.set("sessionid", "0123456789abcdefghijklmnopqrstuv")
    with visitor.websocket("stale-cookie/") as websocket:
        assert ask(websocket, "get") == "nothing"
        websocket.send("set lost")
        assert ask(websocket, "get") == "lost"
        websocket.close()
    visitor.server.wait_for_line(r"/session/stale-cookie/ closed")
    assert "(/session/stale-cookie/)" in visitor.server.output


def test_a_session_whose_key_changes_is_warned_about(visitor):
    # login() does this: it gives the session a new key, which the client never learns.
    with visitor.websocket("rotated/") as websocket:
        websocket.send("rotate new")
        assert ask(websocket, "get") == "new"
        websocket.close()
    visitor.server.wait_for_line(r"/session/rotated/ closed")
    assert "(/session/rotated/)" in visitor.server.output
