"""WebSockets over TLS, where a poll does not tell all."""

import ssl
from contextlib import suppress

import pytest
from websockets.sync.client import connect

import rawclient
import servers
from rawclient import BINARY, TEXT
from scene import Scene
from servers import PATIENCE
from tls import client_context

#: Bytes that one TLS record carries at most.
RECORD = 2**14


@pytest.fixture(scope="module")
def context(certificate) -> ssl.SSLContext:
    """A client's context that trusts the certificate."""
    return client_context(certificate[0])


@pytest.fixture(scope="module")
def server(certificate):
    """A server whose ``port`` is plain, for the backstage, and whose ``tls_port`` is not."""
    with servers.start(
        *("-m", "django_websocket_ev", "serve.py", "tls"),
        *certificate,
        banner=r"Plain on port (\d+)",
        env=servers.environment(),
    ) as running:
        running.tls_port = int(running.wait_for_line(r"TLS on port (\d+)")[1])
        yield running


@pytest.fixture
def dial(server, context):
    """Returns a TLS socket to the server, which tells a proper end from a ragged one."""

    def dial(receive_buffer: int | None = None) -> ssl.SSLSocket:
        return context.wrap_socket(
            rawclient.dial(server, receive_buffer, server.tls_port),
            server_hostname="127.0.0.1",
            suppress_ragged_eofs=False,
        )

    return dial


def numbered(first: int, last: int, size: int = 9) -> bytes:
    """Return text frames for /holds/."""
    return b"".join(rawclient.text(f"{number:0{9}}".ljust(size)) for number in range(first, last))


def test_messages_of_each_size_come_back(server, context):
    url = f"wss://127.0.0.1:{server.tls_port}/echo/"
    with connect(url, ssl=context, max_size=None) as client:
        for message in ("", "Grüße", b"x" * RECORD, b"x" * (RECORD + 1), "x" * 2**20, b"y" * 2**20):
            client.send(message)
            assert client.recv(PATIENCE) == message


def test_a_record_may_hold_the_handshake_and_more_than_an_http_reader_takes(server, dial):
    """Half of it is with the HTTP reader, half with TLS, and nothing with the kernel."""
    messages = [f"{number:05}" * 20 for number in range(140)]
    behind = b"".join(map(rawclient.text, messages))
    assert 8192 * 1.5 < len(behind) < RECORD - 500
    with rawclient.RawClient(dial(), "/echo/", behind=behind) as client:
        assert [client.read_text() for _ in messages] == messages


def test_a_record_may_hold_more_messages_than_the_queue_takes(server, dial):
    tiny = numbered(0, 1000)
    assert len(tiny) < RECORD
    with (
        Scene(server) as scene,
        rawclient.RawClient(dial(), scene.path("/holds/")) as client,
    ):
        client.send(tiny)
        scene.look_until("highest", lambda highest: highest == 4)
        client.send(numbered(1000, 1100, RECORD), rawclient.text("000001100 last"))
        scene.open()
        assert scene.note() == [1100, 4]


def test_a_record_may_come_in_pieces(server, dial, context):
    """The kernel reports bytes, and TLS has none to give yet."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with rawclient.dial(server, port=server.tls_port) as sock:

        def until_done(act):
            while True:
                try:
                    return act()
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
                finally:
                    sock.sendall(outgoing.read())

        until_done(tls.do_handshake)
        tls.write(rawclient.request("/echo/"))
        assert b"\r\n\r\n" in until_done(lambda: tls.read(65536))
        with connect(server.ws("/echo/")) as other:
            tls.write(rawclient.text("a record in pieces"))
            for byte in outgoing.read():
                sock.sendall(bytes([byte]))
                rawclient.has_read(other)
        assert until_done(lambda: tls.read(65536)).endswith(b"a record in pieces")


def test_a_client_that_does_not_read_blocks_its_view_until_it_does(server, dial):
    with (
        Scene(server) as scene,
        rawclient.RawClient(dial(65536), scene.path("/floods/400/")) as client,
    ):
        with connect(server.ws("/echo/")) as other:
            rawclient.has_read(other)
        for number in range(400):
            assert client.read_frame() == (
                TEXT,
                b"%06d" % number + b"x" * (65536 - 6),
                True,
            )
        assert scene.note() == "all sent"


def test_the_closing_handshake_ends_with_that_of_tls(server, dial):
    with Scene(server) as scene, rawclient.RawClient(dial(), scene.path("/hears/")) as client:
        client.send(rawclient.text("hello"), rawclient.close(4000))
        assert client.read_close() == (4000, "")
        assert client.read_end() == b""  # an SSLEOFError, had TLS not said goodbye
        assert scene.note() == "hello"
        assert scene.note() == [4000, ""]
    with rawclient.RawClient(dial(), "/closes_first/tls/") as client:
        assert client.read_close() == (4000, "")
        client.send(rawclient.close(4000))
        assert client.read_end() == b""


@pytest.mark.parametrize("way", ["RST", "FIN", "TLS"])
def test_a_client_that_leaves_is_noticed(server, dial, way):
    with Scene(server) as scene, rawclient.RawClient(dial(), scene.path("/hears/")) as client:
        client.send_text("hello")
        assert scene.note() == "hello"
        if way == "RST":
            client.reset()
        elif way == "FIN":
            client.end_output()
        else:
            with suppress(ssl.SSLError):  # the server has nothing to add
                client.sock.unwrap()
        assert scene.note() == [1006, ""]


def test_whoever_does_not_speak_tls_holds_up_nobody(server, dial):
    with rawclient.dial(server, port=server.tls_port) as silent:
        with rawclient.dial(server, port=server.tls_port) as confused:
            confused.sendall(rawclient.request("/echo/"))
            with rawclient.RawClient(dial(), "/echo/") as client:
                client.send(rawclient.frame(BINARY, b"served?"))
                assert client.read_frame() == (BINARY, b"served?", True)
            while confused.recv(65536):
                pass
        silent.sendall(b"\x16")
