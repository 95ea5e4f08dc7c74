"""More clients than eventlet's own server, or a soft limit of open files, would take."""

import contextlib
import os

import pytest

import rawclient
import servers
from conftest import missing

pytestmark = pytest.mark.slow

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


@pytest.mark.skipif(os.environ.get("EVENTLET_HUB") == "selects", reason="select() takes 1,024")
def test_more_than_1024_clients_are_served_at_once(server, files):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(rawclient.connect(server, "/echo/")) for _ in range(CLIENTS)]
        # All of them are open now, and nobody was turned away or kept waiting.
        for number, client in enumerate(clients):
            client.send_text(f"client {number}")
        for number, client in enumerate(clients):
            assert client.read_text() == f"client {number}"


def test_where_select_takes_no_more_the_others_wait_and_views_have_files(files):
    with (
        servers.runwsserver(EVENTLET_HUB="selects") as server,
        contextlib.ExitStack() as stack,
    ):
        socks = [stack.enter_context(rawclient.dial(server)) for _ in range(CLIENTS)]
        server.wait_for_line("No further connection is served for now")
        client = rawclient.RawClient(socks[0], "/echo/")
        client.send_text("hello")
        assert client.read_text() == "hello"
        for sock in socks[1:200]:
            sock.close()
        rawclient.RawClient(socks[-1], "/echo/")
