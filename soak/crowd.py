"""Thousands of clients, one life after the other, in a process of their own.

Says in one JSON object what they did, and what they found wrong: see `Report`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import uvloop

from bench.measure import raise_file_limit
from soak.client import Refused
from soak.lives import LIVES, PROVOKING, Life, Wrong

ARRIVAL = 10.0  # seconds over which the first come
LONGEST = 90.0  # seconds that a life may take, times the leisure: the server ends it else
REST = 1.0  # seconds at most between two lives, times the leisure


@dataclass
class Report:
    """What the clients did and found."""

    lives: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)  # lives that the server ended
    refused: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    messages: int = 0


async def live(
    port: int, chance: random.Random, report: Report, leisure: float = 1, behaviour=None
) -> None:
    """One life, chosen at random where none is named."""
    chosen = behaviour or chance.choices(list(LIVES), LIVES.values())[0]
    life = Life(port, chance, leisure)
    name = chosen.__name__
    report.lives[name] += 1
    try:
        await asyncio.wait_for(life.run(chosen), LONGEST * leisure)
    except Refused as refusal:
        report.refused[str(refusal)] += 1
    except Wrong as wrong:
        report.wrong[f"{name}: {wrong}"] += 1
    except asyncio.TimeoutError:
        report.wrong[f"{name}: it did not end"] += 1
    except (OSError, EOFError) as error:
        report.cut[name] += 1
        if chosen not in PROVOKING:
            report.wrong[f"{name}: cut off, {type(error).__name__}"] += 1
    report.messages += life.messages


async def one_of_each(port: int, seed: int) -> Report:
    """Two lives of each kind: what the server makes once, it has made then."""
    report = Report()
    lives = [
        live(port, random.Random(f"{seed} {number} {behaviour.__name__}"), report, 1, behaviour)
        for behaviour in LIVES
        for number in range(2)
    ]
    await asyncio.gather(*lives)
    return report


async def crowd(port: int, clients: int, seconds: float, seed: int, leisure: float) -> Report:
    report = Report()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    async def one(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        await asyncio.sleep(ARRIVAL * number / clients)
        while loop.time() < end:
            await live(port, chance, report, leisure)
            await asyncio.sleep(chance.uniform(0, REST * leisure))

    await asyncio.gather(*(one(number) for number in range(clients)))
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=0, help="0: two of each kind, once")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--leisure", type=float, default=1)
    given = parser.parse_args()
    raise_file_limit()
    if given.clients:
        running = crowd(given.port, given.clients, given.seconds, given.seed, given.leisure)
    else:
        running = one_of_each(given.port, given.seed)
    with suppress(KeyboardInterrupt):
        print(json.dumps(vars(uvloop.run(running))))


if __name__ == "__main__":
    main()
