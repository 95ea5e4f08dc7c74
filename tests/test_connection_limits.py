"""So many WebSockets a process, so many a client: 503 above it, and a place for whoever is next."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from contextlib import ExitStack

import pytest

import rawclient
import servers
from rawclient import RawClient
from servers import PATIENCE

MOST, MOST_PER_CLIENT = 4, 2

#: Nobody's page.
FOREIGN = "Origin: https://elsewhere.example"


@pytest.fixture(scope="module")
def server():
    """A process with few places; a client is its address."""
    own = {
        "WEBSOCKET_MAX_CONNECTIONS": MOST,
        "WEBSOCKET_MAX_CONNECTIONS_PER_CLIENT": MOST_PER_CLIENT,
        "WEBSOCKET_CLOSE_TIMEOUT": 0.05,
        "MIDDLEWARE": ["django.middleware.common.CommonMiddleware", "hostile_views.replaces"],
    }
    with servers.runwsserver(settings=own) as running:
        yield running


@pytest.fixture(scope="module")
def hooked():
    """A process with one place for each client, as a hook of the project tells them apart."""
    own = {
        "WEBSOCKET_MAX_CONNECTIONS_PER_CLIENT": 1,
        "WEBSOCKET_CLIENT_ADDRESS": "hostile_views.who",
        "MIDDLEWARE": [],
    }
    with servers.runwsserver(settings=own) as running:
        yield running


def dial(server, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(
        ("127.0.0.1", server.port), timeout=PATIENCE, source_address=(source, 0)
    )


def connect(server, source: str = "127.0.0.1", path: str = "/counted/") -> RawClient:
    """Return a client from an address, whose view has begun."""
    client = RawClient(dial(server, source), path)
    assert client.read_text() == "open"
    return client


def ask(server, path: str = "/counted/", *headers: str, source: str = "127.0.0.1") -> str:
    """Ask for a WebSocket that will be refused, or has an end by itself; return all that comes."""
    with dial(server, source) as sock:
        sock.sendall(rawclient.request(path, *headers))
        sock.shutdown(socket.SHUT_WR)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    return received.decode("latin-1")


def places(server) -> dict:
    with urllib.request.urlopen(server.url("/places/"), timeout=PATIENCE) as response:
        return json.load(response)


def wait_until_taken(server, taken: dict[str, int]) -> None:
    """Return when exactly these places are taken."""
    patience_ends = time.monotonic() + PATIENCE
    while (found := places(server)["taken"]) != taken:
        assert time.monotonic() < patience_ends, f"{found} and not {taken}"


@pytest.fixture
def empty(server):
    """Nobody has a place before the test, and nobody behind it."""
    wait_until_taken(server, {})
    yield
    wait_until_taken(server, {})


def leave(client: RawClient) -> None:
    client.send(rawclient.close())
    client.read_close()
    client.sock.close()


pytestmark = pytest.mark.usefixtures("empty")


# The process.


def test_above_the_limit_of_the_process_there_is_503_and_no_view(server):
    with ExitStack() as stack:
        clients = [
            stack.enter_context(connect(server, source))
            for source in ("127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.3")
        ]
        runs = places(server)["runs"]
        for _ in range(3):
            head, _, body = ask(server, source="127.0.0.4").partition("\r\n\r\n")
            assert head.startswith("HTTP/1.1 503 ")
            assert "\r\nRetry-After: 10\r\n" in head
            assert body == f"This process has {MOST} WebSockets open, its limit.\n"
        assert places(server)["runs"] == runs
        # Plain HTTP goes on, and so do those who are in.
        for client in clients:
            client.send_text("still there?")
            assert client.read_text() == "still there?"
        leave(clients[-1])
        wait_until_taken(server, {"None": 3, "127.0.0.1": 2, "127.0.0.2": 1})
        stack.enter_context(connect(server, "127.0.0.4"))


def err(client: RawClient) -> None:
    client.send(b"\xff" * 10)
    client.read_close()
    client.sock.close()


WAYS = {
    "Close": leave,
    "FIN": lambda client: client.sock.close(),
    "RST": lambda client: client.reset(),
    "an error": lambda client: (
        client.send(b"\xff" * 10),
        client.read_close(),
        client.sock.close(),
    ),
}


@pytest.mark.parametrize("how", WAYS)
def test_a_place_is_free_when_its_client_has_left(server, how):
    for _ in range(MOST_PER_CLIENT + 1):
        clients = [connect(server) for _ in range(MOST_PER_CLIENT)]
        assert ask(server).startswith("HTTP/1.1 503 ")
        for client in clients:
            WAYS[how](client)
        wait_until_taken(server, {})


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/fails/", [], 101),
        ("/leaves_at_once/", [], 101),
        ("/counted/?replaced", [], 418),
        ("/counted/?raised", [], 500),
        ("/counted/", [FOREIGN], 403),
        ("/counted/", ["Sec-WebSocket-Extensions: ;"], 400),
        ("/counted/", ["Content-Length: 5"], 400),
        ("/nowhere/", [], 404),
        ("/places/", [], 200),
    ],
)
def test_a_place_is_free_however_its_request_ends(server, path, headers, status):
    for _ in range(MOST + 1):
        assert ask(server, path, *headers).startswith(f"HTTP/1.1 {status} ")
        wait_until_taken(server, {})


def test_a_place_is_free_when_the_client_left_within_the_handshake(server):
    for _ in range(10):
        sock = dial(server)
        sock.sendall(rawclient.request("/counted/"))
        rawclient.reset(sock)
    wait_until_taken(server, {})


def test_a_refusal_takes_no_place(server):
    with connect(server), connect(server):
        for _ in range(5):
            assert ask(server).startswith("HTTP/1.1 503 ")
            assert ask(server, "/counted/", FOREIGN, source="127.0.0.2").startswith("HTTP/1.1 403 ")
        assert places(server)["taken"] == {"None": 2, "127.0.0.1": 2}


# A client.


def test_above_the_limit_of_a_client_it_gets_503_and_others_are_served(server):
    with connect(server) as first, connect(server):
        runs = places(server)["runs"]
        head, _, body = ask(server).partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 503 ")
        assert "\r\nRetry-After: 10\r\n" in head
        assert body == "Your address has 2 WebSockets open here, the limit for one client.\n"
        assert places(server)["runs"] == runs
        # What it says of itself has no weight.
        assert "503" in ask(server, "/counted/", "X-Forwarded-For: 10.0.0.1").split("\r\n")[0]
        with connect(server, "127.0.0.2"), connect(server, "127.0.0.2"):
            pass
        leave(first)
        wait_until_taken(server, {"None": 1, "127.0.0.1": 1})
        with connect(server):
            pass


def forwarded(server, *values: str) -> RawClient | str:
    """Return the client that comes by a proxy with these headers; the status of its refusal."""
    sock = dial(server)
    headers = [f"X-Forwarded-For: {value}" for value in values]
    sock.sendall(rawclient.request("/counted/", *headers))
    client = object.__new__(RawClient)
    client.sock, client._read = sock, bytearray()
    status = client._until(b"\r\n\r\n").decode().split()[1]
    if status == "101":
        assert client.read_text() == "open"
        return client
    sock.close()
    return status


def test_behind_a_proxy_a_client_is_the_last_that_was_forwarded_for(hooked):
    with forwarded(hooked, "192.0.2.1"):
        assert forwarded(hooked, "192.0.2.1") == "503"
        # It may claim to be anybody: the proxy says who it is.
        assert forwarded(hooked, "198.51.100.7, 192.0.2.1") == "503"
        assert forwarded(hooked, "198.51.100.8,127.0.0.1,  192.0.2.1 ") == "503"
        assert forwarded(hooked, "198.51.100.9", "192.0.2.1") == "503"
        with forwarded(hooked, "192.0.2.1, 192.0.2.2"):
            assert forwarded(hooked, "192.0.2.2") == "503"
        # Without the header it is whoever has connected.
        with forwarded(hooked):
            assert forwarded(hooked) == "503"
            assert forwarded(hooked, "") == "503"
    wait_until_taken(hooked, {})


def test_a_hook_may_name_clients_as_it_likes(hooked):
    with connect(hooked, path="/counted/?user=ann"), connect(hooked, path="/counted/?user=bob"):
        assert ask(hooked, "/counted/?user=ann").startswith("HTTP/1.1 503 ")
        assert ask(hooked, "/counted/?user=bob", source="127.0.0.2").startswith("HTTP/1.1 503 ")
        assert places(hooked)["taken"] == {"None": 2, "ann": 1, "bob": 1}
    wait_until_taken(hooked, {})
