"""The settings, their checks, and what a request without a server gets: all in this process."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import django
import pytest
from django.conf import settings
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

import servers
from conftest import missing
from django_websocket_ev import accept_websocket, conf, require_websocket
from django_websocket_ev.checks import check_databases, check_psycopg, check_settings
from django_websocket_ev.middleware import WebSocketMiddleware
from django_websocket_ev.protocol.deflate import Compression
from django_websocket_ev.sessions import SessionSaver
from project.client import HANDSHAKE
from servers import ROOT

if not settings.configured:
    settings.configure(SECRET_KEY="only for tests")
    django.setup()

DEFAULTS = {
    "WEBSOCKET_ACCEPT_ALL": False,
    "WEBSOCKET_ALLOWED_ORIGINS": None,
    "WEBSOCKET_MAX_MESSAGE_SIZE": 2**20,
    "WEBSOCKET_MAX_QUEUE": 64,
    "WEBSOCKET_READ_LIMIT": 2**20,
    "WEBSOCKET_WRITE_LIMIT": 2**20,
    "WEBSOCKET_SEND_TIMEOUT": 30,
    "WEBSOCKET_CLOSE_TIMEOUT": 10,
    "WEBSOCKET_PING_INTERVAL": 20,
    "WEBSOCKET_PING_TIMEOUT": 20,
    "WEBSOCKET_COMPRESSION": "deflate",
    "WEBSOCKET_DB_IDLE": 0.5,
    "WEBSOCKET_DB_CONNECTIONS": None,
    "WEBSOCKET_SESSION_CHECK": 30,
    "WEBSOCKET_HUB_WATCHDOG": None,
    "WEBSOCKET_MAX_CONNECTIONS": 10_000,
    "WEBSOCKET_MAX_CONNECTIONS_PER_CLIENT": None,
    "WEBSOCKET_CLIENT_ADDRESS": None,
    "WEBSOCKET_REQUEST_TIMEOUT": 60,
}


# Values.


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_the_defaults_are_those_of_the_design(name, default):
    option = name.removeprefix("WEBSOCKET_").lower()
    found = getattr(conf.get_options(), option)
    assert found == (Compression() if default == "deflate" else default)


def test_the_defaults_pass_their_own_checks():
    assert check_settings() == []
    with override_settings(**DEFAULTS):
        assert check_settings() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBSOCKET_ACCEPT_ALL", True),
        ("WEBSOCKET_ALLOWED_ORIGINS", "*"),
        ("WEBSOCKET_ALLOWED_ORIGINS", []),
        ("WEBSOCKET_ALLOWED_ORIGINS", ("https://example.com", "http://[::1]:8000", "null")),
        ("WEBSOCKET_ALLOWED_ORIGINS", ["https://*.example.com", "app://desktop"]),
        ("WEBSOCKET_MAX_MESSAGE_SIZE", None),
        ("WEBSOCKET_MAX_MESSAGE_SIZE", 1),
        ("WEBSOCKET_MAX_QUEUE", 1),
        ("WEBSOCKET_WRITE_LIMIT", 1),
        ("WEBSOCKET_SEND_TIMEOUT", 0.5),
        ("WEBSOCKET_CLOSE_TIMEOUT", 60),
    ],
)
def test_a_good_value_takes_effect_and_is_not_complained_about(name, value):
    with override_settings(**{name: value}):
        assert check_settings() == []
        option = name.removeprefix("WEBSOCKET_").lower()
        expected = tuple(value) if isinstance(value, list) else value
        assert getattr(conf.get_options(), option) == expected
    assert getattr(conf.get_options(), option) == DEFAULTS[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEBSOCKET_ACCEPT_ALL", 1),
        ("WEBSOCKET_ACCEPT_ALL", None),
        ("WEBSOCKET_ALLOWED_ORIGINS", "https://example.com"),
        ("WEBSOCKET_ALLOWED_ORIGINS", ["example.com"]),
        ("WEBSOCKET_ALLOWED_ORIGINS", ["https://example.com/"]),
        ("WEBSOCKET_ALLOWED_ORIGINS", ["https://example.com/page"]),
        ("WEBSOCKET_ALLOWED_ORIGINS", ["https://user@example.com"]),
        ("WEBSOCKET_ALLOWED_ORIGINS", ["https://"]),
        ("WEBSOCKET_ALLOWED_ORIGINS", [None]),
        ("WEBSOCKET_ALLOWED_ORIGINS", 7),
        ("WEBSOCKET_MAX_MESSAGE_SIZE", 0),
        ("WEBSOCKET_MAX_MESSAGE_SIZE", 1e6),
        ("WEBSOCKET_MAX_MESSAGE_SIZE", "1 MiB"),
        ("WEBSOCKET_MAX_QUEUE", None),
        ("WEBSOCKET_MAX_QUEUE", 0),
        ("WEBSOCKET_MAX_QUEUE", True),
        ("WEBSOCKET_WRITE_LIMIT", None),
        ("WEBSOCKET_WRITE_LIMIT", -1),
        ("WEBSOCKET_SEND_TIMEOUT", None),
        ("WEBSOCKET_SEND_TIMEOUT", 0),
        ("WEBSOCKET_SEND_TIMEOUT", "30"),
        ("WEBSOCKET_CLOSE_TIMEOUT", float("inf")),
        ("WEBSOCKET_CLOSE_TIMEOUT", float("nan")),
        ("WEBSOCKET_CLOSE_TIMEOUT", -1),
        ("WEBSOCKET_READ_LIMIT", None),
        ("WEBSOCKET_PING_INTERVAL", 0),
        ("WEBSOCKET_PING_TIMEOUT", "20"),
        ("WEBSOCKET_COMPRESSION", True),
        ("WEBSOCKET_COMPRESSION", "gzip"),
        ("WEBSOCKET_COMPRESSION", {"takeover": True}),
        ("WEBSOCKET_COMPRESSION", {"server_max_window_bits": 8}),
        ("WEBSOCKET_COMPRESSION", {"client_max_window_bits": 16}),
        ("WEBSOCKET_COMPRESSION", {"client_no_context_takeover": 1}),
        ("WEBSOCKET_COMPRESSION", {"level": True}),
        ("WEBSOCKET_COMPRESSION", {"level": 0}),
        ("WEBSOCKET_COMPRESSION", {"threshold": -1}),
        ("WEBSOCKET_MAX_CONNECTIONS", 0),
        ("WEBSOCKET_MAX_CONNECTIONS_PER_CLIENT", -1),
        ("WEBSOCKET_CLIENT_ADDRESS", "nothing"),
        ("WEBSOCKET_CLIENT_ADDRESS", "django_websocket_ev.no_such_thing"),
        ("WEBSOCKET_CLIENT_ADDRESS", "django_websocket_ev.__version__"),
        ("WEBSOCKET_CLIENT_ADDRESS", 7),
        ("WEBSOCKET_SESSION_CHECK", None),
        ("WEBSOCKET_SESSION_CHECK", -1),
        ("WEBSOCKET_DB_IDLE", 0),
        ("WEBSOCKET_HUB_WATCHDOG", True),
        ("WEBSOCKET_REQUEST_TIMEOUT", None),
    ],
)
def test_a_bad_value_is_an_error_that_names_setting_and_value(name, value):
    with override_settings(**{name: value}):
        (error,) = check_settings()
        assert error.id == "websocket.E001"
        assert error.msg.startswith(f"{name} must ")
        assert error.msg.endswith(f"not {value!r}.")
        with pytest.raises(ImproperlyConfigured, match=f"{name} must "):
            conf.get_options()
    assert check_settings() == []


def test_every_setting_is_checked():
    wrong = {name: object() for name in DEFAULTS}
    with override_settings(**wrong):
        errors = check_settings()
    assert [error.msg.split()[0] for error in errors] == list(DEFAULTS)
    assert {conf.setting_name(name) for name in conf.OPTIONS if conf.OPTIONS[name].is_setting} == {
        *DEFAULTS
    }


def test_a_setting_that_does_not_exist_is_a_warning():
    with override_settings(WEBSOCKET_MAX_MESAGE_SIZE=1, WEBSOCKET_SUBPROTOCOLS=["chat"]):
        warnings = check_settings()
    assert [warning.id for warning in warnings] == ["websocket.W001"] * 2
    assert "WEBSOCKET_MAX_MESAGE_SIZE" in warnings[0].msg
    assert "WEBSOCKET_SUBPROTOCOLS" in warnings[1].msg


def test_options_of_a_view_go_before_the_settings_and_leave_the_rest():
    overrides = conf.view_overrides({"max_queue": 5, "subprotocols": ["a", "b"]})
    with override_settings(WEBSOCKET_MAX_QUEUE=7, WEBSOCKET_SEND_TIMEOUT=9):
        options = conf.get_options(overrides)
        assert (options.max_queue, options.subprotocols) == (5, ("a", "b"))
        assert options.send_timeout == 9
        assert conf.get_options().max_queue == 7
    assert conf.get_options(overrides).send_timeout == 30


def test_options_are_read_once():
    assert conf.get_options() is conf.get_options()
    assert conf.get_options((("max_queue", 5),)) is conf.get_options((("max_queue", 5),))


# The checks that look at the process.


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
@pytest.mark.parametrize(
    ("engine", "driver", "ids"),
    [
        ("django.db.backends.mysql", None, ["websocket.W002"]),
        ("django.db.backends.mysql", "MySQLdb", ["websocket.W002"]),
        ("django.db.backends.mysql", "pymysql", []),
        ("django.db.backends.sqlite3", None, []),
        ("django.db.backends.postgresql", None, []),
    ],
)
def test_mysqlclient_is_warned_about(monkeypatch, engine, driver, ids):
    monkeypatch.delitem(sys.modules, "MySQLdb", raising=False)
    if driver:
        # pymysql.install_as_MySQLdb() makes it known under both names.
        monkeypatch.setitem(sys.modules, "MySQLdb", type(sys)(driver))
    databases = {"default": {}, "orders": {"ENGINE": engine}}
    with override_settings(DATABASES=databases):
        warnings = check_databases()
    assert [warning.id for warning in warnings] == ids
    assert all("'orders'" in warning.msg and "PyMySQL" in warning.hint for warning in warnings)


CHECKS_PSYCOPG = """
import os, sys
if sys.argv[1] == "told":
    os.environ["PSYCOPG_WAIT_FUNC"] = "wait_selector"
