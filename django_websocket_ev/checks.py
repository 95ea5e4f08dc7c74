"""System checks: each misconfiguration that can be seen at start, with its cure.

============== ==========================================================
websocket.E001 a ``WEBSOCKET_*`` setting has a value that it may not have
websocket.E002 psycopg was imported before the process was patched
websocket.W001 a ``WEBSOCKET_*`` setting that does not exist
websocket.W002 a database driver that blocks all clients while it waits
============== ==========================================================
"""

from __future__ import annotations

import sys
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
        for alias, config in settings.DATABASES.items()
        if config.get("ENGINE") == "django.db.backends.mysql" and not _is_pymysql()
    ]


def _is_pymysql() -> bool:
    module = sys.modules.get("MySQLdb")
    return module is not None and module.__name__ == "pymysql"


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
