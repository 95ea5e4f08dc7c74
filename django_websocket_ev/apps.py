"""The app's configuration: system checks, and what a patched process does otherwise."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.signals import request_finished

from django_websocket_ev import bootstrap
from django_websocket_ev.validators import positive_int


class WebSocketConfig(AppConfig):
    """``"django_websocket_ev"`` in ``INSTALLED_APPS`` brings the commands and the checks."""

    name = "django_websocket_ev"
    verbose_name = "WebSockets"

    def ready(self) -> None:
        from django_websocket_ev.checks import AT_DEPLOYMENT, AT_START

        for check in AT_START:
            checks.register(check, "websocket")
        for check in AT_DEPLOYMENT:
            checks.register(check, "websocket", deploy=True)
        if bootstrap.is_patched():
            from django_websocket_ev import database_limit
            from django_websocket_ev.databases import drop_half_made, give_back_all

            drop_half_made()
            request_finished.connect(give_back_all, dispatch_uid="django_websocket_ev")
            most: Any = getattr(settings, "WEBSOCKET_DB_CONNECTIONS", None)
            if positive_int(most) is None:  # else a check says what is wrong with it
                database_limit.install(most)
            if all(map(apps.is_installed, ("django.contrib.auth", "django.contrib.sessions"))):
                from django_websocket_ev.session_check import connect_signals

                connect_signals()
