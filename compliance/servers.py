"""The echo servers that can be tested: how each is started, found and stopped."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from queue import Empty, SimpleQueue

from bench.measure import cpu_seconds
from bench.servers import ROOT, RUNWSSERVER, START_TIMEOUT, STOP_TIMEOUT, ServerError, python
from django_websocket_ev import __version__

ADDRESS = re.compile(r"\b(?:http|ws)://([\w.]+:\d+)\b")
OURS = "django-websocket-ev"
SETTINGS = "compliance.project.settings"


@dataclass(frozen=True)
class Server:
    """A command that serves an echo on a port of its choice and prints the address."""

    name: str
    packages: tuple[str, ...]  # whose versions a reader of the outcomes wants to know
    command: tuple[str, ...]
    path: str = "/"

    @property
    def is_ours(self) -> bool:
        """Whether a failure is one of this repository."""
        return OURS in self.packages

    def versions(self) -> dict[str, str]:
        # Ours is imported from here, installed or not.
        return {name: __version__ if name == OURS else version(name) for name in self.packages}


class Running:
    """A server that listens. `cpu` is the CPU time that it took, known when it has stopped."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cpu = 0.0


_RUNWSSERVER = python("django_websocket_ev", "-m", "django", *RUNWSSERVER)
_GUNICORN = python(
    *("gunicorn", "--bind=127.0.0.1:0"),
    "--worker-class=django_websocket_ev.workers.EventletWorker",
    "django.core.wsgi:get_wsgi_application()",
)
_EVENTLET = python("compliance.peers.eventlet_websocket")
_WEBSOCKETS = python("compliance.peers.websockets_asyncio")

_OURS = (OURS, "Django", "eventlet")

SERVERS = {
    "ours": Server("runwsserver", _OURS, _RUNWSSERVER, path="/echo/"),
    "takeover": Server("takeover", _OURS, _RUNWSSERVER, path="/takeover/"),
    "gunicorn": Server("gunicorn", (*_OURS, "gunicorn"), _GUNICORN, path="/echo/"),
    "eventlet": Server("eventlet.websocket", ("eventlet",), _EVENTLET),
    "websockets": Server("websockets", ("websockets",), _WEBSOCKETS),
}


def _copy(process: subprocess.Popen[str], log: Path, address: SimpleQueue[str | None]) -> None:
    """Write down what a server prints, to its end; hand over the address, None without one."""
    assert process.stdout is not None
    found = False
    with log.open("w", buffering=1) as file:
        for line in process.stdout:
            file.write(line)
            if not found and (match := ADDRESS.search(line)):
                found = True
                address.put(match[1])
    address.put(None)


@contextmanager
def serving(server: Server, log: Path) -> Iterator[Running]:
    """Start a server, wait until it listens, stop it afterwards. Its output goes to `log`."""
    search_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        server.command,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "PYTHONPATH": search_path,
            "PYTHONUNBUFFERED": "1",  # else the address would wait in a buffer of the pipe
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    found: SimpleQueue[str | None] = SimpleQueue()
    reader = threading.Thread(target=_copy, args=(process, log, found), daemon=True)
    reader.start()
    try:
        try:
            address = found.get(timeout=START_TIMEOUT)
        except Empty:
            address = None
        if address is None:
            raise ServerError(f"{server.name} did not start: see {log}")
        running = Running(f"ws://{address}{server.path}")
        yield running
        if process.poll() is not None:
            raise ServerError(f"{server.name} ended before the last case: see {log}")
        running.cpu = cpu_seconds(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(STOP_TIMEOUT)
