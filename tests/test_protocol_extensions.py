"""Sec-WebSocket-Extensions: its grammar, and what comes of an offer of permessage-deflate."""

from __future__ import annotations

from itertools import product

import pytest
from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from django_websocket_ev.protocol.deflate import Agreement, Compression, negotiate
from django_websocket_ev.protocol.handshake import (
    Opening,
    Refusal,
    build_response,
    parse,
    parse_extensions,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="

REQUEST = {
    "host": "server.example.com",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
}

#: What a server agrees to that has no wishes of its own.
EASY = {"server_no_context_takeover": False, "client_no_context_takeover": False}

NO_CONTEXT = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def open_with(extensions: str) -> Opening | None:
    headers = {**REQUEST, "sec-websocket-extensions": extensions}
    return parse("GET", "HTTP/1.1", lambda name: headers.get(name, ""))


def answer(header: str, **wish) -> str | None:
    """Return what the server answers to a header; None for no extension at all."""
    agreement = negotiate(parse_extensions(header), Compression(**wish))
    return None if agreement is None else str(agreement)


# The grammar, RFC 6455 section 9.1.


@pytest.mark.parametrize(
    ("header", "extensions"),
    [
        ("", ()),
        (" \t", ()),
        ("foo", (("foo", ()),)),
        ("foo, bar", (("foo", ()), ("bar", ()))),
        ("foo,bar,,\t, baz ,", (("foo", ()), ("bar", ()), ("baz", ()))),
        ("foo;a", (("foo", (("a", None),)),)),
        ("foo;a=1", (("foo", (("a", "1"),)),)),
        ("foo \t;\ta = 1 ; b", (("foo", (("a", "1"), ("b", None))),)),
        ('foo; a="1"; b = "x-y"', (("foo", (("a", "1"), ("b", "x-y"))),)),
        (r'foo; a="1\0"; b="\x"', (("foo", (("a", "10"), ("b", "x"))),)),
        (r'foo; a="\1\5"', (("foo", (("a", "15"),)),)),
        ("foo; a; a=1; a", (("foo", (("a", None), ("a", "1"), ("a", None))),)),
        ("foo; a=1, foo; a=2", (("foo", (("a", "1"),)), ("foo", (("a", "2"),)))),
        ("!#$%&'*+-.^_`|~09azAZ", (("!#$%&'*+-.^_`|~09azAZ", ()),)),
        # What most browsers send.
        (
            "permessage-deflate; client_max_window_bits",
            (("permessage-deflate", (("client_max_window_bits", None),)),),
        ),
    ],
)
def test_a_header_is_a_list_of_extensions_with_their_parameters(header, extensions):
    assert parse_extensions(header) == extensions
    assert open_with(header).extensions == extensions


@pytest.mark.parametrize(
    "header",
    [
        ",",
        ", ,",
        ";",
        "; a",
        "foo bar",
        "foo;",
        "foo; ;a",
        "foo; a b",
        "foo; a=",
        "foo; a=,bar",
        "foo; =1",
        "foo; a=1 2",
        "foo; a==1",
        "foo=1",
        "foo; a=1=2",
        "foo/1",
        "foo@",
        "(foo)",
        "foo\xe9",
        '"foo"',
        'foo; "a"=1',
        'foo; a="1',
        'foo; a=1"',
        'foo; a="1"2',
        'foo; a="1\\',
        r'foo; a="1\"',
        "foo; a='1 2'",
        # A quoted value must be a token once it is unescaped.
        'foo; a=""',
        'foo; a="1 2"',
        'foo; a="1,2"',
        r'foo; a="\""',
        "foo, ;a",
        "foo; a, =",
        "permessage-deflate; client_max_window_bits=",
        # However the others look.
        "permessage-deflate, foo bar",
        "foo bar, permessage-deflate",
    ],
)
def test_a_header_that_breaks_the_grammar_is_refused(header):
    with pytest.raises(Refusal, match="Sec-WebSocket-Extensions"):
        parse_extensions(header)
    with pytest.raises(Refusal, match="Sec-WebSocket-Extensions"):
        open_with(header)


def test_a_long_header_takes_no_longer_than_it_should():
    """No part of it is looked at twice, or this would not end."""
    size = 50_000
    assert len(parse_extensions("a, " * size)) == size
    assert parse_extensions("a" + ";b" * size) == (("a", (("b", None),) * size),)
    for broken in ("a;b=" + '"\\' * size, "a" + " " * size + "b", "a;b=" + '"' + "x" * size):
        with pytest.raises(Refusal):
            parse_extensions(broken)


def test_the_answer_is_in_the_response():
    opening = open_with("permessage-deflate")
    agreement = Agreement(server_no_context_takeover=True, server_max_window_bits=10)
    head = build_response(opening, extension=agreement).decode().split("\r\n")
    expected = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10"
    assert f"Sec-WebSocket-Extensions: {expected}" in head


def test_without_an_agreement_no_extension_is_in_the_response():
    assert b"Extensions" not in build_response(open_with("permessage-deflate"))


# What is agreed on, RFC 7692 sections 5 and 7.1.


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        # Nothing is asked for, nothing is said.
        ("permessage-deflate", "permessage-deflate"),
        ("", None),
        ("foo, x-webkit-deflate-frame", None),
        ("permessage_deflate", None),
        ("permessage-deflate2", None),
        ("foo, permessage-deflate", "permessage-deflate"),
        # Context takeover.
        (
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover",
        ),
        (
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
        ),
        ("permessage-deflate; client_no_context_takeover; server_no_context_takeover", NO_CONTEXT),
        # The window of the server.
        *[
            (
                f"permessage-deflate; server_max_window_bits={bits}",
                f"permessage-deflate; server_max_window_bits={bits}",
            )
            for bits in range(9, 16)
        ],
        ("permessage-deflate; server_max_window_bits=8", None),  # zlib cannot
        # That of the client: smaller than it has offered, or not spoken of.
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits=15", "permessage-deflate"),
        *[
            (
                f"permessage-deflate; client_max_window_bits={bits}",
                f"permessage-deflate; client_max_window_bits={bits}",
            )
            for bits in range(8, 15)
        ],
        # In quotes a value is the same.
        (
            'permessage-deflate; server_max_window_bits="10"',
            "permessage-deflate; server_max_window_bits=10",
        ),
        (
            r'permessage-deflate; client_max_window_bits="1\0"',
            "permessage-deflate; client_max_window_bits=10",
        ),
    ],
)
def test_an_offer_is_accepted_as_it_is(header, expected):
    assert answer(header, **EASY) == expected


