"""Echo: how much CPU a server spends on one small message, ours and others', side by side.

    python -m bench echo

Each client sends a text and waits for its echo before it sends again. Each server runs alone on
one core, its load generator on another, and they take turns by the second, so that a slow moment
of the machine meets all alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.load import Sample
from bench.measure import machine, percentile, pinned_to, raise_file_limit, two_cores
from bench.servers import ECHO_SERVERS, ROOT, Running, ServerError, serving

BASELINE = "websockets"

# Parts of a core. Above the first the load generator may have been the slower of the two; where
# both stay below, neither was busy, so somebody else was.
LOAD_LIMIT = 0.95
SERVER_IDLE = 0.85

BUSY, CROWDED = "*", "~"
NOTES = {
    BUSY: "the load generator was busy throughout: the server may do more messages/s",
    CROWDED: "neither had its core to itself: run it again when the machine is quiet",
}


@dataclass(frozen=True)
class Run:
    """One server, one number of clients, one round."""

    server: str
    clients: int
    round: int
    sample: Sample

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.sample.messages / self.sample.seconds

    @property
    def cpu(self) -> float:
        """Microseconds of the server's CPU per message."""
        return self.sample.server_cpu / self.sample.messages * 1e6

    @property
    def server_share(self) -> float:
        """Part of its core that the server used."""
        return self.sample.server_cpu / self.sample.seconds

    @property
    def load_share(self) -> float:
        """Part of its core that the load generator used."""
        return self.sample.load_cpu / self.sample.seconds


class Player:
    """The load generator of one server. It stays connected while other servers are measured."""

    def __init__(self, name: str, clients: int, server: Running, given: argparse.Namespace) -> None:
        self.name = name
        self.clients = clients
        command = [sys.executable, "-m", "bench.load", server.url, f"--pid={server.pid}"]
        command += [f"--clients={clients}", f"--size={given.size}"]
        command += [f"--warmup={given.warmup}", f"--seconds={given.seconds}"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._read()

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()  # closes its standard input, and so it ends

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ServerError(f"{self.name} with {self.clients} clients could not be measured.")
        return line

    def measure(self, number: int) -> Run:
        """One window of load."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return Run(self.name, self.clients, number, Sample(**json.loads(self._read())))


def measure_all(clients: int, given: argparse.Namespace) -> list[Run]:
    """Every server in turn, round by round.

    All of them are up throughout, so that the windows of one round lie a second apart and not
    the time that a start takes: machines change their pace from one second to the next. A server
    that is not being measured has nothing to do.
    """
    server_core, load_core = two_cores()
    runs = []
    with ExitStack() as stack:
        players = []
        for name in given.servers:
            server = stack.enter_context(serving(ECHO_SERVERS[name], server_core))
            with pinned_to(load_core):
                players.append(stack.enter_context(Player(name, clients, server, given)))
        for player in players:
            player.measure(0)  # not counted: the interpreter specializes what it runs
        for number in range(given.rounds):
            # To and fro, so that no server always follows the same one.
            for player in players if number % 2 == 0 else reversed(players):
                runs.append(player.measure(number))
            print(f"{clients} clients: round {number + 1} of {given.rounds}", file=sys.stderr)
    return runs


def ratios(runs: Sequence[Run], baseline: Sequence[Run]) -> dict[str, float]:
    """Quartiles over the rounds of CPU per message against the baseline's in the same round."""
    pairs = zip(runs, baseline, strict=True)
    found = sorted(run.cpu / base.cpu for run, base in pairs)
    return {
        "ratio_low": percentile(found, 25),
        "ratio": statistics.median(found),
        "ratio_high": percentile(found, 75),
    }


def summarize(runs: Sequence[Run], given: argparse.Namespace) -> list[dict[str, float | str]]:
    """One row of the table per number of clients and server: medians over the rounds."""
    rows: list[dict[str, float | str]] = []
    for clients in given.clients:
        by_server = {
            name: [run for run in runs if run.server == name and run.clients == clients]
            for name in given.servers
        }
        for name, own in by_server.items():
            row: dict[str, float | str] = {
                "clients": clients,
                "server": ECHO_SERVERS[name].name,
                "messages_per_second": statistics.median(run.rate for run in own),
                "cpu_us_per_message": statistics.median(run.cpu for run in own),
                "server_share": statistics.median(run.server_share for run in own),
                "load_share": statistics.median(run.load_share for run in own),
            }
            if BASELINE in by_server:
                row.update(ratios(own, by_server[BASELINE]))
            rows.append(row)
    return rows


def limit(server_share: float, load_share: float) -> str:
    """The mark of a row where the server's speed was not what limited messages per second."""
    if load_share > LOAD_LIMIT:
        return BUSY
    return CROWDED if server_share < SERVER_IDLE else ""


def table(rows: Sequence[dict[str, float | str]]) -> str:
    """The rows as text, with a note where something else than the server was the limit."""
    lines = [
        f"{'clients':>7}  {'server':<22}{'messages/s':>11}{'CPU us/msg':>12}{'ratio':>7}"
        f"{'quartiles':>13}{'server core':>13}{'load core':>11}"
    ]
    marks = []
    for row in rows:
        mark = limit(float(row["server_share"]), float(row["load_share"]))
        marks.append(mark)
        against = spread = "-"
        if "ratio" in row:
            against = f"{row['ratio']:.2f}"
            spread = f"{row['ratio_low']:.2f} - {row['ratio_high']:.2f}"
        lines.append(
            f"{row['clients']:>7}  {row['server']:<22}{row['messages_per_second']:>11,.0f}"
            f"{row['cpu_us_per_message']:>12.1f}{against:>7}{spread:>13}"
            f"{row['server_share']:>13.0%}{row['load_share']:>11.0%} {mark}".rstrip()
        )
    lines.append(f"\nratio: CPU per message against {ECHO_SERVERS[BASELINE].name}")
    lines += [f"{mark} {note}" for mark, note in NOTES.items() if mark in marks]
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench echo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--servers", nargs="+", choices=ECHO_SERVERS, default=list(ECHO_SERVERS), metavar="NAME",
        help=f"of {', '.join(ECHO_SERVERS)}; default: all",
    )  # fmt: skip
    parser.add_argument("--clients", nargs="+", type=int, default=[100, 1000], metavar="N")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measured window")
    parser.add_argument("--warmup", type=float, default=0.3, help="seconds before it")
    parser.add_argument("--size", type=int, default=32, help="bytes of a message")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    raise_file_limit()
    runs = [run for clients in given.clients for run in measure_all(clients, given)]
    rows = summarize(runs, given)
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()))
    print(f"{given.size}-byte messages, {given.rounds} rounds of {given.seconds:g} s, medians\n")
    print(table(rows))
    if given.json:
        settings = {"size": given.size, "seconds": given.seconds, "rounds": given.rounds}
        found = {
            "machine": facts,
            "settings": settings,
            "table": rows,
            "runs": [asdict(run) for run in runs],
        }
        given.json.write_text(json.dumps(found, indent=2) + "\n")
