"""An echo server with picows on uvloop: C from end to end, no framework, no view. The floor."""

from __future__ import annotations

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

BACKLOG = 2048


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


def listener(request: WSUpgradeRequest) -> Echo:
    return Echo()


async def main() -> None:
    server = await ws_create_server(listener, "127.0.0.1", 0, backlog=BACKLOG)
    port = server.sockets[0].getsockname()[1]
    print(f"ws://127.0.0.1:{port}/", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
