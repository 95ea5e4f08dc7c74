"""The app's configuration: system checks, and what a patched process does otherwise."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.core import checks
from django.core.signals import request_finished

from django_websocket_ev import bootstrap


class WebSocketConfig(AppConfig):
    """``"django_websocket_ev"`` in ``INSTALLED_APPS`` brings the commands and the checks."""

    name = "django_websocket_ev"
    verbose_name = "WebSockets"

    def ready(self) -> None:
        from django_websocket_ev.checks import check_databases, check_psycopg, check_settings

        for check in (check_settings, check_databases, check_psycopg):
            checks.register(check, "websocket")
        if bootstrap.is_patched():
            from django_websocket_ev.databases import give_back_all

            request_finished.connect(give_back_all, dispatch_uid="django_websocket_ev")
            if all(map(apps.is_installed, ("django.contrib.auth", "django.contrib.sessions"))):
                from django_websocket_ev.session_check import connect_signals

                connect_signals()
