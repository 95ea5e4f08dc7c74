"""A view's session, saved while its WebSocket stays open.

SessionMiddleware saves a session when the response leaves, which for a WebSocket
is the handshake. What the view changes later would be lost.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase
    from django.http import HttpRequest

logger = logging.getLogger("django_websocket_ev")


class SessionSaver:
    """Saves the session of one request.

    To be made when the handshake, with the session's cookie, has left.
    """

    __slots__ = ("_key", "_path", "session")

    def __init__(self, session: SessionBase, path: str) -> None:
        self.session = session
        self._path = path
        #: What the client's cookie says.
        self._key = session.session_key
        # The middleware has saved what was modified, and leaves this as it was.
        session.modified = False

    @classmethod
    def of(cls, request: HttpRequest) -> SessionSaver | None:
        """Return what saves the session of ``request``, None where it has none."""
        session = getattr(request, "session", None)
        return None if session is None else cls(session, request.path)

    def save(self) -> None:
        """Save the session, which was modified.

        Raises SessionInterrupted where it has been deleted meanwhile.
        """
        session = self.session
        try:
            if session.session_key is not None:
                session.save()
        except UpdateError:
            raise SessionInterrupted(
                "The session was deleted while its WebSocket was open, probably by a logout."
            ) from None
        finally:
            session.modified = False  # the backend for signed cookies says otherwise
        if session.session_key is None or session.session_key != self._key:
            logger.warning(
                "A new session cannot be kept from within a WebSocket, nor a new key of one: the"
                " cookie would have to go out with the handshake (%s). Create the session in the"
                " view that renders the page, for example with request.session.save(), and log in"
                " and out by plain HTTP.",
                self._path,
            )
