"""A thousand sessions gone wrong, all in one process; then it must be as it was."""

import json
import random
import socket
import time
import urllib.request
from collections.abc import Callable

import pytest
from websockets.sync.client import connect

import rawclient
import servers
from fuzzing import BINARY, frame
from fuzzing.compressed import compressed_conversation
from fuzzing.conversations import Conversation, plain_conversation
from fuzzing.mutations import mutate, mutate_bytes
from servers import PATIENCE

pytestmark = pytest.mark.slow

SESSIONS = 1000

OFFER = "Sec-WebSocket-Extensions: permessage-deflate"

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


def session(choose: random.Random, make: Callable[[random.Random], Conversation]) -> bytes:
    """Return frames as a client may send them, or some of them changed."""
    conversation, other = make(choose), make(choose)
    frames = list(conversation.raw)
    if choose.random() < 0.2:
        frames.insert(0, frame(BINARY, bytes(70_000)))
    elif choose.random() < 0.8:
        at = choose.randrange(len(frames))
        frames[at] = mutate(choose, conversation.frames[at], frames[at], choose.choice(other.raw))
    return b"".join(frames)


def run_session(server, choose: random.Random) -> None:
    """Open a connection, say something, and leave in one way or another."""
    if choose.random() < 0.5:
        head = rawclient.request(choose.choice(PATHS))
        data = session(choose, plain_conversation)
    else:
        head = rawclient.request(choose.choice(PATHS), OFFER)
        data = session(choose, compressed_conversation)
    if choose.random() < 0.2:
        head = mutate_bytes(choose, head, data)
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
