"""One scenario: every peer under load, by turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.measure import family_resident, pinned_to, two_cores
from bench.peers.known import Peer
from bench.places import Places
from bench.player import Player
from bench.scenarios import Scenario
from bench.servers import Server, ServerError, serving
from bench.summary import Sample, sample

WARM_CLIENTS = 100  # they have spoken before memory is read, so that all is imported
SETTLE = 2.0  # seconds
REASON = 200  # characters of a reason, at most


@dataclass
class Outcome:
    """What each peer did in each round, and why others have nothing to show."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def fail(self, name: str, error: Exception) -> None:
        self.samples.pop(name, None)
        lines = str(error).strip().splitlines()
        reason = lines[0] if len(lines) < 2 else f"{lines[0]} {lines[-1]}"
        self.failed[name] = reason[:REASON]
        print(f"  {name}: {error}", file=sys.stderr)


@dataclass(frozen=True)
class Stage:
    """What a scenario is played on."""

    binaries: Path
    places: Places
    seconds: float
    rounds: int
    most: int | None = None  # clients, where a scenario is only tried out

    def clients(self, scenario: Scenario) -> int:
        return min(scenario.clients, self.most or scenario.clients)


class Seat:
    """A peer that runs, and its clients."""

    def __init__(self, peer: Peer, scenario: Scenario, stage: Stage) -> None:
        self.name = peer.name
        if missing := peer.missing():
            raise ServerError(f"It is not installed: {', '.join(missing)}.")
        clients = stage.clients(scenario)
        if peer.most is not None and clients > peer.most:
            raise ServerError(f"It is made for up to {peer.most} clients: a thread for each.")
        application = next(name for name in scenario.applications if name in peer.servers)
        place = stage.places.of(application)
        server_core, load_core = two_cores()
        with ExitStack() as stack:
            server = _placed(peer.servers[application], stage.binaries, place.environment)
            self.running = stack.enter_context(serving(server, server_core))
            with pinned_to(load_core):
                self.player = stack.enter_context(
                    Player(self.running, scenario, stage.binaries, place.cookie, clients)
                )
            self._stack = stack.pop_all()

    def leave(self) -> None:
        """Stop the clients, and then the server."""
        self._stack.close()


def _placed(server: Server, binaries: Path, environment: Mapping[str, str]) -> Server:
    command = tuple(part.replace("{binaries}", str(binaries)) for part in server.command)
    return replace(server, command=command, environment={**server.environment, **environment})


def takes_part(peer: Peer, scenario: Scenario) -> bool:
    """Whether a peer has any of the applications of a scenario."""
    return any(application in peer.servers for application in scenario.applications)


def measure(scenario: Scenario, peers: Sequence[Peer], stage: Stage) -> Outcome:
    """Every peer that takes part; whichever fails has a reason instead of figures."""
    outcome = Outcome()
    peers = [peer for peer in peers if takes_part(peer, scenario)]
    if scenario.kind == "idle":
        for peer in peers:
            _weigh(peer, scenario, stage, outcome)
    else:
        _by_turns(scenario, peers, stage, outcome)
    return outcome


def _by_turns(scenario: Scenario, peers: Sequence[Peer], stage: Stage, outcome: Outcome) -> None:
    """All are up throughout, so that the windows of a round lie a moment apart.

    Machines change their pace from one second to the next, and a server that is not being
    measured has nothing to do. In each round another one is the first.
    """
    seats: dict[str, Seat] = {}
    try:
        for peer in peers:
            try:
                seats[peer.name] = Seat(peer, scenario, stage)
                seats[peer.name].player.connect()
                seats[peer.name].player.warm_up(stage.seconds)
                outcome.samples[peer.name] = []
            except (ServerError, OSError) as error:
                outcome.fail(peer.name, error)
                _dismiss(seats, peer.name)
        for number in range(stage.rounds):
            order = list(seats)
            first = number * 5 % max(1, len(order))  # neighbours change as well, if slowly
            for name in order[first:] + order[:first]:
                try:
                    window = seats[name].player.measure(stage.seconds)
                    outcome.samples[name].append(sample(window))
                except (ServerError, OSError) as error:
                    outcome.fail(name, error)
                    _dismiss(seats, name)
    finally:
        for name in list(seats):
            _dismiss(seats, name)


def _dismiss(seats: dict[str, Seat], name: str) -> None:
    if seat := seats.pop(name, None):
        try:
            seat.leave()
        except ServerError as error:  # it ended by itself, some time since its last window
            print(f"  {name}: {error}", file=sys.stderr)


def _weigh(peer: Peer, scenario: Scenario, stage: Stage, outcome: Outcome) -> None:
    """What each of many sockets adds to a fresh server that has seen a few."""
    seats: dict[str, Seat] = {}
    clients = stage.clients(scenario)
    warm = min(WARM_CLIENTS, max(1, clients // 10))
    try:
        seat = seats[peer.name] = Seat(peer, scenario, stage)
        seat.player.connect(warm)
        seat.player.tell("once")
        time.sleep(SETTLE)
        before = family_resident(seat.running.pid)
        seat.player.connect(warm + clients)
        time.sleep(SETTLE)
        silent = family_resident(seat.running.pid)
        seat.player.tell("once")
        time.sleep(SETTLE)
        spoken = family_resident(seat.running.pid)
        outcome.samples[peer.name] = [
            {
                "memory": max(0, silent - before) / clients,
                "memory_spoken": max(0, spoken - before) / clients,
                "resident": spoken,
            }
        ]
    except (ServerError, OSError) as error:
        outcome.fail(peer.name, error)
    finally:
        _dismiss(seats, peer.name)
