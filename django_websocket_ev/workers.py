"""A gunicorn worker: ``gunicorn -k django_websocket_ev.workers.EventletWorker project.wsgi``.

gunicorn 26 dropped its own eventlet worker; the class that it stood on is still
there. gunicorn imports this module before the application, so the process is
patched in time by the first lines below.
"""

from __future__ import annotations

# ruff: noqa: E402 - nothing may be imported before the patch
from django_websocket_ev import bootstrap

bootstrap.patch()

import os
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import eventlet
from eventlet import hubs, patcher
from eventlet.greenio import GreenSocket, shutdown_safe
from eventlet.semaphore import Semaphore
from eventlet.support.greenlets import GreenletExit
from gunicorn import arbiter
from gunicorn.sock import ssl_context
from gunicorn.workers.base_async import AsyncWorker

from django_websocket_ev import hub
from django_websocket_ev.connection import close_all
from django_websocket_ev.greensocket import has_input
from django_websocket_ev.http_handler import NO_BODY, share_names, wait_for_turn
from django_websocket_ev.protocol.close import GOING_AWAY, SERVICE_RESTART
from django_websocket_ev.server import accept, freeze, raise_file_limit, watch_hub
from django_websocket_ev.transport import OWN_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable


class _NativeOs:
    """``os`` as it was before the patch, where it waits."""

    def __init__(self) -> None:
        native = patcher.original("os")
        self.read, self.write, self.waitpid = native.read, native.write, native.waitpid

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


if hasattr(arbiter, "select"):
    # Before version 25 the master, which has loaded this module too, writes to a pipe
    # from its signal handlers: no green code may, in the middle of the hub's wait.
    arbiter.select = patcher.original("select")
    arbiter.os = _NativeOs()


#: Seconds for the first request of whoever has just connected to a process that stops: it may be
#: on its way.
_LAST_CALL = 2.0

#: Bytes of a file to send before others get a turn.
_PIECE = 2**20


#: The end of a connection whose other end is gone.
_broken, _other = patcher.original("socket").socketpair()
_other.close()


