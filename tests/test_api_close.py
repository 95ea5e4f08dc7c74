"""close(), closed, close_code, close_reason, and the subprotocol."""

import json

import pytest
from websockets.sync.client import connect

import rawclient
from scene import Scene
from servers import PATIENCE


@pytest.mark.parametrize(
    ("order", "code", "reason"),
    [
        ([], 1000, ""),
        ([1001], 1001, ""),
        ([1008, "no"], 1008, "no"),
        ([1014], 1014, ""),
        ([3000, "x" * 123], 3000, "x" * 123),
        ([4999, "Grüße"], 4999, "Grüße"),
    ],
)
def test_the_view_closes_with_code_and_reason(server, order, code, reason):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/closes/")) as client:
        client.send_text(json.dumps(order))
        assert client.read_close() == (code, reason)
        assert scene.note() == [True, code, reason]


@pytest.mark.parametrize(
    "order",
    [[0], [-1], [999], [1004], [1005], [1006], [1015], [1016], [2999], [5000], [65536]],
    ids=str,
)
def test_a_code_that_no_frame_may_carry_is_a_value_error(server, order):
    with Scene(server) as scene, connect(server.ws(scene.path("/closes/"))) as client:
        client.send(json.dumps(order))
        assert client.recv(PATIENCE).startswith(
            f"False None: {order[0]} cannot be sent as a close code"
        )


@pytest.mark.parametrize("reason", ["x" * 124, "é" * 62])
def test_a_reason_of_more_than_123_bytes_is_a_value_error(server, reason):
    with Scene(server) as scene, connect(server.ws(scene.path("/closes/"))) as client:
        client.send(json.dumps([1000, reason]))
        error = client.recv(PATIENCE)
        assert error.startswith("False None: a close reason holds at most 123 bytes")
        assert "124" in error


@pytest.mark.parametrize(
    ("code", "reason", "seen"),
    [
        (1000, "", [1000, ""]),
        (1001, "tab closed", [1001, "tab closed"]),
        (4999, "x" * 123, [4999, "x" * 123]),
        (3000, "Grüße", [3000, "Grüße"]),
        (None, "", [1005, ""]),
    ],
)
def test_the_view_sees_code_and_reason_of_the_client_and_the_client_its_own(
    server, code, reason, seen
):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/left/")) as client:
        client.send(rawclient.close(code, reason))
        assert client.read_close() == (code, "")
        assert client.read_end() == b""
        scene.note()
        assert scene.note() == seen


def test_close_returns_at_once_and_messages_from_before_can_still_be_read(server):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/leaves/")) as client:
        client.send(*map(rawclient.text, "abc"), rawclient.frame(rawclient.PING))
        assert client.read_frame().opcode == rawclient.PONG
        scene.open()
        # The client has not answered the Close when the view has gone on.
        assert scene.note() == [True, 4001, "enough"]
        assert scene.note() == [["a", "b", "c"], None, True]
        scene.open("end")


def test_an_open_websocket_has_neither_code_nor_reason(server):
    with Scene(server) as scene, connect(server.ws(scene.path("/represents/"))):
        assert scene.note() == [False, None, "", "<WebSocket open>"]
        assert scene.note() == "<WebSocket closed 4000>"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (None, None),
        (["chat.v1"], "chat.v1"),
        (["chat.v1", "chat.v2"], "chat.v2"),
        (["other"], None),
    ],
)
def test_both_sides_know_the_subprotocol(server, offered, chosen):
    with connect(server.ws("/subprotocol/"), subprotocols=offered) as client:
        assert client.subprotocol == chosen
        assert json.loads(client.recv(PATIENCE)) == chosen
