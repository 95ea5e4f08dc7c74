"""A small project, with limits low enough to be met all the time. SOAK_SETTINGS is JSON."""

from __future__ import annotations

import json
import os

SECRET_KEY = "a soak on a loopback address"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "soak.project.urls"
USE_TZ = True
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

INSTALLED_APPS = ["django_websocket_ev", "django.contrib.sessions"]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# All that goes wrong is to be seen, and nothing else.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"django": {"handlers": [], "level": "WARNING"}},
}

WEBSOCKET_MAX_MESSAGE_SIZE = 2**18
WEBSOCKET_MAX_QUEUE = 8
WEBSOCKET_WRITE_LIMIT = 2**16
WEBSOCKET_SEND_TIMEOUT = 5
WEBSOCKET_CLOSE_TIMEOUT = 3
WEBSOCKET_PING_INTERVAL = 5
WEBSOCKET_PING_TIMEOUT = 5
WEBSOCKET_REQUEST_TIMEOUT = 5

globals().update(json.loads(os.environ.get("SOAK_SETTINGS", "{}")))
