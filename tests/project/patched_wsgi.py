"""A wsgi.py with the bootstrap on its first line."""

from django_websocket_ev import bootstrap

bootstrap.patch()

from wsgi import application  # noqa: E402, F401
