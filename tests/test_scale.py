"""Thousands of clients of one process."""

from __future__ import annotations

import resource
import selectors
from contextlib import ExitStack, contextmanager

import pytest

import rawclient
import servers
from conftest import missing

pytestmark = pytest.mark.slow

CLIENTS = 3_000

#: What a login shell has as a rule.
USUAL_FILE_LIMIT = 1_024

#: A file for each client, and some for the rest of the process.
NEEDED_FILES = CLIENTS + 100


@contextmanager
def file_limit(limit):
    """Let this process, and those that it starts, have as many files open at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED_FILES:
        missing(
            f"room for {CLIENTS} clients (no process may have more than {hard} files open)",
            f"raise the hard limit, 'ulimit -Hn', to {NEEDED_FILES} or more",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def server(database):
    with (
        file_limit(USUAL_FILE_LIMIT),
        # Without middleware: it is the sockets that are counted, and 3,000 take their time.
        servers.runwsserver(settings={"MIDDLEWARE": []}, TEST_DATABASE=database) as running,
    ):
        yield running


def answers(socks, requests, is_whole):
    """Send each socket its request; return what each has received when all have their answer."""
    received = dict.fromkeys(socks, b"")
    with selectors.DefaultSelector() as selector:
        for sock, request in zip(socks, requests, strict=True):
            sock.sendall(request)
            selector.register(sock, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(servers.PATIENCE)
            assert ready, f"{len(selector.get_map())} of {len(socks)} clients got no answer"
            for key, _ in ready:
                piece = key.fileobj.recv(65536)
                assert piece, f"a client was sent away after {received[key.fileobj]!r}"
                received[key.fileobj] += piece
                if is_whole(received[key.fileobj]):
                    selector.unregister(key.fileobj)
    return list(received.values())


def echoes(socks, word):
    """Let each socket send a text of its own and get that back."""
    texts = [f"{word} {number:04}".encode() for number in range(len(socks))]
    size = len(rawclient.frame(rawclient.TEXT, texts[0], key=None))
    requests = [rawclient.frame(rawclient.TEXT, text) for text in texts]
    expected = [rawclient.frame(rawclient.TEXT, text, key=None) for text in texts]
    assert answers(socks, requests, lambda received: len(received) >= size) == expected


def test_3000_clients_are_open_at_once_and_each_gets_its_echo(server):
    with ExitStack() as stack:
        stack.enter_context(file_limit(NEEDED_FILES))
        socks = [stack.enter_context(rawclient.dial(server)) for _ in range(CLIENTS)]
        handshakes = [rawclient.request("/echo/")] * CLIENTS
        heads = answers(socks, handshakes, lambda received: received.endswith(b"\r\n\r\n"))
        assert {head.split(b"\r\n")[0] for head in heads} == {b"HTTP/1.1 101 Switching Protocols"}
        echoes(socks, "first")
        echoes(socks, "again")  # so nobody had to leave for another's echo
