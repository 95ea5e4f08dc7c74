"""python -m fuzzing: mutated sessions against the protocol and a second implementation of it."""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
from collections import Counter

from fuzzing import parallel
from fuzzing.tally import Tally
from fuzzing.targets import TARGETS


def show(target: str, run: parallel.Run) -> None:
    """Print what a target's run came to."""
    tally, unit = run.tally, TARGETS[target].unit
    rate = tally.mutated / run.seconds
    print(
        f"{target}: {tally.sessions:,} sessions, {tally.mutated:,} mutated {unit}, all compared,"
        f" in {run.seconds:,.0f} s: {rate:,.0f} {unit} a second"
    )
    if tally.stopped:
        print(f"  {tally.stopped:,} of the sessions received once more, with stops")
    if tally.built:
        print(f"  {tally.built:,} messages deflated, and read by two others")
    ends = Counter({str(end or "open"): count for end, count in tally.ends.items()})
    shown = ", ".join(f"{end} {count:,}" for end, count in ends.most_common(8))
    print(f"  ended: {shown}")
    before, after = run.resident_before / 2**20, run.resident_after / 2**20
    if after:
        print(f"  memory: {before:.1f} MiB after the first batches, {after:.1f} MiB at the end")
    sentences: Counter[str] = Counter()
    for kind, count in tally.explained.items():
        for sentence in kind:
            sentences[sentence] += count
    print(f"  differences that are explained: {tally.explained.total():,}")
    for sentence, count in sentences.most_common():
        print(f"  {count:>9,}  {sentence}")
    for finding in tally.findings[:5]:
        print(f"\nNOT EXPLAINED: {finding}")
    if len(tally.findings) > 5:
        print(f"\n... and {len(tally.findings) - 5} more")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__)
    parser.add_argument("--seconds", type=float, help="for all targets together (default: 60)")
    parser.add_argument("--frames", type=int, help="of each target, instead of a time")
    parser.add_argument("--seed", type=int, help="of the first batch (default: a new one)")
    parser.add_argument(
        "--target",
        action="append",
        choices=TARGETS,
        help="one of the targets, or several (default: all)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="processes (default: as many as there are cores)",
    )
    given = parser.parse_args()
    given.target = given.target or list(TARGETS)
    if given.frames is None and given.seconds is None:
        given.seconds = 60
    if given.seed is None:
        given.seed = random.randrange(10**9)
    return given


def main() -> int:
    given = arguments()
    print(f"seed {given.seed}, {given.jobs} processes", flush=True)
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: stopped.append(number))
    found = 0
    for target in given.target:

        def progress(tally: Tally, seconds: float, target: str = target) -> None:
            print(f"  {target}: {tally.mutated:,} in {seconds:,.0f} s", flush=True)

        run = parallel.run(
            target,
            given.seed,
            seconds=given.seconds and given.seconds / len(given.target),
            frames=given.frames,
            jobs=given.jobs,
            progress=progress,
            is_stopped=lambda: bool(stopped),
        )
        show(target, run)
        found += len(run.tally.findings)
        if stopped:
            break
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
