"""The head of a request must be there in time; whatever follows may take longer.

The clock of these tests is another client that sends nothing: it is cut off after
as long as a request may take.
"""

from __future__ import annotations

import socket

import pytest

import rawclient
import servers
from scene import Scene

LINE = b"GET /places/ HTTP/1.1\r\n"
HEAD = LINE + b"Host: localhost\r\n\r\n"

TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def server():
    """A server that has little time."""
    own = {
        "WEBSOCKET_REQUEST_TIMEOUT": 0.3,
        "MIDDLEWARE": ["django.middleware.common.CommonMiddleware"],
    }
    with servers.runwsserver(settings=own) as running:
        yield running
        assert "Traceback" not in running.output


def time_passes(server, times: int = 1) -> None:
    """Return when a request that began now would be too late."""
    for _ in range(times):
        with rawclient.dial(server) as sock:
            assert sock.recv(1) == b""


def read_to_end(sock: socket.socket) -> bytes:
    received = b""
    while piece := sock.recv(65536):
        received += piece
    return received


def read_response(sock: socket.socket) -> bytes:
    """Return a response with its body, behind which the connection stays open."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = sock.recv(65536)
        assert piece, received
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    while len(body) < length:
        piece = sock.recv(65536)
        assert piece, received
        body += piece
    return head + b"\r\n\r\n" + body


# Too late.


@pytest.mark.parametrize(
    "beginning",
    [
        b"G",
        b"GET /places/ HT",
        LINE[:-1],
        LINE,
        LINE + b"Ho",
        LINE + b"Host: localhost\r\n",
        HEAD[:-1],
        rawclient.request("/echo/")[:-2],
    ],
)
def test_a_request_that_is_never_finished_gets_408(server, beginning):
    with rawclient.dial(server) as sock:
        sock.sendall(beginning)
        assert read_to_end(sock) == TIMED_OUT


@pytest.mark.parametrize(
    "beginning", [b"GET /", LINE, LINE + b"X-Long: "], ids=["line", "headers", "header"]
)
def test_a_request_that_comes_byte_by_byte_gets_408_all_the_same(server, beginning):
    """Each byte in good time, so no limit for a read would end it."""
    with rawclient.dial(server) as sock:
        sock.sendall(beginning)
        received = b""
        sock.settimeout(0.02)
        for _ in range(1500):  # half a minute
            try:
                received += sock.recv(65536)
                break
            except TimeoutError:
                sock.sendall(b"x")
        sock.settimeout(servers.PATIENCE)
        try:
            received += read_to_end(sock)
        except ConnectionResetError:
            pass  # the last byte came too late to be read
        assert received == TIMED_OUT


def test_a_client_that_says_nothing_is_left_without_a_word(server):
    with rawclient.dial(server) as sock:
        assert read_to_end(sock) == b""


def test_a_connection_that_is_kept_alive_for_nothing_is_closed_without_a_word(server):
    with rawclient.dial(server) as sock:
        for _ in range(3):
            sock.sendall(HEAD)
            assert read_response(sock).startswith(b"HTTP/1.1 200 ")
        assert read_to_end(sock) == b""


def test_the_second_request_of_a_connection_has_as_little_time(server):
    with rawclient.dial(server) as sock:
        sock.sendall(HEAD)
        assert read_response(sock).startswith(b"HTTP/1.1 200 ")
        sock.sendall(LINE)
        assert read_to_end(sock) == TIMED_OUT


# In time.


def test_each_request_has_the_whole_time(server):
    with rawclient.dial(server) as sock:
        for _ in range(3):
            sock.sendall(HEAD[:10])
            a_turn_passes(server)
            sock.sendall(HEAD[10:])
            assert read_response(sock).startswith(b"HTTP/1.1 200 ")


def a_turn_passes(server) -> None:
    """Return when the server has read what was sent to it before."""
    with rawclient.dial(server) as sock:
        sock.sendall(HEAD)
        read_response(sock)


def test_a_body_may_take_its_time(server):
    with rawclient.dial(server) as sock:
        sock.sendall(b"POST /body/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\na")
        time_passes(server)
        sock.sendall(b"b")
        time_passes(server)
        sock.sendall(b"c")
        assert read_response(sock).endswith(b"\r\n\r\nabc")
        # And the next request begins anew.
        sock.sendall(HEAD)
        assert read_response(sock).startswith(b"HTTP/1.1 200 ")


def test_a_response_may_take_its_time(server):
    with Scene(server) as scene, rawclient.dial(server) as sock:
        path = scene.path("/takes_its_time/")
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time_passes(server, 2)
        scene.open()
        assert read_response(sock).endswith(b"\r\n\r\nat last")


def test_a_websocket_may_take_all_the_time_there_is(server):
    with rawclient.connect(server, "/echo/") as client:
        time_passes(server, 2)
        client.send(b"\x81")
        time_passes(server)
        client.send(rawclient.text("still there?")[1:])
        assert client.read_text() == "still there?"


@pytest.mark.parametrize(
    "head",
    [b"GET /accept/ HTTP/1.1\r\nHost: local", b"GET /accept/ HTTP/1.1\r\nHost: localhost\r\n"],
)
def test_a_head_that_is_cut_off_is_no_request(server, head):
    with rawclient.dial(server) as sock:
        sock.sendall(head)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
