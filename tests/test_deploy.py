"""The files in docs/deploy: each is what it says, and they agree with one another."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect, unix_connect

import proxies
import servers
from conftest import missing
from django_websocket_ev.conf import OPTIONS
from proxies import DEPLOY
from servers import PATIENCE

pytestmark = pytest.mark.slow

HEADERS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}


def unit(name):
    """Return a systemd unit's sections."""
    parser = configparser.ConfigParser(delimiters="=", interpolation=None, strict=False)
    parser.optionxform = str
    parser.read(DEPLOY / name)
    return parser


def unit_command():
    """Return the command line of the service."""
    return shlex.split(unit("example.service")["Service"]["ExecStart"])


def docker_command():
    """Return the command line of the image, which has to be a list."""
    return json.loads(re.search(r"^CMD (.*)$", (DEPLOY / "Dockerfile").read_text(), re.M)[1])


def option(command, name):
    return int(command[command.index(name) + 1])


def here(command, **changes):
    """Return the command with the tests' gunicorn and project instead of the example's."""
    changed = [changes.get(word, word) for word in command]
    assert changed[0].endswith("gunicorn")
    assert changed[-1] == "example.wsgi"
    return [sys.executable, proxies.gunicorn_script(), *changed[1:-1], "wsgi"]


def kubernetes(pattern):
    """Return what the pattern's group finds, everywhere the same, in kubernetes.yaml."""
    found = set(re.findall(pattern, (DEPLOY / "kubernetes.yaml").read_text()))
    assert len(found) == 1, f"{pattern} is {found}"
    return found.pop()


# What has been started.


def echoes_and_is_told_to_leave(websocket, running):
    websocket.send("hello")
    assert websocket.recv(PATIENCE) == "hello"
    assert running.stop() == 0
    is_told_to_leave(websocket)


def is_told_to_leave(websocket):
    with pytest.raises(ConnectionClosed):
        websocket.recv(PATIENCE)
    assert websocket.close_code in proxies.GOODBYES


def test_the_command_of_the_image_serves_and_heeds_term(database):
    gunicorn, *arguments = here(docker_command(), **{"0.0.0.0:8000": "127.0.0.1:0"})
    assert gunicorn == sys.executable
    with servers.start(
        *arguments,
        banner=r"Listening at: http://.*:(\d+) ",
        env=servers.environment(proxies.settings(), TEST_DATABASE=database),
    ) as running:
        url = running.ws("/echo/").replace("127.0.0.1", "localhost")
        with connect(url, additional_headers=HEADERS) as websocket:
            echoes_and_is_told_to_leave(websocket, running)


@pytest.fixture
def socket_activate():
    activate = shutil.which("systemd-socket-activate")
    if activate is None:
        missing("systemd-socket-activate", "apt install systemd")

    def start(address, database):
        """Let systemd's tool listen, which starts the unit's command at the first connection."""
        env = servers.environment(proxies.settings(), TEST_DATABASE=database)
        passed = [f"--setenv={name}" for name in env]
        return proxies.run(activate, f"--listen={address}", *passed, *here(unit_command()), env=env)

    return start


def test_systemd_hands_a_unix_socket_over(socket_activate, database, tmp_path):
    path = str(tmp_path / "gunicorn.sock")
    with socket_activate(path, database) as running:
        running.wait_for_line("Listening on")
        with unix_connect(path, "ws://localhost/echo/", open_timeout=PATIENCE) as websocket:
            assert running.wait_for_line(f"Listening at: unix:{path}")
            echoes_and_is_told_to_leave(websocket, running)


def test_systemd_hands_a_port_over_and_a_reload_keeps_it(socket_activate, database):
    port = proxies.free_port()
    with socket_activate(f"127.0.0.1:{port}", database) as running:
        running.wait_for_line("Listening on")
        url = f"ws://localhost:{port}/echo/"
        with connect(url, open_timeout=PATIENCE) as websocket:
            websocket.send("hello")
            assert websocket.recv(PATIENCE) == "hello"
            running.process.send_signal(signal.SIGHUP)
            is_told_to_leave(websocket)
        # The other old worker may not have heard of it yet, and would send away who comes back.
        workers = option(unit_command(), "--workers")
        proxies.wait_until(
            lambda: running.output.count("Worker exiting") == workers, "the old workers are gone"
        )
        with connect(url, open_timeout=PATIENCE) as websocket:
            echoes_and_is_told_to_leave(websocket, running)


