"""The bootstrap: what is patched, when, and what happens when it is too late.

Each test runs a script in a process of its own, for a process is patched once.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from textwrap import dedent

import pytest

from conftest import missing
from servers import PATIENCE, environment


@pytest.fixture
def run(tmp_path):
    """Run Python with these arguments in an empty folder, which ``files`` are put in first."""

    def run(*arguments, files=None, **variables):
        for name, text in (files or {}).items():
            (tmp_path / name).write_text(dedent(text))
        variables = {"DJANGO_SETTINGS_MODULE": "settings", **variables}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=environment(**variables),
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
        )

    return run


def output_of(done):
    """Return the lines on stdout of a script that went well."""
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


#: A settings module and, for scripts, a way to see whether green threads share connections.
DATABASES = {
    "settings.py": """
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    """,
    "connections.py": """
        def count_connections():
            import eventlet
            from django.db import connections

            def get_connection():
                eventlet.sleep(0)
                return connections["default"]

            threads = [eventlet.spawn(get_connection) for _ in range(2)]
            return len({id(connection) for connection in [thread.wait() for thread in threads]})
    """,
}


# Patching.


@pytest.mark.slow
def test_importing_the_package_patches_nothing_and_a_late_patch_leaves_it_so(run):
    script = """
        import socket, threading, time
        before = socket.socket, threading.local, time.sleep
        from django_websocket_ev import bootstrap, accept_websocket, WebSocket, ConnectionClosed
        assert before == (socket.socket, threading.local, time.sleep)
        assert not bootstrap.is_patched()
        import django.db
        try:
            bootstrap.patch()
        except bootstrap.LatePatchError as error:
            print(error)
        assert before == (socket.socket, threading.local, time.sleep)
        assert not bootstrap.is_patched()
    """
    text = "\n".join(output_of(run("script.py", files={"script.py": script})))
    assert "django.db was imported before" in text
    assert "\n\n    from django_websocket_ev import bootstrap; bootstrap.patch()\n\n" in text
    assert "first line of manage.py or wsgi.py" in text
    assert "python -m django_websocket_ev manage.py" in text


@pytest.mark.parametrize(
    "first_lines",
    [
        "from django_websocket_ev import bootstrap; bootstrap.patch()",
        "import eventlet; eventlet.monkey_patch()",
    ],
    ids=["ours", "another-hand"],
)
def test_patched_first_green_threads_have_a_connection_each_and_patching_again_is_harmless(
    run, first_lines
):
    script = f"""
        {first_lines}
        import time
        from django_websocket_ev import bootstrap
        from connections import count_connections
        assert bootstrap.is_patched()
        patched = time.sleep
        bootstrap.patch()
        import django.db
        bootstrap.patch()
        assert time.sleep is patched
        print(count_connections())
    """
    done = run("-W", "ignore", "script.py", files={"script.py": script, **DATABASES})
    assert output_of(done) == ["2"]


@pytest.mark.slow
def test_patched_late_by_another_hand_green_threads_share_a_connection_and_it_is_told(run):
    # The trap itself: this is what the bootstrap is there to prevent.
    script = """
        import django.db
        import eventlet; eventlet.monkey_patch()
        from django_websocket_ev import bootstrap
        from connections import count_connections
        print(count_connections())
        try:
            bootstrap.patch()
        except bootstrap.LatePatchError as error:
            print(error)
    """
    done = run("-W", "ignore", "script.py", files={"script.py": script, **DATABASES})
    shared, *text = output_of(done)
    assert shared == "1"
    assert "share one database connection" in "\n".join(text)
    assert "    from django_websocket_ev import bootstrap; bootstrap.patch()" in text


def test_psycopg_before_the_patch_is_too_late_as_well(run):
    script = """
        import psycopg
        from django_websocket_ev import bootstrap
        bootstrap.patch()
    """
    done = run("script.py", files={"script.py": script, "psycopg.py": ""})
    assert done.returncode == 1
    assert "LatePatchError: psycopg was imported before" in done.stderr


@pytest.mark.slow
def test_the_notice_that_eventlet_is_deprecated_is_kept_from_every_start(run):
    script = """
        import sys, warnings
        import eventlet, django_websocket_ev.connection, django_websocket_ev.server
        warnings.warn("others are shown")
    """
    done = run(
        "-W", "default", "-m", "django_websocket_ev", "script.py", files={"script.py": script}
    )
    output_of(done)
    assert "Eventlet" not in done.stderr
    assert "others are shown" in done.stderr


# python -m django_websocket_ev.

REPORTS = """
    import os, sys, time
    import beside
    from django_websocket_ev import bootstrap
    print(__name__, sys.argv, os.path.basename(__file__), bootstrap.is_patched())
    print(os.path.samefile(sys.path[0], os.path.dirname(__file__) or "."))
    sys.exit(7)
