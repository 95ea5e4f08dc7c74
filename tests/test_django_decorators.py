"""accept_websocket and require_websocket, on every kind of view, without the middleware."""

from __future__ import annotations

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured
from django.views import View
from websockets.sync.client import connect

from django_websocket_ev import accept_websocket, require_websocket
from project.client import HANDSHAKE, ask, closing

ACCEPTING = ["/accept/", "/accept/small/", "/class/dispatch/", "/class/around/", "/class/speaking/"]
REQUIRING = ["/require/", "/require/small/", "/require/chat/", "/class/whole/"]


# What the decorators open and refuse.


@pytest.mark.parametrize("path", ACCEPTING + REQUIRING)
def test_a_decorated_view_converses(server, path):
    with connect(server.ws(path)) as websocket:
        for _ in range(2):
            assert ask(websocket)["is_websocket"] is True


@pytest.mark.parametrize("path", ACCEPTING)
def test_a_view_that_accepts_websockets_answers_http_as_ever(server, path):
    response = requests.get(server.url(path))
    assert response.status_code == 200
    assert response.json()["is_websocket"] is False


@pytest.mark.parametrize("path", REQUIRING)
def test_a_view_that_requires_websockets_answers_http_with_400_and_the_reason(server, path):
    response = requests.get(server.url(path))
    assert response.status_code == 400
    assert response.text == "This address takes WebSocket requests only.\n"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Connection": "keep-alive"}, "Connection header does not say 'Upgrade'"),
        ({"Upgrade": "h2c"}, "Upgrade header does not say 'websocket'"),
        ({"Sec-WebSocket-Key": None}, "Sec-WebSocket-Key header is missing"),
        ({"Sec-WebSocket-Key": "c2hvcnQ="}, "16 bytes in base64"),
        ({"Sec-WebSocket-Protocol": "a, a"}, "different tokens"),
    ],
)
def test_a_malformed_handshake_gets_400_and_the_reason(server, change, reason):
    response = requests.get(server.url("/accept/"), headers={**HANDSHAKE, **change})
    assert response.status_code == 400
    assert reason in response.text
    assert "Sec-WebSocket-Version" not in response.headers


def test_another_version_is_told_the_one_that_is_spoken(server):
    response = requests.get(
        server.url("/require/"), headers={**HANDSHAKE, "Sec-WebSocket-Version": "8"}
    )
    assert response.status_code == 400
    assert "must be 13, not 8" in response.text
    assert response.headers["Sec-WebSocket-Version"] == "13"


def test_without_the_middleware_an_undecorated_view_knows_nothing_of_websockets(server):
    response = requests.get(server.url("/plain/"), headers=HANDSHAKE)
    assert response.status_code == 200
    assert response.json()["is_websocket"] is None


# Options.


@pytest.mark.parametrize("path", ["/require/chat/", "/class/speaking/"])
@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["chat.v1", "chat.v2"], "chat.v2"),
        (["other", "chat.v1"], "chat.v1"),
        (["other"], None),
        (None, None),
    ],
)
def test_the_subprotocol_is_the_first_of_the_views_that_is_offered(server, path, offered, chosen):
    with connect(server.ws(path), subprotocols=offered) as websocket:
        assert websocket.subprotocol == chosen
        assert ask(websocket)["subprotocol"] == chosen


@pytest.mark.parametrize("path", ["/accept/small/", "/require/small/"])
def test_max_message_size_is_the_views_own(server, path):
    with connect(server.ws(path)) as websocket:
        assert ask(websocket, "16 bytes in all.")
        websocket.send("17 bytes in all..")
        assert closing(websocket)[0] == 1009


def test_an_option_of_one_view_is_none_of_the_others(server):
    with connect(server.ws("/accept/")) as websocket:
        assert ask(websocket, "longer than the 16 bytes of its neighbour")


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [
        ("/origin/any/", "https://stranger.example", 101),
        ("/origin/named/", "https://friend.example", 101),
        ("/origin/named/", "https://stranger.example", 403),
        ("/origin/own/", "https://friend.example", 403),
    ],
)
def test_allowed_origins_is_the_views_own(server, path, origin, status):
    response = requests.get(server.url(path), headers={**HANDSHAKE, "Origin": origin}, stream=True)
    response.close()
    assert response.status_code == status


@pytest.mark.parametrize("decorator", [accept_websocket, require_websocket])
@pytest.mark.parametrize("option", ["max_size", "accept_all", "opens_websocket"])
def test_an_unknown_option_is_a_type_error_that_lists_the_known_ones(decorator, option):
    with pytest.raises(TypeError, match=rf"'{option}' is no option .* max_message_size"):
        decorator(**{option: True})


@pytest.mark.parametrize("decorator", [accept_websocket, require_websocket])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_message_size", 0),
        ("max_message_size", "1 MiB"),
        ("max_queue", None),
        ("max_queue", True),
        ("write_limit", -1),
        ("send_timeout", 0),
        ("close_timeout", float("inf")),
        ("allowed_origins", "https://example.com"),
        ("allowed_origins", ["example.com"]),
        ("allowed_origins", ["https://example.com/"]),
        ("subprotocols", "chat"),
        ("subprotocols", ["chat v1"]),
    ],
)
def test_a_bad_value_is_refused_at_import(decorator, option, value):
    with pytest.raises(ImproperlyConfigured, match=f"the option {option} must"):
        decorator(**{option: value})


def test_options_may_be_tuples():
    require_websocket(subprotocols=("a", "b"), allowed_origins=("https://example.com",))


# Decorators of Django around ours, and inside.


def signed_in(server):
    """Return the Cookie header of somebody who has signed in."""
    client = requests.Session()
    client.get(server.url("/sign-in/")).raise_for_status()
    return {"Cookie": f"sessionid={client.cookies['sessionid']}"}


def test_login_required_outside_redirects_before_the_handshake(server):
    response = requests.get(server.url("/login/outside/"), headers=HANDSHAKE, allow_redirects=False)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/accounts/login/")


def test_login_required_inside_closes_with_1008_and_the_status(server):
    with connect(server.ws("/login/inside/")) as websocket:
        assert closing(websocket) == (1008, "302 Found")


@pytest.mark.parametrize("path", ["/login/outside/", "/login/inside/"])
def test_login_required_lets_a_user_pass(server, path):
    with connect(server.ws(path), additional_headers=signed_in(server)) as websocket:
        assert ask(websocket)


def test_a_decorated_view_keeps_its_name_and_its_attributes():
    def view(request):
        """Say what it is for."""

    view.csrf_exempt = True
    for decorated in (accept_websocket(view), require_websocket(max_queue=1)(view)):
        assert decorated.__name__ == "view"
        assert decorated.__doc__ == "Say what it is for."
        assert decorated.csrf_exempt is True
        assert decorated.accept_websocket is True
    assert not hasattr(view, "accept_websocket")


# Asynchronous views.


async def asynchronous_view(request):
    pass


class AsynchronousView(View):
    async def get(self, request):
        pass


@pytest.mark.parametrize("decorator", [accept_websocket, require_websocket(max_queue=1)])
@pytest.mark.parametrize("view", [asynchronous_view, AsynchronousView.as_view()])
def test_an_asynchronous_view_is_refused_at_import(decorator, view):
    with pytest.raises(ImproperlyConfigured, match="is asynchronous.* write 'def' instead"):
        decorator(view)
