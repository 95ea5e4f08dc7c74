"""What clients send: JSON to be compressed, and masked frames."""

from __future__ import annotations

import json
import os
import random
from typing import Any

CYCLE = 1 << 16  # bytes of documents at least: more than a window, and different ones
TEXT, PING, PONG = 0x1, 0x9, 0xA


def documents(size: int) -> list[bytes]:
    """JSON texts of so many bytes each, as an API may send them; the same in every run."""
    chance = random.Random(size)
    names = ["Ada", "Grace", "Barbara", "Edsger", "Donald", "Frances", "Ken", "Margaret"]
    states = ["open", "closed", "waiting", "refunded"]

    def record() -> dict[str, Any]:
        return {
            "id": chance.randrange(10**6),
            "name": chance.choice(names),
            "state": chance.choice(states),
            "price": round(chance.uniform(1, 500), 2),
            "time": f"2026-11-{chance.randint(1, 30):02}T{chance.randrange(24):02}:00:00Z",
            "tags": chance.sample(["new", "paid", "gift", "late", "fragile"], 2),
        }

    def document() -> bytes:
        text = json.dumps([record() for _ in range(size // 90 + 2)])
        return text[:size].encode()

    return [document() for _ in range(max(16, CYCLE // size + 1))]


def frame(payload: bytes, rsv1: bool, opcode: int = TEXT) -> bytes:
    """A client's frame, masked."""
    size = len(payload)
    first = 0x80 | rsv1 << 6 | opcode
    if size < 126:
        head = bytes([first, 0x80 | size])
    else:
        width, mark = (2, 126) if size < 65536 else (8, 127)
        head = bytes([first, 0x80 | mark]) + size.to_bytes(width, "big")
    key = os.urandom(4)
    keys = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return head + key + (int.from_bytes(payload, "big") ^ keys).to_bytes(size, "big")
