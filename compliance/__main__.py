"""python -m compliance [SERVER ...]: every case of the Autobahn test suite, against each server."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from bench.servers import ServerError
from compliance import autobahn, readme, tables
from compliance.judge import MISSING, Outcome, explain, judge, read_indexes
from compliance.servers import SERVERS, Server, serving

REPORTS = autobahn.CACHE / "reports"


def run(server: Server, cases: Sequence[str], folder: Path, jobs: int) -> None:
    """Run the cases in parts, so many at a time, each job with a server of its own.

    What goes wrong is printed. The cases that it took along have no report then, and fail.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    parts = deque(autobahn.batches(cases))

    def work(job: int) -> tuple[float, float]:
        suite = 0.0
        with serving(server, folder / f"server-{job}.log") as running:
            while True:
                try:
                    part = parts.popleft()
                except IndexError:
                    break
                suite += autobahn.run(part, server.name, running.url, folder / part[0])
        return suite, running.cpu

    start = time.monotonic()
    suite = served = 0.0
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for future in [pool.submit(work, job) for job in range(jobs)]:
                try:
                    used = future.result()
                except (ServerError, autobahn.AutobahnError) as error:
                    print(error, file=sys.stderr)
                else:
                    suite, served = suite + used[0], served + used[1]
        finally:
            parts.clear()  # after Ctrl-C, what has begun is the last
    facts = {
        "date": date.today().isoformat(),
        "versions": server.versions(),
        "jobs": jobs,
        "seconds": round(time.monotonic() - start),
        "suite_cpu_seconds": round(suite),
        "server_cpu_seconds": round(served),
    }
    (folder / "run.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")


def show(server: Server, outcomes: Sequence[Outcome], folder: Path) -> bool:
    """Print what a server's run came to. Returns whether every case passed."""
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    failed = [outcome for outcome in outcomes if not outcome.passed]
    ran = sum(outcome.behavior != MISSING for outcome in outcomes)
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    print(f"\n{server.name}: {versions}\n\n{tables.one_server(outcomes)}\n")
    print(
        f"{len(outcomes)} expected, {ran} ran, {len(failed)} did not pass."
        f" {facts['seconds']} s with {facts['jobs']} jobs; CPU time:"
        f" {facts['suite_cpu_seconds']} s the suite, {facts['server_cpu_seconds']} s the server."
    )
    for outcome in failed:
        print(f"\n{explain(outcome, folder)}")
    sys.stdout.flush()
    return not failed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compliance")
    parser.add_argument(
        "servers", nargs="*", metavar="SERVER", help=f"of {', '.join(SERVERS)} (default: ours)"
    )
    parser.add_argument(
        "--cases", nargs="+", default=[], metavar="CASE", help="only these: 12, 9.1 or 6.4.2"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="so many parts at a time (default: as many as there are cores)",
    )
    parser.add_argument("--judge", action="store_true", help="run nothing, judge the last reports")
    parser.add_argument("--rst", action="store_true", help="write the tables into README.rst too")
    given = parser.parse_args()
    given.servers = given.servers or ["ours"]
    for name in given.servers:
        if name not in SERVERS:
            parser.error(f"there is no server {name!r}: choose from {', '.join(SERVERS)}")
    return given


def main() -> int:
    given = arguments()
    autobahn.install()
    cases = autobahn.list_cases()
    if given.cases:
        chosen = tuple(f"{case}." for case in given.cases)
        cases = [case for case in cases if f"{case}.".startswith(chosen)]
        if not cases:
            raise autobahn.AutobahnError(f"There is no case {' or '.join(given.cases)}.")
    passed = True
    outcomes = {}
    for name in given.servers:
        server, folder = SERVERS[name], REPORTS / name
        if not given.judge:
            run(server, cases, folder, given.jobs)
        elif not (folder / "run.json").exists():
            raise autobahn.AutobahnError(f"There are no reports of {name}: it has not been run.")
        outcomes[name] = judge(cases, read_indexes(folder))
        passed &= show(server, outcomes[name], folder) or not server.is_ours
    if given.rst:
        readme.write(outcomes, REPORTS)
    return 0 if passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except autobahn.AutobahnError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)  # what has begun was stopped by the same key
