"""send(), ping() and ConnectionClosed."""

import pytest
from websockets.sync.client import connect

import rawclient
from scene import Scene
from servers import PATIENCE

ARRIVES = {
    "str": "plain",
    "non-ascii": "Grüße, 世界 \N{SNOWMAN} \U0001f40d",
    "empty-str": "",
    "nul": "a\0b",
    "bytes": b"\x00\xff\x80",
    "empty-bytes": b"",
    "bytearray": b"array",
    "memoryview": b"view",
    "stepped-memoryview": b"view",
    "memoryview-of-numbers": b"aabb",
    "int": "42",
    "negative-int": "-1",
    "float": "1.5",
    "Decimal": "1.10",
    "lazy": "Monday",
    "SafeString": "<b>safe</b>",
}


@pytest.mark.parametrize("what", ARRIVES)
def test_what_a_view_sends_arrives(server, what):
    with connect(server.ws(f"/sends/{what}/")) as client:
        message = client.recv(PATIENCE)
        assert message == ARRIVES[what]
        assert type(message) is type(ARRIVES[what])


@pytest.mark.parametrize("kind", ["text", "binary"])
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 2**20 + 1])
def test_a_message_of_each_length_is_one_frame(server, kind, size):
    with rawclient.connect(server, f"/sends/{kind}/{size}/") as client:
        opcode = rawclient.TEXT if kind == "text" else rawclient.BINARY
        assert client.read_frame() == (opcode, b"x" * size, True)
        assert client.read_close() == (1000, "")


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("dict", "TypeError: send() takes no dict: use send_json(), or json.dumps()"),
        ("list", "TypeError: send() takes no list: use send_json(), or json.dumps()"),
        ("tuple", "TypeError: send() takes str .* not tuple"),
        ("set", "TypeError: send() takes str .* not set"),
        ("None", "TypeError: send() takes str .* not NoneType"),
        ("object", "TypeError: send() takes str .* not object"),
        ("date", "TypeError: send() takes str .* not date"),
        ("surrogate", "UnicodeEncodeError: .* surrogates not allowed"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_words_that_help(server, what, error):
    with connect(server.ws(f"/sends_wrongly/{what}/")) as client:
        message = client.recv(PATIENCE)
        for part in error.split(" .* "):
            assert part in message


def test_send_on_a_closed_websocket_raises_an_os_error_that_tells_how_it_was_closed(server):
    with Scene(server) as scene:
        with connect(server.ws(scene.path("/sends_too_late/"))) as client:
            client.close(4002, "bye")
        error = [True, 4002, "bye", "the WebSocket is closed (4002 bye)"]
        assert [scene.note() for _ in range(3)] == [error, error, "TypeError"]


def test_two_green_threads_that_send_never_mix_their_frames(server):
    """Each message is of one letter, and many are larger than what the socket takes at once."""
    sizes = {"a": [], "b": []}
    with connect(server.ws("/interleaves/"), max_size=None) as client:
        for message in client:
            assert message == message[0] * len(message)
            sizes[message[0]].append(len(message))
        assert client.close_code == 1000
    assert sizes["a"] == sizes["b"] == [200_000, 10, 100_000, 500] * 10


def test_the_client_gets_the_ping_with_its_payload(server):
    with rawclient.connect(server, "/pings/") as client:
        for payload in (b"", b"payload", b"x" * 125):
            assert client.read_frame() == (rawclient.PING, payload, True)
            client.send(rawclient.frame(rawclient.PONG, payload))
        assert client.read_text() == "ValueError: a Ping carries at most 125 bytes"
        assert client.read_close() == (1000, "")
