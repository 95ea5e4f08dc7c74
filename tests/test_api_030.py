"""What django-websocket 0.3.0 promised, as its own tests told it, on RFC 6455."""

import urllib.request
from urllib.error import HTTPError

import pytest
from websockets.sync.client import connect

import rawclient
from scene import Scene
from servers import PATIENCE


def test_text_is_sent_and_received(server):
    with connect(server.ws("/echo/")) as client:
        client.send("Hello, world!")
        assert client.recv(PATIENCE) == "Hello, world!"


def test_text_beyond_ascii_is_sent_and_received(server):
    with connect(server.ws("/echo/")) as client:
        client.send("Grüße, 世界 \N{SNOWMAN}")
        assert client.recv(PATIENCE) == "Grüße, 世界 \N{SNOWMAN}"


def test_the_iteration_ends_when_the_client_closes(server):
    with Scene(server) as scene:
        with connect(server.ws(scene.path("/left/"))) as client:
            for message in ("one", "two", "three"):
                client.send(message)
        messages, *_ = scene.note()
        assert messages == ["one", "two", "three"]


def test_after_the_client_closed_there_is_none_and_the_system_socket_is_still_open(server):
    with Scene(server) as scene:
        with connect(server.ws(scene.path("/left/"))) as client:
            client.send("only")
        messages, after, closed, socket_is_open = scene.note()
        assert messages == ["only"]
        assert after == [None, None, "fallback"]
        assert closed is True
        assert socket_is_open is True
        assert scene.note() == [1000, ""]


def test_closing_twice_sends_one_close_and_leaves_the_system_socket_open(server):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/leaves/")) as client:
        scene.open()
        assert client.read_close() == (4001, "enough")
        assert scene.note() == [True, 4001, "enough"]
        assert scene.note() == [[], None, True]
        # The view has not ended: that the client hears nothing more is up to the client.
        client.send(rawclient.close(4001))
        assert client.read_end() == b""
        scene.open("end")


@pytest.fixture(params=["/add_one/", "/add_one/required/"])
def add_one(request):
    """The address of ``add_one`` under each of the decorators."""
    return request.param


def test_both_decorators_take_websockets(server, add_one):
    with connect(server.ws(add_one)) as client:
        for number in (0, 23, -5, 10**30):
            client.send(str(number))
            assert client.recv(PATIENCE) == str(number + 1)


def test_accept_websocket_takes_plain_http(server):
    with urllib.request.urlopen(server.url("/add_one/?value=23"), timeout=PATIENCE) as response:
        assert response.status == 200
        assert response.read() == b"24"


def test_require_websocket_answers_plain_http_with_400(server):
    with pytest.raises(HTTPError) as error:
        urllib.request.urlopen(server.url("/add_one/required/?value=23"), timeout=PATIENCE)
    with error.value as response:
        assert response.code == 400
        assert b"WebSocket" in response.read()
