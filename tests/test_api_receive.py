"""wait(), read(), count_messages(), has_messages() and iteration."""

import pytest
from websockets.sync.client import connect

import rawclient
from scene import Scene
from servers import PATIENCE


def test_text_is_str_and_binary_is_bytes(server):
    with connect(server.ws("/names_types/")) as client:
        for message in ("text", "", "Grüße \U0001f40d", b"\x00\xff", b""):
            client.send(message)
            assert client.recv(PATIENCE) == f"{type(message).__name__} {message!r}"


def test_wait_raises_timeout_error_and_the_message_that_comes_later_is_not_lost(server):
    with Scene(server) as scene:
        with connect(server.ws(scene.path("/timeout/"))) as client:
            for seconds in ("0", "0.001", "0.01", "-1"):
                message = client.recv(PATIENCE)
                assert message == f"{seconds}: no message within {seconds} seconds"
            client.send("later")
            assert client.recv(PATIENCE) == "later"
        # A timeout of an hour does not keep a view from learning that it is over.
        assert scene.note() == [None, True]


def test_a_timeout_is_forgotten_when_its_message_has_come(server):
    with Scene(server) as scene, connect(server.ws(scene.path("/in_time/"))) as client:
        client.send("one")
        assert scene.note() == "a while later"
        client.send("another")
        assert client.recv(PATIENCE) == "one, then another"


@pytest.mark.slow
@pytest.mark.parametrize("by", ["wait", "Timeout", "kill"])
@pytest.mark.parametrize("seconds", [0, 0.0005])
def test_no_message_is_lost_to_what_cuts_a_wait_short(server, by, seconds):
    with Scene(server) as scene:
        path = scene.path("/short_of_time/", by=by, seconds=seconds)
        with connect(server.ws(path)) as client:
            messages = [f"{number}" * (1 + number % 99) for number in range(100)]
            for message in messages[:50]:
                cut = scene.look("cut") or 0
                scene.look_until("cut", lambda now, cut=cut: (now or 0) > cut)
                client.send(message)
                assert client.recv(PATIENCE) == message
            for message in messages[50:]:
                client.send(message)
            for message in messages[50:]:
                assert client.recv(PATIENCE) == message


def test_messages_are_counted_without_being_read(server):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/counts/")) as client:
        assert scene.note() == [0, False]
        # The Pong tells that what came before the Ping is in the queue.
        client.send(*map(rawclient.text, "abc"), rawclient.frame(rawclient.PING))
        assert client.read_frame().opcode == rawclient.PONG
        scene.open()
        counts, has, messages, fallbacks = scene.note()
        assert counts == [3, 3, 2, 0]
        assert has == [True, False]
        assert messages == ["a", "b", "c"]
        assert fallbacks == [None, "none", True]


@pytest.mark.parametrize("by", ["read", "has_messages", "count_messages"])
def test_a_view_that_polls_sees_new_messages_and_stalls_nobody(server, by):
    with (
        rawclient.connect(server, f"/polls/?by={by}") as client,
        connect(server.ws("/echo/")) as other,
    ):
        assert client.read_text() == "polling"
        for message in "abc":
            client.send_text(message)
            other.send(message)
            assert other.recv(PATIENCE) == message
        assert client.read_text() == '["a","b","c"]'


def test_a_second_green_thread_in_wait_gets_a_clear_error_and_the_first_its_message(server):
    with connect(server.ws("/two_wait/")) as client:
        error = client.recv(PATIENCE)
        assert "another green thread is in wait()" in error
        assert "queue.Queue" in error  # what to do about it
        client.send("a")
        assert client.recv(PATIENCE) == "the first got a"
        client.send("b")
        assert client.recv(PATIENCE) == "this one got b"
