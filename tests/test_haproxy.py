"""HAProxy in front of gunicorn, as docs/deploy/haproxy.cfg has it."""

from __future__ import annotations

import os

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus

import proxies
import rawclient
import servers
from servers import PATIENCE

#: nginx, of which there are more, is in the quick suite.
pytestmark = pytest.mark.slow

OWN_ORIGIN = f"https://{proxies.HOST}"


@pytest.fixture(scope="module", params=[proxies.TCP, proxies.UNIX])
def upstream(request, database, certificate):
    """gunicorn with HAProxy before it, on a port and on a UNIX socket."""
    proxies.binary("haproxy", "haproxy")
    with (
        proxies.public_folder() as folder,
        proxies.upstream(request.param, folder, database) as (gunicorn, name),
        proxies.haproxy(folder, name, certificate) as haproxy,
    ):
        gunicorn.site = haproxy.site
        yield gunicorn


@pytest.fixture
def site(upstream):
    return upstream.site


def test_a_view_echoes(site):
    with site.connect("/echo/", origin=OWN_ORIGIN) as websocket:
        websocket.send("hello")
        assert websocket.recv(PATIENCE) == "hello"


def test_frames_in_the_packet_of_the_handshake_are_not_lost(site):
    with site.dial() as sock:
        # Not with the raw client: HAProxy writes the names of headers in small letters.
        sock.sendall(rawclient.request("/echo/") + rawclient.text("early"))
        assert servers.receive_until(sock, b"early").endswith(b"\r\n\r\n\x81\x05early")


def test_a_large_message_passes_both_ways(site):
    message = os.urandom(2**20)
    with site.connect("/echo/", max_size=None) as websocket:
        websocket.send(message)
        assert websocket.recv(PATIENCE) == message


@pytest.mark.parametrize("origin", [f"http://{proxies.HOST}", "https://evil.example"])
def test_another_origin_is_refused_and_told_why(site, origin):
    with pytest.raises(InvalidStatus) as refusal:
        site.connect("/echo/", origin=origin)
    response = refusal.value.response
    assert response.status_code == 403
    assert origin.encode() in response.body


def test_the_view_sees_the_client_whatever_that_says_of_itself(site):
    lies = {
        "X-Forwarded-For": "192.0.2.9",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
    }
    found = site.request("GET", "/proxy/seen/", headers=lies).json()
    assert found == {
        "url": f"https://{proxies.HOST}/proxy/seen/",
        "secure": True,
        "address": "127.0.0.1",
    }


def test_what_is_no_handshake_gets_400(site):
    assert site.request("GET", "/echo/").status_code == 400
    assert site.status("/echo/", host="evil.example") == 400


def test_close_codes_pass_both_ways(site):
    with site.connect("/proxy/closes/4001/") as websocket:
        with pytest.raises(ConnectionClosed):
            websocket.recv(PATIENCE)
        assert (websocket.close_code, websocket.close_reason) == (4001, "because")
    with site.connect("/clients/until_closed/haproxy/") as websocket:
        websocket.close(4002, "enough")
    seen = site.request("GET", "/clients/end/haproxy/").json()
    assert seen == {"code": 4002, "reason": "enough"}


def test_plain_http_is_sent_to_tls(site):
    address = f"http://127.0.0.1:{site.http_port}/page/"
    headers = {"Host": proxies.HOST}
    answer = requests.get(address, headers=headers, allow_redirects=False, timeout=PATIENCE)
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"https://{proxies.HOST}/page/"


def test_a_stop_says_goodbye_and_then_it_is_503(upstream, site):
    """The last one, for it stops what the others are served by."""
    with site.connect("/echo/") as websocket:
        upstream.stop()
        with pytest.raises(ConnectionClosed):
            websocket.recv(PATIENCE)
        assert websocket.close_code in proxies.GOODBYES
    assert site.status("/echo/") == 503
