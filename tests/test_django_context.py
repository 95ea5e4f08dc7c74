"""What surrounds a view: language, time zone, database connection, and the handshake's headers."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
import requests
from websockets.sync.client import connect

from project.client import ask, serve
from project.settings import MIDDLEWARE

#: What a handshake carries, and nothing else: RFC 6455 §4.2.2.
HANDSHAKE_HEADERS = {"upgrade", "connection", "sec-websocket-accept"}


@pytest.fixture(scope="module")
def site(database):
    """A server with middleware that wraps get_response() in context managers."""
    middleware = [
        *MIDDLEWARE[:5],
        "django_websocket_ev.middleware.WebSocketMiddleware",
        *MIDDLEWARE[5:],
        "django_middleware.overrides",
    ]
    with serve(database, MIDDLEWARE=middleware) as running:
        yield running


# The view runs after the response has left through the middleware, in the context of its call.


@pytest.mark.parametrize("path", ["/require/", "/attribute/"])
def test_a_language_that_a_middleware_held_during_the_call_is_the_views(site, path):
    with connect(site.ws(f"{path}?language=de&timezone=Asia/Tokyo")) as websocket:
        for _ in range(2):
            seen = ask(websocket)
            assert (seen["language"], seen["time zone"]) == ("de", "Asia/Tokyo")


@pytest.mark.parametrize("path", ["/require/", "/attribute/"])
def test_the_language_of_locale_middleware_is_the_views(site, path):
    polish = {"Accept-Language": "pl"}
    with connect(site.ws(path), additional_headers=polish) as websocket:
        assert ask(websocket)["language"] == "pl"


def test_clients_whose_conversations_interleave_share_nothing(site):
    wanted = [("de", "Asia/Tokyo"), ("fr", "Europe/Paris"), ("pl", "UTC")]
    paths = [f"/require/?language={language}&timezone={zone}" for language, zone in wanted]
    first, second, third = (connect(site.ws(path)) for path in paths)
    with first, second, third:
        for _ in range(3):
            seen = [ask(websocket) for websocket in (first, second, third)]
            assert [(one["language"], one["time zone"]) for one in seen] == wanted
            assert len({one["connection"] for one in seen}) == 3


def test_what_one_view_activates_is_not_active_for_another(site):
    with connect(site.ws("/activate/")) as first, connect(site.ws("/activate/")) as second:
        for _ in range(2):
            for websocket, language, zone in (
                (first, "de", "Asia/Tokyo"),
                (second, "fr", "Europe/Paris"),
            ):
                seen = ask(websocket, f"{language} {zone}")
                assert (seen["language"], seen["time zone"]) == (language, zone)
        with connect(site.ws("/require/")) as third:
            seen = ask(third)
            assert (seen["language"], seen["time zone"]) == ("en", "America/Chicago")
        seen = requests.get(site.url("/accept/")).json()
        assert (seen["language"], seen["time zone"]) == ("en", "America/Chicago")


# What goes out with the handshake.


def test_cookies_of_a_middleware_go_out_with_the_handshake(site):
    with connect(site.ws("/require/")) as websocket:
        first, second = websocket.response.headers.get_all("Set-Cookie")
    assert first == "first=one; HttpOnly; Path=/"
    assert SimpleCookie(second)["second"].value == "two; quoted"


def test_the_cookie_of_a_new_session_goes_out_with_the_handshake(server):
    with connect(server.ws("/begins-a-session/")) as websocket:
        cookie = websocket.response.headers["Set-Cookie"].partition(";")[0]
        assert cookie.startswith("sessionid=")
        seen = requests.get(server.url("/session/"), headers={"Cookie": cookie})
    assert seen.text == "begun"


def test_what_middleware_adds_to_pages_does_not_go_out_with_a_handshake(server):
    # Each of these is what one of the middlewares in settings acts upon.
    provoking = {"Accept-Encoding": "gzip", "If-None-Match": "*", "Accept-Language": "de"}
    page = requests.get(
        server.url("/accept/"),
        params={"long enough": "to compress" * 20},
        headers={**provoking, "If-None-Match": ""},
    )
    for name in ("Content-Length", "Content-Encoding", "ETag", "Vary", "X-Frame-Options"):
        assert name in page.headers
    with connect(
        server.ws("/begins-a-session/"), additional_headers=provoking, compression=None
    ) as websocket:
        names = {name.lower() for name in websocket.response.headers}
    assert names == {*HANDSHAKE_HEADERS, "set-cookie"}


def test_a_plain_handshake_has_the_headers_of_the_rfc_only(server):
    with connect(server.ws("/require/"), compression=None) as websocket:
        response = websocket.response
    assert (response.status_code, response.reason_phrase) == (101, "Switching Protocols")
    assert {name.lower() for name in response.headers} == HANDSHAKE_HEADERS
