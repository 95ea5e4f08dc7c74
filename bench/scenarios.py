"""What is measured: one entry per scenario, in the order in which they run."""

from __future__ import annotations

from dataclasses import dataclass

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True)
class Scenario:
    """How the clients behave, and which of a peer's applications they meet."""

    name: str
    title: str
    kind: str = "echo"  # a command of c/client.c; or `idle`, which weighs
    applications: tuple[str, ...] = ("echo",)  # the first of them that a peer has
    clients: int = 100
    size: int = 32  # bytes of a message
    depth: int = 1  # messages under way per client
    longer: float = 1.0  # its windows, to those of others
    warmup: float = 0.2  # seconds of the window before it that are not counted
    unit: str = "messages"


ALL = (
    Scenario("echo-32", "Echo of 32 bytes, 100 clients"),
    Scenario("echo-1k", "Echo of 1 KiB, 100 clients", size=KIB),
    Scenario("echo-64k", "Echo of 64 KiB, 100 clients", size=64 * KIB),
    # More clients would measure how the kernel finds memory for a hundred full buffers.
    Scenario("echo-1m", "Echo of 1 MiB, 20 clients", size=MIB, clients=20),
    Scenario("clients-1", "Echo of 32 bytes, 1 client", clients=1),
    Scenario("clients-2000", "Echo of 32 bytes, 2,000 clients", clients=2000),
    Scenario("clients-10000", "Echo of 32 bytes, 10,000 clients", clients=10_000),
    Scenario("in-flight-16", "Echo of 32 bytes, 100 clients, 16 under way each", depth=16),
    Scenario(
        "handshakes",
        "Handshakes, 32 at once",
        kind="handshakes",
        applications=("site", "echo"),
        clients=32,
        unit="handshakes",
    ),
    Scenario(
        "storm",
        "Handshakes, 5,000 clients that come back at once",
        kind="storm",
        applications=("site", "echo"),
        clients=5000,
        unit="handshakes",
    ),
    Scenario(
        "idle",
        "Memory of an idle socket, 10,000 clients",
        kind="idle",
        applications=("site", "echo"),
        clients=10_000,
        unit="sockets",
    ),
    Scenario(
        "user",
        "Echo of 32 bytes, 100 clients, default middlewares, session and user",
        applications=("user",),
    ),
    Scenario(
        "query",
        "Echo of 32 bytes, 100 clients, a query by the ORM for each message",
        applications=("query",),
    ),
    Scenario(
        "compressed",
        "Echo of 2 KiB of JSON, compressed, 100 clients",
        applications=("deflate",),
        size=2 * KIB,
    ),
    Scenario(
        "paced",
        "10,000 clients, each a message of 32 bytes a second",
        kind="pace",
        clients=10_000,
        longer=3.0,
        warmup=1.0,
    ),
)

SCENARIOS = {scenario.name: scenario for scenario in ALL}
