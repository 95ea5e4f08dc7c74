"""``python -m django_websocket_ev SCRIPT ARGS...``: patch, then run SCRIPT.

SCRIPT runs as ``__main__``, as with ``python SCRIPT ARGS...``;
``-m MODULE ARGS...`` runs a module instead, as with ``python -m MODULE``.
"""

from __future__ import annotations

import os
import runpy
import sys

from django_websocket_ev import bootstrap

USAGE = """\
usage: python -m django_websocket_ev SCRIPT [ARGS ...]
       python -m django_websocket_ev -m MODULE [ARGS ...]

Patches the process with eventlet, so that blocking becomes waiting, and runs
SCRIPT in it. For example:

       python -m django_websocket_ev manage.py runwsserver
"""


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or arguments == ["-m"] or arguments[0] in ("-h", "--help"):
        asked = bool(arguments) and arguments != ["-m"]
        print(USAGE, end="", file=sys.stdout if asked else sys.stderr)
        raise SystemExit(0 if asked else 2)
    if arguments[0] == "-m":
        bootstrap.patch()
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    script = arguments[0]
    if not os.path.exists(script):
        print(f"python -m django_websocket_ev: there is no file {script!r}", file=sys.stderr)
        raise SystemExit(2)
    bootstrap.patch()
    sys.argv = arguments
    # Where Python itself would look first; -m has put the working directory there.
    sys.path[0] = os.path.dirname(os.path.realpath(script))
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
