"""gunicorn and a proxy in front of it, configured by the files in docs/deploy.

The files are taken as they are, but for ports and paths: :func:`rewrite` fails where
it does not find what it is to replace.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import requests
import websockets.sync.client
from websockets.exceptions import InvalidStatus

import servers
from conftest import missing
from servers import PATIENCE
from tls import client_context

DEPLOY = servers.ROOT / "docs" / "deploy"
HOST = "www.example.com"
WORKER = "django_websocket_ev.workers.EventletWorker"
TCP, UNIX = "tcp", "unix"

#: The codes with which a server may say that it stops, for good or to come back.
GOODBYES = {1001, 1012}


def gunicorn_script() -> Path:
    """Return the path of the installed gunicorn."""
    script = Path(sys.executable).parent / "gunicorn"
    if not script.exists():
        missing("gunicorn", "pip install gunicorn")
    return script


def binary(name: str, package: str) -> str:
    """Return the path of a program that Debian has in ``package``, or skip the test."""
    # Not on the PATH of everybody, for it is root who starts it as a rule.
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        missing(name, f"apt install {package}")
    return found


@contextmanager
def public_folder() -> Iterator[Path]:
    """Make a folder that the proxy's own user may enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="proxy") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


def rewrite(name: str, changes: dict[str, Any]) -> str:
    """Return a file of docs/deploy with each key of ``changes``, which must be in it, replaced."""
    text = (DEPLOY / name).read_text()
    for old, new in changes.items():
        assert old in text, f"docs/deploy/{name} does not say {old!r} any more"
        text = text.replace(old, str(new))
    return text


def settings(**changes: Any) -> dict[str, Any]:
    """Return what docs/deploy/settings.py sets, and ``changes``."""
    theirs = runpy.run_path(str(DEPLOY / "settings.py"))
    found = {name: value for name, value in theirs.items() if name.isupper()}
    # For the raw client, which says so.
    found["ALLOWED_HOSTS"] = [*found["ALLOWED_HOSTS"], "localhost"]
    return {**found, **changes}


@contextmanager
def gunicorn(database: str, *options: str, bind: str = "127.0.0.1:0", **changes: Any):
    """Run gunicorn with our worker and the settings for a proxy, and with ``changes``."""
    banner = r"Listening at: http://.*:(\d+) "
    if bind.startswith("unix:"):
        banner = r"Listening at: unix:.* \((\d+)\)"
    with servers.start(
        *(gunicorn_script(), "-k", WORKER, f"--bind={bind}", "--worker-connections=4000"),
        *options,
        "wsgi",
        banner=banner,
        env=servers.environment(settings(**changes), TEST_DATABASE=database),
    ) as running:
        yield running


@contextmanager
def upstream(kind: str, folder: Path, database: str, *options: str, **changes: Any):
    """Run gunicorn on a TCP port or a UNIX socket; yield it and nginx's name for it.

    Over TCP it does not believe a proxy, as if that were on another machine: what
    Django is told by its own settings is enough.
    """
    if kind == UNIX:
        path = folder / "gunicorn.sock"
        with gunicorn(database, *options, bind=f"unix:{path}", **changes) as running:
            serves_a_page(socket.AF_UNIX, str(path))
            yield running, f"unix:{path}"
    else:
        stranger = "--forwarded-allow-ips=192.0.2.1"
        with gunicorn(database, stranger, *options, **changes) as running:
            serves_a_page(socket.AF_INET, ("127.0.0.1", running.port))
            yield running, f"127.0.0.1:{running.port}"


def serves_a_page(family: int, address: Any) -> None:
    """Return when a worker has loaded the project, before a proxy can lose its patience."""
    with socket.socket(family) as sock:
        sock.settimeout(2 * PATIENCE)
        sock.connect(address)
        sock.sendall(b"GET /healthz/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 "), answer


