"""The servers that can be measured: how each is started, found and stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from bench.measure import pinned_to

ROOT = Path(__file__).resolve().parent.parent
ADDRESS = re.compile(r"\b(?:http|ws)://([\w.]+:\d+)/")
START_TIMEOUT = 60.0  # seconds
STOP_TIMEOUT = 15.0  # seconds; above the ten that our server grants its views


class ServerError(Exception):
    """The server ended, or said no address in time."""


@dataclass(frozen=True)
class Server:
    """A command that serves WebSockets on a port of its choice and prints the address.

    One that does not print it has ``{port}`` in its command, and gets a free one.
    """

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


def plain(options: Mapping[str, object], *flags: str) -> Server:
    """Our server with a project that has little but WebSockets.

    ``options`` are settings without their WEBSOCKET_, in lower case; ``flags`` go to Python.
    """
    settings = {f"WEBSOCKET_{name.upper()}": value for name, value in options.items()}
    command = python("django_websocket_ev", "-m", "django", *RUNWSSERVER)
    return Server(
        "django-websocket-ev",
        (command[0], *flags, *command[1:]),
        path="/echo/",
        environment={
            "DJANGO_SETTINGS_MODULE": "bench.plainproject.settings",
            "BENCH_SETTINGS": json.dumps(settings),
        },
    )


class _Output:
    """A server's output, read to its end so that the server never blocks on a full pipe."""

    def __init__(
        self, process: subprocess.Popen[str], heed: Callable[[str], None] | None = None
    ) -> None:
        self.tail: deque[str] = deque(maxlen=30)
        self._heed = heed
        self._address: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._thread.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        found = False
        for line in process.stdout:
            self.tail.append(line)
            if self._heed is not None:
                self._heed(line)
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
            raise self.error("did not start")
        return address

    def error(self, what: str) -> ServerError:
        return ServerError(f"The server {what}. Its output ends:\n" + "".join(self.tail))

    def finish(self) -> None:
        self._thread.join(STOP_TIMEOUT)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[str], output: _Output) -> None:
    """Return when the server takes connections; ServerError when it does not in time."""
    give_up = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < give_up:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), START_TIMEOUT):
            return
        time.sleep(0.05)
    raise output.error("did not start")


@contextmanager
def serving(
    server: Server, core: int | None, heed: Callable[[str], None] | None = None
) -> Iterator[Running]:
    """Start a server on one core, wait until it listens, stop it afterwards.

    None for any core. ``heed`` is called with each line that the server prints.
    """
    search_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {
        **os.environ,
        "PYTHONPATH": search_path,
        "PYTHONUNBUFFERED": "1",  # else the address would wait in a buffer of the pipe
        **server.environment,
    }
    port = free_port()
    with nullcontext() if core is None else pinned_to(core):
        process = subprocess.Popen(
            [part.replace("{port}", str(port)) for part in server.command],
            cwd=server.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    output = _Output(process, heed)
    try:
        if any("{port}" in part for part in server.command):
            address = f"127.0.0.1:{port}"
            _wait_for(port, process, output)
        else:
            address = output.address()
        yield Running(process.pid, address, f"ws://{address}{server.path}")
        if process.poll() is not None:
            raise output.error("ended early")
    finally:
        _stop(process)
        output.finish()


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_TIMEOUT)
    with suppress(ProcessLookupError):  # its workers too, where it has left some behind
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
