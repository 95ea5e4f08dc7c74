"""A limit on database connections where there is no pool: ``WEBSOCKET_DB_CONNECTIONS``.

Two thousand views that are asked at the same moment would open two thousand
connections, and the database allows a hundred. With the limit, a green thread that
needs one more waits its turn: first come, first served. Those that views keep while
they wait for a message are taken back for it, the longest idle first.

A connection counts until the database has let go of it, which is later than the
driver's ``close()``: PostgreSQL takes its time to end a backend, and refuses a newcomer
until then.

The limit is for each process and each alias, and for green threads, of WebSockets and
of plain HTTP. A pool has a limit of its own, and an SQLite database in memory is
never given back, so neither is counted.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from contextlib import suppress
from functools import wraps
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from django.db import Error, OperationalError
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper
from greenlet import getcurrent

if TYPE_CHECKING:
    from greenlet import greenlet

#: Seconds that a green thread waits for its turn.
PATIENCE = 30.0

#: Seconds after which the first in line looks again for connections that nobody will use.
_LOOK = 1.0

#: Seconds that the database has to let go of a connection that was closed.
_GOODBYE = 5.0


class _Waiter:
    """A green thread in line."""

    __slots__ = ("connection", "thread", "woken")

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.thread = getcurrent()
        self.woken = threading.Event()


class Limit:
    """The connections to one database: ``most`` of them at once."""

    def __init__(self, alias: str, most: int) -> None:
        self._alias = alias
        self._most = most
        #: Who has a connection, or is about to open one, and the green thread that does.
        self._holders: WeakKeyDictionary[BaseDatabaseWrapper, ref[greenlet]] = WeakKeyDictionary()
        #: Those of them that a waiting view keeps, the longest idle first.
        self._idle: dict[BaseDatabaseWrapper, None] = {}
        #: While anybody stands here, nobody is idle.
        self._line: deque[_Waiter] = deque()
        #: What is closed on our side, and maybe not yet on the database's.
        self._leaving: deque[socket.socket] = deque()

    def __contains__(self, connection: BaseDatabaseWrapper) -> bool:
        return connection in self._holders

    def take(self, connection: BaseDatabaseWrapper) -> None:
        """Return when ``connection`` may be opened.

        Raises OperationalError where none became free in time.
        """
        if connection in self._holders:
            return
        if self._line or len(self._holders) >= self._most:
            self._stand_in_line(connection)
        else:
            self._holders[connection] = ref(getcurrent())
        try:
            self._see_off()
        except BaseException:
            self.give_back(connection)
            raise

    def give_back(
        self, connection: BaseDatabaseWrapper, leaving: socket.socket | None = None
    ) -> None:
        """Let the next in line have the place of ``connection``, which is closed."""
        if leaving is not None:
            self._leaving.append(leaving)
        self._idle.pop(connection, None)
        self._holders.pop(connection, None)
        self._admit()

    @property
    def is_short(self) -> bool:
        """Whether anybody waits."""
        return bool(self._line)

    def lay_aside(self, connection: BaseDatabaseWrapper) -> None:
        """Put ``connection`` on the list of the idle: whoever needs it takes it away."""
        self._idle[connection] = None

    def use(self, connection: BaseDatabaseWrapper) -> None:
        """Take ``connection`` off the list of the idle."""
        self._idle.pop(connection, None)

    def _stand_in_line(self, connection: BaseDatabaseWrapper) -> None:
        waiter = _Waiter(connection)
        self._line.append(waiter)
        end = monotonic() + PATIENCE
        try:
            while connection not in self._holders:
                if self._line[0] is waiter and self._find():
                    continue
                left = end - monotonic()
                if left <= 0:
                    raise self._error()
                waiter.woken.wait(min(left, _LOOK))
        except BaseException:  # killed, for one, and maybe just when it had been its turn
            with suppress(ValueError):
                self._line.remove(waiter)
            self.give_back(connection)
            raise

    def _admit(self) -> None:
        while self._line and len(self._holders) < self._most:
            waiter = self._line.popleft()
            self._holders[waiter.connection] = ref(waiter.thread)
            waiter.woken.set()

    def _find(self) -> bool:
        """Make room for the first in line, if it can be had; return whether it could."""
        if self._idle:
            connection = next(iter(self._idle))
            del self._idle[connection]
            _take_away(connection)
            return True
        for connection, thread in list(self._holders.items()):
            holder = thread()
            if holder is None or holder.dead:  # ended, and has not closed it
                _take_away(connection)
        before = len(self._line)
        self._admit()  # some may have been collected as garbage
        return len(self._line) < before

    def _see_off(self) -> None:
        """Wait until the database has let go of so many that there is room for one more."""
        while self._leaving and len(self._holders) + len(self._leaving) > self._most:
            leaving = self._leaving.popleft()
            try:
                _wait_for_end(leaving)
            except BaseException:
                self._leaving.appendleft(leaving)
                raise
            leaving.close()

    def _error(self) -> OperationalError:
        return OperationalError(
            f"No connection to the database {self._alias!r} became free within {PATIENCE:g}"
            f" seconds: all {self._most} that WEBSOCKET_DB_CONNECTIONS allows are in use. Raise"
            " it as far as the database's own limit allows, use a pool, or let views hold theirs"
            " for shorter: wait() gives them back, but not inside atomic() nor with db_idle=None."
        )


def _take_away(connection: BaseDatabaseWrapper) -> None:
    """Close the connection of another green thread."""
    connection.inc_thread_sharing()
    try:
        with suppress(Error):  # it was broken
            connection.close()
    finally:
        connection.dec_thread_sharing()


def _wait_for_end(leaving: socket.socket) -> None:
    """Read until the database has closed its side."""
    leaving.settimeout(_GOODBYE)
    with suppress(OSError):
        leaving.shutdown(socket.SHUT_WR)  # the driver may have left without a word
    with suppress(OSError):
        while leaving.recv(4096):
            pass


def _duplicate(connection: BaseDatabaseWrapper) -> socket.socket | None:
    """Return a second handle on the driver's socket, to see when the database has closed it."""
    number = fileno(connection)
    if number is None:
        return None
    try:
        return socket.socket(fileno=os.dup(number))
    except OSError:
        return None


