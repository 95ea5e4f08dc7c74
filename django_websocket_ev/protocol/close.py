"""Close codes, and the payload of a Close frame. RFC 6455 §5.5.1 and §7.4."""

from __future__ import annotations

NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
NO_STATUS_RECEIVED = 1005
ABNORMAL_CLOSURE = 1006
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
MESSAGE_TOO_BIG = 1009
MANDATORY_EXTENSION = 1010
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
BAD_GATEWAY = 1014
TLS_HANDSHAKE = 1015

#: Codes that only report how a connection ended; no frame may carry them (§7.4.1).
RESERVED = frozenset({1004, NO_STATUS_RECEIVED, ABNORMAL_CLOSURE, TLS_HANDSHAKE})

#: Bytes left for the reason: a control frame holds 125, the code takes two (§5.5).
MAX_REASON_SIZE = 123


class ProtocolError(Exception):
    """The peer broke the protocol.

    ``code`` is the close code that it deserves, ``reason`` one sentence for
    its developer, short enough for a Close frame.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code} {self.reason}"


def is_sendable(code: int) -> bool:
    """Whether a Close frame may carry ``code``. RFC 6455 §7.4, and IANA's registry."""
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and code not in RESERVED)


def build_payload(code: int | None, reason: str = "") -> bytes:
    """Return the payload of a Close frame.

    ``code`` is None for a Close frame without a body. Raises ValueError for a
    code that may not be sent, or a reason of more than 123 bytes of UTF-8.
    """
    if code is None:
        if reason:
            raise ValueError("a close reason needs a close code")
        return b""
    if not is_sendable(code):
        raise ValueError(
            f"{code} cannot be sent as a close code: use 1000 to 1003, 1007 to 1014,"
            " or one of your own from 4000 to 4999"
        )
    encoded = reason.encode()
    if len(encoded) > MAX_REASON_SIZE:
        raise ValueError(
            f"a close reason holds at most {MAX_REASON_SIZE} bytes of UTF-8,"
            f" this one has {len(encoded)}"
        )
    return code.to_bytes(2, "big") + encoded


def parse_payload(payload: bytes) -> tuple[int, str]:
    """Return the code and the reason in the payload of a Close frame.

    The code is 1005 where the frame has no body (§7.1.5). Raises
    :class:`ProtocolError` for half a code, a code that may not be sent, or a
    reason that is not UTF-8.
    """
    if not payload:
        return NO_STATUS_RECEIVED, ""
    if len(payload) == 1:
        raise ProtocolError(PROTOCOL_ERROR, "a close code takes two bytes")
    code = int.from_bytes(payload[:2], "big")
    if not is_sendable(code):
        raise ProtocolError(PROTOCOL_ERROR, f"{code} is not a close code that may be sent")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError(INVALID_PAYLOAD, "the close reason is not UTF-8") from None