import eventlet
eventlet.monkey_patch()
import psycopg
from django_websocket_ev.checks import check_psycopg
print(*[message.id for message in check_psycopg()])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("how", "ids"), [("untold", "websocket.E002"), ("told", "")])
def test_a_psycopg_that_waits_in_c_is_an_error_in_a_patched_process(how, ids):
    if find_spec("psycopg_binary") is None and find_spec("psycopg_c") is None:
        missing("psycopg with its part in C", "pip install 'psycopg[binary]'")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CHECKS_PSYCOPG, how],
        env=servers.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.stderr) == (ids, "")


def test_an_unpatched_process_may_have_any_psycopg(monkeypatch):
    waiting = SimpleNamespace(wait=print, wait_c=print)
    monkeypatch.setitem(sys.modules, "psycopg.waiting", waiting)
    assert check_psycopg() == []


def test_manage_py_check_runs_the_checks():
    wrong = {"WEBSOCKET_MAX_QUEUE": "many", "WEBSOCKET_MAX_QEUE": 7}
    output = servers.manage("check", settings=wrong)
    assert "(websocket.E001) WEBSOCKET_MAX_QUEUE must be an integer" in output
    assert "(websocket.W001) There is no setting WEBSOCKET_MAX_QEUE" in output


# Requests that come by RequestFactory, as in a project's own tests.


