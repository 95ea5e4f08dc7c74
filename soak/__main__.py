"""Soak a real server: thousands of clients come, misbehave and go; then see what is left of them.

    python -m soak --seconds 1800 --clients 2000

Counted in the server before and after: descriptors, green threads, the hub's timers and listeners,
open connections, and the objects of the package. All must be as they were. Its memory must stay
flat once it is warm, its log free of tracebacks, and every echo right. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from bench.measure import cpu_seconds, machine, resident
from bench.servers import ROOT, RUNWSSERVER, Running, Server, python, serving

WARM_UP = 300.0  # seconds at most, a third of the run at least where that is less
SETTLE = 60.0  # seconds that the counts have to come back
CACHES = 0.5  # blocks of memory more for each life: a leak is one at least, caches fill up once
TRACEBACK = "Traceback (most recent call last)"

SERVER = Server(
    "django-websocket-ev",
    python("django_websocket_ev", "-m", "django", *RUNWSSERVER),
    path="/vitals/",
    environment={"DJANGO_SETTINGS_MODULE": "soak.project.settings"},
)


class Log:
    """What the server prints: counts tracebacks, keeps what surrounds the first of them."""

    def __init__(self, path: Path | None) -> None:
        self.tracebacks = 0
        self.first: list[str] = []
        self._file = path.open("w") if path is not None else None

    def __call__(self, line: str) -> None:
        if TRACEBACK in line:
            self.tracebacks += 1
        if self.tracebacks and len(self.first) < 20:
            self.first.append(line)
        if self._file is not None:
            self._file.write(line)
            self._file.flush()


def ask(server: Running, page: str) -> dict:
    """What a page of the server says of its process."""
    opener = build_opener(ProxyHandler({}))  # a proxy of the environment is not meant for this
    with opener.open(f"http://{server.address}/{page}/", timeout=60) as answer:
        return json.load(answer)


def new_ones(before: dict, after: dict) -> str:
    """The files and the green threads that were not there before."""
    files = after["descriptors"].items() - before["descriptors"].items()
    threads = Counter(after["green threads"]) - Counter(before["green threads"])
    lines = [f"descriptor {number}: {target}" for number, target in sorted(files)]
    lines += [f"green thread, {number} x:\n{stack}" for stack, number in threads.items()]
    return "\n".join(lines)


def settled(server: Running, before: dict[str, int] | None) -> dict[str, int]:
    """The counts once they are those of `before`, or have not changed for long."""
    end = time.monotonic() + SETTLE
    last = ask(server, "vitals")
    while time.monotonic() < end:
        time.sleep(1)
        now = ask(server, "vitals")
        wanted = last if before is None else before
        if {**now, "blocks": 0} == {**wanted, "blocks": 0} and not now["open connections"]:
            return now
        last = now
    return last


@contextmanager
def crowd(server: Running, *arguments: str):
    """The clients' process, at work."""
    port = server.address.split(":")[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "soak.crowd", port, *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def report_of(process: subprocess.Popen[str]) -> dict:
    said = process.communicate()[0]
    if not said:
        raise SystemExit("The clients' process failed.")
    return json.loads(said)


def soak(server: Running, given: argparse.Namespace) -> tuple[list[tuple[float, int]], dict]:
    """Let the crowd in; return the server's memory over time, and what the crowd says."""
    samples = []
    names = ("clients", "seconds", "seed", "leisure")
    options = [f"--{name}={getattr(given, name)}" for name in names]
    with crowd(server, *options) as clients:
        begun = time.monotonic()
        told = 0.0
        while clients.poll() is None:
            time.sleep(1)
            elapsed = time.monotonic() - begun
            if elapsed < given.seconds:
                samples.append((elapsed, resident(server.pid)))
                if elapsed - told >= given.every:
                    told = elapsed
                    print(f"{elapsed:7.0f} s  {samples[-1][1] / 2**20:7.1f} MiB", flush=True)
        return samples, report_of(clients)


def thirds(samples: Sequence[tuple[float, int]], seconds: float) -> list[float]:
    """The median memory of each third of the time after the warm-up, in bytes."""
    warm = min(WARM_UP, seconds / 3)
    length = (seconds - warm) / 3
    return [
        statistics.median(
            size
            for elapsed, size in samples
            if warm + part * length <= elapsed < warm + (part + 1) * length
        )
        for part in range(3)
    ]


def compare(
    before: dict[str, int], after: dict[str, int], lives: int
) -> tuple[list[str], list[str]]:
    """The table of counts, and what has leaked in so many lives."""
    lines = [f"{'':<28}{'before':>9}{'after':>9}"]
    leaks = []
    for name in before | after:
        was, is_now = before.get(name, 0), after.get(name, 0)
        leaked = is_now != was if name != "blocks" else is_now > was + lives * CACHES
        lines.append(f"{name:<28}{was:>9,}{is_now:>9,}{'   LEAKED' if leaked else ''}")
        if leaked:
            leaks.append(f"{name}: {is_now - was:+,} (from {was:,} to {is_now:,})")
    return lines, leaks


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--clients", type=int, default=2000, help="at any time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--leisure", type=float, default=3, help="the clients' pauses: 1,000 at 1 keep a core busy"
    )
    parser.add_argument(
        "--growth", type=float, default=5, metavar="PERCENT",
        help="of memory, from the first third after the warm-up to the last, that is a failure",
    )  # fmt: skip
    parser.add_argument("--every", type=float, default=30, help="seconds between lines on memory")
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="write what the server prints there"
    )
    return parser.parse_args()


def main() -> None:
    given = arguments()
    log = Log(given.log)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"{given.clients:,} clients for {given.seconds:g} s, seed {given.seed}\n", flush=True)
    faults = []
    with serving(SERVER, None, log) as server:
        with crowd(server, f"--seed={given.seed}") as clients:
            faults += [f"at the start: {wrong}" for wrong in report_of(clients)["wrong"]]
        before = settled(server, None)
        suspects = ask(server, "suspects")
        samples, report = soak(server, given)
        after = settled(server, before)
        suspects = new_ones(suspects, ask(server, "suspects"))
        cpu = cpu_seconds(server.pid)
        end = resident(server.pid)
    lives = sum(report["lives"].values())
    table, leaks = compare(before, after, lives)
    faults += [f"leaked: {leak}" for leak in leaks] + [suspects] * bool(leaks)
    faults += [f"{number} x {what}" for what, number in report["wrong"].items()]
    memory = thirds(samples, given.seconds)
    growth = (memory[2] / memory[0] - 1) * 100
    if growth > given.growth:
        faults.append(f"memory grew by {growth:.1f} %, more than {given.growth:g} %")
    if log.tracebacks:
        faults.append(f"{log.tracebacks} tracebacks in the log, the first:\n{''.join(log.first)}")
    print(f"\n{lives:,} lives, {report['messages']:,} echoes compared, refused {report['refused']}")
    print(", ".join(f"{name} {number:,}" for name, number in sorted(report["lives"].items())))
    print(f"server: {cpu:.0f} s of CPU time, load of the machine {os.getloadavg()[1]:.1f}\n")
    print("\n".join(table))
    shown = ", ".join(f"{size / 2**20:.1f}" for size in memory)
    print(f"\nRSS after the warm-up, medians of three thirds: {shown} MiB ({growth:+.1f} %)")
    print(f"RSS at the end, with nobody there: {end / 2**20:.1f} MiB")
    if faults:
        raise SystemExit("\nNOT sound:\n" + "\n".join(faults))
    print("\nSound: nothing leaked, no echo wrong, no traceback.")


if __name__ == "__main__":
    main()
