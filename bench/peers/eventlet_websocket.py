"""An echo server with the websocket module that eventlet brings: what we stand on, without us."""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

from typing import Any  # noqa: E402

from eventlet import websocket, wsgi  # noqa: E402

BACKLOG = 2048
MOST = 20_000  # green threads, one for each client


@websocket.WebSocketWSGI
def echo(socket: Any) -> None:
    while (message := socket.wait()) is not None:
        socket.send(message)


if __name__ == "__main__":
    listener = eventlet.listen(("127.0.0.1", 0), backlog=BACKLOG)
    print(f"ws://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    wsgi.server(listener, echo, log_output=False, max_size=MOST)
