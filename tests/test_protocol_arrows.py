"""Who may import whom: the protocol knows nobody, and eventlet stays in a few rooms."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "django_websocket_ev"

#: The rooms to change on the day that another hub is wanted.
MAY_IMPORT_EVENTLET = {
    *("bootstrap", "connection", "greensocket", "hub", "test", "workers"),
    *("server", "http_handler", "opening"),
}

IMPORTS_ALL_OF_THE_PROTOCOL = """
import importlib
import pkgutil
import sys

BANNED = {"django", "eventlet", "greenlet", "gevent"}


class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BANNED:
            raise AssertionError(f"{name} is imported")


sys.meta_path.insert(0, Guard())
from django_websocket_ev import protocol

for module in pkgutil.iter_modules(protocol.__path__, f"{protocol.__name__}."):
    importlib.import_module(module.name)
    print(module.name)
assert not BANNED & {name.partition(".")[0] for name in sys.modules}
"""


def dotted(path: Path) -> str:
    """Return the name of a module within the package, "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path: Path) -> set[str]:
    """Return the full names of all that a file imports, at its top or inside of anything."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import, which this test does not read"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            if ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__"):
                names.add(str(node.args[0].value))
    return names


def imports_from(path: Path, *packages: str) -> set[str]:
    """Return what a file imports of the ``packages``."""
    return {name for name in imports(path) if name.partition(".")[0] in packages}


MODULES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}
PROTOCOL = {name: path for name, path in MODULES.items() if name.split(".")[0] == "protocol"}


def test_the_modules_are_found():
    assert {"", "connection", "protocol", "protocol.frames", "protocol.receiver"} <= set(MODULES)
    assert imports_from(MODULES["connection"], "eventlet")


@pytest.mark.parametrize("name", PROTOCOL)
def test_the_protocol_is_made_of_itself_and_the_standard_library(name):
    foreign = {
        imported
        for imported in imports(PROTOCOL[name])
        if not imported.startswith("django_websocket_ev.protocol.")
        and imported.partition(".")[0] not in sys.stdlib_module_names
    }
    # What is faster in C, and may be missing.
    assert foreign <= {"websockets.speedups.apply_mask", "isal.isal_zlib"}


@pytest.mark.parametrize("name", PROTOCOL)
def test_the_protocol_does_no_io(name):
    doers = ("asyncio", "os", "select", "selectors", "socket", "ssl", "threading", "time")
    assert not imports_from(PROTOCOL[name], *doers)


def test_the_protocol_can_be_imported_where_django_and_eventlet_cannot():
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS_ALL_OF_THE_PROTOCOL],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    imported = {name.partition(".")[2] for name in done.stdout.split()}
    assert imported == set(PROTOCOL) - {"protocol"}


@pytest.mark.parametrize("name", MODULES)
def test_eventlet_stays_in_its_rooms(name):
    room = name.partition(".")[0]
    if room not in MAY_IMPORT_EVENTLET:
        assert not imports_from(MODULES[name], "eventlet")


# protocol <- connection <- websocket <- response <- decorators, middleware
LAYERS = ["protocol", "connection", "websocket", "response", "upgrade", "decorators middleware"]


@pytest.mark.parametrize("layer", range(len(LAYERS)))
def test_the_arrows_run_one_way(layer):
    above = {room for rooms in LAYERS[layer + 1 :] for room in rooms.split()}
    for name, path in MODULES.items():
        if name.partition(".")[0] in LAYERS[layer].split():
            ours = {imported.split(".")[1] for imported in imports_from(path, PACKAGE.name)}
            assert not ours & above, name
