"""A thousand sessions gone wrong, all in one process; then it must be as it was."""

import json
import random
import socket
import time
import urllib.request

import pytest
from websockets.sync.client import connect

import rawclient
import servers
from rawclient import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from servers import PATIENCE

SESSIONS = 1000

PATHS = ["/echo/", "/narrow/", "/narrow/", "/closed_first/mutated/", "/nowhere/"]


@pytest.fixture(scope="module")
def server(database):
    """A server whose vitals nobody else changes, and where what is not ended stays."""
    settings = {"WEBSOCKET_CLOSE_TIMEOUT": 3600, "WEBSOCKET_SEND_TIMEOUT": 3600}
    with servers.runwsserver(settings=settings, TEST_DATABASE=database) as running:
        yield running


def vitals(server) -> dict[str, int]:
    with urllib.request.urlopen(server.url("/vitals/"), timeout=PATIENCE) as response:
        return json.load(response)


def valid_session(choose: random.Random) -> bytes:
    """Return frames as a client may send them."""
    frames = []
    for _ in range(choose.randrange(1, 6)):
        size = choose.choice([0, 1, 5, 125, 126, 300, 70_000])
        payload = choose.choice(["x" * size, "ü" * (size // 2)]).encode()
        key = choose.randbytes(4)
        kind = choose.randrange(5)
        if kind == 0:
            cut = choose.randrange(size + 1)
            frames.append(rawclient.frame(TEXT, payload[:cut], fin=False, key=key))
            frames.append(rawclient.frame(PING, b"between", key=key))
            frames.append(rawclient.frame(CONTINUATION, payload[cut:], key=key))
        elif kind == 1:
            frames.append(rawclient.frame(choose.choice([PING, PONG]), payload[:125], key=key))
        else:
            frames.append(rawclient.frame(choose.choice([TEXT, BINARY]), payload, key=key))
    if choose.random() < 0.3:
        body = choose.choice([b"", b"\x03\xe8", b"\x03\xe8bye", b"\x0f\xa0"])
        frames.append(rawclient.frame(CLOSE, body))
    return b"".join(frames)


def mutated(choose: random.Random, data: bytes) -> bytes:
    """Return ``data`` with some bytes changed, lost, doubled or invented."""
    changed = bytearray(data)
    for _ in range(choose.choice([0, 1, 1, 2, 5])):
        # Most of what matters is in the first bytes, of a head or of a frame.
        at = choose.randrange(choose.choice([min(len(changed), 12), len(changed)]) or 1)
        way = choose.randrange(4)
        if way == 0 and changed:
            changed[at] ^= 1 << choose.randrange(8)
        elif way == 1:
            del changed[at : at + choose.randrange(1, 8)]
        elif way == 2:
            changed[at:at] = choose.randbytes(choose.randrange(1, 8))
        else:
            changed[at:at] = changed[at : at + choose.randrange(1, 200)]
    return bytes(changed)


def run_session(server, choose: random.Random) -> None:
    """Open a connection, say something, and leave in one way or another."""
    head = rawclient.request(choose.choice(PATHS))
    if choose.random() < 0.2:
        head = mutated(choose, head)
    data = mutated(choose, valid_session(choose))
    leave = choose.choice(["close", "reset", "end", "read"])
    sock = rawclient.dial(server)
    try:
        pieces = [head + data] if choose.random() < 0.5 else [head, data]
        if choose.random() < 0.3:
            cut = choose.randrange(len(data) + 1)
            pieces[-1:] = [pieces[-1][:cut], pieces[-1][cut:]]
        for piece in pieces:
            sock.sendall(piece)
        if leave in ("end", "read"):
            # With a FIN every session comes to its end, so one may read up to it.
            sock.shutdown(socket.SHUT_WR)
            while leave == "read" and sock.recv(65536):
                pass
    except TimeoutError:
        raise
    except OSError:
        pass  # it was thrown out before it had finished
    finally:
        if leave == "reset":
            rawclient.reset(sock)
        sock.close()


def test_after_a_thousand_mutated_sessions_the_server_is_as_it_was(server):
    choose = random.Random(6455)
    with connect(server.ws("/echo/")) as other:
        before = vitals(server)
        for _ in range(SESSIONS // 4):
            run_session(server, choose)
        resident = vitals(server)["resident"]
        for _ in range(SESSIONS * 3 // 4):
            run_session(server, choose)
        other.send("still there?")
        assert other.recv(PATIENCE) == "still there?"
        with connect(server.ws("/echo/")) as client:
            client.send("still new ones?")
            assert client.recv(PATIENCE) == "still new ones?"
        # The last of them may still be on their way out.
        patience_ends = time.monotonic() + PATIENCE
        while (after := vitals(server)) | {"resident": 0} != before | {"resident": 0}:
            assert time.monotonic() < patience_ends, f"{before} became {after}"
        assert after["resident"] - resident < 4 * 2**20
