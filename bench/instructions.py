"""Count the instructions that one small echo costs, from the hub's callback to the answer.

    python -m bench instructions [--ceiling N]

A message of 32 bytes goes through receiver, queue, view and frame builder, on a socket that is
no more than two functions, so the kernel has no part in it. valgrind counts what the processor
would do: the same number on a busy machine as on an idle one, so that a change shows which no
clock could. Exits with 1 above the ceiling.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FEW, MANY = 2_048, 6_144  # the difference between two runs is messages, and nothing else
TURN = 32  # messages in a turn of the hub
ROOT = Path(__file__).parent.parent
#: With what the process does not do alike each time.
ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


class Socket:
    """Brings the same frame each time that it is read, and swallows what is sent."""

    KEY = b"\x37\xfa\x21\x3d"
    FRAME = b"\x81\xa0" + KEY + bytes(a ^ b for a, b in zip(b"x" * 32, KEY * 8, strict=True))

    def recv(self, size: int) -> bytes:
        return bytes(bytearray(self.FRAME))

    def send(self, data: bytes) -> int:
        return len(data)

    def fileno(self) -> int:
        return 0

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, *args: object) -> None:
        pass

    def shutdown(self, how: int) -> None:
        pass


def echo(messages: int) -> None:
    """Have a view echo so many messages."""
    from django_websocket_ev import bootstrap

    bootstrap.patch()
    import gc

    import eventlet
    from django.conf import settings
    from eventlet import hubs

    settings.configure(WEBSOCKET_PING_INTERVAL=None)
    from django_websocket_ev.conf import get_options
    from django_websocket_ev.connection import Connection
    from django_websocket_ev.databases import Lease
    from django_websocket_ev.websocket import WebSocket

    hub = hubs.get_hub()
    hub.add = lambda *args: None  # nothing listens: the messages come from here
    connection = Connection(Socket(), get_options())
    websocket = WebSocket(connection, lease=Lease(0.5))

    def view() -> None:
        for message in websocket:
            websocket.send(message)

    def drive() -> None:
        for _ in range(TURN):
            connection._on_readable(0)
        if connection.messages_in < messages and not connection.closed:
            hub.schedule_call_global(0, drive)
        else:
            main.switch()

    main = eventlet.getcurrent()
    gc.disable()
    eventlet.spawn_n(view)
    eventlet.sleep(0)
    hub.schedule_call_global(0, drive)
    hub.switch()
    if (connection.messages_in, connection.messages_out) != (messages, messages):
        raise SystemExit(f"{connection.messages_out} echoes of {messages}")


def count(messages: int) -> int:
    """Return the instructions of a process that echoes so many messages."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *("valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"),
            *(sys.executable, "-m", "bench.instructions", "--run", str(messages)),
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, check=True
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise SystemExit(f"valgrind does not say what it has counted:\n{done.stderr}")
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench instructions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ceiling", type=int, metavar="N", help="of instructions for one echo")
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run is not None:
        echo(given.run)
        return
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is missing: apt install valgrind")
    with ThreadPoolExecutor() as pool:
        few, many = pool.map(count, (FEW, MANY))
    each = (many - few) // (MANY - FEW)
    print(f"{each:,} instructions for one echo of 32 bytes, Python {sys.version.split()[0]}")
    if given.ceiling is not None and each > given.ceiling:
        raise SystemExit(f"That is above the ceiling of {given.ceiling:,}.")


if __name__ == "__main__":
    main()
