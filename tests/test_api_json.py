"""send_json() and wait_json()."""

import json

import pytest
from websockets.sync.client import connect

from scene import Scene
from servers import PATIENCE


def test_send_json_knows_what_django_knows(server):
    with connect(server.ws("/sends_json/")) as client:
        message = client.recv(PATIENCE)
        assert json.loads(message) == {"text": "Grüße", "list": [1, 2.5, None, True]}
        assert "Grüße" in message, "not escaped: that is half as much again"
        assert json.loads(client.recv(PATIENCE)) == {
            "date": "2011-01-01",
            "decimal": "1.10",
            "uuid": "00000000-0000-0000-0000-000000000001",
            "lazy": "Monday",
        }
        assert client.recv(PATIENCE).startswith("TypeError: ")


def test_wait_json_returns_what_text_and_binary_messages_hold(server):
    with Scene(server) as scene:
        with connect(server.ws(scene.path("/echoes_json/"))) as client:
            for value in ({"a": ["Grüße", 1.5, None]}, [], "text", 0, None):
                for message in (json.dumps(value), json.dumps(value).encode()):
                    client.send(message)
                    assert json.loads(client.recv(PATIENCE)) == [value]
        assert scene.note() == "closed"


NOT_JSON = {
    "half": "{",
    "empty": "",
    "not UTF-8": b'"\xff"',
    "deep": "[" * 100_000,
    "long number": "1" * 10_000,
}


@pytest.mark.parametrize("what", NOT_JSON)
def test_bad_json_is_a_bad_message_that_a_view_may_answer(server, what):
    with Scene(server) as scene, connect(server.ws(scene.path("/echoes_json/"))) as client:
        client.send(NOT_JSON[what])
        assert client.recv(PATIENCE).startswith("True: a message is not JSON: ")
        client.send("1")
        assert client.recv(PATIENCE) == "[1]"


def test_wait_json_raises_timeout_error_and_loses_nothing(server):
    with connect(server.ws("/json_timeout/")) as client:
        assert client.recv(PATIENCE) == "timed out"
        client.send('{"late": true}')
        assert client.recv(PATIENCE) == '{"late":true}'
