"""Starts the real server for a test, and listens to what it prints."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = Path(__file__).parent / "project"

#: Seconds after which a test gives up; nothing takes as long that works.
PATIENCE = 30


class Server:
    """A server process, its address, and the lines it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.port = 0
        self._new: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """Return the match of the first line, old or new, that has ``pattern``."""
        seen = 0
        while True:
            for line in self.lines[seen:]:
                match = re.search(pattern, line)
                if match:
                    return match
            seen = len(self.lines)
            try:
                line = self._new.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"no line has {pattern!r}:\n{self.output}") from None
            if line is None:
                self._new.put(None)
                raise AssertionError(f"it ended before a line had {pattern!r}:\n{self.output}")
            self.lines.append(line)

    @property
    def output(self) -> str:
        """Everything it has printed so far."""
        while not self._new.empty():
            line = self._new.get()
            if line is None:
                self._new.put(None)
                break
            self.lines.append(line)
        return "\n".join(self.lines)

    def url(self, path: str) -> str:
        """Return the http:// address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def ws(self, path: str) -> str:
        """Return the ws:// address of a path."""
        return f"ws://127.0.0.1:{self.port}{path}"

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Signal the process and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not stop:\n{self.output}") from None


def environment(settings: dict | None = None, **variables: str) -> dict[str, str]:
    """Return the environment of a process that uses the tests' project."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_RUNSERVER_HIDE_WARNING": "true",
        "TEST_SETTINGS": json.dumps(settings or {}),
        **variables,
    }


@contextmanager
def start(*command: str | Path, banner: str, env: dict[str, str], cwd: Path = PROJECT):
    """Start ``command``, wait for the line ``banner``, whose one group is the port."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )
    server = Server(process)
    try:
        server.port = int(server.wait_for_line(banner)[1])
        yield server
    finally:
        # Its children too: the auto-reloader's, gunicorn's workers.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@contextmanager
def runwsserver(
    *options: str,
    settings: dict | None = None,
    reload: bool = False,
    command: str = "runwsserver",
    before: tuple[str, ...] = (),
    **variables: str,
):
    """Run ``manage.py runwsserver`` on a free port of the tests' project."""
    flags = () if reload else ("--noreload",)
    with start(
        *before,
        "manage.py",
        command,
        "127.0.0.1:0",
        *flags,
        *options,
        banner=r"Starting .*development server at http://127\.0\.0\.1:(\d+)/",
        env=environment(settings, **variables),
    ) as server:
        yield server


def manage(*arguments: str, settings: dict | None = None, **variables: str) -> str:
    """Run a management command of the tests' project to its end; return its output."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env=environment(settings, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE * 2,
    )
    return done.stdout


def raw_connect(port: int, path: str, behind: bytes = b"") -> socket.socket:
    """Send a handshake, with more bytes in the same packet, on a plain socket."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    sock.sendall(request.encode() + behind)
    return sock


def receive_until(sock: socket.socket, ending: bytes) -> bytes:
    """Return what arrives, up to and with ``ending``."""
    received = b""
    while not received.endswith(ending):
        piece = sock.recv(65536)
        assert piece, f"the server ended after {received!r}"
        received += piece
    return received
