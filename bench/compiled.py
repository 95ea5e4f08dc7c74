"""The programs in C: compiled when they are needed, into a folder of the run's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "c"


def compiler() -> str | None:
    """The C compiler that CC names, else the system's; None where there is none."""
    names = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    return next(filter(None, map(shutil.which, names)), None)


def compile_all(folder: Path) -> None:
    """Make `client` and `floor` there. SystemExit where that is not possible."""
    found = compiler()
    if found is None:
        raise SystemExit("The load generator is in C, and there is no compiler: apt install gcc")
    for source in SOURCES.glob("*.c"):
        command = [found, "-O2", "-o", str(folder / source.stem), str(source)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"{source.name} does not compile:\n{done.stderr}")
