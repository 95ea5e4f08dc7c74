"""eventlet's wsgi server, set up for long connections, and its graceful stop.

eventlet's own ``wsgi.server()`` serves 1,024 connections and lets the rest wait
for ever, keys them by an address that all clients of a UNIX socket share, and
does not stop while a WebSocket is open. So the loop around its HTTP handler is
ours.
"""

from __future__ import annotations

import errno
import gc
import logging
import os
import signal
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django_websocket_ev.bootstrap import quiet
from django_websocket_ev.connection import close_all, welcome_all
from django_websocket_ev.http_handler import NEXT, PATH, AccessLog, HttpProtocol
from django_websocket_ev.opening import read_opening, serve_opening
from django_websocket_ev.protocol.close import GOING_AWAY
from django_websocket_ev.watchdog import Watchdog

with quiet():
    import eventlet
    from eventlet import patcher, wsgi
    from eventlet.event import Event
    from eventlet.greenio import shutdown_safe
    from eventlet.hubs import get_hub, selects
    from eventlet.support.greenlets import GreenletExit

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger("django_websocket_ev")

#: Connections that the kernel may hold until they are accepted.
BACKLOG = 4096

#: Connections to accept before those that are open get a turn.
_ACCEPT_TURN = 32

#: Seconds that a client may take for the next bytes of a request's body, or of a response.
_SOCKET_TIMEOUT = 60

#: Descriptors that select() can look at; one above them would end the hub, and so the process.
_SELECTABLE = 1024

#: Descriptors that are left to views: a part of all, and at most so many.
_VIEWS_PART, _VIEWS_FILES = 4, 64
_OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Server:
    """A WSGI server for one listening socket.

    ``listener`` is a green one; ``graceful_timeout`` the seconds that requests
    and views have once :meth:`stop` was called; ``request_timeout`` the seconds
    that a client has for the head of its next request; ``access_log`` takes a
    line for each HTTP request.
    """

    def __init__(
        self,
        listener: Any,
        application: Callable[..., Iterable[bytes]],
        *,
        graceful_timeout: float = 10.0,
        request_timeout: float = 60.0,
        access_log: logging.Logger | None = None,
    ) -> None:
        self.graceful_timeout = graceful_timeout
        self._listener = listener
        self._wsgi = wsgi.Server(
            listener,
            listener.getsockname(),
            application,
            log=AccessLog(access_log or logger),
            log_output=access_log is not None,
            log_format=AccessLog.FORMAT,
            log_x_forwarded_for=False,
            max_http_version=wsgi.DEFAULT_MAX_HTTP_VERSION,
            protocol=HttpProtocol,
            keepalive=True,
            # It is for each read, of the head as well.
            socket_timeout=max(_SOCKET_TIMEOUT, request_timeout),
            debug=False,
        )
        self._wsgi.request_timeout = request_timeout
        #: Per green thread: client's address, socket, eventlet's state, path, what comes next.
        self._active: dict[Any, list[Any]] = {}
        self._stopped = Event()
        self._idle: Event | None = None

    def serve(self) -> None:
        """Serve until :meth:`stop` is called and everybody has left, or was cut."""
        freeze()
        welcome_all()
        acceptor = eventlet.spawn(accept, self._listener, self._on_accept)
        acceptor.link(lambda _: self.stop())  # it ends by itself only when it fails
        try:
            self._stopped.wait()
        finally:
            acceptor.kill()
            self._listener.close()
        self._shut_down()
        with suppress(GreenletExit):
            acceptor.wait()

    def stop(self) -> None:
        """Make :meth:`serve` accept nobody else, say goodbye and return."""
        if not self._stopped.ready():
            self._stopped.send()

    def _on_accept(self, sock: Any, address: Any) -> None:
        self._spawn(self._serve_requests, [address, sock, wsgi.STATE_IDLE, "", None])

    def _spawn(self, serve: Callable[[list[Any]], None], state: list[Any]) -> None:
        # A greenlet: a GreenThread takes a kilobyte more, to be waited for.
        self._active[eventlet.spawn_n(serve, state)] = state

    def _serve_requests(self, state: list[Any]) -> None:
        """Serve what comes on a connection, until it ends or has become a WebSocket.

        That has a green thread of its own: the pages of the stack that a request has
        touched are not given back before its own has ended.
        """
        is_handed_over = False
        try:
            opening = read_opening(state[1], self._wsgi.request_timeout)
            state[1].settimeout(self._wsgi.socket_timeout)
            if opening is None:
                self._wsgi.process_request(state)
            else:
                serve_opening(opening, state, self._wsgi)
            is_handed_over = state[NEXT] is not None
        except OSError as error:  # a client that left, or never spoke TLS
            logger.debug("connection lost: %s", error)
        except SystemExit:
            # The hub would take it for its own, and everybody's, end.
            logger.error("A view called sys.exit(): %s", state[PATH])
        finally:
            if is_handed_over:
                self._spawn(self._converse, state)
            else:
                self._close(state)
            self._forget(eventlet.getcurrent())

    def _converse(self, state: list[Any]) -> None:
        converse, state[NEXT] = state[NEXT], None
        state[2] = wsgi.STATE_REQUEST
        try:
            converse()
        finally:
            self._close(state)
            self._forget(eventlet.getcurrent())

    def _close(self, state: list[Any]) -> None:
        state[2] = wsgi.STATE_CLOSE
        shutdown_safe(state[1])
        state[1].close()

    def _forget(self, thread: Any) -> None:
        self._active.pop(thread, None)
        if not self._active and self._idle is not None and not self._idle.ready():
            self._idle.send()

    def _shut_down(self) -> None:
        """Close every WebSocket with 1001, let requests end, cut what does not."""
        for state in list(self._active.values()):
            if state[2] == wsgi.STATE_IDLE:
                shutdown_safe(state[1])
            state[2] = wsgi.STATE_CLOSE  # no further request after this one
        close_all(GOING_AWAY)
        if not self._active:
            return
        self._idle = Event()
        with eventlet.Timeout(self.graceful_timeout, False):
            self._idle.wait()
        for thread, state in list(self._active.items()):
            logger.warning("Cut after %s seconds: %s", self.graceful_timeout, state[PATH])
            eventlet.kill(thread)


