"""What comes of a stream of bytes: with the package, and with `websockets`.

Their protocol hands out frames. Joining these, and looking at their UTF-8, is left
to its users, so it is done here, on RFC 3629's grammar.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from websockets.extensions import Extension
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from django_websocket_ev.protocol.close import ProtocolError, build_payload
from django_websocket_ev.protocol.deflate import Agreement, Inflater
from django_websocket_ev.protocol.receiver import Close, Ping, Pong, Receiver
from fuzzing.frames import CLOSE, announced_frames, plain
from fuzzing.utf8 import begins_utf8, is_utf8

_KINDS = {str, bytes, Ping, Pong, Close, ProtocolError}
_ENDS = (Close, ProtocolError)

#: More bytes than any session has, so no limit of theirs; only what is absurd is above it.
UNLIMITED = 2**62
FAR_ABOVE = 2**17

_silent = logging.getLogger("fuzzing.websockets")
_silent.disabled = True


class Wrong(Exception):
    """What must never be; the message says what."""


class Setting(NamedTuple):
    """What a session is received with."""

    #: Bytes that a message may have.
    limit: int | None
    #: What was agreed on about compression, if anything.
    agreement: Agreement | None = None


class Outcome(NamedTuple):
    """What came of a stream: its messages and control frames, and whether it was refused."""

    events: list[tuple[str, Any]]
    #: The close code of the error, None if there was none.
    error: int | None


def agree(ours: Outcome, theirs: Outcome) -> bool:
    """Whether the events are the same, and both refuse or neither does.

    A frame that breaks two rules may get the code of either, and RFC 7692 names
    no code for data that cannot be inflated.
    """
    return ours.events == theirs.events and (ours.error is None) == (theirs.error is None)


def new_receiver(setting: Setting) -> Receiver:
    if setting.agreement is None:
        return Receiver(setting.limit)
    return Receiver(setting.limit, Inflater(setting.agreement))


def check(events: Sequence[Any], limit: int | None) -> None:
    """Whatever came in: events of the known kinds, one end at most, and nothing behind it."""
    for event in events:
        if type(event) not in _KINDS:
            raise Wrong(f"an event of no known kind: {event!r}")
        if limit is not None and isinstance(event, (str, bytes)) and len(event) > limit:
            raise Wrong(f"a message of {len(event)} above the limit of {limit}")
        if isinstance(event, _ENDS) and event is not events[-1]:
            raise Wrong(f"events behind the end: {events!r}")
    if events and isinstance(events[-1], ProtocolError):
        error = events[-1]
        if error.code not in (1002, 1007, 1009) or not build_payload(error.code, error.reason):
            raise Wrong(f"an error that cannot be sent: {error!r}")


def as_outcome(events: Sequence[Any]) -> Outcome:
    if events and type(events[-1]) is ProtocolError:
        return Outcome([plain(event) for event in events[:-1]], events[-1].code)
    return Outcome([plain(event) for event in events], None)


def our_outcome(setting: Setting, pieces: Sequence[bytes]) -> Outcome:
    """Feed a session to a new receiver, without any stop."""
    receiver = new_receiver(setting)
    events = [event for piece in pieces for event in receiver.feed(piece)]
    check(events, setting.limit)
    return as_outcome(events)


class TheirEnd(NamedTuple):
    """Where their protocol stood at the end."""

    #: How many frames it took.
    taken: int
    #: Whether a fragmented message was unfinished.
    in_message: bool
    #: The Close frame that it received and understood.
    close: Close | None


def _ignore(frame: object) -> None:
    pass


def their_outcome(
    setting: Setting,
    pieces: Sequence[bytes],
    extension: Extension | None = None,
    *,
    by_message: bool = False,
) -> tuple[Outcome, TheirEnd]:
    """Feed a session to their protocol; ``extension`` undoes compression.

    Their limit is also one for control frames and for what is compressed. With
    ``by_message`` it is far above, and applied here to the message that is joined.
    """
    limit = UNLIMITED if setting.limit is None else setting.limit
    if by_message:
        limit = max(limit, FAR_ABOVE)
    protocol = ServerProtocol(state=State.OPEN, max_size=limit, logger=_silent)
    if extension is not None:
        protocol.extensions = [extension]
    protocol.send_frame = _ignore  # what it would answer is not looked at, and takes time
    for piece in pieces:
        protocol.receive_data(piece)
    received = protocol.events_received()
    error = None
    close = protocol.close_rcvd and Close(int(protocol.close_rcvd.code), protocol.close_rcvd.reason)
    events: list[tuple[str, Any]] = []
    kind, message = Opcode.CONT, b""
    taken = 0
    for event in received:
        data = bytes(event.data)
        if event.opcode is Opcode.PING:
            events.append(("Ping", Ping(data)))
        elif event.opcode is Opcode.PONG:
            events.append(("Pong", Pong(data)))
        elif event.opcode is Opcode.CLOSE:
            events.append(("Close", close))
        else:
            kind, message = (kind if event.opcode is Opcode.CONT else event.opcode), message + data
            if by_message and setting.limit is not None and len(message) > setting.limit:
                error = 1009
                break
            if kind is Opcode.TEXT and not (is_utf8 if event.fin else begins_utf8)(message):
                error = 1007
                break
            if event.fin:
                is_text = kind is Opcode.TEXT
                events.append(("str", message.decode()) if is_text else ("bytes", message))
                message = b""
        taken += 1
    else:
        if protocol.parser_exc is not None:
            # Its code is in the Close frame that it has sent.
            error = protocol.close_sent.code
        elif by_message and close is None:
            compressed = bool(getattr(extension, "decode_cont_data", False))
            if _announces_too_much(setting, b"".join(pieces), taken, len(message), compressed):
                error = 1009
    return Outcome(events, error), TheirEnd(taken, protocol.current_size is not None, close)


def _announces_too_much(
    setting: Setting, stream: bytes, taken: int, before: int, compressed: bool
) -> bool:
    """Whether the unfinished frame of a stream would take its message over the limit.

    Of what is compressed nobody knows.
    """
    announced = announced_frames(stream)
    if setting.limit is None or taken >= len(announced) or announced[taken].opcode >= CLOSE:
        return False
    begin = announced[taken - 1].end if taken else 0
    marked = stream[begin] & 0x40 if setting.agreement is not None else 0
    if compressed or marked:
        return False
    return before + announced[taken].length > setting.limit
