"""permessage-deflate on a real connection: agreed on, used, and abused."""

from __future__ import annotations

import random
import re
import socket
import zlib
from hashlib import sha256
from pathlib import Path

import pytest

import rawclient
from deflating import TAIL, deflate, inflate_alone, prose
from rawclient import BINARY, CONTINUATION, TEXT, RawClient, frame
from scene import Scene

RSV1 = 4

NO_CONTEXT = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


class Compressing(RawClient):
    """A client that offers extensions, and reads messages that may be compressed."""

    def __init__(self, server, path: str, *offers: str, receive_buffer: int | None = None) -> None:
        self.sock = rawclient.dial(server, receive_buffer)
        self._read = bytearray()
        headers = [f"Sec-WebSocket-Extensions: {offer}" for offer in offers]
        self.send(rawclient.request(path, *headers))
        self.head = self._until(b"\r\n\r\n").decode()
        assert self.head.startswith("HTTP/1.1 101 "), self.head
        answer = re.search(r"^Sec-WebSocket-Extensions: (.*)\r$", self.head, re.MULTILINE)
        self.extensions = answer and answer[1]

    def send_compressed(self, payload: bytes, opcode: int = TEXT) -> None:
        self.send(frame(opcode, payload, reserved=RSV1))

    def read_raw(self) -> tuple[bool, bytes]:
        """Return whether the next message, a whole one, is compressed, and its payload."""
        while len(self._read) < 1:
            self._more()
        is_compressed = bool(self._read[0] & 0x40)
        self._read[0] &= ~0x40
        got = self.read_frame()
        assert got.fin, got
        assert got.opcode in (TEXT, BINARY), got
        return is_compressed, got.payload


def refusal(server, *headers: str) -> str:
    """Return the response to a handshake that is refused."""
    with rawclient.dial(server) as sock:
        sock.sendall(rawclient.request("/echo/", *headers))
        sock.shutdown(socket.SHUT_WR)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    return received.decode()


# The handshake.


@pytest.mark.parametrize(
    ("path", "offers", "answer"),
    [
        ("/echo/", [], None),
        ("/echo/", ["x-webkit-deflate-frame"], None),
        ("/echo/", ["permessage-deflate; client_max_window_bits"], NO_CONTEXT),
        ("/echo/", ["permessage-deflate; unknown"], None),
        (
            "/echo/",
            ["permessage-deflate; unknown, foo, permessage-deflate; server_max_window_bits=9"],
            f"{NO_CONTEXT}; server_max_window_bits=9",
        ),
        # Several headers are one list.
        ("/echo/", ["foo", "permessage-deflate; unknown", "permessage-deflate"], NO_CONTEXT),
        ("/deflated/keeps/", ["permessage-deflate"], "permessage-deflate"),
        ("/deflated/keeps/", [NO_CONTEXT], NO_CONTEXT),
        ("/deflated/never/", ["permessage-deflate"], None),
    ],
)
def test_the_answer_says_what_was_agreed_on(server, path, offers, answer):
    with Compressing(server, path, *offers) as client:
        assert client.extensions == answer
        message = "x" * 3000
        client.send_text(message)
        is_compressed, payload = client.read_raw()
        assert is_compressed == (answer is not None)
        assert (inflate_alone(payload) if is_compressed else payload) == message.encode()


@pytest.mark.parametrize(
    "headers",
    [
        ["Sec-WebSocket-Extensions: permessage-deflate; =1"],
        ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits="],
        ["Sec-WebSocket-Extensions: permessage deflate"],
        ['Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits="1 0"'],
        ["Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Extensions: ;"],
    ],
)
def test_a_malformed_header_gets_400(server, headers):
    response = refusal(server, *headers)
    assert response.startswith("HTTP/1.1 400 ")
    assert "Sec-WebSocket-Extensions" in response.partition("\r\n\r\n")[2]


# Messages.


def test_messages_come_and_go_compressed_where_it_pays(server):
    noise = random.Random(1).randbytes(5000)
    with Compressing(server, "/echo/", "permessage-deflate") as client:
        for message, pays in [(b"x" * 1023, False), (b"x" * 1024, True), (noise, False)]:
            client.send_compressed(deflate(message), BINARY)
            is_compressed, payload = client.read_raw()
            assert is_compressed == pays
            assert (inflate_alone(payload) if is_compressed else payload) == message


def test_by_default_each_message_stands_alone_whoever_got_it_before(server):
    message = prose(4000)
    with (
        Compressing(server, "/echo/", "permessage-deflate") as one,
        Compressing(server, "/echo/", "permessage-deflate") as other,
    ):
        payloads = []
        for client in (one, other, one, one, other):
            client.send(frame(BINARY, message))
            is_compressed, payload = client.read_raw()
            assert is_compressed
            assert inflate_alone(payload) == message
            payloads.append(payload)
        assert len({len(payload) for payload in payloads}) == 1


