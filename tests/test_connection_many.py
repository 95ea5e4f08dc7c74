"""More clients than eventlet's own server, or a soft limit of open files, would take."""

import contextlib

import pytest

import rawclient
from conftest import missing

CLIENTS = 1100


@pytest.fixture
def files():
    """Lets this process, too, open more files than clients."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CLIENTS + 200:
        missing(f"a limit of {CLIENTS + 200} open files", f"ulimit -Hn says {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_than_1024_clients_are_served_at_once(server, files):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(rawclient.connect(server, "/echo/")) for _ in range(CLIENTS)]
        # All of them are open now, and nobody was turned away or kept waiting.
        for number, client in enumerate(clients):
            client.send_text(f"client {number}")
        for number, client in enumerate(clients):
            assert client.read_text() == f"client {number}"
