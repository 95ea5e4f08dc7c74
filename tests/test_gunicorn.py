"""The worker for gunicorn, which has none of its own since version 26."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

import servers
from conftest import missing


def start(database):
    """Start gunicorn with our worker; its wsgi.py knows nothing of a patch."""
    if find_spec("gunicorn") is None:
        missing("gunicorn", "pip install gunicorn")
    return servers.start(
        *("-m", "gunicorn", "--bind=127.0.0.1:0", "wsgi"),
        "--worker-class=django_websocket_ev.workers.EventletWorker",
        banner=r"Listening at: http://127\.0\.0\.1:(\d+)",
        env=servers.environment(TEST_DATABASE=database),
    )


@pytest.fixture(scope="module")
def gunicorn(database):
    with start(database) as running:
        yield running


def test_a_view_echoes(gunicorn):
    with connect(gunicorn.ws("/echo/")) as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"


def test_frames_in_the_packet_of_the_handshake_are_not_lost(gunicorn):
    first = Frame(Opcode.TEXT, b"early").serialize(mask=True)
    with servers.raw_connect(gunicorn.port, "/echo/", first) as sock:
        assert servers.receive_until(sock, b"early").endswith(b"\x81\x05early")


def test_stopping_says_goodbye(database):
    with start(database) as running, connect(running.ws("/echo/")) as websocket:
        websocket.send("hello")
        assert websocket.recv() == "hello"
        assert running.stop() == 0
        with pytest.raises(ConnectionClosed):
            websocket.recv()
        assert websocket.close_code == 1001
