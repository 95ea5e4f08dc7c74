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
from typing import Any

import eventlet
from eventlet import hubs, patcher
from eventlet.greenio import GreenSocket
from eventlet.support.greenlets import GreenletExit
from gunicorn import arbiter
from gunicorn.sock import ssl_context
from gunicorn.workers.base_async import AsyncWorker

from django_websocket_ev import hub
from django_websocket_ev.connection import close_all
from django_websocket_ev.http_handler import wait_for_turn
from django_websocket_ev.protocol.close import GOING_AWAY, SERVICE_RESTART
from django_websocket_ev.server import accept, raise_file_limit, watch_hub


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


def _patience(graceful_timeout: float) -> float:
    """Return the seconds until what is left is cut: sooner than the master kills the worker."""
    return max(graceful_timeout - 1, graceful_timeout / 2)


class EventletWorker(AsyncWorker):  # type: ignore[misc]
    """Serves each client in a green thread of a patched process."""

    def init_process(self) -> None:
        """Set the process up, right after the fork."""
        #: The path of each request that is served, by its green thread.
        self._served: dict[Any, str] = {}
        hub.use()  # that from before the fork shares its epoll with the master
        super().init_process()

    def timeout_ctx(self) -> Any:
        """Return what ends the wait for a connection's next request."""
        return eventlet.Timeout(self.cfg.keepalive or None, False)

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
        if "django.conf" in sys.modules:
            from django_websocket_ev.conf import get_options

            options = get_options()
            raise_file_limit(options.max_connections)
            if options.hub_watchdog is not None:
                watch_hub(options.hub_watchdog)
        pool = eventlet.GreenPool(self.worker_connections)
        tls = ssl_context(self.cfg) if self.cfg.is_ssl else None
        acceptors = []
        for listener in self.sockets:
            green = GreenSocket(listener.sock)
            green.setblocking(True)

            def on_accept(sock: Any, address: Any, listener: Any = listener) -> None:
                # Blocks while worker_connections are served: others wait in the backlog.
                pool.spawn_n(self._serve, listener, tls, sock, address)

            acceptors.append(eventlet.spawn(accept, green, on_accept))
        while self.alive and self.ppid == os.getppid():  # not once the master is gone
            self.notify()
            self._wait_for_signal()
        for acceptor in acceptors:
            acceptor.kill()
        close_all(SERVICE_RESTART if self.nr >= self.max_requests else GOING_AWAY)
        with eventlet.Timeout(_patience(self.cfg.graceful_timeout), False):
            while pool.running():
                self.notify()
                eventlet.sleep(0.1)
        for thread, path in list(self._served.items()):
            self.log.warning("Cut after %s seconds: %s", self.cfg.graceful_timeout, path)
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
        thread = eventlet.getcurrent()
        self._served[thread] = req.path
        try:
            return super().handle_request(listener_name, req, *arguments)
        finally:
            del self._served[thread]

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that failed; one that was cut has no answer any more."""
        if not isinstance(exc, GreenletExit):
            super().handle_error(req, client, addr, exc)

    def _serve(self, listener: Any, tls: Any, sock: Any, address: Any) -> None:
        try:
            if tls is not None:
                sock = tls.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=True, suppress_ragged_eofs=True
                )
            self.handle(listener, sock, address)
        except OSError as error:
            self.log.debug("Connection lost: %s", error)
            sock.close()
