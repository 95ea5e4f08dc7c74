"""Who is measured, and how each is started: as its own documentation has it for speed.

No compression but where the scenario is about it, no access log, no keepalive (ours keeps its
own), one process, and a backlog of 2,048 where its default is lower.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from bench.servers import RUNWSSERVER, Server, python

NEVER = "86400"  # seconds, for keepalives that cannot be turned off
DJANGO = {"DJANGO_SETTINGS_MODULE": "bench.siteproject.settings"}
ASGI = "bench.siteproject.asgi:application"
LISTEN = ("--host", "127.0.0.1", "--port", "{port}")


@dataclass(frozen=True)
class Peer:
    """A server with the applications that it has, by the names that scenarios use."""

    name: str
    title: str
    servers: Mapping[str, Server]
    needs: tuple[str, ...] = ()  # distributions
    most: int | None = None  # clients

    def missing(self) -> list[str]:
        """What is not installed of what it needs."""
        return [need for need in self.needs if not _installed(need)]


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _ours(name: str, title: str, command: tuple[str, ...], *needs: str) -> Peer:
    paths = {
        "echo": "/echo/",
        "site": "/echo/",
        "user": "/user/",
        "query": "/query/",
        "deflate": "/echo/",
    }
    servers = {
        application: Server(title, command, path=path, environment=DJANGO)
        for application, path in paths.items()
    }
    return Peer(name, title, servers, needs)


def _channels(
    name: str, title: str, command: tuple[str, ...], deflates: tuple[str, ...], *needs: str
) -> Peer:
    """``deflates``: its command where it compresses; empty where it cannot."""
    paths = {"echo": "/echo/", "site": "/site/", "user": "/user/", "query": "/query/"}
    servers = {
        application: Server(title, command, path=path, environment=DJANGO)
        for application, path in paths.items()
    }
    if deflates:
        servers["deflate"] = Server(title, deflates, path="/echo/", environment=DJANGO)
    return Peer(name, title, servers, ("channels", *needs))


def _uvicorn(application: str, implementation: str, deflate: bool = False) -> tuple[str, ...]:
    return python(
        "uvicorn", application, *LISTEN, "--loop", "uvloop", "--http", "httptools",
        "--ws", implementation, "--ws-per-message-deflate", str(deflate),
        "--ws-ping-interval", NEVER, "--ws-ping-timeout", NEVER,
        "--log-level", "warning", "--no-access-log", "--lifespan", "off",
    )  # fmt: skip


def _channels_on_uvicorn(name: str, implementation: str) -> Peer:
    return _channels(
        name,
        f"Channels, uvicorn, {implementation}",
        _uvicorn(ASGI, implementation),
        _uvicorn(ASGI, implementation, deflate=True),
        "uvicorn", "uvloop", "httptools", "websockets",
    )  # fmt: skip


def _starlette_on_uvicorn(name: str, implementation: str) -> Peer:
    title = f"Starlette, uvicorn, {implementation}"
    app = "bench.peers.starlette_app:app"
    servers = {
        "echo": Server(title, _uvicorn(app, implementation)),
        "deflate": Server(title, _uvicorn(app, implementation, deflate=True)),
    }
    return Peer(name, title, servers, ("starlette", "uvicorn", "uvloop", "httptools", "websockets"))


def _program(*arguments: str) -> Server:
    """A program of this folder."""
    return Server(arguments[0], python(f"bench.peers.{arguments[0]}", *arguments[1:]))


GUNICORN = python("gunicorn", "--bind", "127.0.0.1:{port}", "--graceful-timeout", "1")
WORKER = ("-k", "django_websocket_ev.workers.EventletWorker", "--worker-connections", "20000")
FLASK = (*GUNICORN, "-k", "gthread", "--threads", "200", "bench.peers.flask_app:app")
DAPHNE = python(
    "daphne", "-b", "127.0.0.1", "-p", "{port}", "-v", "0",
    "--ping-interval", NEVER, "--websocket_timeout", "-1", "--websocket_connect_timeout", "-1",
    ASGI,
)  # fmt: skip
# Its backpressure is how many clients it serves at once.
GRANIAN = python(
    "granian", "--interface", "asgi", *LISTEN, "--loop", "uvloop", "--runtime-mode", "st",
    "--backlog", "2048", "--backpressure", "20000", "--no-log", ASGI,
)  # fmt: skip

ALL = (
    _ours(
        "ours",
        "django-websocket-ev",
        python("django_websocket_ev", "-m", "django", *RUNWSSERVER),
    ),
    _ours(
        "ours-gunicorn",
        "django-websocket-ev, gunicorn",
        (*GUNICORN, *WORKER, "bench.siteproject.wsgi:application"),
        "gunicorn",
    ),
    _channels_on_uvicorn("channels-uvicorn", "websockets"),
    _channels_on_uvicorn("channels-sansio", "websockets-sansio"),
    _channels("channels-daphne", "Channels, Daphne", DAPHNE, (), "daphne"),
    _channels("channels-granian", "Channels, granian", GRANIAN, (), "granian", "uvloop"),
    _starlette_on_uvicorn("starlette-uvicorn", "websockets"),
    _starlette_on_uvicorn("starlette-sansio", "websockets-sansio"),
    Peer(
        "websockets",
        "websockets on uvloop",
        {"echo": _program("websockets_uvloop"), "deflate": _program("websockets_deflate", "alone")},
        ("websockets", "uvloop"),
    ),
    Peer(
        "aiohttp",
        "aiohttp on uvloop",
        {"echo": _program("aiohttp_uvloop", "0"), "deflate": _program("aiohttp_uvloop", "1")},
        ("aiohttp", "uvloop"),
    ),
    Peer(
        "flask-sock",
        "Flask-Sock, gunicorn gthread",
        {"echo": Server("flask-sock", FLASK)},
        ("flask-sock", "gunicorn"),
        most=100,
    ),
    Peer(
        "gevent-websocket",
        "gevent-websocket",
        {"echo": _program("gevent_websocket")},
        ("gevent-websocket", "wsaccel"),
    ),
    Peer(
        "eventlet-websocket",
        "eventlet.websocket",
        dict.fromkeys(("echo", "deflate"), _program("eventlet_websocket")),
    ),
    Peer(
        "picows",
        "picows on uvloop",
        {"echo": _program("picows_uvloop")},
        ("picows", "uvloop"),
    ),
    Peer(
        "floor",
        "C, only copies bytes",
        {"echo": Server("floor", ("{binaries}/floor",))},
    ),
)

PEERS = {peer.name: peer for peer in ALL}
OURS, FLOOR = "ours", "floor"
VERSIONS = ("django", "eventlet", "isal", *sorted({need for peer in ALL for need in peer.needs}))
