"""An echo server with ``eventlet.websocket``, served by ``eventlet.wsgi``."""

from __future__ import annotations

import eventlet
from eventlet import wsgi
from eventlet.websocket import WebSocket, WebSocketWSGI


def echo(websocket: WebSocket) -> None:
    while (message := websocket.wait()) is not None:
        websocket.send(message)


def main() -> None:
    listener = eventlet.listen(("127.0.0.1", 0))
    print(f"ws://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    wsgi.server(listener, WebSocketWSGI(echo, max_frame_length=2**24))


if __name__ == "__main__":
    main()
