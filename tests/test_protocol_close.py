"""The payload of a Close frame."""

from __future__ import annotations

import pytest

from django_websocket_ev.protocol.close import (
    MAX_REASON_SIZE,
    NO_STATUS_RECEIVED,
    ProtocolError,
    build_payload,
    is_sendable,
    parse_payload,
)

#: RFC 6455 section 7.4, and what IANA has registered since.
SENDABLE = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}


def error(payload: bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        parse_payload(payload)
    return caught.value


def test_which_codes_may_be_sent():
    assert {code for code in range(-1, 2**16 + 1) if is_sendable(code)} == SENDABLE


@pytest.mark.parametrize("reason", ["", "bye", "\N{EURO SIGN}", "\N{GRINNING FACE}", "x" * 123])
def test_code_and_reason_there_and_back(reason):
    payload = build_payload(4321, reason)
    assert payload == b"\x10\xe1" + reason.encode()
    assert parse_payload(payload) == (4321, reason)


def test_every_code_that_may_be_sent_there_and_back():
    assert {parse_payload(build_payload(code)) for code in SENDABLE} == {
        (code, "") for code in SENDABLE
    }


def test_no_code_is_an_empty_payload_and_reads_as_1005():
    assert build_payload(None) == b""
    assert parse_payload(b"") == (NO_STATUS_RECEIVED, "")


def test_a_reason_without_a_code_cannot_be_sent():
    with pytest.raises(ValueError, match="needs a close code"):
        build_payload(None, "bye")


def test_no_other_code_can_be_sent():
    for code in {*range(-1, 5100), 0x8000, 2**16 + 1000, 10**9} - SENDABLE:
        with pytest.raises(ValueError, match=str(code)):
            build_payload(code)


@pytest.mark.parametrize(
    ("reason", "size"),
    [("x" * 124, 124), ("\N{EURO SIGN}" * 42, 126), ("\N{GRINNING FACE}" * 31, 124)],
)
def test_a_reason_is_measured_in_bytes_of_utf8(reason, size):
    with pytest.raises(ValueError, match=f"{MAX_REASON_SIZE} bytes of UTF-8, this one has {size}"):
        build_payload(1000, reason)


def test_the_longest_reason_fills_a_control_frame():
    assert len(build_payload(1000, "\N{EURO SIGN}" * 41)) == 125


def test_a_lone_surrogate_is_no_reason():
    with pytest.raises(ValueError):
        build_payload(1000, "\ud800")


@pytest.mark.parametrize("payload", [b"\x03", b"\xff"])
def test_half_a_code_is_a_protocol_error(payload):
    assert error(payload).code == 1002


def test_a_code_that_may_not_be_sent_is_a_protocol_error():
    for code in {*range(5100), 0x8000, 0xFFFF} - SENDABLE:
        assert error(code.to_bytes(2, "big")).code == 1002


@pytest.mark.parametrize(
    "reason",
    [b"\x80", b"\xc0\xaf", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"fine\xff"],
)
def test_a_reason_that_is_not_utf8_is_an_invalid_payload(reason):
    assert error(b"\x03\xe8" + reason).code == 1007


def test_an_error_says_its_code_and_its_reason():
    assert str(error(b"\x03")) == "1002 a close code takes two bytes"
    assert error(b"\x03").args == (1002, "a close code takes two bytes")
