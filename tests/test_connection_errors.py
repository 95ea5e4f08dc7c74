"""Clients that break the protocol: each error has its close code, and harms nobody else."""

import pytest
from websockets.sync.client import connect

import rawclient
from rawclient import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame
from scene import Scene
from servers import PATIENCE

ERRORS = {
    # RFC 6455 §5.2: bits, opcodes, lengths.
    "reserved bit 1": (frame(TEXT, b"x", reserved=4), 1002, "reserved bit"),
    "reserved bit 2": (frame(TEXT, b"x", reserved=2), 1002, "reserved bit"),
    "reserved bit 3": (frame(PING, b"x", reserved=1), 1002, "reserved bit"),
    "reserved data opcode": (frame(0x3, b"x"), 1002, "opcode 3 is reserved"),
    "reserved control opcode": (frame(0xB), 1002, "opcode 11 is reserved"),
    "16 bits for a short length": (frame(TEXT, b"x", width=2), 1002, "not minimal"),
    "64 bits for a short length": (frame(BINARY, b"x", width=8), 1002, "not minimal"),
    "negative length": (frame(BINARY, length=2**63, width=8), 1002, "highest bit"),
    # §5.1: masking.
    "no mask": (frame(TEXT, b"x", key=None), 1002, "not masked"),
    "no mask on a Close": (frame(CLOSE, key=None), 1002, "not masked"),
    # §5.4: fragments.
    "continuation of nothing": (frame(CONTINUATION, b"x"), 1002, "continues nothing"),
    "message in a message": (
        frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"),
        1002,
        "before the last one is complete",
    ),
    # §5.5: control frames.
    "fragmented Ping": (frame(PING, fin=False), 1002, "control frame is fragmented"),
    "long Ping": (frame(PING, b"x" * 126), 1002, "more than 125 bytes"),
    "long Close": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002, "more than 125 bytes"),
    "half a close code": (frame(CLOSE, b"\x03"), 1002, "two bytes"),
    **{
        f"close code {code}": (rawclient.close(code), 1002, f"{code} is not a close code")
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    },
    # §8.1: UTF-8.
    "not UTF-8": (frame(TEXT, b"\xff"), 1007, "not UTF-8"),
    "half a character": (frame(TEXT, b"\xe2\x98"), 1007, "not UTF-8"),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007, "not UTF-8"),
    "overlong": (frame(TEXT, b"\xc0\xaf"), 1007, "not UTF-8"),
    "beyond Unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007, "not UTF-8"),
    "long, and not UTF-8": (frame(TEXT, b"x" * 200 + b"\xff"), 1007, "not UTF-8"),
    "not UTF-8, with more to come": (frame(TEXT, b"\xff", fin=False), 1007, "not UTF-8"),
    "not UTF-8, within a frame": (frame(TEXT, b"ab\xff", length=900), 1007, "not UTF-8"),
    "half a character at the end of fragments": (
        frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x98"),
        1007,
        "not UTF-8",
    ),
    "reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007, "not UTF-8"),
    # The limit of /small/, known from the header alone.
    "too big": (frame(TEXT, length=1001), 1009, "more than 1000 bytes"),
    "far too big": (frame(BINARY, length=2**63 - 1), 1009, "more than 1000 bytes"),
    "too big in fragments": (
        frame(BINARY, b"x" * 600, fin=False) + frame(CONTINUATION, length=401),
        1009,
        "more than 1000 bytes",
    ),
}


@pytest.fixture(scope="module")
def other(server):
    """A client that has done nothing wrong."""
    with connect(server.ws("/echo/")) as client:
        yield client


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_closes_with_its_code_and_a_reason_and_harms_nobody_else(server, other, error):
    data, code, words = ERRORS[error]
    with (
        Scene(server) as scene,
        rawclient.connect(server, scene.path("/small/")) as client,
    ):
        client.send(rawclient.text("before"), data, rawclient.text("behind"))
        sent_code, reason = client.read_close()
        assert sent_code == code
        assert words in reason
        # No answer is waited for, as none could be understood.
        assert client.read_end() == b""
        assert [scene.note() for _ in range(3)] == [
            "before",
            [code, reason],
            f"ConnectionClosed {code}",
        ]
    other.send("harmed?")
    assert other.recv(PATIENCE) == "harmed?"


def test_a_message_of_just_the_size_that_is_allowed_is_taken(server):
    with (
        Scene(server) as scene,
        rawclient.connect(server, scene.path("/small/")) as client,
    ):
        client.send_text("x" * 1000)
        assert scene.note() == "x" * 1000
        client.send(frame(BINARY, b"x" * 600, fin=False), frame(CONTINUATION, b"x" * 400))
        assert scene.note() == (b"x" * 1000).hex()


def test_the_limit_is_one_mebibyte_where_nothing_else_is_said(server):
    with rawclient.connect(server, "/echo/") as client:
        client.send(frame(BINARY, length=2**20 + 1))
        assert client.read_close() == (1009, f"a message has more than {2**20} bytes")


def test_a_client_that_errs_and_then_hangs_is_given_up(server):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/small/")) as client:
        client.send(frame(TEXT, b"\xff"))
        assert client.read_close()[0] == 1007
        assert client.read_end() == b""
        with pytest.raises(ConnectionError):
            while True:
                client.send(b"\xff" * 10_000)


@pytest.mark.parametrize("count", [1, 3, 64, 70, 200])
def test_an_error_does_not_overtake_the_messages_before_it(server, count):
    with rawclient.connect(server, "/echo/") as client:
        messages = [str(number) for number in range(count)]
        client.send(*map(rawclient.text, messages), rawclient.frame(0x3))
        assert [client.read_text() for _ in messages] == messages
        assert client.read_close()[0] == 1002


def test_an_error_waits_for_a_view_that_is_elsewhere(server):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/answers/")) as client:
        client.send(rawclient.text("wait"))
        assert scene.note() == "waits"
        client.send(rawclient.text("next"), rawclient.frame(0x3))
        with rawclient.connect(server, "/echo/") as other:  # the server has read that by then
            other.send(rawclient.text("echo"))
            assert other.read_text() == "echo"
        scene.open()
        assert [client.read_text(), client.read_text()] == ["wait", "next"]
        assert client.read_close()[0] == 1002


def test_an_error_waits_no_longer_than_a_closing_handshake(server):
    with Scene(server) as scene, rawclient.connect(server, scene.path("/closed_busy/")) as client:
        client.send(rawclient.text("next"), rawclient.frame(0x3))
        assert client.read_close()[0] == 1002
        assert scene.note() == "ended"
