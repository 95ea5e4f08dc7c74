"""The servers that can be measured: how each is started, found and stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from bench.measure import pinned_to

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"\b(?:http|ws)://([\w.]+:\d+)/")
START_TIMEOUT = 30.0  # seconds
STOP_TIMEOUT = 15.0  # seconds; above the ten that our server grants its views


class ServerError(Exception):
    """The server ended, or said no address in time."""


@dataclass(frozen=True)
class Server:
    """A command that serves WebSockets on a port of its choice and prints the address."""

    name: str
    command: tuple[str, ...]
    path: str = "/"
    folder: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """A server that listens."""

    pid: int
    address: str  # host:port
    url: str  # of its echo


def python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


RUNWSSERVER = ("runwsserver", "--noreload", "127.0.0.1:0")

OURS = Server(
    "django-websocket-ev",
    python("django_websocket_ev", "manage.py", *RUNWSSERVER),
    path="/echo/",
    folder=ROOT / "demo",
    environment={"DEMO_DEBUG": "0", "DEMO_DATABASE": ":memory:"},  # an echo needs neither
)
WEBSOCKETS = Server("websockets on uvloop", python("bench.peers.websockets_uvloop"))
PICOWS = Server("picows on uvloop", python("bench.peers.picows_uvloop"))

ECHO_SERVERS = {"ours": OURS, "websockets": WEBSOCKETS, "picows": PICOWS}


class _Output:
    """A server's output, read to its end so that the server never blocks on a full pipe."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.tail: deque[str] = deque(maxlen=30)
        self._address: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._thread.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        found = False
        for line in process.stdout:
            self.tail.append(line)
            if not found and (match := ADDRESS.search(line)):
                found = True
                self._address.put(match[1])
        self._address.put(None)

    def address(self) -> str:
        """The host:port that the server printed; ServerError when it printed none in time."""
        try:
            address = self._address.get(timeout=START_TIMEOUT)
        except Empty:
            address = None
        if address is None:
            raise ServerError("The server did not start. Its output ends:\n" + "".join(self.tail))
        return address

    def finish(self) -> None:
        self._thread.join(STOP_TIMEOUT)


@contextmanager
def serving(server: Server, core: int) -> Iterator[Running]:
    """Start a server on one core, wait until it listens, stop it afterwards."""
    search_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {
        **os.environ,
        "PYTHONPATH": search_path,
        "PYTHONUNBUFFERED": "1",  # else the address would wait in a buffer of the pipe
        **server.environment,
    }
    with pinned_to(core):
        process = subprocess.Popen(
            server.command,
            cwd=server.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    output = _Output(process)
    try:
        address = output.address()
        yield Running(process.pid, address, f"ws://{address}{server.path}")
        if process.poll() is not None:
            raise ServerError("The server ended early. Its output ends:\n" + "".join(output.tail))
    finally:
        _stop(process)
        output.finish()


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
