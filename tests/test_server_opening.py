"""A request for a WebSocket comes to the same whether our server or eventlet's handler reads it."""

from __future__ import annotations

import json
import re

import pytest
from websockets.sync.client import connect

import rawclient
import servers

#: What the handler accepts and we leave to it, where a first line is all that differs.
UNUSUAL, USUAL = b"GET  ", b"GET "


@pytest.fixture(scope="module")
def server():
    with servers.runwsserver(settings={"MIDDLEWARE": []}) as running:
        yield running


def head(path: str, *fields: bytes, upgrade: bytes = b"websocket") -> bytes:
    """Return the head of an opening request with further ``fields``."""
    lines = (
        b"GET " + path.encode() + b" HTTP/1.1",
        *(b"Host: localhost", b"Upgrade: " + upgrade, b"Connection: Upgrade"),
        b"Sec-WebSocket-Key: " + rawclient.KEY.encode(),
        b"Sec-WebSocket-Version: 13",
        *fields,
    )
    return b"\r\n".join(lines) + b"\r\n\r\n"


def answer(server, request: bytes, end: str = r"\Z") -> bytes:
    """Return what the server says, as far as ``end`` or until it closes."""
    received = b""
    with rawclient.dial(server) as sock:
        sock.sendall(request)
        while piece := sock.recv(65536):
            received += piece
            if end != r"\Z" and re.search(end.encode(), received, re.DOTALL):
                break
    return received


def seen(server, request: bytes) -> tuple[bool, dict[str, str]]:
    """Return whether eventlet's handler has read the request, and the environ."""
    told = r"\[(?:true|false),.*\}\]"
    said = answer(server, request, told)
    assert said.startswith(b"HTTP/1.1 101 "), said
    found = re.search(told.encode(), said, re.DOTALL)
    assert found, said
    return tuple(json.loads(found[0]))


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/opening/x/", ()),
        ("/opening/x/?a=1&b=%20&c=?", ()),
        ("/opening/caf%C3%A9%20%2e/", ()),
        ("/opening/x/?", (b"Cookie: a=1", b"Cookie: b=2")),
        ("/opening/x/", (b"X_Forwarded_For: 192.0.2.1", b"X-Forwarded-For: 192.0.2.2")),
        ("/opening/x/", (b"Empty:", b"Spaces:   in  and \t out  ", b"x-cAse: Aa", b"!#$: odd")),
    ],
)
def test_the_environ_is_that_of_eventlets_handler(server, path, fields):
    request = head(path, *fields)
    by_handler, theirs = seen(server, request.replace(USUAL, UNUSUAL, 1))
    ours_by_handler, ours = seen(server, request)
    assert (by_handler, ours_by_handler) == (True, False)
    for environ in (ours, theirs):
        del environ["REMOTE_PORT"]
    # Eventlet's says what a request that names no type has: nothing that could have one.
    assert ours == {key: value for key, value in theirs.items() if key != "CONTENT_TYPE"}


@pytest.mark.parametrize(
    "request_",
    [
        head("//opening/x/").replace(b"//", b"/", 1).replace(b" /opening", b" //opening", 1),
        head("/opening/x/", b"Folded: one", b" two"),
        head("/opening/x/", b"Latin: caf\xe9"),
        head("/opening/x/", b"Content-Length: 0"),
        head("/opening/x/", b"Content-Type: text/plain"),
        head("/opening/x/", *[b"Long: " + b"x" * 4000] * 3),
        head("/opening/x/").replace(b"\r\nUpgrade", b"\nUpgrade"),
    ],
    ids=["slashes", "folded", "latin-1", "length", "type", "long", "line feed"],
)
def test_what_is_not_to_the_letter_is_left_to_eventlets_handler(server, request_):
    by_handler, _ = seen(server, request_)
    assert by_handler


def test_a_head_that_comes_in_parts_is_read_to_its_end(server):
    request = head("/opening/x/")
    with connect(server.ws("/echo/")) as other, rawclient.dial(server) as sock:
        sock.sendall(request[:20])
        rawclient.has_read(other)
        sock.sendall(request[20:])
        assert sock.recv(12) == b"HTTP/1.1 101"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/nowhere/", b"404 Not Found", b"Not Found"), ("/in_pieces/", b"200 OK", b"one, two")],
)
def test_what_is_no_websocket_gets_an_ordinary_answer(server, path, status, body):
    said = answer(server, head(path))
    first, _, content = said.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert b"\r\nConnection: close" in first
    assert b"\r\nDate: " in first
    assert body in content
    server.wait_for_line(rf'"GET {path} HTTP/1.1" {status[:3].decode()} ')


def test_an_upgrade_to_something_else_is_no_business_of_ours(server):
    said = answer(server, head("/opening/x/", upgrade=b"h2c"), "\r\n0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Connection: close" not in said


def test_an_answer_that_fails_is_a_500_or_ends_early_and_is_logged(server):
    assert answer(server, head("/never_begins/")).startswith(b"HTTP/1.1 500 ")
    server.wait_for_line("before the first piece")
    said = answer(server, head("/plain/breaks_off/"))
    assert said.startswith(b"HTTP/1.1 200 OK")
    assert said.endswith(b"\r\n\r\none")
    server.wait_for_line("a stream may fail")
