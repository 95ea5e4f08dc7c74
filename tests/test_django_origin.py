"""Which web pages may open a WebSocket: RFC 6455 §10.2."""

from __future__ import annotations

import pytest
import requests
from websockets.sync.client import connect

from project.client import HANDSHAKE, LOGGING, ask, serve


@pytest.fixture(scope="module")
def site(database):
    """A server that trusts some origins, behind a proxy that may speak TLS."""
    with serve(
        database,
        CSRF_TRUSTED_ORIGINS=[
            "https://exact.example",
            "https://port.example:8443",
            "https://*.wild.example",
        ],
        SECURE_PROXY_SSL_HEADER=["HTTP_X_FORWARDED_PROTO", "https"],
        USE_X_FORWARDED_HOST=True,
        LOGGING=LOGGING,
    ) as running:
        yield running


def open_from(site, origin, path="/require/", **headers):
    """Return the status that the handshake of a page of ``origin`` gets."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with requests.get(
        site.url(path), headers={**HANDSHAKE, "Origin": origin, **named}, stream=True
    ) as response:
        return response.status_code


def test_no_origin_passes_for_it_is_no_browser(site):
    assert open_from(site, None) == 101


def test_the_own_origin_passes(site):
    own = f"http://127.0.0.1:{site.port}"
    assert open_from(site, own) == 101
    with connect(site.ws("/require/"), origin=own) as websocket:
        assert ask(websocket)["is_websocket"] is True


def test_the_own_origin_passes_under_any_name_that_the_host_header_gives(site):
    assert open_from(site, "http://own.example", Host="own.example") == 101
    assert open_from(site, "http://OWN.example", Host="own.EXAMPLE") == 101
    assert open_from(site, "http://[::1]:8000", Host="[::1]:8000") == 101


@pytest.mark.parametrize(
    "origin",
    [
        "http://stranger.example",
        "http://own.example.stranger.example",
        "http://own.example@stranger.example",
        "null",
        "",
        "file://",
        "own.example",
        "http://[own.example",
    ],
)
def test_any_other_origin_gets_403(site, origin):
    assert open_from(site, origin, Host="own.example") == 403


@pytest.mark.parametrize(
    "origin", ["https://own.example", "http://own.example:8000", "ws://own.example"]
)
def test_another_scheme_or_port_is_another_origin(site, origin):
    assert open_from(site, origin, Host="own.example") == 403


def test_another_port_of_the_own_address_is_another_origin(site):
    assert open_from(site, f"http://127.0.0.1:{site.port + 1}") == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://exact.example", 101),
        ("HTTPS://Exact.Example", 101),
        ("http://exact.example", 403),
        ("https://exact.example:8443", 403),
        ("https://sub.exact.example", 403),
        ("https://port.example:8443", 101),
        ("https://port.example", 403),
        ("https://a.wild.example", 101),
        ("https://a.b.wild.example", 101),
        ("http://a.wild.example", 403),
        ("https://a.wild.example:8443", 403),
        ("https://notwild.example", 403),
        ("https://a.wild.example.stranger.example", 403),
    ],
)
def test_csrf_trusted_origins_are_trusted_here_too(site, origin, status):
    assert open_from(site, origin) == status


def test_behind_a_proxy_that_speaks_tls_the_own_origin_is_https(site):
    proxied = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "public.example"}
    assert open_from(site, "https://public.example", **proxied) == 101
    assert open_from(site, "http://public.example", **proxied) == 403
    assert open_from(site, f"https://127.0.0.1:{site.port}", **proxied) == 403


def test_the_views_own_list_goes_before_csrf_trusted_origins(site):
    assert open_from(site, "https://exact.example", "/origin/named/") == 403
    assert open_from(site, "https://friend.example", "/origin/named/") == 101
    assert open_from(site, "null", "/origin/any/") == 101


def test_a_refusal_says_why_to_the_page_and_in_the_log(site):
    response = requests.get(
        site.url("/require/"), headers={**HANDSHAKE, "Origin": "https://stranger.example"}
    )
    reason = "The origin 'https://stranger.example' may not open a WebSocket here."
    assert response.status_code == 403
    assert response.text == f"{reason}\n"
    site.wait_for_line(rf"django.request WARNING WebSocket refused: /require/: {reason}")


def test_plain_http_is_not_asked_for_its_origin(site):
    response = requests.get(site.url("/accept/"), headers={"Origin": "https://stranger.example"})
    assert response.status_code == 200
