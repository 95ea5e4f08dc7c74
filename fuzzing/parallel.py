"""Batches of seeds on every core, until there is no time left or a finding."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import NamedTuple

from fuzzing.tally import Tally
from fuzzing.targets import TARGETS

#: Sessions of a seed. A finding comes again with its seed only if this stays as it is.
SESSIONS = 1000

#: Batches after which a process has all that it will hold.
_WARM = 3


class Memory(NamedTuple):
    """What a process takes of the machine's memory, in bytes."""

    process: int
    resident: int


class Run(NamedTuple):
    """What a run has come to."""

    tally: Tally
    seconds: float
    #: Of the largest process: after its first batches, and at the end.
    resident_before: int
    resident_after: int


def _examine(target: str, seed: int) -> tuple[Tally, Memory]:
    tally = TARGETS[target].batch(seed, SESSIONS)
    gc.collect()
    return tally, Memory(os.getpid(), _resident())


def _ignore_interrupts() -> None:
    # Ctrl-C reaches all of them; the first process ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _resident() -> int:
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return 0  # not on Linux: there it is not known


def run(
    target: str,
    seed: int,
    *,
    seconds: float | None,
    frames: int | None,
    jobs: int,
    progress: Callable[[Tally, float], None],
    is_stopped: Callable[[], bool],
) -> Run:
    """Examine batch after batch of one target, of ``seed``, ``seed + 1`` and so on.

    Ends after so many ``seconds``, or mutated ``frames``, or with the first finding, or
    when it ``is_stopped``.
    ``progress`` is told how far it is, now and then.
    """
    tally = Tally()
    memory: dict[int, list[int]] = {}
    start = time.monotonic()
    # Processes of their own: neither shares what the other has imported and cached.
    context = multiprocessing.get_context("spawn")
    told = start
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_ignore_interrupts) as pool:
        running: set[Future[tuple[Tally, Memory]]] = set()
        is_over = False
        while True:
            while not is_over and len(running) < 2 * jobs:
                running.add(pool.submit(_examine, target, seed))
                seed += 1
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                part, (process, resident) = future.result()
                tally += part
                memory.setdefault(process, []).append(resident)
            now = time.monotonic()
            is_over = (
                bool(tally.findings)
                or is_stopped()
                or (seconds is not None and now - start >= seconds)
                or (frames is not None and tally.mutated >= frames)
            )
            if is_over:
                for future in list(running):
                    if future.cancel():
                        running.discard(future)
            if now - told >= 60:
                progress(tally, now - start)
                told = now
    before, after = max((each[min(_WARM, len(each)) - 1], each[-1]) for each in memory.values())
    return Run(tally, time.monotonic() - start, before, after)
