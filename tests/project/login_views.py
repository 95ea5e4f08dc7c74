"""Views that log a user in and out again, and sockets that are for users only."""

import os
from datetime import timedelta

from django.contrib.auth import get_user_model, login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path
from django.utils import timezone

from django_websocket_ev import require_websocket


def log_in(request, name):
    user, _ = User.objects.get_or_create(username=name, defaults={"password": "!"})
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse(name)


def log_out(request):
    logout(request)
    return HttpResponse("bye")


def flush(request):
    request.session.flush()
    return HttpResponse("flushed")


def expire(request):
    """Let the session end in a second, which nobody tells."""
    request.session.set_expiry(timezone.now() + timedelta(seconds=1))
    return HttpResponse("soon")


def change_password(request, name):
    user = User.objects.get(username=name)
    user.set_password("another")
    user.save()
    return HttpResponse("changed")


def deactivate(request, name):
    user = User.objects.get(username=name)
    user.is_active = False
    user.save()
    return HttpResponse("deactivated")


def deactivate_quietly(request, name):
    """As a query does, which sends no signal."""
    get_user_model().objects.filter(username=name).update(is_active=False)
    return HttpResponse("deactivated")


def delete(request, name):
    User.objects.filter(username=name).delete()
    return HttpResponse("deleted")


def greet(request):
    request.websocket.send(request.user.get_username())
    for message in request.websocket:
        request.websocket.send(message)


def tell_pid(request):
    request.websocket.send(str(os.getpid()))
    for message in request.websocket:
        request.websocket.send(message)


urlpatterns = [
    path("login/<slug:name>/", log_in),
    path("logout/", log_out),
    path("login/flush", flush),
    path("login/expire", expire),
    path("login/<slug:name>/password/", change_password),
    path("login/<slug:name>/deactivate/", deactivate),
    path("login/<slug:name>/deactivate_quietly/", deactivate_quietly),
    path("login/<slug:name>/delete/", delete),
    path("login/for/users/", login_required(require_websocket(greet))),
    path("login/for/pids/", login_required(require_websocket(tell_pid))),
    path("login/for/all/", require_websocket(greet)),
]
