"""What leaves a view, and what the server's log has to say of it."""

import pytest
from websockets.sync.client import connect

import rawclient
import servers

#: Everything that Django and the package log, on the terminal.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {
        name: {"handlers": ["console"], "level": "INFO", "propagate": False}
        for name in ("django", "django_websocket_ev")
    },
}


@pytest.fixture(scope="module")
def said(database):
    """Return what a server says from now on, to the line in which a path's WebSocket closes."""
    with servers.runwsserver(settings={"LOGGING": LOGGING}, TEST_DATABASE=database) as server:

        def said(path: str) -> list[str]:
            server.wait_for_line(f"WebSocket {path} closed")
            lines = server.output.splitlines()[said.since :]
            said.since += len(lines)
            return [line for line in lines if line and not line.startswith("WebSocket ")]

        said.since = len(server.output.splitlines())
        said.server = server
        yield said


def test_connection_closed_is_quiet(said):
    with connect(said.server.ws("/sends_too_late_uncaught/")) as client:
        client.close(4002)
    assert said("/sends_too_late_uncaught/") == []


def test_to_send_what_wait_returned_is_quiet_when_the_client_has_left(said):
    # The first example of 0.3.0: send(wait()), and wait() returned None.
    with connect(said.server.ws("/echo_once/")):
        pass
    assert said("/echo_once/") == []


def test_bad_json_closes_with_1008_and_no_traceback(said):
    with rawclient.connect(said.server, "/echoes_json/?uncaught") as client:
        client.send_text("{")
        assert client.read_close() == (1008, "")
    (line,) = said("/echoes_json/")
    assert "BadMessage in a WebSocket view: /echoes_json/: a message is not JSON" in line


def test_a_lone_surrogate_closes_with_1011_and_a_traceback(said):
    with rawclient.connect(said.server, "/sends_surrogate_uncaught/") as client:
        assert client.read_close() == (1011, "")
    lines = said("/sends_surrogate_uncaught/")
    assert "Exception in a WebSocket view: /sends_surrogate_uncaught/" in lines
    assert "Traceback (most recent call last):" in lines
    assert "surrogates not allowed" in lines[-1]


def test_a_timeout_that_nobody_catches_closes_with_1011_and_a_traceback(said):
    with rawclient.connect(said.server, "/times_out_uncaught/") as client:
        assert client.read_close() == (1011, "")
    lines = said("/times_out_uncaught/")
    assert "Exception in a WebSocket view: /times_out_uncaught/" in lines
    assert lines[-1] == "TimeoutError: no message within 0.001 seconds"
