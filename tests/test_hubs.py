"""eventlet's hubs: those that carry us, and the one that Django does not work on."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import pytest
import requests
from websockets.sync.client import connect

import servers
from servers import PATIENCE


@pytest.fixture(
    scope="module", params=["epolls", pytest.param("poll", marks=pytest.mark.slow), "selects"]
)
def site(request, database):
    if request.param == "epolls" and sys.platform != "linux":
        pytest.skip("epoll is Linux's")
    with servers.runwsserver(TEST_DATABASE=database, EVENTLET_HUB=request.param) as running:
        yield running


def test_clients_come_talk_and_go(site):
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(site.ws("/echo/"))) for _ in range(20)]
        for turn in range(3):
            for number, client in enumerate(clients):
                client.send(f"{turn} {number}")
            for number, client in enumerate(clients):
                assert client.recv(PATIENCE) == f"{turn} {number}"
    assert requests.get(site.url("/stats/"), timeout=PATIENCE).json()["opened"] == 20


def test_a_large_message_waits_for_its_reader(site):
    """Both ways through the write buffers, which wait for the hub."""
    message = "x" * 1_000_000
    with connect(site.ws("/echo/"), compression=None) as client:
        client.send(message)
        assert client.recv(PATIENCE) == message


def test_the_orm_works(site):
    with connect(site.ws("/databases/sql/")) as client:
        client.send("SELECT 42")
        assert client.recv(PATIENCE) == "[42]"


def test_asyncio_is_refused_with_its_cure():
    said = servers.manage("runwsserver", "127.0.0.1:0", "--noreload", EVENTLET_HUB="asyncio")
    assert "UnsuitableHubError" in said
    assert "Unset it, or name 'epolls', 'poll' or 'selects'" in said
