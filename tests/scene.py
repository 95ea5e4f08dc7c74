"""The test's end of the backstage: it hears what a view does, and opens doors for it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from websockets.sync.client import connect

from servers import PATIENCE


class Scene:
    """A second WebSocket, to tests/project/backstage.py, beside the one under test.

    A view that was called with an address of :meth:`path` belongs to it.
    """

    def __init__(self, server) -> None:
        self._name = secrets.token_hex(4)
        self._connecting = connect(server.ws(f"/backstage/?scene={self._name}"))

    def __enter__(self) -> Scene:
        self._socket = self._connecting.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._connecting.__exit__(*exc_info)

    def path(self, path: str, **query: object) -> str:
        """Return ``path`` with a query that names this scene."""
        return f"{path}?{urlencode({'scene': self._name, **query})}"

    def note(self) -> Any:
        """Return the view's next note, as soon as there is one."""
        return json.loads(self._socket.recv(PATIENCE))

    def open(self, door: str = "door") -> None:
        """Let a view through that waits at ``door``, now or later."""
        self._socket.send(json.dumps({"open": door}))

    def look(self, fact: str) -> Any:
        """Return what the view has shown last; no note may be due at the time."""
        self._socket.send(json.dumps({"look": fact}))
        return self.note()

    def look_until(self, fact: str, is_so: Callable[[Any], bool]) -> Any:
        """Look again and again until what the view shows is so, and return that."""
        patience_ends = time.monotonic() + PATIENCE
        while not is_so(seen := self.look(fact)):
            assert time.monotonic() < patience_ends, f"{fact} is still {seen!r}"
        return seen
