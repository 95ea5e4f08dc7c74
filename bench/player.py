"""One server under load: starts `c/client.c` against it and asks it for windows."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import script
from bench.measure import family, family_resident
from bench.scenarios import Scenario
from bench.servers import Running, ServerError

MANY = 1000  # clients; a message from each is enough to be warm


@dataclass(frozen=True)
class Window:
    """What one window of load showed. Times in seconds."""

    seconds: float
    messages: int  # or handshakes
    server_cpu: float  # user and system, of all the server's processes
    load_cpu: float
    retries: int  # handshakes that were refused, and tried again
    resident: int  # bytes, of all the server's processes, after it
    p50: float | None = None
    p99: float | None = None
    p999: float | None = None
    worst: float | None = None


class Player:
    """The clients of one server. They stay connected while other servers are measured."""

    def __init__(
        self, server: Running, scenario: Scenario, binaries: Path, cookie: str, clients: int
    ) -> None:
        self._pid = server.pid
        self._scenario = scenario
        self._clients = clients
        self._compressed = "deflate" in scenario.applications
        file = binaries / f"script-{server.pid}"
        address, path = server.url.removeprefix("ws://").split("/", 1)
        self._payload = script.write(
            file, address, f"/{path}", scenario.size, cookie, self._compressed
        )
        command = [binaries / "client", address.split(":")[1], file]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._process.communicate(timeout=10)  # closes its standard input: it says goodbye
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.communicate()

    def tell(self, *words: object) -> dict[str, Any]:
        """Send a command and return its answer. ServerError where it failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(" ".join(map(str, words)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ServerError("The load generator has ended.") from None
        line = self._process.stdout.readline()
        if not line:
            raise ServerError("The load generator has ended.")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ServerError(answer["error"])
        return answer

    def connect(self, clients: int | None = None) -> None:
        """Open the scenario's clients, or so many in all; a handshake's come by themselves."""
        if self._scenario.kind != "handshakes":
            self.tell("connect", self._clients if clients is None else clients)

    def warm_up(self, seconds: float) -> None:
        """Not counted: the interpreter specializes what it runs, and buffers find their size."""
        if self._scenario.kind in ("echo", "handshakes") and self._clients < MANY:
            self.measure(seconds)
        elif self._scenario.kind != "storm":  # whose first thousands have just come
            self.tell("once")

    def measure(self, seconds: float) -> Window:
        """One window. The server's processes are those that it has now."""
        scenario = self._scenario
        pids = family(self._pid)
        seconds *= scenario.longer
        if scenario.kind == "echo":
            found = self.tell("echo", scenario.warmup, seconds, scenario.depth, *pids)
        elif scenario.kind == "pace":
            found = self.tell("pace", scenario.warmup, seconds, 1.0, *pids)
        elif scenario.kind == "handshakes":
            found = self.tell("handshakes", scenario.warmup, seconds, self._clients, *pids)
        else:
            found = self.tell("storm", *pids)
        if not found["messages"]:
            raise ServerError(f"Not one of the {scenario.unit} came to its end in a window.")
        if self._compressed:
            self._check_compressed()
        return Window(resident=family_resident(self._pid), **found)

    def _check_compressed(self) -> None:
        last = self.tell("last")
        if not last["compressed"]:
            raise ServerError("It does not compress its echoes.")
        if script.inflate(bytes.fromhex(last["payload"])) != self._payload:
            raise ServerError("The last echo is wrong.")
