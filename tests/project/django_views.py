"""Views for the tests of the Django surface: decorators, middleware, sessions, settings."""

import gc
import os
import resource
import time

from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import connection, connections
from django.http import Http404, HttpResponse, JsonResponse
from django.urls import path
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.views import View

from django_websocket_ev import accept_websocket, bootstrap, require_websocket


class OwnError(Exception):
    """No error that Django or the package knows."""


def facts(request):
    """Return what a view sees of its request and of its process."""
    websocket = getattr(request, "websocket", None)
    return {
        "path": request.get_full_path(),
        "is_websocket": request.is_websocket() if hasattr(request, "is_websocket") else None,
        "subprotocol": websocket.subprotocol if websocket is not None else None,
        "language": translation.get_language(),
        "time zone": timezone.get_current_timezone_name(),
        "connection": id(connections["default"]),
        "atomic": connection.in_atomic_block,
        "process": os.getpid(),
        "patched": bootstrap.is_patched(),
        "objects that no collector sees": gc.get_freeze_count(),
        "open files": resource.getrlimit(resource.RLIMIT_NOFILE),
    }


def answer(request):
    """Tell what this view sees: once over HTTP, for every message over a WebSocket."""
    websocket = getattr(request, "websocket", None)
    if websocket is None:
        return JsonResponse(facts(request))
    for _ in websocket:
        websocket.send_json(facts(request))


@require_websocket
def activate(request):
    """Activate the language and the time zone that each message names, and tell."""
    for message in request.websocket:
        language, time_zone = message.split()
        translation.activate(language)
        timezone.activate(time_zone)
        request.websocket.send_json(facts(request))


# Decorators.


class Answer(View):
    def get(self, request):
        return answer(request)


class Dispatch(Answer):
    @method_decorator(accept_websocket)
    def dispatch(self, *args, **kwargs):
        return super().dispatch(*args, **kwargs)


@method_decorator(require_websocket, name="dispatch")
class Whole(Answer):
    pass


@method_decorator(accept_websocket(subprotocols=["chat.v2", "chat.v1"]), name="dispatch")
class Speaking(Answer):
    pass


@method_decorator(require_websocket, name="dispatch")
class Asynchronous(View):
    async def get(self, request):
        return HttpResponse()


async def coroutine(request):
    pass


@require_websocket
def returns_a_coroutine(request):
    return coroutine(request)


def bare(request):
    return answer(request)


bare.accept_websocket = True


# Sessions.


@accept_websocket
def session(request):
    """Keep a value in the session: ``?set=VALUE`` over HTTP, messages over a WebSocket."""
    if not request.is_websocket():
        if "set" in request.GET:
            request.session["value"] = request.GET["set"]
        if "delete" in request.GET:
            request.session.flush()
        return HttpResponse(request.session.get("value"))
    for message in request.websocket:
        command, _, value = message.partition(" ")
        if command == "get":
            request.websocket.send(request.session.get("value", "nothing"))
            continue
        request.session["value"] = value
        if command == "end":
            return
        if command == "forbid":
            raise PermissionDenied
        if command == "fail":
            raise OwnError
        if command == "rotate":
            request.session.cycle_key()
        if command == "outlive":
            while not request.websocket.closed:
                time.sleep(0.01)
            request.websocket.send("nobody hears this")


def begins_a_session(view):
    def wrapper(request):
        request.session["value"] = "begun"
        return view(request)

    return wrapper


def sign_in(request):
    user, _ = get_user_model().objects.get_or_create(username="somebody")
    login(request, user)
    return HttpResponse()


# How a view ends.


@require_websocket
def end(request, how):
    """Wait for one message, then leave with an exception or a response."""
    request.websocket.wait()
    if how == "timeout":
        from eventlet import Timeout  # not above: these views are served unpatched as well

        with Timeout(0.01):
            request.websocket.wait()
    if how == "closed":
        request.websocket.close()
        request.websocket.send("too late")
    if how == "response":
        return HttpResponse("a page")
    if how == "not-modified":
        return HttpResponse(status=304)
    raise {
        "forbidden": PermissionDenied("not yours"),
        "missing": Http404("not there"),
        "suspicious": SuspiciousOperation("not so"),
        "bad": BadRequest("not this"),
        "own": OwnError("all is lost"),
        "exit": SystemExit("a library gave up"),
    }[how]


def exits(request):
    raise SystemExit("a library gave up")


def report_exception(sender, request, **kwargs):
    print(f"got_request_exception of {sender and sender.__name__} for {request.path}")


got_request_exception.connect(report_exception)


@require_websocket
def until_none(request):
    """Wait, and print what ends the waiting."""
    request.websocket.send("waiting")
    print(f"{request.path} saw {request.websocket.wait()}")


# Views that block, or do not listen.


@require_websocket
def sleep(request):
    request.websocket.send("begun")
    time.sleep(4)
    request.websocket.send("slept")


@require_websocket
def query(request):
    request.websocket.send("begun")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(4)")
    request.websocket.send("queried")


@require_websocket
def sql(request):
    """Answer every message, a query, with its first value."""
    for message in request.websocket:
        with connection.cursor() as cursor:
            cursor.execute(message)
            request.websocket.send_json(cursor.fetchone()[0])


@require_websocket
def fetch(request):
    import requests  # not above: it takes long to import, and every server imports this module

    page = request.websocket.wait()
    request.websocket.send("begun")
    request.websocket.send(requests.get(page, timeout=60).text)


@require_websocket
def sleeper(request):
    """Never look at the WebSocket again."""
    request.websocket.send("begun")
    while True:
        time.sleep(0.05)


@require_websocket
def spinner(request):
    """Hold the hub, and so the whole process, for ever."""
    request.websocket.send("begun")
    while True:
        pass


urlpatterns = [
    path("accept/", accept_websocket(answer)),
    path("accept/small/", accept_websocket(max_message_size=16)(answer)),
    path("require/", require_websocket(answer)),
    path("require/small/", require_websocket(max_message_size=16)(answer)),
    path("require/chat/", require_websocket(subprotocols=["chat.v2", "chat.v1"])(answer)),
    path("class/dispatch/", Dispatch.as_view()),
    path("class/whole/", Whole.as_view()),
    path("class/speaking/", Speaking.as_view()),
    path("class/around/", accept_websocket(Answer.as_view())),
    path("class/asynchronous/", Asynchronous.as_view()),
    path("coroutine/", returns_a_coroutine),
    path("plain/", answer),
    path("attribute/", bare),
    path("login/outside/", login_required(require_websocket(answer))),
    path("login/inside/", require_websocket(login_required(answer))),
    path("origin/any/", require_websocket(allowed_origins="*")(answer)),
    path("origin/own/", require_websocket(allowed_origins=[])(answer)),
    path("origin/named/", require_websocket(allowed_origins=["https://friend.example"])(answer)),
    path("activate/", activate),
    path("session/", session),
    path("session/<slug:name>/", lambda request, name: session(request)),
    path("begins-a-session/", begins_a_session(require_websocket(answer))),
    path("sign-in/", sign_in),
    path("end/<slug:how>/", end),
    path("exits/", exits),
    path("until-none/", until_none),
    path("sql/", sql),
    path("blocks/sleep/", sleep),
    path("blocks/query/", query),
    path("blocks/fetch/", fetch),
    path("deaf/sleeper/", sleeper),
    path("deaf/spinner/", spinner),
]