def accept(listener: Any, on_accept: Callable[[Any, Any], None]) -> None:
    """Call ``on_accept(socket, address)`` for each client, for ever.

    Raises OSError only where the listening socket itself fails.
    """
    accepted = 0
    is_told = False
    while True:
        try:
            sock, address = listener.accept()
            while not _leaves_files(sock):
                if not is_told:
                    logger.error(
                        "No further connection is served for now: this process has as many files"
                        " open as it may, but for a few that are left to the views (ulimit -n)."
                    )
                    is_told = True
                eventlet.sleep(0.1)
            is_told = False
        except ssl.SSLError:
            continue
        except OSError as error:
            if error.errno in _OUT_OF_FILES:
                logger.error("No further connection is accepted for now: %s", error)
                eventlet.sleep(0.1)
                continue
            if error.errno in (errno.ECONNABORTED, errno.EPROTO, errno.ENOTCONN):
                continue  # the client left while it was in the queue
            raise
        on_accept(sock, address)
        accepted += 1
        if not accepted % _ACCEPT_TURN:
            eventlet.sleep(0)


def _leaves_files(sock: Any) -> bool:
    """Whether the views can open files, and connections to databases, besides the clients'."""
    if resource is None:
        return True
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = soft - min(soft // _VIEWS_PART, _VIEWS_FILES)
    if soft == resource.RLIM_INFINITY or sock.fileno() < most:
        return True
    # Those before it may have left: the next file has the lowest number that is free.
    with suppress(OSError):
        probe = os.dup(sock.fileno())
        os.close(probe)
        return probe < most
    return False


def listen(address: tuple[str, int], family: int = socket.AF_INET) -> Any:
    """Return a green listening socket. Raises OSError where it cannot be bound."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def raise_file_limit(connections: int | None = None) -> None:
    """Raise the soft limit of open files to the hard one: each client is a file.

    Under eventlet's hub ``selects`` it is set to what that can carry, however high it was.
    Warns where so many ``connections`` may be open, and not as many files.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard
    if isinstance(get_hub(), selects.Hub):
        wanted = _SELECTABLE if hard == resource.RLIM_INFINITY else min(hard, _SELECTABLE)
    if soft != wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            logger.debug("the limit of open files stays at %s", soft)
    if connections is not None and soft != resource.RLIM_INFINITY and soft < connections:
        logger.warning(
            "This process may open %d files, and WEBSOCKET_MAX_CONNECTIONS is %d: clients beyond"
            " the former will wait in vain. Raise the limit (LimitNOFILE= in a systemd unit,"
            " --ulimit nofile= for docker, ulimit -n in a shell), or lower the setting. With"
            " EVENTLET_HUB=selects it is 1,024, always: unset that.",
            soft,
            connections,
        )


def freeze(*, is_shared: bool = False) -> None:
    """Have the garbage collector leave alone what is here before the first client.

    That is most of what a small site has, it stays for good, and everybody waits while
    the collector looks through it. What ``is_shared`` with the process that this was forked
    from is not looked through at all: to look is to write, and so to have a copy.
    """
    if not is_shared:
        gc.collect()
    gc.freeze()


def watch_hub(seconds: float) -> None:
    """Warn where the hub of this thread is held for longer than so many seconds."""
    native = patcher.original("threading")
    sleep = patcher.original("time").sleep
    Watchdog(seconds, get_hub().schedule_call_global, eventlet.spawn, native, sleep)


def stop_on_signals(server: Server) -> None:
    """Stop ``server`` on SIGTERM and SIGINT; on a second SIGINT, at once.

    A signal handler runs in the middle of anything, so it only writes a byte,
    which wakes the hub. The kernel ends the process at the graceful timeout
    should a view hold the hub until then.
    """
    reader, writer = socket.socketpair()
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    interrupts = 0

    def handle(signum: int, frame: Any) -> None:
        nonlocal interrupts
        interrupts += signum == signal.SIGINT
        if interrupts > 1:
            os._exit(1)
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, server.graceful_timeout + 1)

    def watch() -> None:
        with reader, writer:
            while True:
                if {signal.SIGTERM, signal.SIGINT} & set(reader.recv(64)):
                    server.stop()

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, handle)
    eventlet.spawn(watch)


def exit_main() -> None:
    """Leave the process, from the green thread in which the auto-reloader runs the server."""
    main = eventlet.getcurrent()
    while main.parent is not None:
        main = main.parent
    get_hub().schedule_call_global(0, main.throw, SystemExit(0))
