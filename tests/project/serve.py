"""Serves the project by TLS, or on a UNIX socket: what runwsserver does not do.

Started by ``python -m django_websocket_ev``, ``serve.py tls CERTIFICATE KEY`` or
``serve.py unix PATH``. A plain port of the same process is there for the backstage.
"""

import logging
import os
import socket
import sys

import eventlet
from django.core.wsgi import get_wsgi_application

from django_websocket_ev.server import Server, listen, stop_on_signals


def main(kind, *arguments):
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    application = get_wsgi_application()
    if kind == "tls":
        certificate, key = arguments
        bare = listen(("127.0.0.1", 0))
        listener = eventlet.wrap_ssl(bare, certfile=certificate, keyfile=key, server_side=True)
        print("TLS on port", listener.getsockname()[1])
    else:
        listener = eventlet.listen(*arguments, family=socket.AF_UNIX)
    server = Server(listener, application)
    stop_on_signals(server)
    plain = listen(("127.0.0.1", 0))
    eventlet.spawn(Server(plain, application).serve)
    print("Plain on port", plain.getsockname()[1])
    server.serve()


main(*sys.argv[1:])