def fileno(connection: BaseDatabaseWrapper) -> int | None:
    """Return the descriptor of the driver's socket, None where it has none, or none any more."""
    driver: Any = connection.connection
    driver = getattr(driver, "_sock", driver)  # PyMySQL's
    try:
        with connection.wrap_database_errors:
            number: int = driver.fileno()
    except (AttributeError, OSError, ValueError, Error):
        return None
    return number if isinstance(number, int) and number >= 0 else None


#: By alias. Stays empty where there is no limit.
_limits: dict[str, Limit] = {}


def is_wanted(connection: BaseDatabaseWrapper) -> bool:
    """Whether somebody waits for a connection such as this one."""
    limit = _limits.get(connection.alias)
    return limit is not None and limit.is_short and connection in limit


def lay_aside(connection: BaseDatabaseWrapper) -> None:
    """Say that a view keeps ``connection`` without a need, until it uses it again."""
    limit = _limits.get(connection.alias)
    if limit is not None and connection in limit:
        limit.lay_aside(connection)


def _is_counted(connection: BaseDatabaseWrapper) -> bool:
    if getcurrent().parent is None:  # the main thread, or a native one such as tpool's
        return False
    if connection.alias == NO_DB_ALIAS or getattr(connection, "pool", None) is not None:
        return False
    is_in_memory = getattr(connection, "is_in_memory_db", None)
    return is_in_memory is None or not is_in_memory()


def install(most: int) -> None:
    """Have every database connection of this process count, ``most`` to each database."""
    original_ensure = BaseDatabaseWrapper.ensure_connection
    original_close = BaseDatabaseWrapper.close

    @wraps(original_ensure)
    def ensure_connection(self: BaseDatabaseWrapper) -> None:
        limit = _limits.get(self.alias)
        if self.connection is not None:
            # Django comes by here before each use.
            if limit is not None:
                limit.use(self)
            return
        if not _is_counted(self):
            return original_ensure(self)
        if limit is None:
            limit = _limits[self.alias] = Limit(self.alias, most)
        limit.take(self)
        try:
            original_ensure(self)
        finally:
            if self.connection is None:
                limit.give_back(self)

    @wraps(original_close)
    def close(self: BaseDatabaseWrapper) -> None:
        limit = _limits.get(self.alias)
        if limit is None or self not in limit:
            return original_close(self)
        leaving = _duplicate(self)
        try:
            original_close(self)
        finally:
            # Inside atomic, Django forgets it later.
            if self.connection is None or self.closed_in_transaction:
                limit.give_back(self, leaving)
            elif leaving is not None:
                leaving.close()

    BaseDatabaseWrapper.ensure_connection = ensure_connection  # type: ignore[method-assign]
    BaseDatabaseWrapper.close = close  # type: ignore[method-assign]
