"""``stats()``: what the WebSockets of one process have done."""

from __future__ import annotations

import json
import socket
import time

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import rawclient
from project.client import serve
from rawclient import TEXT, frame
from servers import PATIENCE


@pytest.fixture
def site(database):
    own = {
        "WEBSOCKET_PING_INTERVAL": 0.2,
        "WEBSOCKET_PING_TIMEOUT": 0.2,
        "WEBSOCKET_CLOSE_TIMEOUT": 0.05,
        "WEBSOCKET_MAX_CONNECTIONS": 3,
        "WEBSOCKET_MAX_CONNECTIONS_PER_CLIENT": 2,
        "MIDDLEWARE": ["django_websocket_ev.middleware.WebSocketMiddleware"],
    }
    with serve(database, **own) as running:
        yield running


def stats(server):
    return requests.get(server.url("/stats/"), timeout=PATIENCE).json()


def stats_when(server, name, value):
    """Return the stats once one of them is ``value``: a connection is over after its client."""
    patience_ends = time.monotonic() + PATIENCE
    while (seen := stats(server))[name] != value:
        assert time.monotonic() < patience_ends, f"{name} is still {seen[name]!r}"
    return seen


def refused(server, *headers, path="/echo/", source="127.0.0.1"):
    address = ("127.0.0.1", server.port)
    with socket.create_connection(address, PATIENCE, (source, 0)) as sock:
        sock.sendall(rawclient.request(path, *headers))
        return int(sock.recv(65536).split(b" ")[1])


def test_a_process_that_has_done_nothing_says_so(site):
    seen = stats(site)
    assert seen.pop("hub_lag") >= 0
    assert seen.pop("pid") == site.process.pid
    assert not any(seen.values())


def test_messages_and_bytes_of_frames_are_counted_each_way(site):
    with rawclient.connect(site, "/echo/") as client:
        client.send_text("12345")
        assert client.read_text() == "12345"
        seen = stats(site)
        assert (seen["open"], seen["opened"]) == (1, 1)
        assert (seen["messages_in"], seen["messages_out"]) == (1, 1)
        assert (seen["bytes_in"], seen["bytes_out"]) == (6 + 5, 2 + 5)
        # One in fragments, and one that waits behind the handshake's packet.
        client.send(frame(TEXT, b"a", fin=False) + frame(0, b"b"))
        assert client.read_text() == "ab"
        seen = stats(site)
        assert (seen["messages_in"], seen["messages_out"]) == (2, 2)
        assert (seen["bytes_in"], seen["bytes_out"]) == (11 + 14, 7 + 4)


@pytest.mark.slow
def test_what_is_over_stays_counted(site):
    for code in (1000, 4321):
        with connect(site.ws("/echo/"), compression=None) as websocket:
            websocket.send("hello")
            assert websocket.recv(PATIENCE) == "hello"
            websocket.close(code)
    seen = stats_when(site, "open", 0)
    assert seen["opened"] == 2
    assert seen["closed"] == {"1000": 1, "4321": 1}
    assert (seen["messages_in"], seen["messages_out"]) == (2, 2)
    assert (seen["bytes_in"], seen["bytes_out"]) == (2 * (11 + 8), 2 * (7 + 4))


@pytest.mark.slow
def test_frames_behind_the_handshake_are_counted(site):
    with socket.create_connection(("127.0.0.1", site.port), PATIENCE) as sock:
        sock.sendall(rawclient.request("/echo/") + rawclient.text("hello"))
        received = b""
        while not received.endswith(b"\x81\x05hello"):
            received += sock.recv(65536)
        assert stats(site)["bytes_in"] == 11


def test_refusals_are_counted_by_reason(site):
    assert refused(site, "Origin: https://elsewhere.example") == 403
    assert refused(site, path="/plain/") == 400
    assert refused(site, "Sec-WebSocket-Version: 12") == 400
    assert requests.get(site.url("/require/"), timeout=PATIENCE).status_code == 400
    with connect(site.ws("/echo/")), connect(site.ws("/echo/")):
        with pytest.raises(InvalidStatus):
            connect(site.ws("/echo/"))
        with socket.create_connection(("127.0.0.1", site.port), PATIENCE, ("127.0.0.2", 0)) as sock:
            sock.sendall(rawclient.request("/echo/"))
            assert b" 101 " in sock.recv(65536)
            assert refused(site, source="127.0.0.3") == 503
    assert stats(site)["refused"] == {
        "origin": 1,
        "no_websocket_view": 1,
        "malformed": 1,
        "not_websocket": 1,
        "max_connections": 1,
        "max_connections_per_client": 1,
    }


def test_clients_that_do_not_answer_or_do_not_read_are_counted(site):
    with rawclient.connect(site, "/echo/"):
        seen = stats_when(site, "pings_missed", 1)
        assert not seen["slow_clients_dropped"]
    with rawclient.connect(site, "/stats/outruns/"):
        assert stats_when(site, "slow_clients_dropped", 1)["pings_missed"] == 1
    assert stats_when(site, "open", 0)["closed"] == {"1011": 1, "1006": 1}


@pytest.mark.slow
def test_the_lag_of_the_hub_is_how_late_it_was_at_worst(site):
    with connect(site.ws("/holds/asleep/")) as websocket:
        websocket.send("1.5")
        assert websocket.recv(PATIENCE) == "done"
        patience_ends = time.monotonic() + PATIENCE
        while stats(site)["hub_lag"] < 0.4:
            assert time.monotonic() < patience_ends


def test_stats_are_public_and_json():
    from django_websocket_ev import stats

    assert json.loads(json.dumps(stats()._asdict()))["open"] == 0
