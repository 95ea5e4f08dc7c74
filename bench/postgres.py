"""A PostgreSQL server for one run: an existing one, or a throw-away cluster, or none."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SUPERUSER = "bench"


def _programs() -> Path | None:
    """The folder of initdb and pg_ctl. Debian keeps them off the PATH, one folder per version."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(installed, key=lambda folder: float(folder.parent.name), default=None)


def _run(command: Sequence[str | Path]) -> None:
    """Run a program of PostgreSQL's. It refuses to serve as root, so root lends it a user."""
    root = os.geteuid() == 0
    subprocess.run(
        command,
        user="postgres" if root else None,
        group="postgres" if root else None,
        extra_groups=[] if root else None,
        cwd="/",  # any folder that this user may enter
        stdout=subprocess.DEVNULL,
        check=True,
    )


@contextmanager
def _throw_away(programs: Path) -> Iterator[dict[str, str]]:
    """A new cluster that listens on a UNIX socket in its own folder, so no port can clash."""
    # The path of a UNIX socket is limited to 107 bytes, which some TMPDIRs would exceed.
    with tempfile.TemporaryDirectory(prefix="bench-pg-", dir="/tmp") as name:
        folder = Path(name)
        data = folder / "data"
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        owner = ["--username", SUPERUSER, "--auth=trust"]
        _run([programs / "initdb", "--pgdata", data, *owner, "--no-sync", "--encoding=UTF8"])
        options = f"-F -k {folder} -c listen_addresses="
        control: list[str | Path] = [programs / "pg_ctl", "--pgdata", data, "--wait", "--silent"]
        _run([*control, "--log", folder / "log", "-o", options, "start"])
        try:
            yield {"PGHOST": str(folder), "PGUSER": SUPERUSER, "PGDATABASE": "postgres"}
        finally:
            _run([*control, "--mode=immediate", "stop"])


@contextmanager
def database() -> Iterator[Mapping[str, str] | None]:
    """libpq's PG* variables for a database that may be queried; None where there is none.

    Where PGDATABASE is set, that database is used, and nothing is written to it.
    """
    if "PGDATABASE" in os.environ:
        yield {name: value for name, value in os.environ.items() if name.startswith("PG")}
    elif programs := _programs():
        with _throw_away(programs) as environment:
            yield environment
    else:
        yield None
