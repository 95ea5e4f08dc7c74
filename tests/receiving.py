"""A receiver in one call, for the tests of what it makes of bytes."""

from __future__ import annotations

from django_websocket_ev.protocol.receiver import Receiver
from fuzzing import plain


def receive(*pieces: bytes, max_message_size: int | None = 2**20) -> list[tuple]:
    """Feed the pieces to a new receiver; return its events in their plain form."""
    receiver = Receiver(max_message_size)
    return [plain(event) for piece in pieces for event in receiver.feed(piece)]


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def error_code(*pieces: bytes, max_message_size: int | None = 2**20) -> int:
    """Return the code of the error that is the one event of the pieces."""
    ((kind, (code, _reason)),) = receive(*pieces, max_message_size=max_message_size)
    assert kind == "ProtocolError"
    return code
