"""Middleware for the tests: what projects put around the views of a WebSocket."""

from contextlib import ExitStack

from django.utils import timezone, translation


def overrides(get_response):
    """Hold a language and a time zone only while get_response() runs, and set cookies."""

    def middleware(request):
        with ExitStack() as held:
            if "language" in request.GET:
                held.enter_context(translation.override(request.GET["language"]))
            if "timezone" in request.GET:
                held.enter_context(timezone.override(request.GET["timezone"]))
            response = get_response(request)
        response.set_cookie("first", "one", httponly=True)
        response.set_cookie("second", "two; quoted")
        return response

    return middleware
