"""Views that use a database now and then, for test_databases_idle.py."""

import json

from django.db import DatabaseError, connection, transaction
from django.urls import path

from django_websocket_ev import require_websocket


def run(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone() if cursor.description else None


@require_websocket
def sql(request):
    """Answer each query with its first row, or with the error that it ends in."""
    for query in request.websocket:
        try:
            answer = run(query)
        except DatabaseError as error:
            answer = type(error).__name__
        request.websocket.send(json.dumps(answer))


@require_websocket
def atomic(request):
    with transaction.atomic():
        for query in request.websocket:
            request.websocket.send(json.dumps(run(query)))


@require_websocket(db_idle=None)
def keeps(request):
    for query in request.websocket:
        request.websocket.send(json.dumps(run(query)))


urlpatterns = [
    path("databases/sql/", sql),
    path("databases/atomic/", atomic),
    path("databases/keeps/", keeps),
]
