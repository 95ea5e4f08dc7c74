"""The object that a view holds as ``request.websocket``."""

from __future__ import annotations

import json
from numbers import Number
from typing import TYPE_CHECKING, Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils.functional import Promise

from django_websocket_ev.exceptions import BadMessage
from django_websocket_ev.protocol.close import NORMAL_CLOSURE
from django_websocket_ev.protocol.frames import (
    BINARY,
    LARGE,
    MAX_CONTROL_SIZE,
    SHORT_TEXT,
    TEXT,
    build_binary,
    build_header,
    build_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_websocket_ev.connection import Connection
    from django_websocket_ev.databases import Lease
    from django_websocket_ev.protocol.deflate import Deflater
    from django_websocket_ev.sessions import SessionSaver


class WebSocket:
    """One client's WebSocket, open when the view gets it.

    Whatever blocks here blocks the view that called it and nobody else.
    """

    __slots__ = (
        *("_build_text", "_connection", "_deflater", "_in_order", "_lease", "_saver"),
        "subprotocol",
    )

    #: The subprotocol that was agreed on in the handshake, None without one.
    subprotocol: str | None

    def __init__(
        self,
        connection: Connection,
        subprotocol: str | None = None,
        saver: SessionSaver | None = None,
        deflater: Deflater | None = None,
        lease: Lease | None = None,
    ) -> None:
        self._connection = connection
        self._saver = saver
        self._lease = lease
        self._deflater = deflater
        self._build_text = build_text if deflater is None else deflater.build_text
        # Where each message refers to those before, frames must leave in the order
        # in which they are built.
        self._in_order = deflater is not None and deflater.keeps_context
        self.subprotocol = subprotocol

    def __repr__(self) -> str:
        state = f"closed {self.close_code}" if self.closed else "open"
        return f"<{type(self).__name__} {state}>"

    # Receiving.

    def wait(self, timeout: float | None = None) -> str | bytes | None:
        """Return the next message; wait for it where there is none yet.

        A text message is a ``str``, a binary one ``bytes``. None means that the
        WebSocket is closed and every message has been returned.

        ``timeout`` is in seconds; :class:`TimeoutError` is raised when it
        passes without a message. RuntimeError: another green thread waits on
        this WebSocket already.
        """
        saver = self._saver
        if saver is not None and saver.session.modified:
            saver.save()
        lease = self._lease
        if lease is not None and lease.held:
            return self._wait_with(lease, timeout)
        return self._connection.wait(timeout)

    def _wait_with(self, lease: Lease, timeout: float | None) -> str | bytes | None:
        """Wait, and give database connections back where that takes long."""
        connection = self._connection
        idle = None if connection.queued else lease.prepare()
        if idle is None or (timeout is not None and timeout <= idle):
            message = connection.wait(timeout)
        else:
            try:
                message = connection.wait(idle)
            except TimeoutError:
                lease.give_back()
                message = connection.wait(None if timeout is None else timeout - idle)
        lease.check()
        return message

    def read(self, fallback: Any = None) -> Any:
        """Return the next message if there is one, else ``fallback``, without waiting.

        Gives other clients a turn where there is none, so it may be polled.
        """
        return self.wait() if self.has_messages() else fallback

    def count_messages(self) -> int:
        """Return the number of messages that are here and have not been read.

        Gives other clients a turn, so it may be polled.
        """
        return self._connection.count()

    def has_messages(self) -> bool:
        """Whether a message is here: :meth:`wait` would return it at once.

        Gives other clients a turn where there is none, so it may be polled.
        """
        return self._connection.has_messages()

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield every message until the WebSocket is closed."""
        return iter(self.wait, None)

    def wait_json(self, timeout: float | None = None) -> Any:
        """Return what the next message holds as JSON; None once closed, as :meth:`wait`.

        Raises :class:`BadMessage`, a ValueError, for a message that is not
        JSON: where it leaves the view, the WebSocket closes with 1008.
        """
        message = self.wait(timeout)
        if message is None:
            return None
        try:
            return json.loads(message)
        except (ValueError, RecursionError) as error:
            raise BadMessage(f"a message is not JSON: {error}") from None

    # Sending.

    def send(self, message: str | bytes | bytearray | memoryview | Number | Promise) -> None:
        """Send one message: str as text, bytes-like as binary.

        Numbers and lazy strings go as text. Returns when the message is with
        the kernel or in the buffer; blocks while more than
        ``WEBSOCKET_WRITE_LIMIT`` bytes are there already, at most
        ``WEBSOCKET_SEND_TIMEOUT`` seconds.

        Raises :class:`ConnectionClosed` on a closed WebSocket, TypeError for
        anything else than the above, UnicodeEncodeError for a str that has no
        UTF-8 (a lone surrogate).
        """
        connection = self._connection
        if type(message) is str and self._deflater is None:
            # The hot path, as build_text() does it.
            frame = message.encode()
            size = len(frame)
            if size < 126:
                connection.write_small(SHORT_TEXT[size] + frame)
                return
            header = build_header(TEXT, size)
        elif type(message) is bytes and self._deflater is None:
            frame = message
            header = build_header(BINARY, len(frame))
        else:
            if connection.closed:
                frame = b""  # not sent: send(wait()) is no TypeError when the client has left
            else:
                if self._in_order:
                    connection.wait_for_room()
                frame = self._build(message)
            connection.write(frame, 1, self._in_order)
            return
        if len(frame) < LARGE:
            connection.write_small(header + frame)
        else:
            connection.write(frame, header=header)

    def send_json(self, value: Any, encoder: type[json.JSONEncoder] = DjangoJSONEncoder) -> None:
        """Send ``value`` as a text message of JSON.

        ``encoder`` is a ``json.JSONEncoder``; Django's knows dates, decimals,
        UUIDs and lazy strings. Raises as :meth:`send`, and TypeError for what
        the encoder does not know.
        """
        self.send(json.dumps(value, cls=encoder, ensure_ascii=False, separators=(",", ":")))

    def ping(self, payload: bytes = b"") -> None:
        """Send a Ping frame with up to 125 bytes (RFC 6455 §5.5.2); does not wait for the Pong.

        Raises :class:`ConnectionClosed`, and ValueError for a longer payload.
        """
        payload = bytes(payload)
        if len(payload) > MAX_CONTROL_SIZE:
            raise ValueError(f"a Ping carries at most {MAX_CONTROL_SIZE} bytes")
        self._connection.ping(payload)

    @property
    def latency(self) -> float | None:
        """Seconds that the last Ping and its Pong took, of keepalive or of :meth:`ping`.

        None before the first.
        """
        return self._connection.latency

    # Closing.

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent. Messages from before may still be read."""
        return self._connection.closed

    @property
    def close_code(self) -> int | None:
        """The code of the first Close frame, from either side; None while open.

        1005 where that frame had none, 1006 where the client was gone without one.
        """
        return self._connection.close_code

    @property
    def close_reason(self) -> str:
        """The reason in the first Close frame; ``""`` without one."""
        return self._connection.close_reason

    def close(self, code: int = NORMAL_CLOSURE, reason: str = "") -> None:
        """Begin the closing handshake; a second call does nothing.

        The system socket stays open: the server closes it after the view has
        returned and the client has answered. Messages that came before may
        still be read. Returns at once.

        ``reason`` has at most 123 bytes of UTF-8. ValueError: the code or the
        reason cannot be sent.
        """
        self._connection.close(code, reason)

    def _build(self, message: Any) -> bytes:
        """Return the frame of a message that is not plainly a str."""
        if isinstance(message, (bytes, bytearray, memoryview)):
            build = build_binary if self._deflater is None else self._deflater.build_binary
            return build(bytes(message))
        if isinstance(message, (str, Number, Promise)):
            return self._build_text(str(message))
        if isinstance(message, (dict, list)):
            raise TypeError(
                f"send() takes no {type(message).__name__}: use send_json(), or json.dumps()"
            )
        raise TypeError(
            f"send() takes str for a text message and bytes for a binary one, not"
            f" {type(message).__name__}: convert it, for example with str()"
        )
