"""manage.py runwsserver, from its banner to its end."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from itertools import count

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import servers
from project.client import ask, closing
from servers import PATIENCE, ROOT

#: Patched from the start, so that the process need not start anew: that is faster.
PATCHED = ("-m", "django_websocket_ev")
MANAGE = (*PATCHED, "manage.py", "runwsserver", "--noreload")

#: For SQLite: a database without tables, and without a file.
NO_DATABASE = ":memory:"


def serve(*options, **keywords):
    """Start the server, patched, and without a database."""
    return servers.runwsserver(*options, before=PATCHED, TEST_DATABASE=NO_DATABASE, **keywords)


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    """Settings with a folder of static files, which has a file.txt."""
    folder = tmp_path_factory.mktemp("static")
    (folder / "file.txt").write_text("static")
    return {"STATICFILES_DIRS": [str(folder)]}


@contextmanager
def few_open_files():
    """Let the processes that start meanwhile open few files, unless they help themselves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def site(static):
    """A development server as a newcomer starts it: with DEBUG, and a database without tables."""
    server = servers.runwsserver(settings={"DEBUG": True, **static}, TEST_DATABASE=NO_DATABASE)
    with ExitStack() as stack:
        with few_open_files():
            running = stack.enter_context(server)
        yield running


# What it says when it starts.


def test_the_banner_is_that_of_runserver(site):
    site.wait_for_line("Quit the server with CONTROL-C.")
    said = [
        "Performing system checks...",
        "System check identified no issues (0 silenced).",
        "Django version ",
        f"server at http://127.0.0.1:{site.port}/",
        "Quit the server with CONTROL-C.",
    ]
    lines = [line for line in site.output.splitlines() if any(part in line for part in said)]
    assert len(lines) == len(said)  # and so nothing is said twice, though it started twice
    assert all(part in line for part, line in zip(said, lines, strict=True))


def test_migrations_that_are_not_applied_are_told(site):
    site.wait_for_line(r"You have \d+ unapplied migration\(s\)")
    site.wait_for_line("Run 'python manage.py migrate' to apply them")


def test_eventlets_notice_of_deprecation_is_not_shown(site):
    requests.get(site.url("/accept/"))
    assert "eventlet" not in site.output.lower()


