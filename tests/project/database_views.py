"""Views that use a database now and then, for test_databases_*.py."""

import json
import threading

from django.conf import settings
from django.db import DatabaseError, Error, connection, connections, transaction
from django.http import JsonResponse
from django.urls import path

from django_websocket_ev import database_limit, require_websocket

database_limit.PATIENCE = getattr(settings, "TEST_PATIENCE", database_limit.PATIENCE)


def run(query, *values, alias="default"):
    with connections[alias].cursor() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchone() if cursor.description else None


def attempt(query):
    """Return the first row, or the name of the error that the query ends in."""
    try:
        return run(query)
    except DatabaseError as error:
        return type(error).__name__


@require_websocket
def sql(request):
    """Answer each query with its first row, or with the error that it ends in."""
    for query in request.websocket:
        request.websocket.send(json.dumps(attempt(query)))


@require_websocket
def atomic(request):
    with transaction.atomic():
        for query in request.websocket:
            request.websocket.send(json.dumps(run(query)))


@require_websocket(db_idle=None)
def keeps(request):
    for query in request.websocket:
        request.websocket.send(json.dumps(run(query)))


@require_websocket
def adds(request):
    """Answer each number with the next, which the database works out."""
    for number in request.websocket:
        try:
            answer = run("SELECT %s::int + 1", number)[0]
        except Error as error:
            answer = f"failed: {type(error).__name__}: {error}"
        request.websocket.send(str(answer))


@require_websocket
def closes(request):
    """Run each query inside atomic, and close the connection there before the next message."""
    for query in request.websocket:
        with transaction.atomic():
            row = run(query)
            connection.close()
            request.websocket.send(json.dumps(row))
            request.websocket.wait()


@require_websocket
def leaves(request):
    """Run each query in a green thread that ends without closing its connection."""
    for query in request.websocket:
        rows = []
        thread = threading.Thread(
            target=lambda rows, query: rows.append(run(query)), args=(rows, query)
        )
        thread.start()
        thread.join()
        request.websocket.send(json.dumps(rows.pop()))


@require_websocket
def gives_up(request):
    """Run each query for as many seconds at most as stand before it."""
    import eventlet

    for message in request.websocket:
        seconds, query = message.split(" ", 1)
        row = "gave up"
        with eventlet.Timeout(float(seconds), False):
            row = attempt(query)
        request.websocket.send(json.dumps(row))


@require_websocket
def looks_now_and_then(request):
    """Run the first message as a query, again and again, and look for the next meanwhile."""
    query = request.websocket.wait()
    while not request.websocket.closed:
        request.websocket.send(json.dumps(attempt(query)))
        try:
            request.websocket.wait(0.05)
        except TimeoutError:
            pass


@require_websocket
def errors(request):
    """Answer each query with the error that it ends in, in full."""
    for query in request.websocket:
        try:
            answer = run(query, alias=request.GET.get("alias", "default"))
        except Error as error:
            answer = str(error)
        request.websocket.send(json.dumps(answer))


def http(request):
    return JsonResponse(run(request.GET["query"]), safe=False)


urlpatterns = [
    path("databases/sql/", sql),
    path("databases/atomic/", atomic),
    path("databases/keeps/", keeps),
    path("databases/adds/", adds),
    path("databases/closes/", closes),
    path("databases/leaves/", leaves),
    path("databases/gives_up/", gives_up),
    path("databases/looks/", looks_now_and_then),
    path("databases/errors/", errors),
    path("databases/http/", http),
]
