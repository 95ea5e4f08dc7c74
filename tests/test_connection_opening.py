"""From the handshake's last byte to the first message."""

import pytest
from websockets.sync.client import connect

import rawclient
from rawclient import BINARY, PING, PONG, TEXT
from scene import Scene
from servers import PATIENCE


def test_frames_in_the_packet_of_the_handshake_are_not_lost(server):
    behind = b"".join(map(rawclient.text, ("one", "two", "three")))
    with rawclient.connect(server, "/echo/", behind=behind) as client:
        assert [client.read_text() for _ in range(3)] == ["one", "two", "three"]
        client.send_text("four")
        assert client.read_text() == "four"


def test_a_frame_may_begin_in_the_packet_of_the_handshake_and_end_in_a_later_one(server):
    frame = rawclient.text("a message in two pieces")
    for cut in range(1, len(frame)):
        with rawclient.connect(server, "/echo/", behind=frame[:cut]) as client:
            client.send(frame[cut:])
            assert client.read_text() == "a message in two pieces"


def test_more_may_come_behind_the_handshake_than_an_http_reader_holds(server):
    """Part of it waits in the reader, the rest in the socket."""
    messages = [f"{number:05}" * 20 for number in range(500)]
    behind = b"".join(map(rawclient.text, messages))
    with rawclient.connect(server, "/echo/", behind=behind) as client:
        assert [client.read_text() for _ in messages] == messages


def test_more_messages_may_come_behind_the_handshake_than_the_queue_takes(server):
    behind = b"".join(rawclient.text(f"{number:09}") for number in range(999))
    with (
        Scene(server) as scene,
        rawclient.connect(server, scene.path("/holds/"), behind=behind) as client,
    ):
        scene.look_until("count", lambda count: count == 4)
        scene.open()
        client.send_text("000000999 last")
        assert scene.note() == [999, 4]


def test_a_close_in_the_packet_of_the_handshake_is_answered(server):
    behind = rawclient.text("hello") + rawclient.close(4000, "in a hurry")
    with (
        Scene(server) as scene,
        rawclient.connect(server, scene.path("/hears/"), behind=behind) as client,
    ):
        assert client.read_close() == (4000, "")
        assert client.read_end() == b""
        assert [scene.note() for _ in range(3)] == [
            "hello",
            [4000, "in a hurry"],
            "ConnectionClosed 4000",
        ]


def test_a_client_that_leaves_right_behind_its_handshake_is_heard(server):
    with Scene(server) as scene:
        with rawclient.dial(server) as sock:
            sock.sendall(rawclient.request(scene.path("/hears/")) + rawclient.text("hello"))
        assert scene.note() == "hello"
        assert scene.note() == [1006, ""]


def test_nagles_algorithm_is_off(server):
    with connect(server.ws("/nodelay/")) as client:
        assert client.recv(PATIENCE) != "0"


def test_bytes_may_come_one_by_one(server):
    message = "Grüße " * 30
    with rawclient.connect(server, "/echo/") as client, connect(server.ws("/echo/")) as other:
        for byte in rawclient.text(message):
            client.send(bytes([byte]))
            rawclient.has_read(other)
        assert client.read_text() == message


def test_messages_of_each_length_come_back(server):
    with rawclient.connect(server, "/echo/") as client:
        for size in (0, 1, 125, 126, 65535, 65536, 2**20):
            client.send(rawclient.frame(BINARY, b"x" * size))
            assert client.read_frame() == (BINARY, b"x" * size, True)


def test_a_fragmented_message_comes_back_whole_and_pings_between_are_answered(server):
    with rawclient.connect(server, "/echo/") as client:
        pieces = ["Gr", "", "ü", "ße"]
        snow = "\N{SNOWMAN}".encode()
        client.send(
            rawclient.frame(TEXT, pieces[0].encode(), fin=False),
            rawclient.frame(PING, b"1"),
            *(rawclient.frame(0, piece.encode(), fin=False) for piece in pieces[1:]),
            rawclient.frame(0, snow[:1], fin=False),
            rawclient.frame(PONG, b"unasked"),
            rawclient.frame(PING, b"2"),
            rawclient.frame(0, snow[1:]),
        )
        assert client.read_frame() == (PONG, b"1", True)
        assert client.read_frame() == (PONG, b"2", True)
        assert client.read_text() == "Grüße\N{SNOWMAN}"


@pytest.mark.parametrize("opcode", [BINARY, PING])
def test_a_payload_that_looks_like_a_message_is_none(server, opcode):
    """It arrives by itself, at a view that waits: only what came before tells what it is."""
    disguise = rawclient.text("not a message")
    with rawclient.connect(server, "/echo/") as client, connect(server.ws("/echo/")) as other:
        key = b"\0\0\0\0"  # under which a payload shows itself
        header = rawclient.frame(opcode, key=key, length=len(disguise))
        for cut in (1, 2, len(header)):
            client.send(header[:cut])
            rawclient.has_read(other)
            client.send(header[cut:])
            rawclient.has_read(other)
            client.send(disguise)
            comes_back = BINARY if opcode == BINARY else PONG
            assert client.read_frame() == (comes_back, disguise, True)


def test_a_whole_message_within_a_fragmented_one_is_an_error(server):
    with rawclient.connect(server, "/echo/") as client, connect(server.ws("/echo/")) as other:
        client.send(rawclient.frame(TEXT, b"begins", fin=False))
        rawclient.has_read(other)
        client.send_text("intrudes")
        assert client.read_close()[0] == 1002