"""


def test_a_script_runs_patched_as_if_python_ran_it(run, tmp_path):
    (tmp_path / "folder").mkdir()
    files = {"folder/script.py": REPORTS, "folder/beside.py": ""}
    done = run("-m", "django_websocket_ev", "folder/script.py", "--flag", "-m", "x", files=files)
    assert done.stdout.splitlines() == [
        "__main__ ['folder/script.py', '--flag', '-m', 'x'] script.py True",
        "True",
    ]
    assert done.returncode == 7


@pytest.mark.slow
def test_a_module_runs_patched_as_if_python_ran_it(run, tmp_path):
    files = {"module.py": REPORTS, "beside.py": ""}
    done = run("-m", "django_websocket_ev", "-m", "module", "--flag", files=files)
    arguments = [str(tmp_path / "module.py"), "--flag"]
    assert done.stdout.splitlines() == [f"__main__ {arguments} module.py True", "True"]
    assert done.returncode == 7


def test_an_exception_in_a_script_ends_it_as_ever(run):
    done = run("-m", "django_websocket_ev", "script.py", files={"script.py": "1 / 0"})
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_asked_for_help_it_explains_itself(run):
    done = run("-m", "django_websocket_ev", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m django_websocket_ev SCRIPT")
    assert "manage.py runwsserver" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["-m"]])
def test_without_a_script_it_explains_itself_as_an_error(run, arguments):
    done = run("-m", "django_websocket_ev", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_a_script_that_does_not_exist_is_named(run):
    done = run("-m", "django_websocket_ev", "mange.py", "runwsserver")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no file 'mange.py'" in done.stderr
    assert "Traceback" not in done.stderr


# Drivers that wait in C.

TICKS_DURING_A_QUERY = """
    import sys
    import eventlet
    driver = __import__(sys.argv[1])
    connection = driver.connect(sys.argv[2])
    ticks = 0

    def tick():
        global ticks
        while True:
            eventlet.sleep(0.01)
            ticks += 1

    ticker = eventlet.spawn(tick)
    eventlet.sleep(0)  # it has begun, and waits
    cursor = connection.cursor()
    before = ticks
    cursor.execute("SELECT pg_sleep(0.5)")
    during = ticks - before
    assert cursor.fetchone() is not None
    print("others ran" if during > 1 else "all stood still")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("driver", "install"),
    [("psycopg", "pip install 'psycopg[binary]'"), ("psycopg2", "pip install psycopg2-binary")],
)
def test_others_run_while_a_postgresql_driver_waits(run, driver, install, postgresql):
    if find_spec(driver) is None:
        missing(driver, install)
    address = f"host={postgresql['HOST']} user={postgresql['USER']} dbname={postgresql['NAME']}"
    done = run(
        *("-m", "django_websocket_ev", "script.py", driver, address),
        files={"script.py": TICKS_DURING_A_QUERY},
    )
    assert output_of(done) == ["others ran"]
