"""All metadata, dependencies and extras. `pyproject.toml` only configures tools."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run_tests():
    """Do what ``make test`` does, with this Python, and return the exit status."""
    return subprocess.call(["make", "test", f"PYTHON={sys.executable}"], cwd=HERE)


try:
    from setuptools import Command, find_packages, setup
except ModuleNotFoundError:
    # Python 3.12 and later come without setuptools, and the tests bring their own.
    if sys.argv[1:] == ["test"]:
        sys.exit(run_tests())
    raise


class Test(Command):
    """``python setup.py test``, which setuptools had until version 72."""

    description = "run the tests in .venv, as `make test` does"
    user_options = []

    def initialize_options(self):
        pass

    def finalize_options(self):
        pass

    def run(self):
        sys.exit(run_tests())


def version():
    # Read, not imported: a build must not depend on what the package imports.
    source = (HERE / "django_websocket_ev" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE).group(1)


def long_description():
    files = [HERE / name for name in ("README.rst", "CHANGES.rst")]
    return "\n\n".join(file.read_text(encoding="utf-8") for file in files if file.exists())


def requirements(folder):
    lines = (HERE / folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = (line.partition("#")[0].strip() for line in lines)
    return [name for name in names if name]


EXTRAS = {
    "gunicorn": ["gunicorn>=22"],
    "metrics": ["prometheus-client>=0.20"],
    "redis": ["redis>=5"],
    # The C function `apply_mask` of the first unmasks long messages many times as fast as
    # Python can, the second compresses faster than zlib.
    "speedups": ["websockets>=13", "isal>=1.7"],
    "test": [
        "pytest>=8",
        "pytest-xdist>=3.6",
        "hypothesis>=6.100",
        # Clients that others wrote.
        "websockets>=13",
        "websocket-client>=1.7",
        "aiohttp>=3.9",
        "selenium>=4.20",
        # Compresses where it is installed; the tests of that run with and without it.
        "isal>=1.7",
        # What the views under test block on.
        "psycopg[binary,pool]>=3.2",
        "psycopg2-binary>=2.9.9",
        "requests>=2.31",
        "gunicorn>=22",
        # It cannot carry WebSockets, and a test sees that it says so.
        "pyuwsgi>=2.0.26; sys_platform != 'win32'",
        "prometheus-client>=0.20",
        # tests/test_packaging.py builds without isolation, so that it needs no network.
        "build>=1.2",
        "setuptools>=77",
    ],
    "bench": requirements("bench"),
    "docs": ["sphinx>=7.4"],
    "matrix": ["nox>=2024.4.15"],
    # mypy looks at what the package imports where it is installed, so websockets is.
    "lint": [
        "ruff>=0.15",
        "mypy>=1.18",
        "django-stubs>=5.2",
        "websockets>=13",
        "build>=1.2",
        "prometheus-client>=0.20",
    ],
}

setup(
    name="django-websocket-ev",
    version=version(),
    description="WebSockets for ordinary, synchronous Django views, carried by eventlet",
    long_description=long_description(),
    long_description_content_type="text/x-rst",
    author="the django-websocket-ev maintainers",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    keywords=["django", "websocket", "websockets", "eventlet", "wsgi", "rfc6455"],
    packages=find_packages(include=["django_websocket_ev", "django_websocket_ev.*"]),
    package_data={"django_websocket_ev": ["py.typed", "templates/**/*", "static/**/*"]},
    zip_safe=False,
    python_requires=">=3.10",
    install_requires=["Django>=5.2", "eventlet>=0.41"],
    extras_require=EXTRAS,
    cmdclass={"test": Test},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Web Environment",
        "Framework :: Django",
        "Framework :: Django :: 5.2",
        "Framework :: Django :: 6.0",
        "Framework :: Django :: 6.1",
        "Intended Audience :: Developers",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP :: WSGI",
        "Typing :: Typed",
    ],
)
