"""How a view ends, and what is logged and closed then."""

from __future__ import annotations

import pytest
import requests
from websockets.sync.client import connect

from project.client import HANDSHAKE, LOGGING, closing, serve
from servers import PATIENCE


@pytest.fixture(scope="module")
def site(database):
    with serve(database, LOGGING=LOGGING) as running:
        yield running


def end(site, how):
    """Let the view end; return the close code, the reason, and what was logged meanwhile."""
    before = len(site.output)
    with connect(site.ws(f"/end/{how}/")) as websocket:
        websocket.send("end")
        close = closing(websocket)
    site.wait_for_line(f"/end/{how}/ closed")
    return *close, site.output[before:]


@pytest.mark.parametrize(
    ("how", "logger", "line"),
    [
        ("forbidden", "django.request", "PermissionDenied in a WebSocket view"),
        ("missing", "django.request", "Http404 in a WebSocket view"),
        ("bad", "django.request", "BadRequest in a WebSocket view"),
        ("suspicious", "django.security", "SuspiciousOperation in a WebSocket view"),
    ],
)
def test_what_the_client_may_not_do_closes_with_1008_and_a_line_but_no_traceback(
    site, how, logger, line
):
    code, reason, logged = end(site, how)
    assert (code, reason) == (1008, "")
    assert f"{logger} WARNING {line}: /end/{how}/: not " in logged
    assert "Traceback" not in logged
    assert "got_request_exception" not in logged


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("own", "OwnError: all is lost"),
        ("timeout", "Timeout: 0.01 seconds"),
        ("exit", "SystemExit: a library gave up"),
    ],
)
def test_any_other_exception_closes_with_1011_a_traceback_and_the_signal(site, how, error):
    code, reason, logged = end(site, how)
    assert (code, reason) == (1011, "")
    assert f"django.request ERROR Exception in a WebSocket view: /end/{how}/" in logged
    assert "Traceback (most recent call last):" in logged
    assert "django_views.py" in logged
    assert error in logged
    assert logged.count(f"got_request_exception of WSGIHandler for /end/{how}/") == 1


def test_sending_to_a_closed_websocket_ends_the_view_quietly(site):
    code, _, logged = end(site, "closed")
    assert code == 1000
    assert "Traceback" not in logged
    assert "ERROR" not in logged
    assert "WARNING" not in logged
    assert "got_request_exception" not in logged


@pytest.mark.parametrize(
    ("how", "close"), [("response", (1000, "")), ("not-modified", (1008, "304 Not Modified"))]
)
def test_a_response_that_the_view_returns_becomes_a_close_code(site, how, close):
    code, reason, logged = end(site, how)
    assert (code, reason) == close
    assert "Traceback" not in logged


def test_a_coroutine_that_the_view_returns_closes_with_1011_and_says_why(site):
    before = len(site.output)
    with connect(site.ws("/coroutine/")) as websocket:
        assert closing(websocket) == (1011, "")
    site.wait_for_line("WebSocket /coroutine/ closed")
    logged = site.output[before:]
    assert "view of /coroutine/ is asynchronous: a WebSocket view is an ordinary func" in logged
    assert "never awaited" not in logged


def test_an_asynchronous_class_whose_dispatch_is_decorated_says_why(site):
    # method_decorator shows a decorator nothing of the class, so import is too early to tell.
    before = len(site.output)
    response = requests.get(site.url("/class/asynchronous/"), headers=HANDSHAKE)
    assert response.status_code == 500
    site.wait_for_line('"GET /class/asynchronous/ HTTP/1.1" 500')
    assert "is asynchronous" in site.output[before:]


def test_a_plain_view_that_exits_does_not_take_the_server_with_it(site):
    with connect(site.ws("/echo/")) as other:
        with pytest.raises(requests.ConnectionError):
            requests.get(site.url("/exits/"))
        site.wait_for_line(r"A view called sys\.exit\(\): /exits/")
        other.send("still there?")
        assert other.recv(PATIENCE) == "still there?"


def test_the_server_goes_on_after_all_that(site):
    for how in ("own", "timeout", "forbidden", "response"):
        end(site, how)
    with connect(site.ws("/echo/")) as websocket:
        websocket.send("still there?")
        assert websocket.recv(PATIENCE) == "still there?"


# The lines that tell of every WebSocket.


def test_a_line_tells_of_a_websockets_opening_and_one_of_its_closing(site):
    with connect(site.ws("/accept/?as=anybody")) as websocket:
        site.wait_for_line(r"access INFO WebSocket /accept/ open, client 127\.0\.0\.1$")
        for _ in range(3):
            websocket.send("what do you see?")
            websocket.recv(PATIENCE)
        websocket.close(4321)
    site.wait_for_line(
        r"access INFO WebSocket /accept/ closed, client 127\.0\.0\.1, code 4321, \d+\.\d{3} s,"
        r" messages in 3, out 3$"
    )


def test_a_client_that_breaks_off_leaves_the_line_too(site):
    with connect(site.ws("/require/")) as websocket:
        websocket.socket.shutdown(2)
    site.wait_for_line("WebSocket /require/ closed, .* code 1006, .* messages in 0, out 0")
