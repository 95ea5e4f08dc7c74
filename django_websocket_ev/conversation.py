"""The conversation of a view with a client: from the handshake to the end of the connection.

It begins when the response has left through the middleware, in a copy of the context in
which the view was called, and knows nothing of WSGI but the socket that it is handed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from http.client import responses as reasons
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from django.apps import apps
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404
from greenlet import GreenletExit, getcurrent

from django_websocket_ev.databases import Lease
from django_websocket_ev.exceptions import ConnectionClosed
from django_websocket_ev.protocol import close as codes
from django_websocket_ev.sessions import SessionSaver
from django_websocket_ev.websocket import WebSocket

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from django.http import HttpRequest

    from django_websocket_ev.conf import Options
    from django_websocket_ev.connection import Connection
    from django_websocket_ev.limits import Place
    from django_websocket_ev.protocol.deflate import Deflater, Inflater
    from django_websocket_ev.session_check import Watch

logger = logging.getLogger("django.request")
security_logger = logging.getLogger("django.security")
access_logger = logging.getLogger("django_websocket_ev.access")

#: What the peer may not do, or ask for; said with a close code of 1008 and no traceback.
_POLICY = (PermissionDenied, Http404, SuspiciousOperation, BadRequest)


def _adopt(context: Context) -> None:
    """Have what a request has left in ``context`` be that of this green thread.

    asgiref, from version 3.12 on, marks what is in a Local (a language, a time zone) with the
    thread that has set it, and no other sees it; the request's own has ended.
    """
    for value in context.values():
        if type(value).__module__ == "asgiref.local" and hasattr(value, "thread_id"):
            value.thread_id = threading.get_ident()


class Agreed(NamedTuple):
    """What the two sides have agreed on in the opening handshake."""

    subprotocol: str | None = None
    deflater: Deflater | None = None
    inflater: Inflater | None = None


class Conversation:
    """Runs ``view()`` on the WebSocket that ``request`` has become.

    ``place`` is given back at the end; ``sender`` is who sends Django's signals.
    """

    __slots__ = ("_context", "_options", "_place", "_request", "_sender", "_view")

    def __init__(
        self,
        request: HttpRequest,
        options: Options,
        view: Callable[[], Any],
        place: Place,
        context: Context,
        sender: Any,
    ) -> None:
        self._request = request
        self._options = options
        self._view = view
        self._place = place
        self._context = context
        self._sender = sender

    def run(self, sock: Any, pending: bytes, handshake: bytes, agreed: Agreed) -> None:
        """Send the ``handshake``, run the view, and see the connection to its end.

        ``pending`` are bytes from the client that were read behind its request.
        """
        # Context.run() would do, but leaves a frame of C on the stack, for hours.
        _adopt(self._context)
        current: Any = getcurrent()
        outer, current.gr_context = current.gr_context, self._context
        try:
            self._converse(sock, pending, handshake, agreed)
        finally:
            current.gr_context = outer
            self._place.give_back()

    def _converse(self, sock: Any, pending: bytes, handshake: bytes, agreed: Agreed) -> None:
        # Imports eventlet, which only a server needs that got this far.
        from django_websocket_ev.connection import Connection

        request = self._request
        alive = True
        try:
            sock.sendall(handshake)
        except OSError:
            alive = False  # gone again; the view sees a closed WebSocket
        connection = Connection(sock, self._options, pending, alive=alive, inflater=agreed.inflater)
        begun = monotonic()
        client = request.META.get("REMOTE_ADDR") or "unix"
        access_logger.info("WebSocket %s open, client %s", request.path, client)
        lease = Lease(self._options.db_idle)
        watch = self._watch(connection)
        try:
            saver = SessionSaver.of(request)
            request.websocket = WebSocket(  # type: ignore[attr-defined]
                connection, agreed.subprotocol, saver, agreed.deflater, lease
            )
            self._run_view(connection, saver)
        finally:
            if watch is not None:
                watch.end()
            lease.end()
            connection.finish()
            access_logger.info(
                "WebSocket %s closed, client %s, code %s, %.3f s, messages in %d, out %d",
                request.path,
                client,
                connection.close_code,
                monotonic() - begun,
                connection.messages_in,
                connection.messages_out,
            )

    def _watch(self, connection: Connection) -> Watch | None:
        """Have the WebSocket of a user end with the login."""
        session = getattr(self._request, "session", None)
        if session is None or not apps.is_installed("django.contrib.auth"):
            return None
        from django_websocket_ev.session_check import Watch

        return Watch(session, connection)

    def _run_view(self, connection: Connection, saver: SessionSaver | None) -> None:
        """Run the view and close with the code that its end deserves."""
        code, reason = codes.INTERNAL_ERROR, ""
        try:
            code, reason = self._verdict(self._run_to_end(saver))
        except _POLICY as error:
            code = codes.POLICY_VIOLATION
            log = security_logger if isinstance(error, SuspiciousOperation) else logger
            log.warning(
                "%s in a WebSocket view: %s: %s",
                type(error).__name__,
                self._request.path,
                error,
                extra={"request": self._request, "status_code": code},
            )
        except (GreenletExit, KeyboardInterrupt):
            # The server cuts what did not end in its time.
            connection.close(codes.GOING_AWAY)
            connection.drop()
            raise
        except BaseException as error:  # eventlet.Timeout is no Exception, nor is SystemExit
            got_request_exception.send(sender=self._sender, request=self._request)
            logger.error(
                "Exception in a WebSocket view: %s",
                self._request.path,
                exc_info=error,
                extra={"request": self._request, "status_code": code},
            )
        finally:
            connection.close(code, reason)

    def _run_to_end(self, saver: SessionSaver | None) -> Any:
        """Run the view, and save the session as SessionMiddleware does: unless that failed."""
        result = denied = None
        try:
            result = self._view()
        except ConnectionClosed:
            pass  # the client left, as clients may
        except _POLICY as error:
            denied = error
        if saver is not None and saver.session.modified:
            saver.save()
        if denied is not None:
            raise denied
        return result

    def _verdict(self, result: Any) -> tuple[int, str]:
        """Return the close code for what the view returned: None, as a rule."""
        if asyncio.iscoroutine(result):
            result.close()
            raise TypeError(
                f"the view of {self._request.path} is asynchronous: a WebSocket view is an"
                " ordinary function, and may block"
            )
        status = getattr(result, "status_code", 200)
        if hasattr(result, "close"):
            result.close()
        if status < 300:
            return codes.NORMAL_CLOSURE, ""
        # login_required, say, inside the decorator: too late for its status.
        return codes.POLICY_VIOLATION, f"{status} {reasons.get(status, '')}".strip()
