"""What is built and installed: an sdist and a wheel that work outside the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from websockets.sync.client import connect

import servers

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "django_websocket_ev/__init__.py").read_text(), re.MULTILINE
)[1]

VIEWS = """
from django.urls import path

from django_websocket_ev import require_websocket


@require_websocket
def echo(request):
    for message in request.websocket:
        request.websocket.send(message)


urlpatterns = [path("echo/", echo)]
"""

LISTS_LOADED_MODULES = """
import sys
import django_websocket_ev
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def run(*command: object, cwd: Path, **environ: str) -> str:
    """Run to the end and return what it printed; an exit status other than 0 fails the test."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environ() | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def clean_environ() -> dict[str, str]:
    """The environment without what would lead Python or Django back to the checkout."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "DJANGO_", "MAKE", "RUN_MAIN"))
    }


# --- The two archives ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an sdist and the wheel made from it."""
    # From a copy: a build leaves an egg-info behind, and reads one that an earlier build left.
    source = tmp_path_factory.mktemp("source") / "checkout"
    litter = shutil.ignore_patterns(
        ".git", ".venv*", ".*_cache", ".hypothesis", "*.egg-info", "build", "dist", "node_modules"
    )
    shutil.copytree(ROOT, source, symlinks=True, ignore=litter)
    output = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", output, cwd=source)
    return output


@pytest.fixture(scope="module")
def sdist(archives: Path) -> Path:
    return archives / f"django_websocket_ev-{VERSION}.tar.gz"


@pytest.fixture(scope="module")
def wheel(archives: Path) -> Path:
    return archives / f"django_websocket_ev-{VERSION}-py3-none-any.whl"


def package_files() -> set[str]:
    """Every file of the package in the checkout, as a path from the root."""
    return {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "django_websocket_ev").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_wheel_has_the_whole_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    files = {name for name in names if ".dist-info/" not in name}
    assert files == package_files()
    assert "django_websocket_ev/py.typed" in files
    assert "django_websocket_ev/management/commands/runwsserver.py" in files
    assert any(name.endswith("/LICENSE") for name in names - files)


def test_the_wheel_asks_for_django_and_eventlet_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"django_websocket_ev-{VERSION}.dist-info/METADATA").decode()
    needs = re.findall(r"^Requires-Dist: (.+)$", metadata, re.MULTILINE)
    required = [re.split(r"\W", need)[0].lower() for need in needs if "extra ==" not in need]
    assert sorted(required) == ["django", "eventlet"]
    extras = set(re.findall(r"^Provides-Extra: (.+)$", metadata, re.M))
    assert extras >= {"gunicorn", "redis", "speedups", "test", "bench", "docs"}
    assert "Requires-Python: >=3.10" in metadata
    assert "BSD-3-Clause" in metadata


def test_the_sdist_has_all_that_a_developer_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert package_files() <= names
    assert names >= {
        "LICENSE",
        "README.rst",
        "CHANGES.rst",
        "Makefile",
        "pyproject.toml",
        "setup.py",
        "tests/test_packaging.py",
        "tests/node/package.json",
        "demo/manage.py",
    }
    assert any(name.startswith("bench/") for name in names)
    # The link would come out as a second copy of the commands.
    assert not any(name.startswith("management") for name in names)
    assert not any(re.search(r"\.sqlite3|\.py[co]$|node_modules", name) for name in names)


# --- Installed, outside the checkout -------------------------------------------------------------


def closure(*names: str) -> dict[str, Path]:
    """The files and folders in site-packages of `names` and of all that they require."""
    found: dict[str, Path] = {}
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            needed = distribution(name)
        except PackageNotFoundError:  # for another Python or system
            continue
        for file in needed.files or []:
            if file.parts[0] not in ("..", "__pycache__"):
                found[file.parts[0]] = Path(needed.locate_file(file.parts[0]))
        waiting += [
            re.split(r"[^\w.-]", requirement)[0]
            for requirement in needed.requires or []
            if "extra ==" not in requirement
        ]
    return found


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment with the package and its dependencies, nothing more."""
    place = tmp_path_factory.mktemp(f"from-{request.param}")
    environment = place / "environment"
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=place)
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", purelib, cwd=place).strip())
    # The dependencies are lent by the environment of the tests, so that no network is needed; pip
    # sees them as installed, and would fail for one more. setuptools builds the sdist.
    for name, path in closure("Django", "eventlet", "setuptools").items():
        (site / name).symlink_to(path)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index"]
    run(*pip, "--no-build-isolation", request.getfixturevalue(request.param), cwd=place)
    return python


def test_installed_package_says_how_to_use_it(installed: Path, tmp_path: Path) -> None:
    assert "usage:" in run(installed, "-m", "django_websocket_ev", "--help", cwd=tmp_path)
    where = "import django_websocket_ev; print(django_websocket_ev.__file__)"
    file = Path(run(installed, "-c", where, cwd=tmp_path).strip())
    assert file.is_relative_to(installed.parent.parent)


def test_installed_package_serves_a_new_project(installed: Path, tmp_path: Path) -> None:
    run(installed, "-m", "django", "startproject", "newcomer", tmp_path, cwd=tmp_path)
    with (tmp_path / "newcomer" / "settings.py").open("a") as settings:
        settings.write('\nINSTALLED_APPS += ["django_websocket_ev"]\n')
    (tmp_path / "newcomer" / "urls.py").write_text(VIEWS)

    assert "no issues" in run(installed, "manage.py", "check", cwd=tmp_path)

    process = subprocess.Popen(
        [installed, "manage.py", "runwsserver", "--noreload", "127.0.0.1:0"],
        cwd=tmp_path,
        env=clean_environ() | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = servers.Server(process)
    try:
        server.port = server.wait_for_line(r"server at http://127\.0\.0\.1:(\d+)/")[1]
        with connect(server.ws("/echo/")) as client:
            client.send("from outside the checkout")
            assert client.recv(timeout=servers.PATIENCE) == "from outside the checkout"
        assert server.stop() == 0, server.output
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# --- The checkout --------------------------------------------------------------------------------


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the sdist leaves the link out")
def test_management_links_to_the_commands_of_the_package() -> None:
    link = ROOT / "management"
    assert link.is_symlink()
    assert os.readlink(link) == "django_websocket_ev/management"
    assert (link / "commands" / "runwsserver.py").is_file()


def test_importing_the_package_imports_neither_django_nor_eventlet(tmp_path: Path) -> None:
    loaded = run(sys.executable, "-c", LISTS_LOADED_MODULES, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert "django_websocket_ev" in loaded.split()
    assert not {"django", "eventlet", "greenlet"} & set(loaded.split())


@pytest.fixture
def recorded_make(tmp_path: Path) -> dict[str, str]:
    """An environment whose `make` only prints what it was asked for."""
    fake = tmp_path / "make"
    fake.write_text('#!/bin/sh\necho "make $*"\n')
    fake.chmod(0o755)
    return {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}


def test_setup_py_test_is_make_test(recorded_make: dict[str, str]) -> None:
    said = run(sys.executable, "setup.py", "test", cwd=ROOT, **recorded_make)
    assert f"make test PYTHON={sys.executable}\n" in said


def test_setup_py_test_needs_no_setuptools(recorded_make: dict[str, str]) -> None:
    # -S -I: no site-packages, as in a new Python 3.12.
    said = run(sys.executable, "-S", "-I", "setup.py", "test", cwd=ROOT, **recorded_make)
    assert said == f"make test PYTHON={sys.executable}\n"
