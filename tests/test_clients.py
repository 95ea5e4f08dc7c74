"""Clients that others wrote, each against the real server."""

from __future__ import annotations

import json
from urllib.request import urlopen

import pytest

from clients import CLIENTS, Closed, NodeWs, Refused
from servers import PATIENCE

MESSAGES = {
    "text": "hello",
    "non-ascii": "Grüße, 世界, \N{WATERMELON} and a \0",
    "empty text": "",
    "binary": bytes(range(256)),
    "empty binary": b"",
    "70,000 bytes": bytes(range(250)) * 280,
    "1,000,000 bytes of text": "ä§" * 250_000,
    "1,000,000 bytes": bytes(range(250)) * 4_000,
}

FRAGMENTS = {
    "text": ["one, ", "two, ", "", "thr\N{GREEN HEART}", "ee"],
    "binary": [b"\xff" * 125, b"\x00" * 126, b"", b"\x7f" * 70_000],
}


def by_name(clients):
    return pytest.mark.parametrize("client", clients, ids=lambda client: client.name)


every_client = by_name(CLIENTS)


@pytest.fixture(scope="module", autouse=True)
def _no_node_is_left():
    yield
    NodeWs.stop()


@pytest.fixture
def connect(client, server):
    """Connect the client to a path; what is open at the end leaves."""
    opened = []

    def open_client(path, subprotocols=(), compression=False):
        opened.append(client(server.ws(path), subprotocols, compression))
        return opened[-1]

    yield open_client
    for each in opened:
        each.leave()


@every_client
@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_message_comes_back_as_it_was(connect, message):
    client = connect("/echo/")
    client.send(message)
    assert client.receive() == message


@every_client
def test_messages_come_back_in_their_order(connect):
    client = connect("/echo/")
    messages = [f"message {number}" for number in range(200)]
    for message in messages:
        client.send(message)
    assert [client.receive() for _ in messages] == messages


@by_name([client for client in CLIENTS if client.can_fragment])
@pytest.mark.parametrize("fragments", FRAGMENTS.values(), ids=FRAGMENTS)
def test_fragments_come_back_as_one_message(connect, fragments):
    client = connect("/echo/")
    client.send_fragments(fragments)
    assert client.receive() == type(fragments[0])().join(fragments)


@every_client
@pytest.mark.parametrize("payload", [b"are you there?", bytes(125)], ids=["short", "125 bytes"])
def test_a_ping_is_answered_with_its_payload(connect, payload):
    client = connect("/echo/")
    client.ping(payload)
    client.send("still here")
    assert client.receive() == "still here"


@every_client
def test_a_client_closes_with_a_code_and_a_reason(client, connect, server):
    connected = connect(f"/clients/until_closed/{client.name}/")
    connected.send("last words")
    assert connected.receive() == "last words"
    assert connected.close(4321, "that is all – fin") == 4321
    with urlopen(server.url(f"/clients/end/{client.name}/"), timeout=PATIENCE) as response:
        assert json.load(response) == {"code": 4321, "reason": "that is all – fin"}


@every_client
def test_a_client_learns_why_the_view_has_closed(connect):
    client = connect("/clients/farewell/")
    with pytest.raises(Closed) as closed:
        client.receive()
    assert (closed.value.code, closed.value.reason) == (4001, "so long – und danke")


@every_client
def test_a_client_learns_why_it_is_refused(client, connect):
    with pytest.raises(Refused) as refused:
        connect("/clients/page/")
    assert refused.value.status == 400
    assert refused.value.body in (None, "This address takes no WebSocket requests.\n")
    assert (refused.value.body is None) == (client.name == "aiohttp")  # it keeps bodies to itself


@every_client
def test_the_subprotocol_is_the_one_that_the_view_prefers(connect):
    client = connect("/clients/subprotocol/", subprotocols=["chat.v1", "chat.v2", "chat.v3"])
    assert client.receive() == client.subprotocol == "chat.v2"


@by_name([client for client in CLIENTS if client.can_compress])
@pytest.mark.parametrize("path", ["/clients/offer/", "/clients/offer/takeover/"])
def test_compression_that_is_offered_is_agreed_on(connect, path):
    client = connect(path, compression=True)
    assert "permessage-deflate" in client.receive()
    assert "permessage-deflate" in client.extensions
    for message in ("aaaa" * 1000, "small", bytes(range(256)) * 300, "", "ä§" * 50_000, "aaaa"):
        client.send(message)
        assert client.receive() == message


@by_name([client for client in CLIENTS if client.can_compress])
def test_compression_that_is_offered_may_be_declined(connect):
    client = connect("/clients/offer/plain/", compression=True)
    assert "permessage-deflate" in client.receive()
    assert client.extensions == ""
    client.send("aaaa" * 1000)
    assert client.receive() == "aaaa" * 1000
