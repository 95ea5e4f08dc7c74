"""eventlet's HTTP handler, with a limit of time for a request's head, and its log."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

from django_websocket_ev.bootstrap import quiet
from django_websocket_ev.transport import OWN_SERVER
from django_websocket_ev.turns import get_line

with quiet():
    import eventlet
    from eventlet import wsgi
    from eventlet.hubs import get_hub

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

#: How a traceback ends that tells no more than that a client did not wait for its response.
_CLIENT_LEFT = ("BrokenPipeError", "ConnectionResetError", "ConnectionAbortedError", "TimeoutError")

#: The input of a request that has become a WebSocket.
NO_BODY = BytesIO()

#: What eventlet's state of a connection has besides its own: the path, and what comes next.
PATH, NEXT = 3, 4


class HttpProtocol(wsgi.HttpProtocol):  # type: ignore[misc]
    """eventlet's HTTP handler, with a limit of time and an environ that knows its HTTP version."""

    rfile: Any

    def handle_one_request(self) -> None:
        """Serve a request, if its head is here within ``request_timeout`` seconds.

        eventlet's own limit is for each read: a byte a minute would keep a
        connection for ever.
        """
        self._has_begun = False
        self._head_timer = eventlet.Timeout(self.server.request_timeout)
        try:
            super().handle_one_request()
        except eventlet.Timeout as timeout:
            if timeout is not self._head_timer:
                raise
            self.close_connection = True
            if self._has_begun:
                self.wfile.write(REQUEST_TIMEOUT)
        finally:
            self._head_timer.cancel()

    def _read_request_line(self) -> Any:
        # A line that is cut off is lost with what has been read of it, so look first.
        with suppress(OSError, ValueError):
            self._has_begun = bool(self.rfile.peek(1))
        # The client is not to blame for the time in line.
        self._head_timer.cancel()
        wait_for_turn()
        self._head_timer.start()
        return super()._read_request_line()

    def parse_request(self) -> Any:
        """Take in the request's head. One that is cut off is no request, as far as it came."""
        head: Any = _Head(self.rfile)
        self.rfile = head
        is_valid = super().parse_request()
        if is_valid and head.last_line.strip():
            self.close_connection = True
            return False
        return is_valid

    def get_environ(self) -> dict[str, Any]:
        """Return the WSGI environ of a request whose head is here."""
        self._head_timer.cancel()
        environ: dict[str, Any] = super().get_environ()
        environ["SERVER_PROTOCOL"] = self.request_version
        environ["SERVER_SOFTWARE"] = "django-websocket-ev"
        environ[OWN_SERVER] = self._hand_over
        self.conn_state[PATH] = environ["PATH_INFO"]
        return environ

    def _hand_over(self, converse: Callable[[], None]) -> None:
        """Let ``converse()`` have the connection, once this handler is out of its way.

        The handler holds 24 KiB of buffers, and the request's head in three forms.
        """
        self.conn_state[NEXT] = converse
        # They lead back here; and a request for a WebSocket has no body.
        for name in ("eventlet.set_idle", "headers_raw", OWN_SERVER):
            del self.environ[name]
        self.environ["eventlet.input"].rfile = NO_BODY
        share_names(self.environ)

    def finish(self) -> None:
        """Close the connection, or leave it to what is next on it."""
        if self.conn_state[NEXT] is None:
            super().finish()
        else:
            self.rfile.close()
            self.wfile.close()


def share_names(environ: dict[str, Any]) -> None:
    """Have an environ that stays for hours share its keys: thousands of clients send the same."""
    shared = {sys.intern(name): value for name, value in environ.items()}
    environ.clear()
    environ.update(shared)


class _Head:
    """The lines of a request's head; the last of a whole one is empty (RFC 7230 §3)."""

    def __init__(self, rfile: Any) -> None:
        self._rfile = rfile
        self.last_line = b"nothing yet"

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._rfile.readline(limit)
        self.last_line = line or b"cut off"
        return line


def wait_for_turn() -> None:
    """Have others served before this request, where a lot of them come at once."""
    hub = get_hub()
    line = get_line(hub)
    if line.passes():
        return
    current: Any = eventlet.getcurrent()
    is_waiting = True

    def go() -> None:
        if is_waiting:
            current.switch()

    line.stand(go)
    try:
        hub.switch()
    finally:
        is_waiting = False


class AccessLog:
    """What eventlet's handler takes for its log: lines for HTTP, none for WebSockets.

    A WebSocket has lines of its own, written when it opens and when it closes.
    """

    #: The mark tells a request from a traceback, which comes the same way.
    FORMAT = 'request %(status_code)s "%(request_line)s" %(status_code)s %(body_length)s'

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def info(self, message: str, *args: Any) -> None:
        """Log one request, or the traceback of an application that failed."""
        if not message.startswith("request "):
            is_news = not message.rstrip().rpartition("\n")[2].startswith(_CLIENT_LEFT)
            self._log.log(logging.ERROR if is_news else logging.DEBUG, "%s", message)
            return
        _, status, line = message.split(" ", 2)
        if status != "101":
            self._log.info("%s", line, extra={"status_code": int(status)})

    def error(self, message: str, *args: Any) -> None:
        """Log what went wrong in the handler."""
        self._log.error("%s", message)

    def debug(self, message: str, *args: Any) -> None:
        """Log nothing."""
