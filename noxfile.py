"""The tests on every supported Python, Django and gunicorn, and on eventlet's other hubs.

    make test-all                                   # all of it, about an hour on two cores
    make test-all ARGS="--list"                     # what there is
    make test-all ARGS="-t ends"                    # the oldest and the newest, as in CI
    make test-all ARGS="-s 'tests(3.12-6.0)'"       # one of it

A Python that is not installed is left out, with a line that says so; in CI it is an error.
"""

from __future__ import annotations

import os

import nox

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = bool(os.environ.get("CI"))
nox.options.reuse_existing_virtualenvs = True

#: Django 6 asks for Python 3.12.
COMBINATIONS = [
    ("3.10", "5.2"),
    ("3.11", "5.2"),
    *((python, django) for python in ("3.12", "3.13") for django in ("5.2", "6.0", "6.1")),
]
#: The first that we support, the last that has an eventlet worker, and the newest.
GUNICORNS = ["22.0.0", "25.0.0", ""]
#: The default is epolls.
HUBS = ["poll", "selects"]
#: What CI has time for: these tell most of what the others would.
ENDS = {("3.10", "5.2"), ("3.13", "6.1"), ("3.13", ""), ("3.10", "22.0.0"), ("3.13", "selects")}


def combinations(*pairs: tuple[str, str]) -> list[nox.param]:
    """Return what to run, and tag the ends of it."""
    return [
        nox.param(
            python,
            other,
            id=f"{python}-{other or 'newest'}",
            tags=["ends"] if (python, other) in ENDS else [],
        )
        for python, other in pairs
    ]


def run(
    session: nox.Session,
    *tests: str,
    requirement: str = "",
    marks: str = "not slow",
    **environment: str,
) -> None:
    """Install the package, as it is here, and run ``tests``, or all, that have these ``marks``."""
    session.install("--quiet", "--editable", ".[test]", *([requirement] if requirement else []))
    session.run("python", "--version", silent=False)
    session.run(
        *("python", "-m", "pytest", "-m", marks, "-p", "no:cacheprovider", "-q"),
        *("--numprocesses=auto", "--dist=loadfile", *tests, *session.posargs),
        env=environment,
    )


@nox.session
@nox.parametrize("python,django", combinations(*COMBINATIONS))
def tests(session: nox.Session, django: str) -> None:
    """All of them."""
    run(session, requirement=f"Django~={django}.0")


@nox.session
@nox.parametrize(
    "python,gunicorn",
    combinations(*((python, version) for python in ("3.10", "3.13") for version in GUNICORNS)),
)
def gunicorn(session: nox.Session, gunicorn: str) -> None:
    """Those that start gunicorn: of this version, and not for a thousand clients."""
    run(
        session,
        *("-k", " and ".join(f"not {word}" for word in ("22.0", "25.0", "under_load", "thousand"))),
        *("tests/test_gunicorn.py", "tests/test_gunicorn_http.py", "tests/test_gunicorn_stop.py"),
        *("tests/test_gunicorn_sessions.py", "tests/test_deployment_mistakes.py"),
        *("tests/test_metrics.py", "tests/test_django_servers.py"),
        requirement=f"gunicorn=={gunicorn}" if gunicorn else "gunicorn",
        marks="",
    )


@nox.session
@nox.parametrize("python,hub", combinations(*(("3.13", hub) for hub in HUBS)))
def hubs(session: nox.Session, hub: str) -> None:
    """All that the hub can change, on the others."""
    run(session, "-k", "connection or databases or runwsserver or api", EVENTLET_HUB=hub)
