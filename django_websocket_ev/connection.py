"""One open WebSocket on an eventlet hub: reading, writing, closing.

The hub feeds the connection. One persistent listener reads what there is, hands
it to the receiver, answers control frames and queues whole messages; it switches
to the view's green thread only where that waits. Writing is in outgoing.py.

Two rules keep this sound. A hub callback never blocks and never raises. And only
the hub's own greenlet switches to a green thread that waits: everybody else
changes the state and calls ``_settle``, which gets there by way of the hub.

A connection is *open*, then *closed* (a Close frame went one way or the other;
nothing more may be sent, the closing handshake goes on), then *over* (the socket
is not touched any more and belongs to the server again).
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django_websocket_ev import greensocket
from django_websocket_ev.bootstrap import quiet
from django_websocket_ev.conf import Options
from django_websocket_ev.counters import open_connections, start_pulse, totals
from django_websocket_ev.exceptions import ConnectionClosed
from django_websocket_ev.greensocket import WOULD_BLOCK
from django_websocket_ev.incoming import Incoming
from django_websocket_ev.keepalive import Heartbeat
from django_websocket_ev.outgoing import Outgoing
from django_websocket_ev.protocol import close as codes
from django_websocket_ev.protocol import frames
from django_websocket_ev.protocol.receiver import Close, Ping, Pong
from django_websocket_ev.turns import FRAMES, get_line

with quiet():
    from eventlet import getcurrent, hubs, sleep

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_websocket_ev.protocol.deflate import Inflater

#: Bytes to ask of the kernel at a time: more than 64 KiB and their header, and less than what
#: malloc() takes from the system each time.
READ_SIZE = 96 * 1024

#: As much as Python's own allocator has room for, which is quicker. Most clients send no more.
_FIRST_READ_SIZE = 512 - sys.getsizeof(b"")

#: A green thread that sends and never waits gives way each time it has sent so many.
_TURN = 64

#: Seconds between looks whether the view has taken what came before an error.
_LOOK = 0.01

#: Reads, and frames out of them, to look at before a client that is gone is over.
_LAST_READS = 16
_LAST_FRAMES = 1024


#: The code for those whose handshake ends when the process has begun to stop.
_farewell: int | None = None


def close_all(code: int) -> None:
    """Begin the closing handshake on every WebSocket of the process, open now or from now on."""
    global _farewell
    _farewell = code
    for connection in list(open_connections):
        connection.close(code)


def welcome_all() -> None:
    """Let WebSockets stay open again, where a server starts in a process that has stopped one."""
    global _farewell
    _farewell = None


class Connection:
    """One WebSocket after its handshake.

    ``sock`` stays the server's: it is neither closed here nor read by anybody
    else until :meth:`finish` returns. ``pending`` are bytes that came behind
    the handshake; a peer that did not live to see it end is not ``alive``.
    ``inflater`` undoes compression that was agreed on.
    """

    # One line a word would be a page: there are thousands of these in a process.
    __slots__ = (
        *("_sock", "_recv", "_send", "_read_size", "_hub", "_options", "_line", "_reads", "_turns"),
        *("_incoming", "_feed_whole", "_queue", "_outgoing", "_heartbeat"),
        *("_waiter", "_finisher", "_timer"),
        *("_close_sent", "_close_received", "_is_at_end", "_over"),
        *("closed", "close_code", "close_reason", "bytes_in", "messages_in", "messages_out"),
    )

    def __init__(
        self,
        sock: Any,
        options: Options,
        pending: bytes = b"",
        *,
        alive: bool = True,
        inflater: Inflater | None = None,
    ) -> None:
        self.closed = False
        self.close_code: int | None = None
        self.close_reason = ""
        self.bytes_in = len(pending)
        self.messages_in = 0
        self.messages_out = 0
        self._sock = sock
        self._recv, self._send = greensocket.take(sock)
        self._read_size = _FIRST_READ_SIZE
        self._hub: Any = hubs.get_hub()
        self._options = options
        self._line = get_line(self._hub)
        self._incoming = Incoming(
            self._hub,
            self._line,
            sock,
            options,
            inflater,
            self._on_readable,
            self._on_obsolete,
            self._on_turn,
        )
        self._feed_whole = self._incoming.feed_whole
        self._queue = self._incoming.queue
        #: Reads that did not take the short way.
        self._reads = 0
        #: The hub's, when the view last gave way.
        self._turns = 0
        self._outgoing = Outgoing(
            self._hub,
            sock,
            self._send,
            greensocket.more_flag(sock),
            options,
            self._on_sent,
            self._on_broken,
        )
        #: Green threads that wait: for a message, for the end.
        self._waiter: Any = None
        self._finisher: Any = None
        self._timer: Any = None
        self._close_sent = False
        self._close_received = False
        self._over = False
        #: The peer's end has come, and is not taken in yet.
        self._is_at_end = False
        self._heartbeat = Heartbeat(self._hub, self, options.ping_interval, options.ping_timeout)
        totals.opened += 1
        open_connections.add(self)
        start_pulse(self._hub)
        if not alive:
            self._end()
            return
        if pending:
            self._receive(pending)
        else:
            self._incoming.set_pace()
        if _farewell is not None:
            self.close(_farewell)

    # Reading: the hub's side.

    def _on_readable(self, _fd: int) -> None:
        if self._over:
            return
        # Read first, then called: Python 3.11 looks for a method where both are one.
        recv = self._recv
        try:
            data = recv(self._read_size)
        except WOULD_BLOCK:
            return
        except (OSError, ValueError):
            data = b""
        self.bytes_in += len(data)
        waiter = self._waiter
        if waiter is not None:
            # The hot path: a view waits, and this is what it waits for.
            feed_whole = self._feed_whole
            message = feed_whole(data)
            if message is not None:
                self.messages_in += 1
                self._waiter = None
                try:
                    waiter.switch(message)
                except Exception:  # see _wake
                    self._hub.squelch_generic_exception(sys.exc_info())
                return
        if len(data) == _FIRST_READ_SIZE:
            self._read_size = READ_SIZE
        if not self._line.run(self._take_in, data):
            if data:
                self._incoming.keep(data)
                self._incoming.set_pace()
            else:
                self._is_at_end = True
                self._incoming.hang_up()
                self._incoming.stand_in_line()

    def _take_in(self, data: bytes) -> None:
        if data:
            self._receive(data)
        else:
            self._end()
        self._settle()

    def _on_obsolete(self, _error: Exception) -> None:
        """The hub found the descriptor in other hands: it was closed under us."""
        self._end()
        self._settle()

    def _receive(self, data: bytes, turns: int = FRAMES) -> None:
        """Take bytes in: queue the messages, act on the rest, and see when to read on."""
        self._reads += 1
        before = len(self._queue)
        pings: list[bytes] = []
        end = None
        for event in self._incoming.feed(data, turns):
            if isinstance(event, Ping):
                pings.append(event.payload)
            elif isinstance(event, Pong):
                self._heartbeat.on_pong(event.payload)
            else:
                end = event
        self.messages_in += len(self._queue) - before
        alive = not pings or self._close_sent or self._outgoing.put_pongs(pings)
        if isinstance(end, Close):
            self._on_close(end)
        elif end is not None:
            self._close_received = True  # nothing that follows has a meaning
            self._fail(end.code, end.reason, self._options.close_timeout)
        if self._waiter is None or not self._queue:  # it takes one first, see _settle
            self._incoming.set_pace()
        if not alive:
            self._on_broken()

    def _fail(self, code: int, reason: str, patience: float) -> None:
        """Close; but what came before is in order, and the view may answer it first."""
        if self._queue and patience > 0 and not self._over:
            self._hub.schedule_call_global(_LOOK, self._fail, code, reason, patience - _LOOK)
        else:
            self.close(code, reason)

    def _on_turn(self) -> None:
        if self._is_at_end:
            self._end()
        if not self._incoming.is_full():
            self._receive(b"")
        self._settle()

    def _on_close(self, close: Close) -> None:
        """Answer the peer's Close frame, RFC 6455 §5.5.1, or take it as an answer."""
        self._close_received = True
        self._mark_closed(close.code, close.reason)
        if self._close_sent:
            self._after_flush()
        else:
            has_code = close.code != codes.NO_STATUS_RECEIVED
            self._send_close(codes.build_payload(close.code if has_code else None))

    # Reading: the view's side.

    def wait(self, timeout: float | None = None) -> str | bytes | None:
        """Return the next message, None once there is none left and the socket is closed."""
        if self._queue:
            self._outgoing.on_return()
            return self._incoming.take()
        if self.closed and self._has_ended():
            return None
        if self._waiter is not None:
            raise RuntimeError(
                "another green thread is in wait() on this WebSocket already: let one"
                " receive, and hand over what it gets, for example with a queue.Queue"
            )
        if timeout is not None:
            return self._wait_until(timeout)
        current = self._waiter = getcurrent()
        hub = self._hub.greenlet
        result: str | bytes | None
        try:
            # The hub's own switch() does the former in the end, with more ado.
            result = hub.switch() if current.parent is hub else self._hub.switch()
        except BaseException:
            # Whoever switches to us clears this first, an exception does not.
            if self._waiter is current:
                self._waiter = None
            raise
        return result

    def _wait_until(self, timeout: float) -> str | bytes | None:
        timer = self._hub.schedule_call_global(
            max(0, timeout), self._time_out, getcurrent(), timeout
        )
        try:
            return self.wait()
        finally:
            timer.cancel()

    def _has_ended(self) -> bool:
        """Whether no further message can come."""
        return self.closed and not (self._over and self._incoming.brings_more)

    def _time_out(self, waiter: Any, timeout: float) -> None:
        if self._waiter is waiter:
            self._waiter = None
            waiter.throw(TimeoutError(f"no message within {timeout} seconds"))

    @property
    def queued(self) -> int:
        """How many messages :meth:`wait` would return at once."""
        return len(self._queue)

    def count(self) -> int:
        """Let others run, the hub among them, then return how many messages are queued."""
        sleep(0)
        return len(self._queue)

    def has_messages(self) -> bool:
        """Whether a message is queued; lets others run where none is."""
        return bool(self._queue) or self.count() > 0

    # Writing.

    def wait_for_room(self) -> None:
        """Block while more than ``write_limit`` bytes wait for the client.

        Raises ConnectionClosed.
        """
        if self.closed:
            raise self._error()
        if self._outgoing.waiting and self._outgoing.is_full():
            self._wait_for_room()

    def write(
        self, frame: bytes, messages: int = 1, has_room: bool = False, header: bytes = b""
    ) -> None:
        """Send a frame, which is so many ``messages``: one, or none.

        Of a large one the ``header`` may come by itself. Blocks as :meth:`wait_for_room`
        does, unless it was called just before.
        Raises ConnectionClosed.
        """
        if self.closed:
            raise self._error()
        if self._outgoing.waiting and not has_room and self._outgoing.is_full():
            self._wait_for_room()
        outgoing = self._outgoing
        if header:
            is_there = outgoing.put_large(header, frame)
        elif self._queue:
            is_there = outgoing.put_early(frame)
        else:
            is_there = outgoing.put(frame)
        if not is_there:
            self._on_broken()
            raise self._error()
        count = self.messages_out = self.messages_out + messages
        if not count % _TURN and messages:
            self._give_way()

    def _give_way(self) -> None:
        """Let others run, unless they did since the last time: most views wait between."""
        turns = getattr(self._hub, "turns", -1)
        if turns in (-1, self._turns):
            sleep(0)
        self._turns = turns

    def write_small(self, frame: bytes) -> None:
        """Do as :meth:`write` with a small frame that is a message: the hot path."""
        outgoing = self._outgoing
        if self.closed or self._queue or outgoing.waiting:
            self.write(frame)
            return
        send = self._send
        try:
            sent = send(frame)
        except OSError:
            sent = 0  # whatever it is, write() meets it as well
        outgoing.bytes += sent
        if sent != len(frame):
            self.write(frame[sent:])
            return
        count = self.messages_out = self.messages_out + 1
        if not count % _TURN:
            self._give_way()

    def _on_sent(self) -> None:
        self._reads += 1  # it takes what it gets, so it lives
        self._after_flush()
        self._settle()

    def _on_broken(self, _error: Exception | None = None) -> None:
        """A write failed. What the peer said before it left may still be there."""
        self._close_sent = True  # no answer can be sent any more
        last: list[bytes] = []
        with suppress(OSError, ValueError):
            while len(last) < _LAST_READS and (data := self._recv(READ_SIZE)):
                last.append(data)
        if not self._over:
            data = b"".join(last)
            self.bytes_in += len(data)
            self._receive(data, _LAST_FRAMES)
        self._end()
        # Not yet: this may be in the middle of _receive, with more to queue.
        self._hub.schedule_call_global(0, self._settle)

    def _wait_for_room(self) -> None:
        self._outgoing.wait_for_room(self._drop_slow)
        if self.closed:
            raise self._error()

    def _error(self) -> ConnectionClosed:
        return ConnectionClosed(self.close_code or codes.ABNORMAL_CLOSURE, self.close_reason)

    # Keepalive.

    @property
    def latency(self) -> float | None:
        """Seconds between the last Ping that was answered and its Pong."""
        return self._heartbeat.latency

    @property
    def bytes_out(self) -> int:
        """Of all frames that were sent, or wait to be."""
        return self._outgoing.bytes

    @property
    def activity(self) -> int:
        """A number that changes with whatever comes from the client, or is taken by it."""
        return self.messages_in + self._reads

    def unread(self) -> int:
        """Return how many bytes from the client wait in the kernel."""
        return greensocket.unread(self._sock)

    def taken(self) -> int:
        """Return a number that grows with the bytes that the client takes."""
        return greensocket.taken(self._sock)

    def ping(self, payload: bytes) -> None:
        """Send a Ping frame, as :meth:`write` does."""
        self.wait_for_room()
        self._heartbeat.on_ping(payload)
        self.write(frames.build_frame(frames.PING, payload), 0, True)

    def probe(self, payload: bytes) -> None:
        """Send a Ping frame without blocking, for the hub."""
        self._heartbeat.on_ping(payload)
        if not self._outgoing.put(frames.build_frame(frames.PING, payload)):
            self._on_broken()

    # Closing.

    def close(self, code: int, reason: str = "") -> None:
        """Begin the closing handshake; a second call does nothing.

        Raises ValueError for a code or a reason that cannot be sent.
        """
        payload = codes.build_payload(code, reason)
        if self.closed:
            return
        self._mark_closed(code, reason)
        self._incoming.discard()
        self._send_close(payload)
        self._incoming.set_pace()  # the peer's Close is to come, however full the queue was
        self._settle()

    def _mark_closed(self, code: int, reason: str = "") -> None:
        """Nothing can be sent any more, from now on. What came before may be read."""
        if not self.closed:
            self.closed = True
            self.close_code = code
            self.close_reason = reason

    def _send_close(self, payload: bytes) -> None:
        self._close_sent = True
        if not self._outgoing.put_close(payload):
            self._on_broken()
        elif self._outgoing.waiting:
            self._set_timer(self._options.send_timeout, self._drop_slow)
        else:
            self._after_flush()

    def _after_flush(self) -> None:
        """Once the Close frame has left as well, see what is next."""
        if self._over or self._outgoing.waiting or not self._close_sent:
            return
        self._set_timer(self._options.close_timeout, self._abort)
        if self._close_received:
            # The server is the first to close (§7.1.1), as soon as both have said so.
            try:
                greensocket.end_output(self._sock)
            except OSError:
                self._end()

    def _set_timer(self, seconds: float, give_up: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._hub.schedule_call_global(seconds, give_up)

    def _abort(self) -> None:
        """Give the peer up, and what waits for it."""
        greensocket.reset_on_close(self._sock)
        self.drop()

    def _drop_slow(self) -> None:
        totals.slow_clients_dropped += not self._over
        self._abort()

    def drop(self) -> None:
        """Do not wait for the peer's half of the closing handshake."""
        self._end()
        self._settle()

    def _end(self) -> None:
        """The connection is over; where no Close frame said why, the code is 1006."""
        if self._over:
            return
        self._over = self._close_sent = True
        self._mark_closed(codes.ABNORMAL_CLOSURE)
        self._incoming.hang_up()
        self._outgoing.end()
        self._heartbeat.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        open_connections.discard(self)
        totals.add(self)
        self._incoming.set_pace()

    def _settle(self) -> None:
        """Let whoever waits see what has changed."""
        if getcurrent() is not self._hub.greenlet:
            self._hub.schedule_call_global(0, self._settle)
            return
        waiter = self._waiter
        if waiter is not None and (self._queue or self._has_ended()):
            self._waiter = None
            self._wake(waiter, self._incoming.take() if self._queue else None)
            self._incoming.set_pace()
        for sender in self._outgoing.release(everybody=self.closed):
            self._wake(sender)
        if self._over and self._finisher is not None:
            finisher, self._finisher = self._finisher, None
            self._wake(finisher)

    def _wake(self, greenlet: Any, result: str | bytes | None = None) -> None:
        try:
            greenlet.switch(result)
        except Exception:  # it ended with this, and the hub is its parent
            self._hub.squelch_generic_exception(sys.exc_info())

    def finish(self) -> None:
        """Wait for the end of the closing handshake and return the socket to the server.

        The green thread that serves the request calls this last.
        """
        try:
            if not self._over:
                self._finisher = getcurrent()
                self._hub.switch()
        finally:
            self._finisher = None
            self._end()
            self._incoming.end()
            greensocket.give_back(self._sock)
