"""The Autobahn test suite: where its Python is, how it is installed and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
SUITE = HERE / "suite.py"
CACHE = HERE.parent / ".compliance"  # holds the reports as well
FOLDER = CACHE / "autobahn"

# How many cases this version has. Fewer would be a suite that is not whole.
CASES = 517

# What is run in parts. 12 and 13 echo 1,000 messages in each case, 9 has the longest messages.
SLOW = ("13", "12", "9")

# Seconds that the suite waits for a server's half of a handshake, or for the end of its TCP
# connection. Its default is one for most, which is no sign of anything on a machine that is busy.
PATIENCE = {
    "openHandshakeTimeout": 30,
    "closeHandshakeTimeout": 10,
    "serverConnectionDropTimeout": 10,
}


class AutobahnError(Exception):
    """The test suite could not be installed or run."""


def _candidates() -> Iterator[str]:
    """Every place where a Python 2.7 may be."""
    yield from filter(None, [shutil.which("python2.7")])
    for root in (os.environ.get("PYENV_ROOT"), "~/.pyenv"):
        if root:
            found = Path(root).expanduser().glob("versions/2.7*/bin/python2.7")
            yield from map(str, sorted(found, reverse=True))
    yield from filter(None, map(shutil.which, ("pypy2", "pypy")))


def _is_usable(python: str) -> bool:
    """Whether it runs (a shim of pyenv may not), is Python 2.7 and has pip."""
    probe = "import pip, sys; sys.exit(sys.version_info[:2] != (2, 7))"
    return subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0


@cache
def python2() -> str:
    """A Python 2.7 with pip. AutobahnError where there is none."""
    for python in filter(_is_usable, _candidates()):
        return python
    raise AutobahnError(
        "The Autobahn test suite needs Python 2.7 with pip, and there is none here:"
        " `pyenv install 2.7.18` makes one where this looks for it."
    )


def install() -> None:
    """Install the test suite, unless it is here as required already."""
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    done = FOLDER / "installed.txt"  # written last, so a half of an installation has none
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return
    print(f"Installing the Autobahn test suite with {python2()}", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    (CACHE / ".gitignore").write_text("*\n", encoding="utf-8")  # ruff heeds it too
    result = subprocess.run(
        [
            *(python2(), "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--target", str(FOLDER), "--requirement", str(REQUIREMENTS)),
        ],
        env={**os.environ, "PIP_NO_PYTHON_VERSION_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        raise AutobahnError(f"pip could not install the Autobahn test suite.\n{result.stdout}")
    done.write_text(wanted, encoding="utf-8")


def version() -> str:
    """The suite's version, as it is required."""
    return re.findall(r"^autobahntestsuite *== *(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)[0]


def _command(*arguments: str) -> list[str]:
    """The suite in its own Python, which is not to see PYTHONPATH and the like."""
    return [python2(), "-E", str(SUITE), str(FOLDER), *arguments]


def list_cases() -> list[str]:
    """The names of all cases, "1.1.1" the first. AutobahnError if the suite is not whole."""
    result = subprocess.run(_command(), capture_output=True, text=True, check=False)
    cases = result.stdout.split()
    if result.returncode or len(cases) != CASES:
        raise AutobahnError(f"The suite has {len(cases)} cases, not {CASES}.\n{result.stderr}")
    return cases


def batches(cases: Sequence[str]) -> list[list[str]]:
    """The cases in parts to be run side by side, the longest first."""

    def part(case: str) -> tuple[str, ...]:
        section, subsection, *_ = case.split(".")
        return (section, subsection) if section in SLOW else (section,)

    def rank(cases: Sequence[str]) -> int:
        section = cases[0].partition(".")[0]
        return SLOW.index(section) if section in SLOW else len(SLOW)

    return sorted((list(cases) for _, cases in groupby(cases, part)), key=rank)


def run(cases: Sequence[str], agent: str, url: str, folder: Path) -> float:
    """Run these cases against a server and leave the reports in a new folder.

    Returns the seconds of CPU time that the suite took. AutobahnError if it ended with an error.
    """
    folder.mkdir(parents=True)
    specification = folder / "fuzzingclient.json"
    server = {"agent": agent, "url": url, "options": PATIENCE}
    specification.write_text(json.dumps({"outdir": ".", "servers": [server], "cases": cases}))
    log = folder / "wstest.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            _command("--mode", "fuzzingclient", "--spec", specification.name),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AutobahnError(f"wstest ended with {process.returncode}: see {log}")
    return usage.ru_utime + usage.ru_stime
