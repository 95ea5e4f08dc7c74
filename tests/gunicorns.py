"""Starts a real gunicorn, of any version, with our worker or with its own."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import servers
from conftest import missing

OURS = "django_websocket_ev.workers.EventletWorker"


class Gunicorn:
    """A gunicorn that can be started: the installed one, or the older one in ``folder``."""

    def __init__(self, database: str, folder: str | None = None, worker: str = OURS) -> None:
        if find_spec("gunicorn") is None:
            missing("gunicorn", "pip install gunicorn")
        self.database = database
        self.folder = folder
        self.worker = worker
        scripts = Path(folder) / "bin" if folder else Path(sys.executable).parent
        self.script = scripts / "gunicorn"
        found = metadata.distributions(name="gunicorn", path=[folder] if folder else sys.path)
        #: The first number of its version.
        self.version = int(next(iter(found)).version.partition(".")[0])

    def start(
        self,
        *options: str,
        bind: str = "127.0.0.1:0",
        banner: str = r"Listening at: https?://.*:(\d+) ",
        **variables: str,
    ):
        """Start it; wsgi.py knows nothing of a patch. The ``banner`` tells the port."""
        paths = [self.folder, str(servers.ROOT)] if self.folder else [str(servers.ROOT)]
        return servers.start(
            # Not "-m gunicorn", whose own folder would be the first on sys.path after USR2.
            *(self.script, f"--bind={bind}", "wsgi", f"--worker-class={self.worker}"),
            *options,
            banner=banner,
            env=servers.environment(
                TEST_DATABASE=self.database, PYTHONPATH=os.pathsep.join(paths), **variables
            ),
        )
