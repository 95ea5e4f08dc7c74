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
    from collections.abc import Callable

    from django.contrib.sessions.backends.base import SessionBase
    from django.http import HttpRequest

logger = logging.getLogger("django_websocket_ev")


def session_saver(request: HttpRequest) -> Callable[[], None] | None:
    """Return what saves the session of ``request`` if it was modified.

    None where the request has no session. To be called when the handshake,
    with the session's cookie, has left.
    """
    session: SessionBase | None = getattr(request, "session", None)
    if session is None:
        return None
    # The middleware has saved it, and leaves this as it was.
    session.modified = False
    client_knows_key = bool(session.session_key)

    def save() -> None:
        if not session.modified:
            return
        session.modified = False
        if not client_knows_key:
            logger.warning(
                "A new session cannot be kept from within a WebSocket: its cookie would have"
                " to go out with the handshake (%s). Create the session in the view that"
                " renders the page, for example with request.session.save().",
                request.path,
            )
            return
        try:
            session.save()
        except UpdateError:
            raise SessionInterrupted(
                "The session was deleted while its WebSocket was open, probably by a logout."
            ) from None

    return save
