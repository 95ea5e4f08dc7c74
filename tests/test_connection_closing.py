"""The closing handshake, in both directions."""

import pytest
from websockets.sync.client import connect

import rawclient
from rawclient import PING, PONG
from scene import Scene


def test_a_close_is_answered_and_tcp_ends_while_the_view_is_busy(server):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/busy/")) as client:
        client.send(rawclient.text("last words"), rawclient.close(4001, "bye"))
        assert client.read_close() == (4001, "")
        assert client.read_end() == b""
        scene.open()
        assert scene.note() == [True, 4001]
        assert scene.note() == ["last words"]


def test_messages_from_before_the_close_are_read_however_many(server):
    messages = [f"{number:09}" for number in range(100)]
    with Scene(server) as scene, rawclient.connect(server, scene.path("/holds/")) as client:
        client.send(*map(rawclient.text, [*messages, "000000100 last"]), rawclient.close())
        scene.open()
        number, highest = scene.note()
        assert number == 100
        assert highest <= 4
        assert client.read_close() == (1000, "")


def test_nothing_is_heard_behind_a_close(server):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/hears/")) as client:
        client.send(
            rawclient.text("before"),
            rawclient.close(4001),
            rawclient.text("behind"),
            rawclient.frame(PING, b"behind"),
            rawclient.close(4002),
        )
        assert client.read_close() == (4001, "")
        assert client.read_end() == b""
        assert [scene.note() for _ in range(3)] == [
            "before",
            [4001, ""],
            "ConnectionClosed 4001",
        ]


def test_the_view_leaves_and_the_client_answers(server):
    with rawclient.connect(server, "/closes_first/answered/") as client:
        assert client.read_close() == (4000, "")
        # The server goes on listening for the answer, and to control frames at that.
        client.send(rawclient.text("what?"), rawclient.close(4000))
        assert client.read_end() == b""


def test_both_may_close_at_the_same_time(server):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/leaves/")) as client:
        scene.open()
        assert scene.note() == [True, 4001, "enough"]
        client.send(rawclient.close(4009, "me too"))
        assert client.read_close() == (4001, "enough")
        assert client.read_end() == b""
        assert scene.note() == [[], None, True]
        scene.open("end")


def test_the_clients_answer_is_heard_behind_messages_that_nobody_reads(server):
    """Reading had paused; it resumes for the sake of the Close."""
    with Scene(server) as scene, rawclient.connect(server, scene.path("/closes_unread/")) as client:
        client.send(*[rawclient.text("unread")] * 1000)
        scene.look_until("count", lambda count: count == 2)
        scene.open()
        assert client.read_close() == (4000, "")
        client.send(*[rawclient.text("too late")] * 1000, rawclient.close(4000))
        assert client.read_end() == b""
        scene.open("end")
        assert scene.note() == ["unread"]


def test_a_client_that_never_answers_a_close_is_given_up(server):
    with rawclient.connect(server, "/closes_first/unanswered/") as client:
        assert client.read_close() == (4000, "")
        assert client.read_end() == b""
        server.wait_for_line("WebSocket /closes_first/unanswered/ closed, .* code 4000")


def test_a_client_that_talks_on_instead_of_answering_is_given_up(server):
    with rawclient.connect(server, "/closes_first/talking/") as client:
        assert client.read_close() == (4000, "")
        with pytest.raises(ConnectionError):
            while True:
                client.send(rawclient.text("x" * 10_000), rawclient.frame(PONG))
        server.wait_for_line("WebSocket /closes_first/talking/ closed, .* code 4000")


def test_a_client_that_closes_and_then_keeps_tcp_open_is_given_up(server):
    with rawclient.connect(server, "/closed_first/hanging/") as client:
        client.send(rawclient.close(4003))
        assert client.read_close() == (4003, "")
        assert client.read_end() == b""
        server.wait_for_line("WebSocket /closed_first/hanging/ closed, .* code 4003")


def test_a_client_that_takes_no_close_is_given_up(server):
    """It does not read, so the Close frame never leaves; the view has long ended."""
    with (
        connect(server.ws("/echo/")) as other,
        rawclient.connect(server, "/fills_and_leaves/", receive_buffer=65536) as client,
    ):
        server.wait_for_line("WebSocket /fills_and_leaves/ closed, .* code 1000")
        rawclient.has_read(other)  # and has closed the socket
        assert client.is_reset(), "the kernel went on offering what nobody took"


def test_others_are_served_while_closing_handshakes_take_their_time(server):
    with (
        rawclient.connect(server, "/closes_first/others/"),
        rawclient.connect(server, "/closed_first/others/") as silent,
        connect(server.ws("/echo/")) as other,
    ):
        silent.send(rawclient.close())
        rawclient.has_read(other)