@contextmanager
def run(*command: str | Path, env: dict[str, str] | None = None, pass_fds: tuple[int, ...] = ()):
    """Start any program, where ``servers.start`` starts Python."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
        cwd=servers.PROJECT,
        pass_fds=pass_fds,
        start_new_session=True,
    )
    server = servers.Server(process)
    try:
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        process.stdout.close()


class Site:
    """The site as its clients see it: a proxy's port for TLS, and one for plain HTTP."""

    def __init__(self, ports: tuple[int, int], certificate: tuple[Path, Path]) -> None:
        self.port, self.http_port = ports
        self.ca = str(certificate[0])
        self.context = client_context(self.ca)

    def dial(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """Return a TLS socket to the proxy, from the address ``source``."""
        sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0))
        return self.context.wrap_socket(sock, server_hostname="127.0.0.1")

    def connect(self, path: str, source: str = "127.0.0.1", host: str = HOST, **options: Any):
        """Return a WebSocket of the ``websockets`` library to the site."""
        return websockets.sync.client.connect(
            f"wss://{host}{path}",
            sock=socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0)),
            ssl=self.context,
            server_hostname="127.0.0.1",
            open_timeout=PATIENCE,
            **options,
        )

    def status(self, path: str, **options: Any) -> int:
        """Return the status of a handshake's answer."""
        try:
            with self.connect(path, **options):
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Return the answer to a plain HTTP request."""
        return requests.request(
            method,
            f"https://127.0.0.1:{self.port}{path}",
            headers={"Host": HOST, **options.pop("headers", {})},
            verify=self.ca,
            timeout=PATIENCE,
            **options,
        )


@contextmanager
def nginx(folder: Path, upstream: str, certificate: tuple[Path, Path], **changes: str):
    """Run nginx before ``upstream``; yield its process, with the ``site``.

    ``changes`` are other values for directives, such as ``proxy_read_timeout``.
    """
    program = binary("nginx", "nginx-light")
    ports = free_port(), free_port()
    text = rewrite(
        "nginx.conf",
        {
            "unix:/run/example/gunicorn.sock": upstream,
            "/run/nginx.pid": folder / "nginx.pid",
            # Where a test can read it. nginx says there that it has started.
            "/var/log/nginx/error.log": "stderr notice",
            "/var/log/nginx/access.log": folder / "access.log",
            "/etc/ssl/example/fullchain.pem": certificate[0],
            "/etc/ssl/example/key.pem": certificate[1],
            "/srv/example/static/": f"{folder}/static/",
            "listen 443 ": f"listen 127.0.0.1:{ports[0]} ",
            "listen 80;": f"listen 127.0.0.1:{ports[1]};",
            # Not every container has IPv6.
            "listen [::]:443 ssl backlog=4096;": "",
            "listen [::]:80;": "",
            # Folders that only root may make, where the package has compiled them in.
            "http {": "http {"
            + "".join(
                f"{name}_temp_path {folder}/{name};"
                for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
        },
    )
    for directive, value in changes.items():
        text, count = re.subn(rf"\b{directive} [^;]+;", f"{directive} {value};", text)
        assert count, f"nginx.conf has no {directive}"
    path = folder / "nginx.conf"
    path.write_text(text)
    with run(program, "-c", path, "-g", "daemon off;") as process:
        process.wait_for_line("start worker process ")
        process.site = Site(ports, certificate)
        process.reload = lambda: subprocess.run(
            [program, "-c", str(path), "-s", "reload"], check=True, capture_output=True
        )
        yield process


@contextmanager
def haproxy(folder: Path, upstream: str, certificate: tuple[Path, Path]):
    """Run HAProxy before ``upstream``; yield its process, with the ``site``."""
    program = binary("haproxy", "haproxy")
    ports = free_port(), free_port()
    both = folder / "haproxy.pem"
    both.write_text("".join(path.read_text() for path in certificate))
    changes = {
        "server one 127.0.0.1:8000": f"server one {upstream.replace('unix:', 'unix@')}",
        "/etc/haproxy/example.pem": both,
        "bind :443 ": f"bind 127.0.0.1:{ports[0]} ",
        "bind :80": f"bind 127.0.0.1:{ports[1]}",
    }
    if os.geteuid() != 0:
        changes |= {"user haproxy": "", "group haproxy": ""}
    path = folder / "haproxy.cfg"
    path.write_text(rewrite("haproxy.cfg", changes))
    with run(program, "-W", "-db", "-f", path) as process:
        process.site = Site(ports, certificate)
        wait_until(partial(is_listening, process, ports[0]), "HAProxy listens")
        yield process


def is_listening(server: servers.Server, port: int) -> bool:
    """Whether ``server`` accepts connections on ``port``."""
    assert server.process.poll() is None, server.output
    with suppress(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        return True
    return False


def wait_until(happened: Callable[[], bool], what: str) -> None:
    """Look again and again until ``happened()``."""
    patience_ends = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < patience_ends, f"not yet so: {what}"
        time.sleep(0.02)
