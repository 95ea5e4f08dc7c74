"""What applications need around them: a database of users, a PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import pinned_to
from bench.postgres import database
from bench.servers import ROOT, ServerError


@dataclass(frozen=True)
class Place:
    """What servers find in their environment, and the cookie that clients bring."""

    environment: Mapping[str, str] = field(default_factory=dict)
    cookie: str = ""


class Places:
    """Makes each place when the first scenario asks for it, and ends all at the end."""

    def __init__(self, folder: Path, load_core: int) -> None:
        self._folder = folder
        self._load_core = load_core
        self._stack = ExitStack()
        self._made: dict[str, Place] = {}

    def __enter__(self) -> Places:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def of(self, application: str) -> Place:
        """The place of an application. ServerError where this machine cannot have it."""
        makers = {"user": self._with_user, "query": self._with_postgresql}
        if application not in makers:
            return Place()
        if application not in self._made:
            self._made[application] = makers[application]()
        return self._made[application]

    def _with_user(self) -> Place:
        environment = {"BENCH_SQLITE": str(self._folder / "users.sqlite3")}
        done = subprocess.run(
            [sys.executable, "-m", "bench.siteproject.prepare"],
            cwd=ROOT,
            env={
                **os.environ,
                **environment,
                "DJANGO_SETTINGS_MODULE": "bench.siteproject.settings",
            },
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ServerError(f"The database of users could not be made:\n{done.stderr}")
        return Place(environment, done.stdout.split()[-1])

    def _with_postgresql(self) -> Place:
        with pinned_to(self._load_core):  # its own work is not the server's
            found = self._stack.enter_context(database())
        if found is None:
            raise ServerError("There is no PostgreSQL: apt install postgresql, or set PGDATABASE.")
        return Place(found)