def test_with_context_kept_many_messages_refer_to_those_before(server):
    compressor = zlib.compressobj(wbits=-15)
    decompressor = zlib.decompressobj(-15)
    message = prose(2000)
    sizes = []
    with Compressing(server, "/deflated/keeps/", "permessage-deflate") as client:
        for number in range(200):
            own = message + b"%d" % number
            data = compressor.compress(own) + compressor.flush(zlib.Z_SYNC_FLUSH)
            client.send_compressed(data.removesuffix(TAIL), BINARY)
            is_compressed, payload = client.read_raw()
            assert is_compressed
            assert decompressor.decompress(payload + TAIL) == own
            sizes.append(len(payload))
    assert max(sizes[1:]) < sizes[0] / 10


def test_frames_leave_in_the_order_of_their_context_whoever_sends_and_gives_up(server):
    """A message that was not sent must not be one that others refer to."""
    with (
        Scene(server) as scene,
        Compressing(
            server,
            scene.path("/deflated/keeps_order/"),
            "permessage-deflate",
            receive_buffer=65536,
        ) as client,
    ):
        assert client.extensions == "permessage-deflate"
        interrupted = scene.note()  # and nothing was read so far
        decompressor = zlib.decompressobj(-15)
        numbers = {"a": [], "b": [], "c": []}
        for _ in range(40 + interrupted + 2):
            is_compressed, payload = client.read_raw()
            assert is_compressed
            message = decompressor.decompress(payload + TAIL)
            message = message.replace(b"never seen before", b"")
            assert sha256(message[:-32]).digest() == message[-32:]
            numbers[chr(message[0])].append(int(message[1:7]))
        assert numbers["a"] == numbers["b"] == list(range(20))
        assert numbers["c"] == [*range(interrupted), interrupted, interrupted]
        assert client.read_close() == (1000, "")


# Abuse.

HELLO = deflate(b"Hello")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"\xff\xff", reserved=RSV1), 1007),
        (frame(BINARY, HELLO[:-2], reserved=RSV1), 1007),
        (frame(TEXT, deflate(b"\xff"), reserved=RSV1), 1007),
        (frame(BINARY, deflate(bytes(1001)), reserved=RSV1), 1009),
        (frame(TEXT, HELLO, reserved=2), 1002),
        (frame(TEXT, HELLO, fin=False, reserved=RSV1) + frame(CONTINUATION, reserved=RSV1), 1002),
        (frame(rawclient.PING, reserved=RSV1), 1002),
    ],
)
def test_what_is_no_message_closes_with_its_code(server, data, code):
    with Compressing(server, "/deflated/small/", "permessage-deflate") as client:
        client.send(data)
        assert client.read_close()[0] == code


@pytest.mark.parametrize(
    ("path", "offers"), [("/echo/", []), ("/deflated/never/", ["permessage-deflate"])]
)
def test_compressed_without_an_agreement_is_a_protocol_error(server, path, offers):
    with Compressing(server, path, *offers) as client:
        client.send_compressed(HELLO)
        assert client.read_close()[0] == 1002


class PeakMemory:
    """How many bytes of memory a process has taken at most since this was made."""

    def __init__(self, server) -> None:
        self._proc = Path(f"/proc/{server.process.pid}")
        (self._proc / "clear_refs").write_text("5")
        self._before = self._read("VmHWM")

    def _read(self, what: str) -> int:
        status = (self._proc / "status").read_text()
        return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) * 1024

    def growth(self) -> int:
        return self._read("VmHWM") - self._before


@pytest.mark.parametrize("path", ["/echo/", "/deflated/keeps/"])
def test_a_bomb_of_a_gibibyte_ends_at_the_limit(server, path):
    compressor = zlib.compressobj(9, wbits=-15)
    block = compressor.compress(bytes(2**20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    bomb = (block * 1024).removesuffix(TAIL)
    with Compressing(server, path, "permessage-deflate") as client:
        memory = PeakMemory(server)
        try:
            client.send_compressed(bomb, BINARY)
        except ConnectionError:
            pass  # it has heard enough
        assert client.read_close()[0] == 1009
        assert memory.growth() < 16 * 2**20


def test_many_messages_of_just_under_the_limit_wait_compressed(server):
    """Sixty in a packet are 60 MiB."""
    payload = deflate(bytes(2**20))
    with (
        Scene(server) as scene,
        Compressing(server, scene.path("/measures/"), "permessage-deflate") as client,
        rawclient.connect(server, "/echo/") as other,
    ):
        memory = PeakMemory(server)
        client.send(frame(BINARY, payload, reserved=RSV1) * 60, rawclient.close())
        client.all_has_arrived()
        scene.look_until("count", bool)
        for number in range(20):
            other.send_text(f"{number}")
            assert other.read_text() == f"{number}"
        assert scene.look("count") == 1
        assert memory.growth() < 16 * 2**20
        scene.open()
        assert scene.note() == [[2**20] * 60, 1000]
        assert client.read_close() == (1000, "")
        assert client.sock.type == socket.SOCK_STREAM
