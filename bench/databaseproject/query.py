"""What every message costs, whoever serves it."""

from __future__ import annotations

from django.db import Error, connection


def answer(message: str) -> str:
    """Return the number of `NUMBER SECONDS`, plus one, after so many seconds in the database."""
    number, seconds = message.split()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::int + 1 FROM pg_sleep(%s)", [number, seconds])
            return str(cursor.fetchone()[0])
    except Error as error:
        return f"failed: {error}".strip()
