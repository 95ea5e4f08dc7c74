"""python -m bench [echo|stall|hostile|compression] [OPTIONS]; echo when no scenario is named."""

from __future__ import annotations

import sys

from bench import compression, echo, stall
from bench.hostile import scenario as hostile
from bench.servers import ServerError

SCENARIOS = {
    "echo": echo.main,
    "stall": stall.main,
    "hostile": hostile.main,
    "compression": compression.main,
}

if __name__ == "__main__":
    named = len(sys.argv) > 1 and sys.argv[1] in SCENARIOS
    try:
        SCENARIOS[sys.argv.pop(1) if named else "echo"]()
    except ServerError as error:
        sys.exit(str(error))