@pytest.fixture
def factory():
    with override_settings(ALLOWED_HOSTS=["*"]):
        yield RequestFactory()


def opening(factory, **headers):
    """Return a WebSocket's opening request."""
    return factory.get("/socket/", headers={**HANDSHAKE, "Host": "testserver", **headers})


@accept_websocket
def accepting(request):
    return HttpResponse("by HTTP")


def plain(request):
    return HttpResponse("plain")


def statuses(factory):
    """Return the status per Origin: 403 where it is refused, 400 where only a server lacks."""
    origins = ("http://testserver", "https://friend.example", "https://stranger.example")
    return [accepting(opening(factory, Origin=origin)).status_code for origin in origins]


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        (None, [400, 403, 403]),
        ([], [400, 403, 403]),
        (["https://friend.example"], [400, 400, 403]),
        (["*"], [400, 400, 400]),
        ("*", [400, 400, 400]),
    ],
)
def test_websocket_allowed_origins_takes_effect(factory, origins, expected):
    with override_settings(WEBSOCKET_ALLOWED_ORIGINS=origins):
        assert statuses(factory) == expected


def test_websocket_allowed_origins_takes_the_place_of_csrf_trusted_origins(factory):
    with override_settings(CSRF_TRUSTED_ORIGINS=["https://friend.example"]):
        assert statuses(factory) == [400, 400, 403]
        with override_settings(WEBSOCKET_ALLOWED_ORIGINS=[]):
            assert statuses(factory) == [400, 403, 403]


