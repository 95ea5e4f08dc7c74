"""A client that does not read, a view that does not: either waits, and nobody else does."""

import os
from collections.abc import Callable
from contextlib import suppress

from websockets.sync.client import connect

import rawclient
from rawclient import BINARY, CLOSE, PING, PONG, TEXT
from scene import Scene
from servers import PATIENCE

#: Bytes that the kernel takes for a client that does not read.
SMALL = 65536

#: 25 MiB in all: more than the sockets of either side hold, whatever the kernel grants.
MESSAGES = 400


def until_it_stays(look: Callable[[], int]) -> int:
    """Return what ``look()`` returns when that does not change any more.

    Each look takes several turns of the server's hub, in each of which
    whatever is not blocked would go on.
    """
    seen = [look()]
    while len(seen) < 5 or len(set(seen[-5:])) > 1:
        seen.append(look())
    return seen[-1]


def test_a_client_that_does_not_read_blocks_its_view_and_nobody_else(server):
    with (
        Scene(server) as scene,
        connect(server.ws("/echo/")) as other,
        rawclient.connect(
            server, scene.path(f"/floods/{MESSAGES}/"), receive_buffer=SMALL
        ) as client,
    ):
        assert until_it_stays(lambda: scene.look("sent")) < MESSAGES
        for _ in range(20):
            other.send("still there?")
            assert other.recv(PATIENCE) == "still there?"
        # It reads again, so the view goes on; nothing is missing, and all in order.
        for number in range(MESSAGES):
            frame = client.read_frame()
            assert frame.opcode == TEXT
            assert frame.payload == b"%06d" % number + b"x" * (65536 - 6)
        assert scene.note() == "all sent"
        assert client.read_close() == (1000, "")


def test_a_view_blocked_longer_than_send_timeout_finds_its_client_gone(server):
    path = f"/floods_without_patience/{MESSAGES}/"
    with (
        Scene(server) as scene,
        connect(server.ws("/echo/")) as other,
        rawclient.connect(server, scene.path(path), receive_buffer=SMALL) as client,
    ):
        assert scene.note() == "ConnectionClosed 1006"
        assert 0 < scene.look("sent") < MESSAGES
        server.wait_for_line(f"WebSocket {path} closed")
        rawclient.has_read(other)  # and has closed the socket
        assert client.is_reset(), "the kernel went on offering what nobody took"


def test_the_clients_close_is_heard_while_its_view_is_blocked_in_send(server):
    with (
        Scene(server) as scene,
        rawclient.connect(
            server, scene.path(f"/floods/{MESSAGES}/"), receive_buffer=SMALL
        ) as client,
    ):
        until_it_stays(lambda: scene.look("sent"))
        client.send(rawclient.close(4001))
        assert scene.note() == "ConnectionClosed 4001"
        while (frame := client.read_frame()).opcode == TEXT:
            pass
        assert frame == (CLOSE, (4001).to_bytes(2, "big"), True)
        assert client.read_end() == b""


def test_closing_wakes_a_green_thread_that_is_blocked_in_send(server):
    with (
        Scene(server) as scene,
        rawclient.connect(
            server, scene.path("/floods_and_closes/"), receive_buffer=SMALL
        ) as client,
    ):
        client.send_text("close")
        assert scene.note() == "ConnectionClosed 4000"
        # What was sent before the Close arrives before it.
        while (frame := client.read_frame()).opcode == BINARY:
            assert frame.payload == b"x" * 65536
        assert frame.payload == (4000).to_bytes(2, "big")


def test_a_send_that_a_timeout_cuts_short_sends_nothing_and_harms_nothing(server):
    with (
        Scene(server) as scene,
        rawclient.connect(server, scene.path("/gives_up/"), receive_buffer=SMALL) as client,
    ):
        assert scene.note() == "gave up"
        messages = 0
        while (frame := client.read_frame()).opcode == BINARY:
            assert frame.payload == b"x" * 65536
            messages += 1
        assert frame == (TEXT, b"%d" % messages, True)
        assert client.read_close() == (1000, "")