def run(*arguments, settings=None):
    """Run Python with arguments that make it end by itself; return its exit code and output."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=servers.PROJECT,
        env=servers.environment(settings, TEST_DATABASE=NO_DATABASE),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout


@pytest.mark.slow
def test_a_busy_port_gets_the_message_of_runserver(site):
    code, output = run(*MANAGE, f"127.0.0.1:{site.port}")
    assert code == 1
    assert output.endswith("Error: That port is already in use.\n")


@pytest.mark.slow
def test_system_checks_stop_it():
    code, output = run(*MANAGE, "127.0.0.1:0", settings={"WEBSOCKET_MAX_QUEUE": 0})
    assert code == 1
    assert "(websocket.E001) WEBSOCKET_MAX_QUEUE must be an integer of 1 or more" in output
    assert "development server at" not in output


@pytest.mark.parametrize("seconds", ["0", "nan"])
def test_a_graceful_timeout_that_is_no_time_is_refused(seconds):
    refused = (1, "CommandError: --graceful-timeout must be a number of seconds above 0.\n")
    command = ("manage.py", "runwsserver", "--noreload", "127.0.0.1:0")
    assert run(*command, f"--graceful-timeout={seconds}") == refused


# The process that serves.


def test_the_process_starts_anew_and_is_patched(site):
    assert requests.get(site.url("/accept/")).json()["patched"] is True


def test_two_clients_of_a_process_that_started_anew_have_a_connection_each(site):
    with connect(site.ws("/require/")) as first, connect(site.ws("/require/")) as second:
        assert ask(first)["connection"] != ask(second)["connection"]


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one(site):
    soft, hard = requests.get(site.url("/accept/")).json()["open files"]
    assert soft == (1024 if os.environ.get("EVENTLET_HUB") == "selects" else hard)


def test_the_collector_leaves_alone_what_was_there_before_the_clients(site):
    facts = requests.get(site.url("/accept/")).json()
    assert facts["objects that no collector sees"] > 10_000  # Django is more than that


def test_requests_and_websockets_are_logged(site):
    with connect(site.ws("/require/chat/")) as websocket:
        ask(websocket)
    site.wait_for_line(r"WebSocket /require/chat/ open, client 127\.0\.0\.1$")
    site.wait_for_line(
        r"WebSocket /require/chat/ closed, client 127\.0\.0\.1, code 1000, [\d.]+ s,"
        r" messages in 1, out 1$"
    )
    requests.get(site.url("/accept/?logged"))
    site.wait_for_line(r'^\[.*\] "GET /accept/\?logged HTTP/1.1" 200 \d+$')
    assert '"GET /require/chat/' not in site.output  # a WebSocket has its own lines


def test_static_files_are_served_in_debug(site):
    assert requests.get(site.url("/static/file.txt")).text == "static"


# The ways to start it.


@pytest.mark.slow
def test_started_by_python_m_django_and_with_insecure(static):
    with servers.start(
        *("-m", "django", "runwsserver", "127.0.0.1:0", "--noreload", "--insecure"),
        banner=r"server at http://127\.0\.0\.1:(\d+)/",
        env=servers.environment(
            static, DJANGO_SETTINGS_MODULE="settings", TEST_DATABASE=NO_DATABASE
        ),
    ) as server:
        assert requests.get(server.url("/static/file.txt")).text == "static"
        with connect(server.ws("/require/")) as websocket:
            assert ask(websocket)["patched"] is True


@pytest.mark.slow
def test_started_on_ipv6_and_with_nostatic(static):
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6")
    with servers.start(
        *(*MANAGE, "--ipv6", "--nostatic", "0"),
        banner=r"server at http://\[::1\]:(\d+)/",
        env=servers.environment({"DEBUG": True, **static}, TEST_DATABASE=NO_DATABASE),
    ) as server:
        address = f"http://[::1]:{server.port}"
        assert requests.get(f"{address}/static/file.txt").status_code == 404
        with connect(f"ws://[::1]:{server.port}/require/", origin=address) as websocket:
            assert ask(websocket)["is_websocket"] is True
        server.wait_for_line("WebSocket /require/ closed, client ::1, ")


PATCHES_LATE = """
import os, sys
import django.db
import eventlet; eventlet.monkey_patch()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def test_a_manage_py_that_patches_too_late_is_told_so():
    code, output = run("-W", "ignore", "-c", PATCHES_LATE, "runwsserver", "--noreload")
    assert code == 1
    assert "LatePatchError" in output
    assert "from django_websocket_ev import bootstrap; bootstrap.patch()" in output
    assert "development server at" not in output


# Its end.


@pytest.mark.parametrize(
    ("command", "option", "signum"),
    [
        ("runwsserver", "--nothreading", signal.SIGTERM),
        ("runserver", "--multithreaded", signal.SIGINT),
    ],
)
def test_on_a_signal_it_says_goodbye_to_every_client_and_ends_well(command, option, signum):
    with serve(option, command=command) as server:
        idle = requests.Session()
        assert idle.get(server.url("/accept/")).json()["patched"] is True
        with connect(server.ws("/until-none/")) as listener, connect(server.ws("/echo/")) as other:
            assert listener.recv(PATIENCE) == "waiting"
            server.process.send_signal(signum)
            assert closing(listener) == (1001, "")
            assert closing(other) == (1001, "")
        assert server.process.wait(PATIENCE) == 0
        server.wait_for_line("/until-none/ saw None")
        server.wait_for_line("/until-none/ closed, .* code 1001, .* messages in 0, out 1")
        server.wait_for_line("/echo/ closed, .* code 1001, ")
        assert "Cut after" not in server.output
        assert "Traceback" not in server.output


