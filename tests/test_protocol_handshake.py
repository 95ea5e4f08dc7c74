"""The opening handshake: what is a WebSocket, what is refused, what is answered."""

from __future__ import annotations

import pytest
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.uri import parse_uri

from django_websocket_ev.protocol.handshake import (
    Opening,
    Refusal,
    accept_key,
    build_response,
    is_token,
    parse,
    select_subprotocol,
    tokens,
)

#: The example of RFC 6455 section 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

VALID = {
    "host": "server.example.com",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
    "origin": "http://example.com",
}


def ask(
    headers: dict[str, str | None] | None = None,
    method: str = "GET",
    http_version: str = "HTTP/1.1",
) -> Opening | None:
    """Parse the valid request with some headers changed; None takes one out."""
    changed = {**VALID, **(headers or {})}
    return parse(method, http_version, lambda name: changed.get(name) or "")


def refusal(*args, **kwargs) -> Refusal:
    with pytest.raises(Refusal) as caught:
        ask(*args, **kwargs)
    return caught.value


# What is malformed, by kind. Within a kind the reason is one, between kinds it is not.

MALFORMED = {
    "a proxy took Upgrade": (
        "Upgrade header",
        [
            ({"upgrade": None},),
            ({"upgrade": None, "connection": None},),
            ({"upgrade": "h2c"},),
            ({"upgrade": "web socket"},),
            ({"upgrade": "websocket2"},),
            ({"upgrade": ","},),
        ],
    ),
    "not GET": (
        "GET",
        [({}, "POST"), ({}, "HEAD"), ({}, "PUT"), ({}, "OPTIONS"), ({}, "get"), ({}, "")],
    ),
    "an HTTP too old": (
        "HTTP/1.1",
        [
            ({}, "GET", "HTTP/1.0"),
            ({}, "GET", "HTTP/0.9"),
            ({}, "GET", "HTTP/1"),
            ({}, "GET", "HTTP/1.10"),
            ({}, "GET", "http/1.1"),
            ({}, "GET", "HTTP/1.1 "),
            ({}, "GET", "HTTP/1.1\n"),
            ({}, "GET", ""),
        ],
    ),
    "no Host": ("Host", [({"host": None},)]),
    "no Connection": (
        "Connection header",
        [
            ({"connection": None},),
            ({"connection": "keep-alive"},),
            ({"connection": "Upgrade-Insecure-Requests"},),
            ({"connection": "close, keep-alive"},),
            ({"connection": "up grade"},),
        ],
    ),
    "another version": (
        "Sec-WebSocket-Version",
        [
            ({"sec-websocket-version": None},),
            ({"sec-websocket-version": "0"},),
            ({"sec-websocket-version": "8"},),
            ({"sec-websocket-version": "14"},),
            ({"sec-websocket-version": "013"},),
            ({"sec-websocket-version": "+13"},),
            ({"sec-websocket-version": "13, 8"},),
            ({"sec-websocket-version": "13, 13"},),
        ],
    ),
    "no key": (
        "Sec-WebSocket-Key header is missing",
        [({"sec-websocket-key": None},), ({"sec-websocket-key": " \t"},)],
    ),
    "not a key": (
        "16 bytes in base64",
        [
            ({"sec-websocket-key": "dGhlIHNhbXBsZSBub25j"},),  # 15 bytes
            ({"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZSE="},),  # 17 bytes
            ({"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZSEh"},),  # 18 bytes
            ({"sec-websocket-key": KEY.rstrip("=")},),
            ({"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=x"},),
            ({"sec-websocket-key": "dGhlIHNhbXBs*SBub25jZQ=="},),
            ({"sec-websocket-key": "dGhlIHNhbXBs\xe9SBub25jZQ=="},),
            ({"sec-websocket-key": "=" * 24},),
            ({"sec-websocket-key": f"{KEY}, {KEY}"},),
            ({"sec-websocket-key": "the sample nonce"},),
        ],
    ),
    "a body": (
        "no body",
        [
            ({"content-length": "1"},),
            ({"content-length": "nonsense"},),
            ({"content-length": "0, 4"},),
            ({"transfer-encoding": "chunked"},),
            ({"transfer-encoding": "identity", "content-length": "0"},),
        ],
    ),
    "no subprotocols": (
        "Sec-WebSocket-Protocol",
        [
            ({"sec-websocket-protocol": "chat room"},),
            ({"sec-websocket-protocol": "chat, super/chat"},),
            ({"sec-websocket-protocol": 'chat, "superchat"'},),
            ({"sec-websocket-protocol": "ch\xe4t"},),
            ({"sec-websocket-protocol": "chat, superchat, chat"},),
        ],
    ),
}

