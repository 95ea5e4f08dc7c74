"""The bytes on their way to one client.

They are written from wherever they arise: the kernel gets them at once, and what
it does not take waits here, in order, until the hub finds that it would.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from django_websocket_ev import greensocket
from django_websocket_ev.greensocket import WOULD_BLOCK
from django_websocket_ev.protocol import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django_websocket_ev.conf import Options

#: Seconds after an answer within which a view that does nothing else is back for the next message.
_AT_ONCE = 0.0001

#: How often in a row it was, before it is taken for one that will be.
_OFTEN = 8

#: Pings that came at once and are all answered.
_PONGS = 16


class Outgoing:
    """The write buffer of ``sock``, and the green threads that wait for room in it.

    ``send`` is the socket's, and never blocks; ``more`` is its flag for what is to
    leave with the next bytes, where it has one. The hub calls ``on_sent`` each
    time that some of what waited has left, and ``on_broken`` where the peer is gone.
    """

    __slots__ = (
        *("_hub", "_sock", "_send", "_more", "_limit", "_timeout", "_on_sent", "_on_broken"),
        *("_listener", "_pong", "_pong_after", "_senders", "bytes", "waiting"),
        *("_answered_at", "_returned", "_held_at", "_push_timer"),
    )

    def __init__(
        self,
        hub: Any,
        sock: Any,
        send: Callable[..., int],
        more: int | None,
        options: Options,
        on_sent: Callable[[], None],
        on_broken: Callable[..., None],
    ) -> None:
        self._hub = hub
        self._sock = sock
        self._send = send
        self._more = more
        self._limit = options.write_limit
        self._timeout = options.send_timeout
        self._on_sent = on_sent
        self._on_broken = on_broken
        self._listener: Any = None
        #: What the kernel has not taken yet: of a single frame a view, for that may be large.
        self.waiting: bytearray | memoryview = bytearray()
        self._pong: bytes | None = None
        self._pong_after = 0
        self._senders: list[Any] = []
        #: Of all frames until now.
        self.bytes = 0
        #: When the view answered a message with others behind it.
        self._answered_at = 0.0
        #: How often in a row it came back for the next at once.
        self._returned = 0
        #: What ``bytes`` was when the kernel was last told to wait for more.
        self._held_at = -1
        self._push_timer: Any = None

    def put(self, frame: bytes) -> bool:
        """Send a frame, or let it wait behind those that do; return whether the peer is there."""
        self.bytes += len(frame)
        if self.waiting:
            self._append(frame)
            return True
        send = self._send
        try:
            sent = send(frame)
        except WOULD_BLOCK:
            sent = 0
        except OSError:
            return False
        if sent != len(frame):
            self.waiting = memoryview(frame)[sent:]
            self._listener = self._hub.add(
                self._hub.WRITE, self._sock.fileno(), self._on_writable, self._on_broken, None
            )
        return True

    def put_early(self, frame: bytes) -> bool:
        """Send a frame as :meth:`put` does, while further messages wait for the same view.

        One that has always come back for the next at once will answer that as well: so the
        kernel is told to have this leave in one packet with what follows. Where nothing does,
        it leaves as soon as the view waits for whatever it may be, and after a fifth of a
        second, by the kernel's clock, while it does not.
        """
        if self._returned < _OFTEN or self._more is None or self.waiting:
            is_there = self.put(frame)
        else:
            is_there = self._put_more(frame)
            self._held_at = self.bytes
            if self._push_timer is None:
                self._push_timer = self._hub.schedule_call_global(0, self._push)
        self._answered_at = monotonic()
        return is_there

    def on_return(self) -> None:
        """The view is back for the next message, which is there."""
        is_at_once = monotonic() - self._answered_at < _AT_ONCE
        self._returned = self._returned + 1 if is_at_once else 0

    def _push(self) -> None:
        """Have what the kernel holds back leave."""
        self._push_timer = None
        if self._held_at == self.bytes:
            greensocket.push(self._sock)

    def put_large(self, header: bytes, payload: bytes) -> bool:
        """Send a frame as :meth:`put` does, and copy its payload only where it has to wait."""
        if self._more is None or self.waiting:
            return self.put(header + payload)
        return self._put_more(header, payload)

    def _put_more(self, data: bytes, rest: bytes = b"") -> bool:
        """Send ``data`` as what has more behind it, and then the ``rest``."""
        try:
            sent = self._send(data, self._more)
        except WOULD_BLOCK:
            sent = 0
        except OSError:
            return False
        self.bytes += sent
        if sent != len(data):
            rest = data[sent:] + rest
        return not rest or self.put(rest)

    def _append(self, frame: bytes) -> None:
        if not isinstance(self.waiting, bytearray):
            self.waiting = bytearray(self.waiting)
        self.waiting += frame

    def put_pongs(self, payloads: list[bytes]) -> bool:
        """Answer Pings, in one write; return whether the peer is there.

        Not all of a flood: only the last few, and where bytes wait to leave only
        the last of all, get an answer, as RFC 6455 §5.5.3 allows.
        """
        if not self.waiting:
            pongs = [frames.build_frame(frames.PONG, payload) for payload in payloads[-_PONGS:]]
            return self.put(b"".join(pongs))
        if self._pong is None:
            self._pong_after = len(self.waiting)
        self._pong = payloads[-1]
        return True

    def put_close(self, payload: bytes) -> bool:
        """Send a Close frame, behind which nothing may follow (§5.5.1)."""
        self._pong = None
        return self.put(frames.build_frame(frames.CLOSE, payload))

    # Backpressure.

    def is_full(self) -> bool:
        """Whether a view has to wait for room, or for its turn."""
        return bool(self._senders) or len(self.waiting) > self._limit

    def wait_for_room(self, on_timeout: Callable[[], None]) -> None:
        """Block until :meth:`release` says so; ``on_timeout()`` where that takes too long."""
        current = getcurrent()
        timer = self._hub.schedule_call_global(self._timeout, on_timeout)
        self._senders.append(current)
        try:
            self._hub.switch()
        finally:
            timer.cancel()
            if current in self._senders:
                self._senders.remove(current)

    def release(self, everybody: bool) -> Iterator[Any]:
        """Yield the green threads that may send now, or ``everybody``."""
        while self._senders and (everybody or len(self.waiting) <= self._limit):
            yield self._senders.pop(0)

    # The hub's side.

    def _on_writable(self, _fd: int) -> None:
        if self._listener is None:
            return  # stopped in this very turn of the hub
        try:
            sent = self._send(self.waiting)
        except WOULD_BLOCK:
            return
        except OSError:
            self._on_broken()
            return
        if isinstance(self.waiting, bytearray):
            del self.waiting[:sent]
        else:
            self.waiting = self.waiting[sent:]
        self._pong_after -= sent
        if self._pong is not None and self._pong_after <= 0:
            self._append(frames.build_frame(frames.PONG, self._pong))
            self._pong = None
        if not self.waiting:
            self.stop()
        self._on_sent()

    def stop(self) -> None:
        """Forget what waits, and the hub."""
        self.waiting = bytearray()  # a large one would stay as large
        if self._listener is not None:
            self._hub.remove(self._listener)
            self._listener = None

    def end(self) -> None:
        """Stop for good, and let go of whoever was to be called."""
        self.stop()
        if self._push_timer is not None:
            self._push_timer.cancel()
        self._on_sent = self._on_broken = _do_nothing


def _do_nothing(_error: Exception | None = None) -> None:
    pass
