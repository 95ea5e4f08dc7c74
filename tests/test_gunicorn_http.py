"""gunicorn with our worker serves plain HTTP, over TCP and TLS, as well as with any other."""

from __future__ import annotations

import http.client
import json
import os
import socket
from contextlib import ExitStack, closing, suppress
from hashlib import sha256
from typing import NamedTuple

import pytest
from websockets.sync.client import connect

from conftest import OLDER_GUNICORNS
from gunicorns import Gunicorn
from servers import PATIENCE
from tls import client_context

#: More bytes than the kernel takes for a client that does not read.
SIZE = 12_000_003


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The file that the views send, and the digest of what is in it."""
    path = tmp_path_factory.mktemp("files") / "file"
    content = os.urandom(SIZE)
    path.write_bytes(content)
    return path, sha256(content).digest()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(None, id="newest"),
        *(pytest.param(version, marks=pytest.mark.slow) for version in OLDER_GUNICORNS),
    ],
)
def gunicorn(request, database, older):
    return Gunicorn(database, request.param and older(request.param))


@pytest.fixture(scope="module", params=["tcp", pytest.param("tls", marks=pytest.mark.slow)])
def server(request, gunicorn, file, certificate):
    chain, key = certificate
    tls = (f"--certfile={chain}", f"--keyfile={key}") if request.param == "tls" else ()
    # Slow clients are patient here, and so is the server with their next request.
    with gunicorn.start("--keep-alive=60", *tls, TEST_FILE=str(file[0])) as running:
        running.tls = client_context(chain) if tls else None
        yield running


@pytest.fixture
def encrypted(server):
    if server.tls is None:
        pytest.skip("this one has no TLS")
    return server


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Client:
    """One connection."""

    def __init__(self, server, receive_buffer=None):
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", server.port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if server.tls is not None:
            self.sock = server.tls.wrap_socket(self.sock, server_hostname="127.0.0.1")
        self._file = self.sock.makefile("rb")

    def close(self):
        self._file.close()
        self.sock.close()

    def send(self, *parts):
        self.sock.sendall(b"".join(parts))

    def ask(self, path="/accept/", method="GET"):
        self.send(request_for(path, method=method))
        return self.read(method)

    def read(self, method="GET"):
        """Return the next answer."""
        status, headers = self.read_head()
        return Answer(status, headers, b"" if method == "HEAD" else self.read_body(headers))

    def read_head(self):
        version, status, *_ = self._file.readline().split()
        assert version == b"HTTP/1.1"
        return int(status), http.client.parse_headers(self._file)

    def read_body(self, headers):
        if headers["Transfer-Encoding"] != "chunked":
            return self._exactly(int(headers["Content-Length"]))
        pieces = []
        while not pieces or pieces[-1]:
            pieces.append(self.read_chunk())
        return b"".join(pieces)

    def read_chunk(self):
        size = int(self._file.readline(), 16)
        piece = self._exactly(size)
        assert self._file.readline() == b"\r\n"
        return piece

    def _exactly(self, size):
        piece = self._file.read(size)
        assert len(piece) == size, "the connection ended within an answer"
        return piece

    def read_end(self):
        """Return what comes until the server ends the connection."""
        return self._file.read()


def request_for(path, *headers, method="GET", body=None):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


@pytest.fixture
def dial(server):
    """Return what connects to the server."""
    with ExitStack() as stack:

        def connect_to(receive_buffer=None):
            client = Client(server, receive_buffer)
            stack.callback(client.close)
            return client

        yield connect_to


@pytest.fixture
def others_are_served(server, dial):
    """Return a function that fails if somebody else waits for a worker that is held up."""
    scheme = "ws" if server.tls is None else "wss"
    with connect(f"{scheme}://127.0.0.1:{server.port}/echo/", ssl=server.tls) as websocket:

        def check():
            # Several turns of the hub: in one of the first, whoever can hold it does.
            for _ in range(10):
                websocket.send("hello")
                assert websocket.recv(PATIENCE) == "hello"
            assert dial().ask().status == 200

        check()
        yield check


# Connections.


def test_many_requests_come_on_one_connection(dial):
    client = dial()
    for _ in range(5):
        answer = client.ask()
        assert answer.status == 200
        assert b'"path": "/accept/"' in answer.body
        assert answer.headers["Connection"] == "keep-alive"


def test_requests_in_one_packet_are_answered_in_order(dial):
    client = dial()
    bodies = [b"%d" % number * 100 for number in range(20)]
    client.send(*(request_for("/body/", method="POST", body=body) for body in bodies))
    assert [client.read().body for _ in bodies] == bodies


def test_a_body_that_no_view_reads_is_not_the_next_request(dial):
    client = dial()
    # It has no token, and is refused before its body is looked at.
    client.send(request_for("/accept/", method="POST", body=request_for("/trap/") * 1000))
    assert client.read().status == 403
    assert client.ask().status == 200


@pytest.mark.parametrize(
    "old", [request_for("/accept/", "Connection: close"), b"GET /accept/ HTTP/1.0\r\n\r\n"]
)
def test_a_client_that_stays_for_one_answer_gets_it_and_the_end(dial, old):
    client = dial()
    client.send(old)
    head, _, body = client.read_end().partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    assert body.endswith(b"}")


# Connections that wait.


@pytest.fixture(scope="module")
def impatient(gunicorn):
    """A server that waits a second for the next request."""
    with gunicorn.start("--keep-alive=1") as running:
        running.tls = None
        yield running


def test_a_connection_without_a_next_request_ends(impatient):
    with closing(Client(impatient)) as client:
        assert client.ask().status == 200
        assert client.read_end() == b""


def test_the_first_request_has_more_time(impatient):
    with closing(Client(impatient)) as newcomer, closing(Client(impatient)) as client:
        assert client.ask().status == 200
        assert client.read_end() == b""
        assert newcomer.ask().status == 200
        assert newcomer.read_end() == b""


@pytest.mark.slow
def test_a_client_that_asks_for_nothing_is_let_go(gunicorn, certificate):
    chain, key = certificate
    impatience = json.dumps({"WEBSOCKET_REQUEST_TIMEOUT": 0.5})
    for options in (), (f"--certfile={chain}", f"--keyfile={key}"):
        with (
            gunicorn.start(*options, TEST_SETTINGS=impatience) as running,
            socket.create_connection(("127.0.0.1", running.port), PATIENCE) as sock,
        ):
            assert sock.recv(1) == b""


@pytest.mark.slow
def test_a_stop_waits_for_nobody_who_asks_for_nothing(gunicorn):
    options = ("--keep-alive=600", "--graceful-timeout=600")
    with gunicorn.start(*options) as running:
        running.tls = None
        with closing(Client(running)) as newcomer, closing(Client(running)) as client:
            assert client.ask().status == 200
            assert running.stop() == 0
            assert client.read_end() == newcomer.read_end() == b""


def test_a_request_that_came_while_the_hub_was_held_is_not_late(impatient):
    with (
        connect(impatient.ws("/plain/holds_hub/")) as holds,
        closing(Client(impatient)) as client,
    ):
        assert client.ask().status == 200
        holds.send("")
        impatient.wait_for_line("the hub is held")
        client.send(request_for("/accept/"))
        assert client.read().status == 200


# Requests with a body.


def chunked(*pieces, extension=b"", trailer=b""):
    chunks = [b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces]
    return b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"


CHUNKED = request_for("/plain/input/", "Transfer-Encoding: chunked", method="POST")


@pytest.mark.parametrize(
    ("extension", "trailer"), [(b"", b""), (b";name=value", b""), (b"", b"Checksum: none\r\n")]
)
def test_a_chunked_body_arrives_whole(dial, extension, trailer):
    client = dial()
    pieces = [os.urandom(size) for size in (1, 100_000, 2, 8192, 1_000_000, 77)]
    client.send(CHUNKED, chunked(*pieces, extension=extension, trailer=trailer))
    assert client.read().body == b"".join(pieces)
    assert client.ask().status == 200


def test_a_chunked_body_that_no_view_reads_is_not_the_next_request(dial):
    client = dial()
    body = chunked(*[request_for("/trap/")] * 1000)
    client.send(request_for("/accept/", "Transfer-Encoding: chunked", method="POST"), body)
    assert client.read().status == 403
    assert client.ask().status == 200


def test_a_client_that_asks_first_is_told_to_send_its_body(dial):
    client = dial()
    body = os.urandom(100_000)
    head = request_for(
        "/body/", "Expect: 100-continue", f"Content-Length: {len(body)}", method="POST"
    )
    client.send(head)
    status, headers = client.read_head()
    assert (status, len(headers)) == (100, 0)
    client.send(body)
    assert client.read()[::2] == (200, body)
    assert client.ask().status == 200


# Answers.


def test_a_file_arrives_whole(dial, file):
    client = dial()
    for _ in range(2):
        answer = client.ask("/plain/file/")
        assert answer.headers["Content-Length"] == str(SIZE)
        assert sha256(answer.body).digest() == file[1]


def test_a_stream_arrives_whole(dial, file):
    client = dial()
    answer = client.ask("/plain/streamed/")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert sha256(answer.body).digest() == file[1]
    assert client.ask().status == 200


def test_a_piece_of_a_stream_leaves_before_the_next_is_made(dial):
    client = dial()
    client.send(request_for("/plain/paused/"))
    assert client.read_head()[0] == 200
    assert client.read_chunk() == b"one"
    assert dial().ask("/plain/goes_on/").status == 200
    assert client.read_chunk() == b"another"
    assert client.read_chunk() == b""


@pytest.mark.parametrize("path", ["/accept/", "/plain/file/", "/plain/whole/"])
def test_head_gets_the_head(gunicorn, dial, path):
    if gunicorn.version < 26:
        pytest.skip("with any worker it sends the body as well, where Django gives it one")
    client = dial()
    answer = client.ask(path, method="HEAD")
    assert answer.status == 200
    assert int(answer.headers["Content-Length"]) > 0
    # What follows on the connection is the next answer.
    assert client.ask().status == 200


def test_a_stream_that_fails_does_not_end_as_if_it_were_whole(dial, others_are_served):
    client = dial()
    client.send(request_for("/plain/breaks_off/"))
    assert client.read_head()[0] == 200
    assert client.read_end() == b"3\r\none\r\n"
    others_are_served()


# Slow clients.


def test_a_head_that_comes_byte_by_byte_holds_up_nobody(dial, others_are_served):
    client = dial()
    for byte in request_for("/accept/")[:-1]:
        client.send(bytes([byte]))
    others_are_served()
    client.send(b"\n")
    assert client.read().status == 200


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_that_comes_slowly_holds_up_nobody(dial, others_are_served, is_chunked):
    client = dial()
    body = bytes(range(100))
    sent = CHUNKED + chunked(*(body[i : i + 1] for i in range(100)))
    if not is_chunked:
        sent = request_for("/body/", method="POST", body=body)
    for byte in sent[:-1]:
        client.send(bytes([byte]))
    others_are_served()
    client.send(sent[-1:])
    assert client.read().body == body


@pytest.mark.parametrize("kind", ["whole", "file", "streamed"])
def test_a_client_that_reads_slowly_holds_up_nobody(dial, others_are_served, file, kind):
    client = dial(receive_buffer=4096)
    client.send(request_for(f"/plain/{kind}/"))
    status, headers = client.read_head()
    assert status == 200
    others_are_served()
    assert sha256(client.read_body(headers)).digest() == file[1]


@pytest.mark.parametrize("kind", ["whole", "file", "streamed"])
def test_a_client_that_leaves_within_an_answer_harms_nobody(dial, others_are_served, kind):
    client = dial()
    client.send(request_for(f"/plain/{kind}/"))
    assert client.read_head()[0] == 200
    client.close()
    others_are_served()


# Requests that are none.


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        pytest.param(b"\x16\x03\x01\r\n\r\n", {400}, id="no-http"),
        pytest.param(b"GET / HTTP/4.0\r\n\r\n", {400, 505}, id="version"),
        pytest.param(request_for("/" + "x" * 5000), {400, 414}, id="long-line"),
        pytest.param(request_for("/", "Long: " + "x" * 10_000), {400, 431}, id="long-header"),
        pytest.param(request_for("/", *["Many: 1"] * 200), {400, 431}, id="many-headers"),
        pytest.param(request_for("/", "No name: 1"), {400}, id="header-name"),
        pytest.param(request_for("/", "Content-Length: -1"), {400}, id="negative-length"),
        pytest.param(
            request_for("/", "Content-Length: 1", "Transfer-Encoding: chunked"),
            {400},
            id="two-lengths",
        ),
        pytest.param(request_for("/", "Transfer-Encoding: unheard-of"), {400, 501}, id="coding"),
    ],
)
def test_what_is_no_request_is_refused_and_harms_nobody(
    gunicorn, dial, others_are_served, sent, statuses
):
    if gunicorn.version < 26 and max(statuses) > 500:
        statuses = {*statuses, 500}  # what it does not implement is an error of its own
    client = dial()
    client.send(sent)
    status, headers = client.read_head()
    assert status in statuses
    assert headers["Connection"] == "close"
    client.read_end()
    others_are_served()


def test_a_chunk_without_a_size_ends_its_connection_and_harms_nobody(
    gunicorn, dial, others_are_served
):
    if gunicorn.version < 26:
        pytest.skip("with any worker it waits for more, as long as the client does")
    client = dial()
    client.send(CHUNKED, b"no size\r\n")
    assert client.read_head()[0] in (400, 500)
    client.read_end()
    others_are_served()


def test_a_client_without_tls_harms_nobody(encrypted, others_are_served):
    with socket.create_connection(("127.0.0.1", encrypted.port), PATIENCE) as sock:
        sock.sendall(request_for("/accept/"))
        with suppress(ConnectionResetError):
            assert sock.recv(65536) == b""
    others_are_served()
