"""A PostgreSQL cluster of the tests' own, in a folder that goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path


def binaries() -> Path | None:
    """Return the folder of ``initdb`` and ``pg_ctl``, None where there is none."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return debian[-1].parent if debian else None


def _run(folder: Path, program: str, *arguments: str) -> None:
    # PostgreSQL does not run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run(
        [*user, str(binaries() / program), "-D", str(folder / "data"), *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )


@contextmanager
def cluster(**options: object):
    """Start a cluster on a UNIX socket; yield what DATABASES wants to know of it.

    ``options`` are those of postgresql.conf, such as ``max_connections=20``.
    """
    folder = Path(tempfile.mkdtemp(prefix="websocket-ev-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    options = {"fsync": "off", **options, "unix_socket_directories": folder}
    try:
        _run(folder, "initdb", "-U", "postgres", "-A", "trust", "--no-sync")
        flags = " ".join(f"-c {name}={value}" for name, value in options.items())
        flags += " -c listen_addresses="
        _run(folder, "pg_ctl", "-w", "-o", flags, "-l", str(folder / "log"), "start")
        try:
            yield {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "postgres",
                "USER": "postgres",
                "HOST": str(folder),
            }
        finally:
            _run(folder, "pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def restart(config: dict[str, str]) -> None:
    """Restart the cluster that ``config`` leads to, and cut all that is under way in it."""
    folder = Path(config["HOST"])
    _run(folder, "pg_ctl", "-m", "fast", "-w", "-l", str(folder / "log"), "restart")