#: What systemd does before it runs a unit's command: the socket is file 3.
AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.slow
def test_whoever_comes_during_a_restart_is_not_refused(database, tmp_path):
    path = str(tmp_path / "gunicorn.sock")
    env = servers.environment(proxies.settings(), TEST_DATABASE=database)
    with socket.socket(socket.AF_UNIX) as listening, ThreadPoolExecutor() as executor:
        listening.bind(path)
        listening.listen()
        fileno = listening.fileno()

        def gunicorn():
            command = [sys.executable, "-c", AS_SYSTEMD, str(fileno), *here(unit_command())]
            return proxies.run(*command, env=env, pass_fds=(fileno,))

        def come():
            return unix_connect(path, "ws://localhost/echo/", open_timeout=PATIENCE)

        with gunicorn() as running, come() as websocket:
            echoes_and_is_told_to_leave(websocket, running)
        coming = executor.submit(come)
        with gunicorn() as running, coming.result() as websocket:
            echoes_and_is_told_to_leave(websocket, running)


def test_the_probe_gets_its_answer(database):
    """With the headers that Kubernetes is told to send, and not without them."""
    path = kubernetes(r"path: (\S+)")
    headers = dict(
        zip(
            re.findall(r"- name: (Host|X-\S+)", (DEPLOY / "kubernetes.yaml").read_text()),
            re.findall(r" value: (\S+)", (DEPLOY / "kubernetes.yaml").read_text()),
            strict=True,
        )
    )
    with proxies.gunicorn(
        database, "--forwarded-allow-ips=192.0.2.1", SECURE_SSL_REDIRECT=True
    ) as running:

        def status(**headers):
            answer = requests.get(
                running.url(path), headers=headers, timeout=PATIENCE, allow_redirects=False
            )
            return answer.status_code

        assert status(**headers) == 200
        assert status(Host=headers["Host"]) == 301
        assert status(**{**headers, "Host": "10.0.0.1:8000"}) == 400


# What is only read.


def test_systemd_has_nothing_against_the_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze", "apt install systemd")
    for name in ("example.service", "example.socket"):
        text = (DEPLOY / name).read_text()
        # It looks whether there is such a program.
        text = text.replace(unit_command()[0], str(proxies.gunicorn_script()))
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "./example.socket", "./example.service"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    ours = [line for line in done.stderr.splitlines() if "example." in line]
    assert (done.returncode, ours) == (0, [])


def test_systemd_waits_for_longer_than_gunicorn_does():
    service = unit("example.service")["Service"]
    assert int(service["TimeoutStopSec"]) > option(unit_command(), "--graceful-timeout")
    assert (service["KillSignal"], service["KillMode"]) == ("SIGTERM", "mixed")


def test_kubernetes_waits_for_longer_than_gunicorn_does():
    patience = int(kubernetes(r"terminationGracePeriodSeconds: (\d+)"))
    pause = int(kubernetes(r'command: \["sleep", "(\d+)"\]'))
    assert patience > pause + option(docker_command(), "--graceful-timeout")


def test_gunicorn_waits_for_longer_than_a_client_may_take_to_close():
    for command in (unit_command(), docker_command()):
        assert option(command, "--graceful-timeout") > OPTIONS["close_timeout"].default


def test_there_are_connections_and_files_for_all_websockets():
    for command in (unit_command(), docker_command()):
        connections = option(command, "--worker-connections")
        assert connections > OPTIONS["max_connections"].default
        assert int(unit("example.service")["Service"]["LimitNOFILE"]) > connections
    nginx = (DEPLOY / "nginx.conf").read_text()
    files = re.search(r"worker_rlimit_nofile (\d+);", nginx)[1]
    assert int(files) > int(re.search(r"worker_connections (\d+);", nginx)[1])


def test_nginx_and_the_unit_mean_the_same_socket():
    path = unit("example.socket")["Socket"]["ListenStream"]
    assert f"server unix:{path} " in (DEPLOY / "nginx.conf").read_text()
    assert unit("example.service")["Unit"]["Requires"] == "example.socket"


def test_the_image_and_kubernetes_mean_the_same_port():
    port = kubernetes(r"containerPort: (\d+)")
    assert f"EXPOSE {port}\n" in (DEPLOY / "Dockerfile").read_text()
    assert f"0.0.0.0:{port}" in docker_command()


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("nginx.conf", r"proxy_read_timeout (\d+)s;"),
        ("haproxy.cfg", r"timeout tunnel (\d+)s"),
    ],
)
def test_a_proxy_waits_until_a_ping_must_have_come(name, pattern):
    timeout = int(re.search(pattern, (DEPLOY / name).read_text())[1])
    assert timeout > 2 * OPTIONS["ping_interval"].default