CASES = [
    pytest.param(reason, case, id=f"{kind}-{number}")
    for kind, (reason, cases) in MALFORMED.items()
    for number, case in enumerate(cases)
]


@pytest.mark.parametrize(("reason", "case"), CASES)
def test_a_malformed_request_is_refused_for_its_own_reason(reason, case):
    assert reason in refusal(*case).reason


@pytest.mark.parametrize(("reason", "case"), CASES)
def test_a_reason_is_made_of_sentences(reason, case):
    refused = refusal(*case)
    assert refused.reason.endswith(".")
    assert str(refused) == refused.reason


def test_each_kind_of_malformed_request_has_another_reason():
    reasons = [refusal(*cases[0]).reason for _reason, cases in MALFORMED.values()]
    assert len(set(reasons)) == len(MALFORMED)


def test_another_version_is_told_the_one_that_is_spoken():
    for case in MALFORMED["another version"][1]:
        assert refusal(*case).headers == {"Sec-WebSocket-Version": "13"}


def test_no_other_refusal_speaks_of_versions():
    for kind, (_reason, cases) in MALFORMED.items():
        if kind != "another version":
            assert [refusal(*case).headers for case in cases] == [{}] * len(cases)


# What is a WebSocket, and what is none.


def test_a_valid_request_gives_its_key():
    assert ask() == Opening(KEY, ())


@pytest.mark.parametrize(
    "headers",
    [
        {"upgrade": "WebSocket", "connection": "upgrade"},
        {"upgrade": "WEBSOCKET", "connection": "UPGRADE"},
        {"connection": "keep-alive, Upgrade"},
        {"connection": "Upgrade,keep-alive"},
        {"connection": "keep-alive\t,\tuPgRaDe ,"},
        {"upgrade": "h2c, websocket"},
        {"upgrade": ",, websocket ,"},
    ],
)
def test_upgrade_and_connection_are_lists_of_tokens_in_any_case(headers):
    assert ask(headers) == Opening(KEY, ())


@pytest.mark.parametrize("http_version", ["HTTP/1.1", "HTTP/1.2", "HTTP/2.0"])
def test_http_1_1_or_later_will_do(http_version):
    assert ask(http_version=http_version) == Opening(KEY, ())


def test_blanks_around_the_key_and_the_version_do_not_count():
    headers = {"sec-websocket-key": f" {KEY}\t", "sec-websocket-version": " 13 "}
    assert ask(headers) == Opening(KEY, ())


@pytest.mark.parametrize("length", ["0", "", " 0 "])
def test_an_empty_body_is_no_body(length):
    assert ask({"content-length": length}) == Opening(KEY, ())


def test_subprotocols_keep_the_order_of_the_client():
    # Two header lines, which the server has joined by a comma.
    headers = {"sec-websocket-protocol": "superchat, chat" + "," + "v2.chat ,"}
    assert ask(headers) == Opening(KEY, ("superchat", "chat", "v2.chat"))


