"""WebSocketMiddleware, wherever it stands in MIDDLEWARE, and WEBSOCKET_ACCEPT_ALL."""

from __future__ import annotations

import pytest
import requests
from websockets.sync.client import connect

from project.client import HANDSHAKE, ask, serve
from project.settings import MIDDLEWARE

OURS = "django_websocket_ev.middleware.WebSocketMiddleware"


@pytest.fixture(scope="module")
def site(database):
    """A server where the middleware stands last, as its documentation advises."""
    with serve(database, MIDDLEWARE=[*MIDDLEWARE, OURS]) as running:
        yield running


@pytest.fixture(scope="module")
def open_site(database):
    """A server where every view takes WebSockets, and the middleware stands first."""
    with serve(database, MIDDLEWARE=[OURS, *MIDDLEWARE], WEBSOCKET_ACCEPT_ALL=True) as running:
        yield running


@pytest.fixture(params=["first", "last"])
def either_site(request):
    """Run the test with the middleware first, and with the middleware last."""
    return request.getfixturevalue("site" if request.param == "last" else "open_site")


@pytest.mark.parametrize(
    "path", ["/accept/", "/require/", "/class/whole/", "/class/around/", "/attribute/"]
)
def test_views_that_take_websockets_converse(either_site, path):
    with connect(either_site.ws(path)) as websocket:
        assert ask(websocket)["is_websocket"] is True
        assert ask(websocket)["is_websocket"] is True


@pytest.mark.parametrize("path", ["/accept/", "/class/around/", "/attribute/", "/plain/"])
def test_every_http_request_knows_that_it_is_none(either_site, path):
    response = requests.get(either_site.url(path))
    assert response.status_code == 200
    assert response.json()["is_websocket"] is False


@pytest.mark.parametrize("path", ["/require/", "/class/whole/"])
def test_http_to_a_view_that_requires_websockets_gets_400_and_the_reason(either_site, path):
    response = requests.get(either_site.url(path))
    assert response.status_code == 400
    assert response.text == "This address takes WebSocket requests only.\n"


@pytest.mark.parametrize("path", ["/plain/", "/sign-in/"])
def test_a_websocket_to_a_view_that_takes_none_gets_400_and_the_reason(site, path):
    response = requests.get(site.url(path), headers=HANDSHAKE)
    assert response.status_code == 400
    assert response.text == "This address takes no WebSocket requests.\n"


@pytest.mark.parametrize("path", ["/accept/", "/attribute/", "/plain/"])
def test_a_malformed_handshake_gets_400_and_the_reason_from_any_view(either_site, path):
    response = requests.get(
        either_site.url(path), headers={**HANDSHAKE, "Sec-WebSocket-Key": "short"}
    )
    assert response.status_code == 400
    assert response.text == "Sec-WebSocket-Key must be 16 bytes in base64.\n"


def test_a_handshake_by_post_gets_the_reason_and_not_a_csrf_failure(either_site):
    response = requests.post(either_site.url("/accept/"), headers=HANDSHAKE)
    assert response.status_code == 400
    assert response.text == "A WebSocket opens with GET, not with POST.\n"


def test_another_version_is_told_the_one_that_is_spoken(either_site):
    response = requests.get(
        either_site.url("/plain/"), headers={**HANDSHAKE, "Sec-WebSocket-Version": "12"}
    )
    assert response.status_code == 400
    assert "must be 13, not 12" in response.text
    assert response.headers["Sec-WebSocket-Version"] == "13"


def test_an_address_that_does_not_exist_is_as_missing_as_ever(either_site):
    assert requests.get(either_site.url("/nowhere/"), headers=HANDSHAKE).status_code == 404


def test_decorators_outside_ours_still_speak_first(either_site):
    response = requests.get(
        either_site.url("/login/outside/"), headers=HANDSHAKE, allow_redirects=False
    )
    assert response.status_code == 302


def test_a_decorators_options_hold(either_site):
    with connect(either_site.ws("/require/chat/"), subprotocols=["chat.v1"]) as websocket:
        assert ask(websocket)["subprotocol"] == "chat.v1"


def test_the_origin_is_checked_for_a_view_without_a_decorator(either_site):
    stranger = {**HANDSHAKE, "Origin": "https://stranger.example"}
    assert requests.get(either_site.url("/attribute/"), headers=stranger).status_code == 403


# WEBSOCKET_ACCEPT_ALL.


@pytest.mark.parametrize("path", ["/plain/", "/attribute/", "/accept/", "/require/"])
def test_with_accept_all_every_view_converses(open_site, path):
    with connect(open_site.ws(path)) as websocket:
        assert ask(websocket)["is_websocket"] is True
