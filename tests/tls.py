"""TLS for clients that read in one thread and write in another, as websockets' own do.

OpenSSL allows one call at a time on a connection, and Python's ssl module does not look after
that: with any server, one connection in some hundreds waits for ever, or fails.
See https://github.com/python/cpython/issues/137583 for the attempt to.
"""

from __future__ import annotations

import select
import ssl
from os import PathLike
from threading import Lock
from typing import Any


class OneAtATime(ssl.SSLSocket):
    """A TLS socket with one call under way at a time; none while it waits for bytes."""

    def do_handshake(self, block: bool = False) -> None:
        self._turn = Lock()
        super().do_handshake(block)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        while True:
            with self._turn:
                timeout = self.gettimeout()
                self.settimeout(0)
                try:
                    return super().read(len, buffer)
                except ssl.SSLWantReadError:
                    descriptor = self.fileno()
                finally:
                    self.settimeout(timeout)
            if not select.select([descriptor], [], [], timeout)[0]:
                raise TimeoutError("The read operation timed out")

    def send(self, data: Any, flags: int = 0) -> int:
        with self._turn:
            return super().send(data, flags)


def client_context(certificate: str | PathLike[str]) -> ssl.SSLContext:
    """Return the context of a client that trusts ``certificate``."""
    context = ssl.create_default_context(cafile=certificate)
    context.sslsocket_class = OneAtATime
    return context
