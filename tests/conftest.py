"""Fixtures: the real server, a real PostgreSQL, and what a machine may lack."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

import postgres
import servers

#: The first one that we support and the last that has an eventlet worker, beside the installed one.
OLDER_GUNICORNS = ("22.0.0", "25.0.0")


def missing(what: str, install: str) -> None:
    """Skip the test, for the machine lacks something; in CI that is a failure."""
    reason = f"{what} is missing: {install}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def database(tmp_path_factory) -> str:
    """The path of an SQLite database with all tables."""
    path = str(tmp_path_factory.mktemp("database") / "db.sqlite3")
    output = servers.manage("migrate", "--verbosity=0", TEST_DATABASE=path)
    assert os.path.exists(path), output
    return path


@pytest.fixture(scope="session")
def server(database):
    """The tests' project under runwsserver, one process for the whole session.

    For what leaves nothing behind in it; a test that stops, floods or configures
    a server starts its own with ``servers.runwsserver()``.
    """
    with servers.runwsserver(TEST_DATABASE=database) as running:
        yield running


@pytest.fixture(scope="session")
def postgresql():
    """A throw-away PostgreSQL cluster, as Django's ``DATABASES["default"]``."""
    if postgres.binaries() is None:
        missing("PostgreSQL", "apt install postgresql")
    with postgres.cluster() as config:
        yield config


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The paths of a self-signed certificate for 127.0.0.1, and of its key."""
    if shutil.which("openssl") is None:
        missing("openssl", "apt install openssl")
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", "key.pem", "-out", "certificate.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture(scope="session")
def older(tmp_path_factory):
    """Return where an older gunicorn is, installed on first use."""
    installed = {}

    def get(version):
        if version not in installed:
            target = tmp_path_factory.mktemp("gunicorn")
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            done = subprocess.run([*pip, f"--target={target}", f"gunicorn=={version}"])
            if done.returncode:
                missing(f"gunicorn {version}", "a network, and pip")
            installed[version] = str(target)
        return installed[version]

    return get