WRONG_PARAMETERS = [
    "foo",
    "foo=1",
    "Server_No_Context_Takeover",
    "server_no_context_takeover=1",
    'server_no_context_takeover="true"',
    "client_no_context_takeover=0",
    "server_max_window_bits",
    *(
        f"{name}_max_window_bits={value}"
        for name in ("server", "client")
        for value in ("0", "7", "16", "015", "09", "10.0", "1e1", "-9", "+9", "nine", "155")
    ),
    *(
        f"{parameter}; {parameter}"
        for parameter in (
            "server_no_context_takeover",
            "client_no_context_takeover",
            "server_max_window_bits=10",
            "client_max_window_bits=10",
            "client_max_window_bits",
        )
    ),
    "client_max_window_bits; client_max_window_bits=10",
    "server_max_window_bits=10; server_max_window_bits=11",
]


@pytest.mark.parametrize("wrong", WRONG_PARAMETERS)
def test_a_wrong_parameter_declines_its_offer_and_the_next_is_looked_at(wrong):
    declined = f"permessage-deflate; {wrong}"
    assert answer(declined) is None
    assert answer(f"permessage-deflate; server_no_context_takeover; {wrong}") is None
    fallback = "permessage-deflate; server_max_window_bits=12"
    for header in (f"{declined}, {fallback}", f"{declined}, foo; {wrong}, {fallback}"):
        assert answer(header, **EASY) == fallback


def test_the_first_offer_that_can_be_accepted_is():
    offers = (
        "foo; server_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=11",
        "permessage-deflate; server_max_window_bits=12",
        "permessage-deflate",
    )
    expected = "permessage-deflate; server_max_window_bits=11"
    assert answer(", ".join(offers), **EASY) == expected
    assert answer(", ".join(offers[3:]), **EASY) == offers[3]


@pytest.mark.parametrize(
    ("header", "wish", "expected"),
    [
        ("permessage-deflate", {}, NO_CONTEXT),
        ("permessage-deflate; client_max_window_bits", {}, NO_CONTEXT),
        (
            "permessage-deflate",
            {"client_no_context_takeover": False},
            "permessage-deflate; server_no_context_takeover",
        ),
        (
            "permessage-deflate",
            {"server_no_context_takeover": False},
            "permessage-deflate; client_no_context_takeover",
        ),
        # What the client wants goes before what the server need not have.
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", EASY, None),
        # A smaller window of its own the server may have unasked.
        (
            "permessage-deflate",
            {**EASY, "server_max_window_bits": 10},
            "permessage-deflate; server_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=12",
            {**EASY, "server_max_window_bits": 10},
            "permessage-deflate; server_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=9",
            {**EASY, "server_max_window_bits": 10},
            "permessage-deflate; server_max_window_bits=9",
        ),
        # One of the client's only where that has offered it.
        ("permessage-deflate", {**EASY, "client_max_window_bits": 10}, "permessage-deflate"),
        (
            "permessage-deflate; client_max_window_bits",
            {**EASY, "client_max_window_bits": 10},
            "permessage-deflate; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_max_window_bits=12",
            {**EASY, "client_max_window_bits": 10},
            "permessage-deflate; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_max_window_bits=9",
            {**EASY, "client_max_window_bits": 10},
            "permessage-deflate; client_max_window_bits=9",
        ),
        # What is no parameter is not spoken of.
        (
            "permessage-deflate",
            {**EASY, "level": 9, "memory_level": 1, "threshold": 0},
            "permessage-deflate",
        ),
    ],
)
def test_a_server_gets_what_it_wishes_as_far_as_the_offer_goes(header, wish, expected):
    assert answer(header, **wish) == (expected or NO_CONTEXT)


WISHES = [
    Compression(),
    Compression(server_no_context_takeover=False, client_no_context_takeover=False),
    Compression(server_max_window_bits=10, client_max_window_bits=11),
]


def test_another_implementation_accepts_every_answer_to_its_offers():
    accepted = 0
    bits = [None, 9, 12, 15]
    for wish, server, client, *contexts in product(
        WISHES, [*bits, 8], [*bits, True], [False, True], [False, True]
    ):
        factory = ClientPerMessageDeflateFactory(*contexts, server, client)
        offer = tuple(factory.get_request_params())
        agreement = negotiate([("permessage-deflate", offer)], wish)
        if agreement is None:
            assert server == 8
            continue
        ((_name, answered),) = parse_extensions(str(agreement))
        try:
            extension = factory.process_response_params(answered, [])
        except NegotiationError as error:
            raise AssertionError(f"{offer} got {answered}") from error
        # And it understands by it what we do.
        ours = agreement.server_max_window_bits or 15, agreement.client_max_window_bits or 15
        theirs = extension.remote_max_window_bits, extension.local_max_window_bits
        assert ours == theirs
        assert extension.remote_no_context_takeover == agreement.server_no_context_takeover
        accepted += 1
    assert accepted > 200
