"""The development server: what Django's ``runserver`` wants of a server class.

Django's command brings the banner, the checks, the messages for a busy port; this
puts our server where its own would be. And it sees that the process is patched:
``manage.py`` has imported Django long before a command runs, so the process
starts anew, through ``python -m django_websocket_ev``.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import autoreload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: The exit code by which Django's auto-reloader asks to be started anew.
_RELOAD = 3


def patched_arguments() -> list[str]:
    """Return the command line that starts this process anew, patched."""
    arguments = autoreload.get_child_arguments()
    flags = 1 + len(sys.warnoptions) + len(sys._xoptions)
    return [*arguments[:flags], "-m", "django_websocket_ev", *arguments[flags:]]


def start_anew() -> None:
    """Replace this process by a patched one with the same arguments."""
    arguments = patched_arguments()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, arguments)


#: WEBSOCKET_HUB_WATCHDOG where it is not set: who develops wants to know.
_HUB_WATCHDOG = 0.1


def is_reloader_child() -> bool:
    """Whether this is the process that serves, under the auto-reloader's eyes."""
    return os.environ.get(autoreload.DJANGO_AUTORELOAD_ENV) == "true"


def supervise() -> None:
    """Be the auto-reloader's parent: run a child that serves, again after each change.

    Django's own kills the child a quarter of a second after Ctrl-C. This one
    passes the signal on and lets it say goodbye.
    """
    environ = {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"}
    stopping = False
    child: subprocess.Popen[bytes] | None = None

    def stop(signum: int, frame: Any) -> None:
        nonlocal stopping
        stopping = True
        if child is not None:
            child.terminate()

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, stop)
    while not stopping:
        child = subprocess.Popen(patched_arguments(), env=environ, close_fds=False)
        if stopping:  # between the two lines above
            child.terminate()
        code = child.wait()
        if code == -signal.SIGTERM and stopping:
            code = 0  # it had not begun, or had ended, to listen to signals
        if code != _RELOAD:
            sys.exit(code if code >= 0 else 128 - code)
    sys.exit(0)


class DevelopmentServer:
    """Has the interface of ``django.core.servers.basehttp.WSGIServer``, as far as it is used."""

    def __init__(
        self,
        address: tuple[str, int],
        handler_class: type,
        ipv6: bool = False,
        graceful_timeout: float = 10.0,
    ) -> None:
        from django_websocket_ev.conf import get_options
        from django_websocket_ev.server import Server, listen, raise_file_limit, stop_on_signals

        raise_file_limit()
        listener = listen(address, socket.AF_INET6 if ipv6 else socket.AF_INET)
        self.server_port = listener.getsockname()[1]
        self._server = Server(
            listener,
            lambda environ, start_response: self._application(environ, start_response),
            graceful_timeout=graceful_timeout,
            request_timeout=get_options().request_timeout,
            access_log=logging.getLogger("django.server"),
        )
        # Before the banner: who reads that may signal.
        stop_on_signals(self._server)

    def set_app(self, application: Callable[..., Iterable[bytes]]) -> None:
        """Take the WSGI application to serve."""
        self._application = application

    def serve_forever(self) -> None:
        """Serve until a signal, then until everybody has left."""
        from django_websocket_ev.connection import close_all
        from django_websocket_ev.protocol.close import SERVICE_RESTART
        from django_websocket_ev.server import exit_main, watch_hub

        _show_websocket_lines()
        hold = getattr(settings, "WEBSOCKET_HUB_WATCHDOG", _HUB_WATCHDOG)
        if hold is not None:
            watch_hub(hold)
        # The auto-reloader leaves by sys.exit(), in the middle of everything.
        atexit.register(close_all, SERVICE_RESTART)
        self._server.serve()
        if is_reloader_child():
            exit_main()


def _show_websocket_lines() -> None:
    """Let the lines of WebSockets go where those of requests go, unless LOGGING says where."""
    log = logging.getLogger("django_websocket_ev")
    if not log.hasHandlers():
        for handler in logging.getLogger("django.server").handlers:
            log.addHandler(handler)
        log.setLevel(logging.INFO)
