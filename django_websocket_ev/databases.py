"""Database connections of a view that waits: it gives them back.

A WebSocket is open for hours and uses the database for milliseconds. Held all the
while, a few hundred of them would have every connection that the database
allows. So a view that waits gives its connections back: at once where Django keeps
a pool of them, or where another has to wait for one (database_limit.py), else after
``WEBSOCKET_DB_IDLE`` seconds, for a new one is not free. The next query gets another.

What is inside ``atomic`` stays, and so does an SQLite database in memory, which
would be gone.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import wraps
from typing import Any

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_websocket_ev import bootstrap
from django_websocket_ev.database_limit import fileno, is_wanted, lay_aside

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
                with suppress(Error):
                    connection.close_if_unusable_or_obsolete()
            if connection.connection is None:
                continue
            if getattr(connection, "pool", None) is not None or is_wanted(connection):
                _close(connection)
            else:
                lay_aside(connection)
                kept = True
        if kept:
            return self._idle
        self.held = bool(_open_connections())
        return None

    def give_back(self) -> None:
        """Close what may be closed."""
        give_back_all()
        self.held = bool(_open_connections())

    def check(self) -> None:
        """Give back what the database has closed meanwhile, before a query finds out.

        And what others wait for, as far as the view lets go of any: one that always finds
        a message never waits.
        """
        if threading.get_ident() != self._thread:
            return
        for connection in _open_connections():
            if _may_close(connection):
                is_due = self._idle is not None and is_wanted(connection)
                if is_due or _has_something_to_say(connection):
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
    from django_websocket_ev.greensocket import has_input

    number = fileno(connection)  # SQLite, for one, has no socket
    return number is not None and has_input(number)


def give_back_all(**kwargs: Any) -> None:
    """Give back what a request has used.

    With ``CONN_MAX_AGE`` each green thread would keep its own, and there is one for
    each client that keeps its HTTP connection.
    """
    for connection in _open_connections():
        if _may_close(connection):
            _close(connection)


def _replace_dropped(connection: Any) -> None:
    """Have another from the pool, which does not know that the database has closed this one."""
    for _ in range(connection.pool.max_size):
        if not _has_something_to_say(connection):
            return
        driver, connection.connection = connection.connection, None
        driver.close()
        connection.pool.putconn(driver)  # it opens a new one for it
        connection.connection = connection.get_new_connection(connection.get_connection_params())
        connection.set_autocommit(connection.settings_dict["AUTOCOMMIT"])


def _on_created(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    lease = getattr(_local, "lease", None)
    if lease is not None:
        lease.held = True
    if bootstrap.is_patched() and getattr(connection, "pool", None) is not None:
        _replace_dropped(connection)


def drop_half_made() -> None:
    """Have Django close a connection that breaks while it is being set up.

    Django would keep it for the next query, until the request ends. A WebSocket lives
    on, and each of its queries would fail.
    """
    original = BaseDatabaseWrapper.connect

    @wraps(original)
    def connect(self: BaseDatabaseWrapper) -> None:
        try:
            original(self)
        except BaseException:
            with suppress(Error):
                self.close()
            raise

    BaseDatabaseWrapper.connect = connect  # type: ignore[method-assign]


connection_created.connect(_on_created, dispatch_uid="django_websocket_ev.databases")
