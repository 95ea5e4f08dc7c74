"""Echo: how much CPU a server spends on one small message, ours and others', side by side.

    python -m bench echo

Each client sends a text and waits for its echo before it sends again. Every server runs alone on
one core, the load generator on another, and rounds are interleaved so that a slow minute of the
machine meets all servers alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.load import Sample
from bench.measure import machine, pinned_to, raise_file_limit, two_cores
from bench.servers import ECHO_SERVERS, ROOT, serving

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


def measure(name: str, clients: int, number: int, given: argparse.Namespace) -> Run:
    """Start a server, put it under load, stop it."""
    server_core, load_core = two_cores()
    with serving(ECHO_SERVERS[name], server_core) as server, pinned_to(load_core):
        command = [sys.executable, "-m", "bench.load", server.url, f"--pid={server.pid}"]
        command += [f"--clients={clients}", f"--size={given.size}"]
        command += [f"--warmup={given.warmup}", f"--seconds={given.seconds}"]
        load = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if load.returncode:
        raise SystemExit(f"{ECHO_SERVERS[name].name} with {clients} clients was not measured.")
    return Run(name, clients, number, Sample(**json.loads(load.stdout)))


def measure_patiently(name: str, clients: int, number: int, given: argparse.Namespace) -> Run:
    """Measure again, a few times, while others keep server and load generator off their cores.

    What decides is how busy the two were, never how the server fared.
    """
    for _ in range(given.tries):
        run = measure(name, clients, number, given)
        mark = limit(run.server_share, run.load_share)
        print(
            f"round {number + 1}: {name}, {clients} clients: {run.rate:,.0f} messages/s, "
            f"{run.cpu:.1f} us {mark}".rstrip(),
            file=sys.stderr,
        )
        if mark != CROWDED:
            break
    return run


def measure_all(given: argparse.Namespace) -> list[Run]:
    """Every server at every number of clients, round by round."""
    runs = []
    for number in range(given.rounds):
        # To and fro, so that no server always follows the same one.
        order = given.servers if number % 2 == 0 else given.servers[::-1]
        for clients in given.clients:
            for name in order:
                runs.append(measure_patiently(name, clients, number, given))
    return runs


def ratio(runs: Sequence[Run], baseline: Sequence[Run]) -> float:
    """Median over the rounds of CPU per message against the baseline's in the same round."""
    pairs = zip(runs, baseline, strict=True)
    return statistics.median(run.cpu / base.cpu for run, base in pairs)


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
                row["ratio"] = ratio(own, by_server[BASELINE])
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
        f"{'server core':>13}{'load core':>11}"
    ]
    marks = []
    for row in rows:
        mark = limit(float(row["server_share"]), float(row["load_share"]))
        marks.append(mark)
        against = f"{row['ratio']:.2f}" if "ratio" in row else "-"
        lines.append(
            f"{row['clients']:>7}  {row['server']:<22}{row['messages_per_second']:>11,.0f}"
            f"{row['cpu_us_per_message']:>12.1f}{against:>7}{row['server_share']:>13.0%}"
            f"{row['load_share']:>11.0%} {mark}".rstrip()
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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tries", type=int, default=3, help="where others used the cores")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measured window")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before it")
    parser.add_argument("--size", type=int, default=32, help="bytes of a message")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    raise_file_limit()
    runs = measure_all(given)
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
