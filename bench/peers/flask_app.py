"""An echo with Flask-Sock, for gunicorn to serve: a thread for each client."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)


@sock.route("/")
def echo(socket: Any) -> None:
    while True:
        socket.send(socket.receive())
