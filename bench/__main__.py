"""python -m bench [COMMAND] [OPTIONS]; the command is `run` when none is named."""

from __future__ import annotations

import sys
from importlib import import_module

from bench.servers import ServerError

# Each imports what it needs itself: one may be installed without the others.
COMMANDS = {
    "run": ("bench.run", "main"),
    "draw": ("bench.run", "draw"),
    "stall": ("bench.stall", "main"),
    "hostile": ("bench.hostile.scenario", "main"),
    "compression": ("bench.compression", "main"),
    "databases": ("bench.databases", "main"),
    "garbage": ("bench.garbage", "main"),
    "instructions": ("bench.instructions", "main"),
}


def main() -> None:
    named = len(sys.argv) > 1 and sys.argv[1] in COMMANDS
    module, function = COMMANDS[sys.argv.pop(1) if named else "run"]
    try:
        getattr(import_module(module), function)()
    except ServerError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
