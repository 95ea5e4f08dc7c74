"""System checks of the databases: what is complained about, when, and with which cure."""

from __future__ import annotations

import django
import pytest
from django.conf import settings
from django.test import override_settings

import servers
from django_websocket_ev.checks import (
    check_atomic_requests,
    check_connection_limit,
    check_sqlite,
)

if not settings.configured:
    settings.configure(SECRET_KEY="only for tests")
    django.setup()

pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")

POSTGRESQL = {"ENGINE": "django.db.backends.postgresql"}
POSTGIS = {"ENGINE": "django.contrib.gis.db.backends.postgis"}
MYSQL = {"ENGINE": "django.db.backends.mysql"}
SQLITE = {"ENGINE": "django.db.backends.sqlite3"}
OTHER = {"ENGINE": "somebody.elses.backend"}


def found(check, config, **others):
    """Return the messages on a project with this as its second database."""
    with override_settings(DATABASES={"default": {}, "orders": config}, **others):
        return check()


@pytest.mark.parametrize("engine", [POSTGRESQL, MYSQL, SQLITE, OTHER])
def test_atomic_requests_is_a_warning_that_says_to_use_atomic(engine):
    (warning,) = found(check_atomic_requests, {**engine, "ATOMIC_REQUESTS": True})
    assert warning.id == "websocket.W003"
    assert not warning.is_serious()
    assert "'orders'" in warning.msg
    assert "transaction.atomic()" in warning.hint
    assert "'websocket.W003'" in warning.hint
    assert found(check_atomic_requests, {**engine, "ATOMIC_REQUESTS": False}) == []
    assert found(check_atomic_requests, engine) == []


@pytest.mark.parametrize("engine", [POSTGRESQL, POSTGIS])
def test_postgresql_without_a_limit_is_a_warning_that_names_both_cures(engine):
    (warning,) = found(check_connection_limit, engine)
    assert warning.id == "websocket.W004"
    assert not warning.is_serious()
    assert "'orders'" in warning.msg
    assert '{"pool": True}' in warning.hint
    assert "WEBSOCKET_DB_CONNECTIONS" in warning.hint


def test_mysql_without_a_limit_is_a_warning_that_names_no_pool():
    (warning,) = found(check_connection_limit, MYSQL)
    assert warning.id == "websocket.W004"
    assert "WEBSOCKET_DB_CONNECTIONS" in warning.hint
    assert "pool" not in warning.hint


@pytest.mark.parametrize(
    ("config", "others"),
    [
        ({**POSTGRESQL, "OPTIONS": {"pool": True}}, {}),
        ({**POSTGRESQL, "OPTIONS": {"pool": {"max_size": 8}}}, {}),
        (POSTGRESQL, {"WEBSOCKET_DB_CONNECTIONS": 8}),
        (MYSQL, {"WEBSOCKET_DB_CONNECTIONS": 8}),
        (SQLITE, {}),
        (OTHER, {}),
    ],
)
def test_with_a_pool_or_a_limit_nothing_is_said(config, others):
    assert found(check_connection_limit, config, **others) == []


def test_a_pool_that_is_turned_off_is_none():
    (warning,) = found(check_connection_limit, {**POSTGRESQL, "OPTIONS": {"pool": False}})
    assert warning.id == "websocket.W004"


def test_sqlite_is_a_note():
    (note,) = found(check_sqlite, SQLITE)
    assert note.id == "websocket.I001"
    assert not note.is_serious()
    assert "'orders'" in note.msg
    assert "PostgreSQL" in note.hint
    assert found(check_sqlite, POSTGRESQL) == []


@pytest.mark.slow
def test_a_plain_start_with_sqlite_says_nothing():
    assert "System check identified no issues" in servers.manage("check")


@pytest.mark.slow
def test_a_plain_check_with_postgresql_says_nothing():
    databases = {"default": POSTGRESQL}
    output = servers.manage("check", settings={"DATABASES": databases})
    assert "System check identified no issues" in output


def test_before_a_deployment_each_of_them_is_told():
    databases = {
        "default": {**SQLITE, "NAME": ":memory:"},
        "orders": {**POSTGRESQL, "ATOMIC_REQUESTS": True},
    }
    output = servers.manage("check", "--deploy", settings={"DATABASES": databases})
    for identifier in ("W003", "W004", "I001"):
        assert output.count(f"websocket.{identifier}") == 1 + (identifier == "W003"), output
