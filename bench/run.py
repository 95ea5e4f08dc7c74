"""Run: each scenario against each peer, by turns; tables, a JSON file and charts.

    python -m bench run [--scenario NAME ...] [--peer NAME ...]

A run of everything writes into bench/results/. A run of a part prints, and writes where --into
says; what the folder has of other scenarios stays.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import results, tables
from bench.compiled import compile_all
from bench.measure import raise_file_limit, two_cores
from bench.measuring import Stage, measure
from bench.peers.known import OURS, PEERS
from bench.places import Places
from bench.scenarios import SCENARIOS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), metavar="NAME",
        help=f"of {', '.join(SCENARIOS)}; default: all",
    )  # fmt: skip
    parser.add_argument(
        "--peer", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME",
        help=f"of {', '.join(PEERS)}; default: all. Ratios need {OURS}",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measured window")
    parser.add_argument(
        "--clients", type=int, metavar="N", help="at most so many, to try a scenario out"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there")
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="write figures, tables and charts there"
    )
    return parser.parse_args()


def main() -> None:
    given = arguments()
    raise_file_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Ended."))  # with all that was started
    _, load_core = two_cores()
    whole = set(given.scenario) == set(SCENARIOS) and set(given.peer) == set(PEERS)
    into = given.into or (results.FOLDER if whole and not given.clients else None)
    records: dict[str, Any] = {}
    rounds: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Places(Path(name), load_core) as at:
        folder = Path(name)
        compile_all(folder)
        stage = Stage(folder, at, given.seconds, given.rounds, given.clients)
        for chosen in given.scenario:
            begun = time.monotonic()
            scenario = SCENARIOS[chosen]
            outcome = measure(scenario, [PEERS[peer] for peer in given.peer], stage)
            found = records[chosen] = results.record(scenario, outcome, stage)
            rounds[chosen] = outcome.samples
            if into:
                results.store({chosen: found}, into)  # a run that is ended early is not in vain
            print(f"{scenario.title}\n{results.caption(found)}\n\n{tables.table(found)}\n")
            print(f"{chosen}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    if records:
        print(results.facts(next(iter(records.values()))))
    if given.json:
        everything = {"scenarios": records, "samples": rounds}
        given.json.write_text(json.dumps(everything, indent=1) + "\n")
    if into:
        for file in results.draw(into):
            print(file)


def draw() -> None:
    """The command `draw`: tables and charts from the figures of a folder, as they are."""
    parser = argparse.ArgumentParser(prog="python -m bench draw", description=draw.__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=results.FOLDER)
    for file in results.draw(parser.parse_args().folder):
        print(file)
