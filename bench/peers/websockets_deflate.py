"""An echo server with websockets on uvloop and permessage-deflate.

Its one argument: `default` for what websockets does by itself (context takeover both ways, windows
of 4 KiB, zlib's level 6), or `alone` for no context takeover and level 1, as ours has it.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from bench.peers.websockets_uvloop import OPTIONS, echo

ALONE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    compress_settings={"level": 1},
)


async def main(mode: str) -> None:
    if mode == "alone":
        options = {"compression": None, "extensions": [ALONE]}
    else:
        options = {"compression": "deflate"}
    async with serve(echo, "127.0.0.1", 0, **OPTIONS, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"ws://127.0.0.1:{port}/", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
