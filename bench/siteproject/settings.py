"""What `startproject` gives, as far as it runs, and two databases where they are named.

BENCH_SQLITE is the file with users and sessions; libpq's PG* variables name a PostgreSQL.
"""

from __future__ import annotations

import os

SECRET_KEY = "a benchmark on a loopback address, with no secret to keep"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [
    "django_websocket_ev",
    "bench.siteproject",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "bench.siteproject.urls"
STATIC_URL = "static/"
USE_TZ = True

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("BENCH_SQLITE", ":memory:"),
    },
}
DATABASE_ROUTERS = ["bench.siteproject.models.Router"]
if "PGDATABASE" in os.environ:
    DATABASES["catalog"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "HOST": os.environ.get("PGHOST", ""),
        "PORT": os.environ.get("PGPORT", ""),
        "USER": os.environ.get("PGUSER", ""),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        "OPTIONS": {"pool": {"min_size": 4, "max_size": 20}},
    }

WEBSOCKET_MAX_CONNECTIONS = 20_000  # the default is as many as the largest scenario has clients

# No peer writes a line for each connection here: uvicorn is told --no-access-log, Daphne has none.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"django_websocket_ev.access": {"level": "WARNING"}},
}

if "BENCH_COLLECTOR" in os.environ:
    from bench.collector import Collector

    Collector(os.environ["BENCH_COLLECTOR"])
