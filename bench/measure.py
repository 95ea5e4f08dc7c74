"""Processes seen and set up from outside (CPU time, cores, limits), and the sums."""

from __future__ import annotations

import math
import os
import platform
import resource
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

# Places in /proc/PID/stat counted from behind the command's name, which may itself hold spaces
# and parentheses; proc(5) numbers them three higher.
PPID = 1
TIMES = slice(11, 15)  # utime, stime, and both once more for children that have been waited for
STEAL = 7  # in a core's line of /proc/stat


def _stat(pid: int | str) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def family(pid: int) -> list[int]:
    """The process and all that descend from it: a server may have workers."""
    children = defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children[int(_stat(entry)[PPID])].append(int(entry))
            except (FileNotFoundError, ProcessLookupError):  # it ended since the folder was listed
                continue
    found = [pid]
    for member in found:  # grows while it is walked
        found.extend(children[member])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time that a process and its descendants have used so far, in seconds.

    The kernel counts in ticks, usually of 10 ms, so a window wants to be seconds long.
    """
    ticks = sum(int(ticks) for member in family(pid) for ticks in _stat(member)[TIMES])
    return ticks / TICKS_PER_SECOND


def resident(pid: int) -> int:
    """Bytes of memory that a process has now: its resident set size."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_SIZE


def family_resident(pid: int) -> int:
    """The same of a process and its descendants, which count what they share each for itself."""
    return sum(resident(member) for member in family(pid))


def starved_seconds(pid: int, core: int) -> float:
    """How long a process pinned to a core has so far been ready to run and was not let.

    Others were: on the core, as the scheduler tells for the process (its main thread), or on the
    whole machine if it is a virtual one, as the core's stolen time tells.
    """
    waited = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])  # nanoseconds
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            return waited / 1e9 + int(ticks[STEAL]) / TICKS_PER_SECOND
    raise LookupError(f"/proc/stat knows no core {core}")


def two_cores() -> tuple[int, int]:
    """One core for the server and one for the load generator.

    Raises SystemExit where this process may use one core only: the two would then be measured
    against each other.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("The benchmarks need two cores: one for the server, one for the load.")
    return cores[0], cores[-1]


@contextmanager
def pinned_to(core: int) -> Iterator[None]:
    """Every process started inside stays on this core.

    A child inherits its parent's affinity, so it never runs elsewhere, not even before a call
    from outside could have pinned it.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raise_file_limit() -> None:
    """Let this process and its children open as many files as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all values do not exceed (nearest rank).

    `ordered` is ascending and not empty.
    """
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


VERSIONS = ("django", "eventlet", "websockets", "uvloop", "picows", "isal")


def machine(packages: Sequence[str] = VERSIONS) -> dict[str, str]:
    """What a reader needs to know about the place where figures were taken."""
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    facts = {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    for name in packages:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "not installed"
    return facts
