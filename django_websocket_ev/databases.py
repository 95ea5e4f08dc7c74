"""Database connections of a view that waits: it gives them back.

A WebSocket is open for hours and uses the database for milliseconds. Held all the
while, a few hundred of them would have every connection that the database
allows. So a view that waits gives its connections back: at once where Django keeps
a pool of them, else after ``WEBSOCKET_DB_IDLE`` seconds, for a new one is not free.
The next query gets another.

What is inside ``atomic`` stays, and so does an SQLite database in memory, which
would be gone.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.db import Error, connections
from django.db.backends.signals import connection_created

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

#: In a patched process, the green thread's own.
_local = threading.local()


class Lease:
    """The database connections of the green thread in which it is made, for a view.

    ``idle`` is the seconds of waiting after which they are given back, None for never.
    """

    __slots__ = ("_idle", "_thread", "held")

    def __init__(self, idle: float | None) -> None:
        self._idle = idle
        self._thread = threading.get_ident()
        #: Whether there may be any: a view that uses no database has no more to ask.
        self.held = bool(_open_connections())
        _local.lease = self

    def end(self) -> None:
        """Give them back for good: the green thread ends with the view."""
        _local.lease = None
        if self.held:
            self.give_back()

    def prepare(self) -> float | None:
        """Return the seconds that the view may wait before :meth:`give_back` is due.

        None: for ever. What can be had back at no cost is given back now, and so
        is what would fail at the next query.
        """
        if self._idle is None or threading.get_ident() != self._thread:
            return None
        kept = False
        for connection in _open_connections():
            if not _may_close(connection):
                continue
            if connection.errors_occurred:
                connection.close_if_unusable_or_obsolete()
            if getattr(connection, "pool", None) is not None:
                _close(connection)
            kept = kept or connection.connection is not None
        if kept:
            return self._idle
        self.held = bool(_open_connections())
        return None

    def give_back(self) -> None:
        """Close what may be closed."""
        give_back_all()
        self.held = bool(_open_connections())

    def check(self) -> None:
        """Give back what the database has closed meanwhile, before a query finds out."""
        if threading.get_ident() == self._thread:
            for connection in _open_connections():
                if _may_close(connection) and _has_something_to_say(connection):
                    _close(connection)


def _open_connections() -> list[BaseDatabaseWrapper]:
    return [
        connection
        for connection in connections.all(initialized_only=True)
        if connection.connection is not None
    ]


def _may_close(connection: BaseDatabaseWrapper) -> bool:
    # Inside atomic it is off, and so it is where a view handles transactions itself.
    return connection.get_autocommit()


def _close(connection: BaseDatabaseWrapper) -> None:
    with suppress(Error):  # it was broken
        connection.close()


def _has_something_to_say(connection: BaseDatabaseWrapper) -> bool:
    """Whether a database speaks that was asked nothing: to say goodbye, as a rule."""
    driver: Any = connection.connection
    driver = getattr(driver, "_sock", driver)  # PyMySQL's
    from django_websocket_ev.greensocket import has_input

    try:
        return has_input(driver.fileno())
    except (AttributeError, OSError, TypeError, ValueError, Error):
        return False  # SQLite, for one, has no socket


def give_back_all(**kwargs: Any) -> None:
    """Give back what a request has used.

    With ``CONN_MAX_AGE`` each green thread would keep its own, and there is one for
    each client that keeps its HTTP connection.
    """
    for connection in _open_connections():
        if _may_close(connection):
            _close(connection)


def _on_created(**kwargs: Any) -> None:
    lease = getattr(_local, "lease", None)
    if lease is not None:
        lease.held = True


connection_created.connect(_on_created, dispatch_uid="django_websocket_ev.databases")