def test_reading_pauses_above_max_queue_and_nothing_is_lost(server):
    """First many messages in one packet, then more bytes than the sockets hold."""
    tiny = b"".join(rawclient.text(f"{number:09}") for number in range(1000))
    large = b"".join(
        rawclient.text(f"{number:09}" + "x" * 16384) for number in range(1000, 1000 + MESSAGES * 4)
    )
    with (
        Scene(server) as scene,
        connect(server.ws("/echo/")) as other,
        rawclient.connect(server, scene.path("/holds/")) as client,
    ):
        client.send(tiny)
        scene.look_until("count", lambda count: count == 4)
        assert until_it_stays(lambda: scene.look("highest")) == 4
        sent = 0

        def send_what_goes() -> int:
            nonlocal sent
            with suppress(BlockingIOError):
                while sent < len(large):
                    sent += client.sock.send(memoryview(large)[sent : sent + 65536])
            other.send("still there?")
            assert other.recv(PATIENCE) == "still there?"
            return sent

        client.sock.setblocking(False)
        assert until_it_stays(send_what_goes) < len(large)
        client.sock.settimeout(PATIENCE)
        scene.open()
        number = 1000 + MESSAGES * 4
        client.send(large[sent:], rawclient.text(f"{number:09} last"))
        assert scene.note() == [number, 4]


def test_a_queue_of_one_is_enough(server):
    with rawclient.connect(server, "/holds_one/") as client:
        for opcode in (TEXT, BINARY):
            message = rawclient.frame(opcode, b"message")
            client.send(message)
            assert client.read_frame() == (opcode, b"message", True)
            client.send(message * 3)
            for _ in range(3):
                assert client.read_frame() == (opcode, b"message", True)


def test_pings_are_answered_while_the_view_is_busy(server):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/busy/")) as client:
        for payload in (b"", b"payload", b"x" * 125):
            client.send(rawclient.frame(PING, payload))
            assert client.read_frame() == (PONG, payload, True)


def test_of_many_pings_behind_a_full_buffer_only_the_last_is_answered(server):
    with (
        Scene(server) as scene,
        rawclient.connect(server, scene.path("/fills_up/"), receive_buffer=SMALL) as client,
    ):
        assert scene.note() == "full"
        for number in range(2000):
            client.send(rawclient.frame(PING, b"%0125d" % number))
        client.send_text("that was all")
        assert scene.note() == "that was all"
        assert client.read_frame() == (BINARY, b"x" * 2**24, True)
        frames = [client.read_frame(), client.read_frame()]
        assert sorted(frames) == [(TEXT, b"end", True), (PONG, b"%0125d" % 1999, True)]


def test_nothing_is_sent_behind_a_close(server):
    """Not the answer either to a Ping that came while the buffer was full."""
    with (
        Scene(server) as scene,
        rawclient.connect(server, scene.path("/fills_up/"), receive_buffer=SMALL) as client,
    ):
        assert scene.note() == "full"
        client.send(rawclient.frame(PING), rawclient.text("one"), rawclient.text("two"))
        assert scene.note() == "one"
        frames = [client.read_frame()]
        while frames[-1].opcode != CLOSE:
            frames.append(client.read_frame())
        client.send(rawclient.close())
        assert client.read_end() == b""


def test_a_ping_is_answered_while_a_stream_keeps_the_buffer_full(server):
    """A client must not take a busy server for a dead one."""
    with (
        Scene(server) as scene,
        connect(server.ws("/echo/")) as other,
        rawclient.connect(server, scene.path("/streams/"), receive_buffer=SMALL) as client,
    ):
        scene.look_until("sent", bool)
        client.send(rawclient.frame(PING, b"still there?"))
        rawclient.has_read(other)
        frames = (client.read_frame() for _ in range(1000))
        assert (PONG, b"still there?", True) in frames


def test_a_view_that_sends_and_never_waits_lets_others_speak(server, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with (
        rawclient.connect(server, "/talks/") as client,
        rawclient.connect(server, "/talks/") as other,
    ):
        client.send(rawclient.text(str(pipe)))
        assert client.read_text() == "I hold the hub"
        other.send(rawclient.text("stop"))
        pipe.open("w").close()
        while (said := client.read_text()) == "and":
            pass
        assert said == "stop"