class _Socket(GreenSocket):  # type: ignore[misc]
    """A green socket that can send a file, and give its connection away.

    Those that it accepts are such as well.
    """

    #: Which has the connection now, where this one has it no more.
    heir: _Socket | None = None
    fd: Any

    def give_away(self) -> _Socket:
        """Return another socket, which has the connection: here it is as if the client had left."""
        inner, self.fd = self.fd, _broken
        connection = type(inner)(inner.family, inner.type, inner.proto, inner.detach())
        self.heir = _Socket(connection)
        return self.heir

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file, or ``count`` bytes of it, and return how many those were.

        eventlet's own fails where it would have to wait.
        """
        sent = 0
        while count is None or sent < count:
            size = _PIECE if count is None else min(count - sent, _PIECE)
            try:
                taken = os.sendfile(self.fileno(), file.fileno(), offset + sent, size)
            except BlockingIOError:
                hubs.trampoline(self, write=True)
                continue
            if not taken:
                break
            sent += taken
            eventlet.sleep(0)
        return sent


class _Patience(eventlet.Timeout):  # type: ignore[misc]
    """The time that a client has for its next request, in a ``with`` statement.

    Where the process stops it is ``last`` seconds from then.

    What has come and waits to be read is not late: where the hub was held, as by the first
    request, which imports all views, its timers come before what has arrived meanwhile.
    """

    def __init__(self, seconds: float, sock: Any, waiting: set[_Patience], last: float = 0) -> None:
        self.last = last
        self._fileno = sock.fileno()  # which TLS will take from it
        self._waiting = waiting
        self._thread = eventlet.getcurrent()
        super().__init__(seconds, False)

    def start(self) -> None:
        """Begin to count."""
        self._waiting.add(self)
        self.timer = hubs.get_hub().schedule_call_global(self.seconds, self.end)

    def cancel(self) -> None:
        """Count no more."""
        self._waiting.discard(self)
        super().cancel()

    def end(self) -> None:
        """Stop waiting, if nothing is there yet. Only the hub may call this."""
        if self not in self._waiting:
            return
        super().cancel()
        if has_input(self._fileno):
            self.start()
        else:
            self._thread.throw(self)


def _patience(graceful_timeout: float) -> float:
    """Return the seconds until what is left is cut: sooner than the master kills the worker."""
    return max(graceful_timeout - 1, graceful_timeout / 2)


class _Client:
    """Somebody who is connected by ``sock``."""

    __slots__ = ("converse", "has_asked", "path", "sock")

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        #: Whether there was a request, or one is waited for.
        self.has_asked = False
        #: Of the request, or of the WebSocket, that is served now.
        self.path: str | None = None
        #: What is to run on the connection after its request.
        self.converse: Callable[[], None] | None = None


class EventletWorker(AsyncWorker):  # type: ignore[misc]
    """Serves each client in a green thread of a patched process."""

    wsgi: Any

    def init_process(self) -> None:
        """Set the process up, right after the fork."""
        #: Everybody who is connected, by the green thread that serves them.
        self._clients: dict[Any, _Client] = {}
        self._slots = Semaphore(self.worker_connections)
        #: With those whose next request is to come.
        self._waiting: set[_Patience] = set()
        hub.use()  # that from before the fork shares its epoll with the master
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the application, and have its WebSockets leave their request behind."""
        super().load_wsgi()
        application: Callable[..., Any] = self.wsgi

        def serve(environ: dict[str, Any], start_response: Any) -> Any:
            if isinstance(environ.get("gunicorn.socket"), _Socket):  # TLS can not be given away
                environ[OWN_SERVER] = partial(self._hand_over, environ)
            return application(environ, start_response)

        self.wsgi = serve

    def _hand_over(self, environ: dict[str, Any], converse: Callable[[], None]) -> None:
        """Have ``converse()`` run once the request, its parser and their stack are gone."""
        environ["wsgi.input"] = NO_BODY
        del environ["gunicorn.socket"], environ[OWN_SERVER]
        share_names(environ)
        self._clients[eventlet.getcurrent()].converse = converse

    def timeout_ctx(self) -> Any:
        """Return what ends the wait for a connection's next request."""
        client = self._clients[eventlet.getcurrent()]
        if client.has_asked:
            return _Patience(self.cfg.keepalive, client.sock, self._waiting)
        client.has_asked = True
        return self._first_patience(client.sock)

    def _first_patience(self, sock: Any) -> _Patience:
        """Return what ends the wait for a client's first request, or for TLS before that."""
        seconds = self._request_timeout if self.alive else _LAST_CALL
        return _Patience(seconds, sock, self._waiting, _LAST_CALL)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Stop at once. A signal handler may not block, so a green thread does it."""
        self.alive = False
        eventlet.spawn_after(0, self._quit)

    def _quit(self) -> None:
        self.cfg.worker_int(self)
        close_all(GOING_AWAY)
        hubs.get_hub().schedule_call_global(0.1, sys.exit, 0)

    def handle_usr1(self, sig: int, frame: Any) -> None:
        """Reopen the logs, out of the signal handler."""
        eventlet.spawn_after(0, super().handle_usr1, sig, frame)

    def run(self) -> None:
        """Serve until the master says otherwise, then let everybody finish."""
        raise_file_limit()
        self._request_timeout = 60.0
        if "django.conf" in sys.modules:
            from django_websocket_ev.conf import get_options

            options = get_options()
            raise_file_limit(options.max_connections)
            if options.hub_watchdog is not None:
                watch_hub(options.hub_watchdog)
            self._request_timeout = options.request_timeout
        freeze(is_shared=self.cfg.preload_app)
        tls = ssl_context(self.cfg) if self.cfg.is_ssl else None
        acceptors = []
        for listener in self.sockets:
            green = _Socket(listener.sock)
            green.setblocking(True)

            def on_accept(sock: Any, address: Any, listener: Any = listener) -> None:
                # Blocks while worker_connections are served: others wait in the backlog.
                self._slots.acquire()
                self._spawn(self._serve, _Client(sock), listener, tls, address)

            acceptors.append(eventlet.spawn(accept, green, on_accept))
        while self.alive and self.ppid == os.getppid():  # not once the master is gone
            self.notify()
            self._wait_for_signal()
        for acceptor in acceptors:
            acceptor.kill()
        for patience in self._waiting:  # they have nothing to finish
            hubs.get_hub().schedule_call_global(patience.last, patience.end)
        close_all(SERVICE_RESTART if self.nr >= self.max_requests else GOING_AWAY)
        with eventlet.Timeout(_patience(self.cfg.graceful_timeout), False):
            while self._clients:
                self.notify()
                eventlet.sleep(0.1)
        for thread, client in list(self._clients.items()):
            if client.path is not None:
                self.log.warning("Cut after %s seconds: %s", self.cfg.graceful_timeout, client.path)
                eventlet.kill(thread)

    def _wait_for_signal(self) -> None:
        """Wait until there was one, a second at most."""
        wakeup = self.PIPE[0]  # each signal writes to its other end
        with suppress(TimeoutError, BlockingIOError):
            hubs.trampoline(wakeup, read=True, timeout=1.0, timeout_exc=TimeoutError)
            patcher.original("os").read(wakeup, 4096)

    def handle_request(self, listener_name: Any, req: Any, *arguments: Any) -> Any:
        """Serve one request, when it is its turn."""
        wait_for_turn()
        client = self._clients[eventlet.getcurrent()]
        client.path = req.path
        try:
            return super().handle_request(listener_name, req, *arguments)
        finally:
            if client.converse is None:
                client.path = None

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that failed; one that was cut has no answer any more."""
        if not isinstance(exc, GreenletExit):
            super().handle_error(req, client, addr, exc)

    def _spawn(self, serve: Callable[..., None], client: _Client, *arguments: Any) -> None:
        self._clients[eventlet.spawn_n(serve, client, *arguments)] = client

    def _serve(self, client: _Client, listener: Any, tls: Any, address: Any) -> None:
        """Serve what comes on a connection, until it ends or has become a WebSocket."""
        try:
            if tls is not None:
                encrypted = None
                with self._first_patience(client.sock):
                    encrypted = tls.wrap_socket(client.sock, server_side=True)
                if encrypted is None:
                    raise TimeoutError("its TLS handshake did not end in time")
                client.sock = encrypted
            self.handle(listener, client.sock, address)
        except OSError as error:
            self.log.debug("Connection lost: %s", error)
            client.sock.close()
        finally:
            if client.converse is not None:
                self._spawn(self._converse, client)
                del self._clients[eventlet.getcurrent()]
            else:
                self._end()

    def _converse(self, client: Any) -> None:
        sock, converse = client.sock.heir, client.converse
        # The request's own socket would stay with it for hours.
        client.sock = client.converse = None
        try:
            converse()
        except OSError as error:
            self.log.debug("Connection lost: %s", error)
        except Exception:
            self.log.exception("Error on a WebSocket: %s", client.path)
        finally:
            shutdown_safe(sock)
            sock.close()
            self._end()

    def _end(self) -> None:
        del self._clients[eventlet.getcurrent()]
        self._slots.release()
