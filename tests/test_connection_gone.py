"""Clients that leave without a word."""

import pytest

import rawclient
from rawclient import PING
from scene import Scene

WAYS = {
    "RST": lambda client: client.reset(),
    "FIN": lambda client: client.end_output(),
    "FIN in both directions": lambda client: client.sock.close(),
    "FIN within a frame": lambda client: (client.send(b"\x81"), client.end_output()),
}


@pytest.fixture(params=WAYS)
def leave(request):
    """A way for a client to leave."""
    return WAYS[request.param]


def test_a_view_that_waits_gets_none_and_cannot_send(server, leave):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/hears/")) as client:
        client.send_text("hello")
        assert scene.note() == "hello"
        leave(client)
        assert scene.note() == [1006, ""]
        assert scene.note() == "ConnectionClosed 1006"


def test_messages_that_came_before_are_still_read(server, leave):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/busy/")) as client:
        client.send(rawclient.text("one"), rawclient.text("two"), rawclient.frame(PING))
        assert client.read_frame().opcode == rawclient.PONG
        leave(client)
        scene.open()
        assert scene.note()[0] in (True, False)
        assert scene.note() == ["one", "two"]


def test_a_view_that_does_something_else_can_see_it(server, leave):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/notices/")) as client:
        assert scene.note() == "running"
        leave(client)
        assert scene.note() == [1006, None]


def test_a_view_that_sends_gets_connection_closed(server):
    """The reset meets it blocked in send(), or with more to send."""
    with Scene(server) as scene:
        path = scene.path("/floods/1000000/")
        client = rawclient.connect(server, path, receive_buffer=65536)
        assert client.read_frame().opcode == rawclient.TEXT
        client.reset()
        assert scene.note() == "ConnectionClosed 1006"


@pytest.mark.parametrize(("last_words", "code"), [(b"", 1006), (rawclient.close(4000), 4000)])
def test_the_first_send_that_cannot_arrive_says_so(server, last_words, code):
    """Before the hub can tell the view, by what the kernel says of the pipe."""
    with Scene(server) as scene, rawclient.connect(server, scene.path("/late_to_send/")) as client:
        client.send_text("hold")
        assert client.read_text() == "holding"
        client.send(rawclient.text("one"), last_words)
        client.reset()
        assert scene.note() == [code, True, ["one"]]


def test_a_pong_that_cannot_arrive_does_not_cost_the_messages_behind_its_ping(server):
    """They are more than one read brings, and stay in order."""
    messages = [f"{number:02}".ljust(4000) for number in range(50)]
    with Scene(server) as scene, rawclient.connect(server, scene.path("/late_to_read/")) as client:
        client.send_text("hold")
        assert client.read_text() == "holding"
        client.send(
            rawclient.text("before"),
            rawclient.frame(PING),
            *map(rawclient.text, messages),
        )
        client.all_has_arrived()
        client.reset()
        assert scene.note() == ["before", *messages]


def test_a_client_that_was_given_up_is_heard_to_its_last_word(server):
    """Reading had paused long before that."""
    messages = [f"{number}" for number in range(20)]
    with (
        Scene(server) as scene,
        rawclient.connect(
            server, scene.path("/gives_its_client_up/"), receive_buffer=65536
        ) as client,
    ):
        client.send(*map(rawclient.text, messages), rawclient.frame(PING), rawclient.close(4000))
        assert scene.note() == [1006, messages]
