"""An echo server with gevent-websocket, which takes wsaccel where that is installed."""

from __future__ import annotations

from typing import Any

from gevent import monkey

monkey.patch_all()

from gevent.pywsgi import WSGIServer  # noqa: E402
from geventwebsocket import WebSocketError  # noqa: E402
from geventwebsocket.handler import WebSocketHandler  # noqa: E402

BACKLOG = 2048


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    socket = environ["wsgi.websocket"]
    try:
        while (message := socket.receive()) is not None:
            socket.send(message)
    except WebSocketError:  # the client has left
        pass
    return []


if __name__ == "__main__":
    server = WSGIServer(
        ("127.0.0.1", 0), echo, handler_class=WebSocketHandler, log=None, backlog=BACKLOG
    )
    server.start()
    print(f"ws://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