@pytest.mark.parametrize(
    "headers",
    [
        {name: None for name in VALID if name != "host"},
        {"upgrade": None, "sec-websocket-key": None},
        {"upgrade": None, "sec-websocket-version": None},
        {"upgrade": "h2c", "sec-websocket-key": None, "sec-websocket-version": None},
        {"upgrade": None, "connection": "Upgrade", "sec-websocket-key": " "},
    ],
)
def test_plain_http_is_no_websocket_and_no_error(headers):
    assert ask(headers) is None
    assert ask(headers, "POST", "HTTP/1.0") is None


# The parts of an answer.


def test_the_accept_key_of_the_rfc_s_example():
    assert accept_key(KEY) == ACCEPT


@pytest.mark.parametrize(
    ("offered", "supported", "chosen"),
    [
        (("a", "b", "c"), ("c", "a"), "c"),
        (("a", "b", "c"), ("x", "b"), "b"),
        (("a",), ("x",), None),
        ((), ("x",), None),
        (("a",), (), None),
        (("chat",), ("CHAT",), None),
        (("superchat",), ("chat",), None),
    ],
)
def test_the_server_s_order_decides_which_subprotocol_it_is(offered, supported, chosen):
    assert select_subprotocol(offered, supported) == chosen


def test_subprotocols_may_come_from_an_iterator():
    assert select_subprotocol(("a", "b"), iter(["b", "a"])) == "b"


def test_a_list_leaves_out_empty_members():
    assert tokens(" a ,, \tb\t,,c d, ") == ["a", "b", "c d"]
    assert tokens("") == tokens(" , ,") == []


@pytest.mark.parametrize("value", ["a", "chat.v2", "!#$%&'*+-.^_`|~09AZaz"])
def test_a_token(value):
    assert is_token(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "a b",
        "a,b",
        "a\n",
        "\na",
        "a\0",
        "a\x7f",
        "caf\xe9",
        *'"(),/:;<=>?@[\\]{}',
        b"a",
        None,
        1,
    ],
)
def test_not_a_token(value):
    assert not is_token(value)


def test_the_answer_byte_by_byte():
    cookies = [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=\xe9")]
    assert build_response(Opening(KEY, ("chat",)), "chat", cookies) == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Sec-WebSocket-Protocol: chat\r\n"
        b"Set-Cookie: a=1; Path=/\r\n"
        b"Set-Cookie: b=\xe9\r\n"
        b"\r\n"
    )


def test_an_answer_without_a_subprotocol_does_not_name_one():
    assert b"Sec-WebSocket-Protocol" not in build_response(Opening(KEY, ("chat",)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Set-Cookie", "a=1\r\nX-Injected: 1"),
        ("Set-Cookie", "a=1\r\n\r\n\x81\x00"),
        ("Set-Cookie", "a=1\n"),
        ("Set-Cookie", "\ra=1"),
        ("Set-Cookie", "a\0b"),
        ("Set-Cookie", "\N{EURO SIGN}"),
        ("Set-Cookie: a=1\r\nX-Injected", "1"),
        ("X-Injected:", "1"),
        ("X Injected", "1"),
        ("X-Injected\n", "1"),
        ("", "1"),
    ],
)
def test_no_header_breaks_out_of_its_line(name, value):
    with pytest.raises(ValueError):
        build_response(Opening(KEY, ()), None, [(name, value)])


def test_no_subprotocol_breaks_out_of_its_line():
    with pytest.raises(ValueError):
        build_response(Opening(KEY, ()), "chat\r\nX-Injected: 1")


def test_a_client_that_others_wrote_opens():
    client = ClientProtocol(parse_uri("ws://example.com/"), subprotocols=["a", "b"])
    client.send_request(client.connect())
    request_line, *lines = b"".join(client.data_to_send()).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    method, _path, http_version = request_line.split()
    opening = parse(method, http_version, lambda name: headers.get(name, ""))
    chosen = select_subprotocol(opening.subprotocols, ["b", "a"])
    client.receive_data(build_response(opening, chosen, [("Set-Cookie", "a=1")]))

    assert client.handshake_exc is None
    assert client.state is State.OPEN
    assert client.subprotocol == "b"
