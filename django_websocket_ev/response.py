"""The response that a WebSocket view returns: its iteration is the conversation.

The decorator returns it before the view has run. It leaves through the
middleware, which saves sessions, sets cookies and ends transactions as for any
response, and when the WSGI server iterates over it the handshake goes out and
the view runs, in a copy of the context in which it was called.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import copy_context
from http.client import responses as reasons
from time import monotonic
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404
from django.http.response import HttpResponseBase
from greenlet import GreenletExit

from django_websocket_ev.databases import Lease
from django_websocket_ev.exceptions import ConnectionClosed
from django_websocket_ev.protocol import close as codes
from django_websocket_ev.protocol.deflate import Inflater, get_deflater, negotiate
from django_websocket_ev.protocol.handshake import build_response, select_subprotocol
from django_websocket_ev.sessions import SessionSaver
from django_websocket_ev.websocket import WebSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpRequest

    from django_websocket_ev.conf import Options
    from django_websocket_ev.connection import Connection
    from django_websocket_ev.limits import Place
    from django_websocket_ev.protocol.handshake import Opening
    from django_websocket_ev.session_check import Watch
    from django_websocket_ev.transport import Transport

logger = logging.getLogger("django.request")
security_logger = logging.getLogger("django.security")
access_logger = logging.getLogger("django_websocket_ev.access")

#: What the peer may not do, or ask for; said with a close code of 1008 and no traceback.
_POLICY = (PermissionDenied, Http404, SuspiciousOperation, BadRequest)


class WebSocketResponse(HttpResponseBase):
    """A 101 response to ``opening``, whose iteration runs ``view()``.

    What middleware adds to it does not go out, for little of it has a meaning
    in a handshake: cookies do.
    """

    status_code = 101
    # Middleware neither asks for the content of such a response nor its length.
    streaming = True
    is_async = False
    streaming_content: Any = ()

    def __init__(
        self,
        request: HttpRequest,
        opening: Opening,
        options: Options,
        transport: Transport,
        view: Callable[[], Any],
        place: Place,
    ) -> None:
        super().__init__()
        del self.headers["Content-Type"]
        self._request = request
        self._opening = opening
        self._options = options
        self._transport = transport
        self._view = view
        self._place = place
        self._context = copy_context()

    def __iter__(self) -> Iterator[bytes]:
        try:
            self._context.run(self._converse)
        finally:
            self._place.give_back()
        return iter(())

    def _converse(self) -> None:
        # Imports eventlet, which only a server needs that got this far.
        from django_websocket_ev.connection import Connection

        request = self._request
        sock = self._transport.get_socket(request.META)
        subprotocol = select_subprotocol(self._opening.subprotocols, self._options.subprotocols)
        deflater = inflater = agreement = None
        if self._options.compression is not None:
            agreement = negotiate(self._opening.extensions, self._options.compression)
            if agreement is not None:
                deflater = get_deflater(agreement, self._options.compression)
                inflater = Inflater(agreement)
        cookies = [("Set-Cookie", c.output(header="").strip()) for c in self.cookies.values()]
        pending = self._transport.take_pending(request.META, sock)
        alive = True
        try:
            sock.sendall(build_response(self._opening, subprotocol, cookies, agreement))
        except OSError:
            alive = False  # gone again; the view sees a closed WebSocket
        connection = Connection(sock, self._options, pending, alive=alive, inflater=inflater)
        begun = monotonic()
        client = request.META.get("REMOTE_ADDR") or "unix"
        access_logger.info("WebSocket %s open, client %s", request.path, client)
        lease = Lease(self._options.db_idle)
        watch = self._watch(connection)
        try:
            saver = SessionSaver.of(request)
            request.websocket = WebSocket(  # type: ignore[attr-defined]
                connection, subprotocol, saver, deflater, lease
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
            got_request_exception.send(sender=self._handler_class, request=self._request)
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

    # The class of the handler, which Django's own sets; the sender of signals.
    _handler_class: Any = None