def test_a_request_of_no_server_gets_400_that_names_runwsserver(factory, caplog):
    response = accepting(opening(factory))
    assert response.status_code == 400
    assert "manage.py runwsserver" in response.content.decode()
    assert "manage.py runwsserver" in caplog.text


def test_plain_http_works_without_a_server(factory):
    request = factory.get("/socket/")
    assert accepting(request).content == b"by HTTP"
    assert request.is_websocket() is False
    assert request.websocket is None
    assert require_websocket(plain)(factory.get("/socket/")).status_code == 400


def test_accept_all_is_looked_at_for_each_request(factory):
    middleware = WebSocketMiddleware(plain)

    def refusal():
        request = opening(factory)
        return middleware.process_view(request, plain, (), {}).content.decode()

    assert refusal() == "This address takes no WebSocket requests.\n"
    with override_settings(WEBSOCKET_ACCEPT_ALL=True):
        assert "cannot carry" in refusal()
    assert refusal() == "This address takes no WebSocket requests.\n"


def test_the_middleware_prepares_every_request(factory):
    seen = []
    middleware = WebSocketMiddleware(lambda request: seen.append(request) or HttpResponse())
    middleware(factory.get("/"))
    middleware(opening(factory))
    assert [request.is_websocket() for request in seen] == [False, True]
    assert [request.websocket for request in seen] == [None, None]


# A session whose data is in its cookie, which a handshake sends once and never again.


def test_a_session_in_a_signed_cookie_is_warned_about_at_its_first_change_and_only_then(caplog):
    session = SessionStore()
    session["value"] = "old"
    session.save()
    saver = SessionSaver(session, "/socket/")
    session["value"] = "new"
    saver.save()
    assert "cannot be kept" in caplog.text
    assert not session.modified  # or wait() would save, and warn, each time


# Which runserver is the usual one.


@pytest.mark.parametrize(
    ("apps", "module"),
    [
        (["django_websocket_ev", "django.contrib.staticfiles"], "django.contrib.staticfiles"),
        (["django.contrib.staticfiles", "django_websocket_ev"], "django.core"),
        (["django_websocket_ev"], "django.core"),
    ],
)
def test_the_usual_runserver_is_the_one_of_the_first_app_behind_ours(apps, module):
    with override_settings(INSTALLED_APPS=apps):
        from django_websocket_ev.management.commands.runserver import usual_command

        assert usual_command().__module__ == f"{module}.management.commands.runserver"
