"""Answers to messages that came together leave together, and none waits for a view that works."""

import os
import select
import socket
import struct
import sys

import pytest
from websockets.sync.client import connect

import rawclient
from scene import Scene
from servers import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has MSG_MORE")

#: Where Linux has tcpi_data_segs_in in its struct tcp_info.
SEGMENTS_IN = 152

MESSAGES = 16
BURST = b"".join(rawclient.text(f"{number}") for number in range(MESSAGES))


def segments_in(client: rawclient.RawClient) -> int:
    """Return how many packets with data have come."""
    info = client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SEGMENTS_IN + 4)
    return struct.unpack_from("I", info, SEGMENTS_IN)[0]


def has_joined(client: rawclient.RawClient) -> bool:
    """Whether the answers to some messages come in fewer packets than they are."""
    before = segments_in(client)
    client.send(BURST)
    assert [client.read_text() for _ in range(MESSAGES)] == [f"{n}" for n in range(MESSAGES)]
    return segments_in(client) - before < MESSAGES // 2


@pytest.fixture
def scene(server):
    with Scene(server) as found:
        yield found


@pytest.fixture
def client(server, scene):
    """A client whose view has shown that it is always back at once."""
    with rawclient.connect(server, scene.path("/answers/")) as client:
        # A machine may take the core from the view at any time, which then was not back at once.
        assert any(has_joined(client) for _ in range(200))
        yield client


def test_answers_to_messages_that_came_together_leave_together(client):
    assert any(has_joined(client) for _ in range(200))


def test_an_answer_leaves_when_the_view_waits_for_something_else(server, scene, client):
    client.send(rawclient.text("wait"), rawclient.text("next"))
    assert scene.note() == "waits"
    with connect(server.ws("/echo/")) as other:  # the hub has had its turns then
        other.send("")
        assert other.recv(PATIENCE) == ""
    assert select.select([client.sock], [], [], 0)[0]
    assert client.read_text() == "wait"
    scene.open()
    assert client.read_text() == "next"


def test_an_answer_leaves_while_the_view_works(client, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    client.send(rawclient.text(str(pipe)), rawclient.text("next"))
    try:
        assert client.read_text() == str(pipe)
    finally:
        pipe.open("w").close()
    assert client.read_text() == "next"


def test_all_answers_come_before_the_views_close(client):
    client.send(BURST, rawclient.text("close"), rawclient.text("unread"))
    assert [client.read_text() for _ in range(MESSAGES)] == [f"{n}" for n in range(MESSAGES)]
    assert client.read_text() == "close"
    assert client.read_close() == (1000, "")