@pytest.mark.slow
def test_a_signal_right_after_the_banner_is_heard_as_well():
    with serve() as server:
        server.process.terminate()
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.slow
def test_a_view_that_does_not_listen_is_cut_at_the_graceful_timeout():
    with serve("--graceful-timeout=0.5") as server:
        with connect(server.ws("/deaf/sleeper/")) as deaf:
            assert deaf.recv(PATIENCE) == "begun"
            server.process.terminate()
            assert closing(deaf) == (1001, "")
        assert server.process.wait(PATIENCE) == 0
        server.wait_for_line("Cut after 0.5 seconds: /deaf/sleeper/")


@pytest.mark.slow
def test_a_view_that_never_gives_way_is_cut_with_the_whole_process():
    with (
        serve("--graceful-timeout=0.5") as server,
        connect(server.ws("/deaf/spinner/")) as deaf,
    ):
        assert deaf.recv(PATIENCE) == "begun"
        server.process.terminate()
        # Nothing of the process runs any more but the view, so the kernel ends it.
        assert server.process.wait(PATIENCE) == -signal.SIGALRM


@pytest.mark.slow
def test_a_second_interrupt_does_not_wait_for_anybody():
    with (
        serve("--graceful-timeout=3600") as server,
        connect(server.ws("/deaf/sleeper/")) as deaf,
    ):
        assert deaf.recv(PATIENCE) == "begun"
        server.process.send_signal(signal.SIGINT)
        assert closing(deaf) == (1001, "")
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 1


# The auto-reloader.


@pytest.fixture
def reloading(tmp_path):
    """A server under the auto-reloader, and a module of its own to change."""
    urls = tmp_path / "changing_urls.py"
    urls.write_text("from urls import urlpatterns\n")
    with servers.runwsserver(
        reload=True,
        settings={"ROOT_URLCONF": "changing_urls", "DEBUG": True},
        PYTHONPATH=f"{ROOT}{os.pathsep}{tmp_path}",
        TEST_DATABASE=NO_DATABASE,
    ) as server:
        yield server, urls
        server.stop()  # to kill the parent would leave the child


def change_until_closed(file, websocket):
    """Touch a file until the WebSocket is closed; return the close code.

    The reloader does not see a change from before its first look, and does not
    tell when it has looked.
    """
    now = int(file.stat().st_mtime)
    for later in count(1):
        assert later < PATIENCE, "the change was not seen"
        os.utime(file, (now + later, now + later))
        try:
            websocket.recv(timeout=1)
        except TimeoutError:
            continue
        except ConnectionClosed as closed:
            return closed.rcvd.code


def is_running(process):
    """Whether there is a process of that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_a_change_restarts_the_child_and_sends_its_clients_to_the_next(reloading):
    server, urls = reloading
    with connect(server.ws("/require/")) as websocket:
        seen = ask(websocket)
        assert seen["patched"] is True
        assert seen["process"] != server.process.pid
        assert change_until_closed(urls, websocket) == 1012
    again = server.wait_for_line(rf"server at http://127\.0\.0\.1:(?!{server.port}/)(\d+)/")
    server.port = int(again[1])
    with connect(server.ws("/require/")) as websocket:
        assert ask(websocket)["process"] != seen["process"]
        child = ask(websocket)["process"]
        server.process.terminate()
        assert closing(websocket) == (1001, "")
    assert server.process.wait(PATIENCE) == 0
    assert not is_running(seen["process"])
    assert not is_running(child)
    assert "Traceback" not in server.output


@pytest.mark.slow
def test_an_interrupt_from_the_terminal_ends_parent_and_child(reloading):
    server, _ = reloading
    with connect(server.ws("/until-none/")) as websocket:
        assert websocket.recv(PATIENCE) == "waiting"
        child = requests.get(server.url("/accept/")).json()["process"]
        # A terminal sends it to both.
        os.kill(child, signal.SIGINT)
        server.process.send_signal(signal.SIGINT)
        assert closing(websocket) == (1001, "")
    assert server.process.wait(PATIENCE) == 0
    assert not is_running(child)
    server.wait_for_line("/until-none/ saw None")
    assert "Traceback" not in server.output
