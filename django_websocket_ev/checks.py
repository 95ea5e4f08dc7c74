"""System checks: each misconfiguration that can be seen at start, with its cure.

============== ==========================================================
websocket.E001 a ``WEBSOCKET_*`` setting has a value that it may not have
websocket.E002 psycopg was imported before the process was patched
websocket.W001 a ``WEBSOCKET_*`` setting that does not exist
websocket.W002 a database driver that blocks all clients while it waits
websocket.W003 ``ATOMIC_REQUESTS``, which does not reach WebSocket views
websocket.W004 nothing limits the connections to a database (``--deploy``)
websocket.I001 SQLite, whose queries block all clients (``--deploy``)
============== ==========================================================
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks

from django_websocket_ev import bootstrap, conf


def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """Every setting is one of ours, with a value that it may have."""
    messages: list[checks.CheckMessage] = [
        checks.Error(f"{name} {error}.", id="websocket.E001")
        for name, error in conf.setting_errors()
    ]
    for name in conf.unknown_settings():
        messages.append(
            checks.Warning(
                f"There is no setting {name}.",
                hint="Is it misspelt? See the list of settings in README.rst.",
                id="websocket.W001",
            )
        )
    return messages


#: Django's own, each on its way to a server that allows so many connections and no more.
_POSTGRESQL = ("django.db.backends.postgresql", "django.contrib.gis.db.backends.postgis")
_MYSQL = ("django.db.backends.mysql", "django.contrib.gis.db.backends.mysql")
_SQLITE = ("django.db.backends.sqlite3", "django.contrib.gis.db.backends.spatialite")


def _with_engine(*engines: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield alias and configuration of each database with one of these engines."""
    for alias, config in settings.DATABASES.items():
        if config.get("ENGINE") in engines:
            yield alias, config


def check_databases(**kwargs: Any) -> list[checks.CheckMessage]:
    """No database driver waits in C, out of the hub's sight."""
    return [
        checks.Warning(
            f"The driver of the database {alias!r}, mysqlclient, blocks every WebSocket of"
            " the process while it waits for a query.",
            hint="Use PyMySQL instead: 'pip install pymysql', and in settings.py"
            " 'import pymysql; pymysql.install_as_MySQLdb()'.",
            id="websocket.W002",
        )
        for alias, config in _with_engine(*_MYSQL)
        if not _is_pymysql()
    ]


def _is_pymysql() -> bool:
    module = sys.modules.get("MySQLdb")
    return module is not None and module.__name__ == "pymysql"


def check_atomic_requests(**kwargs: Any) -> list[checks.CheckMessage]:
    """No view relies on a transaction that has ended when it runs."""
    return [
        checks.Warning(
            f"ATOMIC_REQUESTS of the database {alias!r} does not reach WebSocket views: each runs"
            " when its handshake has left, and the request's transaction has ended with that.",
            hint="Where a WebSocket view needs a transaction, say 'with transaction.atomic():'"
            " around what belongs together. If all do, or need none, put 'websocket.W003' into"
            " SILENCED_SYSTEM_CHECKS.",
            id="websocket.W003",
        )
        for alias, config in settings.DATABASES.items()
        if config.get("ATOMIC_REQUESTS")
    ]


def check_connection_limit(**kwargs: Any) -> list[checks.CheckMessage]:
    """Something keeps many views from opening more connections than a database allows."""
    if getattr(settings, "WEBSOCKET_DB_CONNECTIONS", None) is not None:
        return []
    limit = "set WEBSOCKET_DB_CONNECTIONS to what the database allows each process."
    cures = {
        _POSTGRESQL: f'In DATABASES, with psycopg 3, set OPTIONS = {{"pool": True}}, or {limit}',
        _MYSQL: f"In settings.py {limit}",
    }
    return [
        checks.Warning(
            f"Nothing limits the connections to the database {alias!r}: as many views as query"
            " it in the same moment, each opens one, and the database refuses some.",
            hint=cure,
            id="websocket.W004",
        )
        for engines, cure in cures.items()
        for alias, config in _with_engine(*engines)
        if not config.get("OPTIONS", {}).get("pool")
    ]


def check_sqlite(**kwargs: Any) -> list[checks.CheckMessage]:
    """No database works inside the process, where nobody else runs meanwhile."""
    return [
        checks.Info(
            f"The database {alias!r} is SQLite: while it works on a query, and while it waits for"
            " a lock, every WebSocket of the process waits.",
            hint="That is well for short queries of few clients. For more, use PostgreSQL.",
            id="websocket.I001",
        )
        for alias, config in _with_engine(*_SQLITE)
    ]


def check_psycopg(**kwargs: Any) -> list[checks.CheckMessage]:
    """In a patched process psycopg 3 waits by way of the hub."""
    waiting = sys.modules.get("psycopg.waiting")
    if not bootstrap.is_patched() or getattr(waiting, "wait", None) is None:
        return []
    if waiting.wait is not getattr(waiting, "wait_c", None):  # type: ignore[union-attr]
        return []
    return [
        checks.Error(
            "psycopg was imported before this process was patched, or without"
            " PSYCOPG_WAIT_FUNC: its queries block every WebSocket.",
            hint=f"Put this above every other import: {bootstrap.FIRST_LINES}",
            id="websocket.E002",
        )
    ]


AT_START = (check_settings, check_databases, check_atomic_requests, check_psycopg)
#: For ``manage.py check --deploy`` only.
AT_DEPLOYMENT = (check_connection_limit, check_sqlite)
