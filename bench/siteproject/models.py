"""A table that every PostgreSQL has, so that nothing need be written to one that is lent."""

from __future__ import annotations

import os
from typing import Any

from django.db import models


class Database(models.Model):
    """A database of the cluster."""

    datname = models.CharField(primary_key=True, max_length=63)

    class Meta:
        managed = False
        db_table = "pg_database"

    def __str__(self) -> str:
        return self.datname


class Router:
    """Sends `Database` to PostgreSQL and all else to the default."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return "catalog" if model is Database else None


def one_query() -> Database:
    """What each message costs where it costs a query: one row by its primary key."""
    return Database.objects.get(pk=os.environ["PGDATABASE"])
