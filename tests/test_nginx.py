"""nginx in front of gunicorn, as docs/deploy/nginx.conf has it."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus

import proxies
import rawclient
from servers import PATIENCE

OWN_ORIGIN = f"https://{proxies.HOST}"


#: Of WebSockets from one address; more than any other test has open.
LIMIT = 4


@pytest.fixture(
    scope="module", params=[proxies.TCP, pytest.param(proxies.UNIX, marks=pytest.mark.slow)]
)
def running(request, database, certificate):
    """nginx and gunicorn behind it, on a port and on a UNIX socket."""
    proxies.binary("nginx", "nginx-light")
    limit = {"WEBSOCKET_MAX_CONNECTIONS_PER_CLIENT": LIMIT}
    with (
        proxies.public_folder() as folder,
        proxies.upstream(request.param, folder, database, **limit) as (_, name),
        proxies.nginx(folder, name, certificate) as nginx,
    ):
        (folder / "static").mkdir()
        (folder / "static" / "site.css").write_text("body { color: black }")
        yield nginx


@pytest.fixture
def site(running):
    return running.site


def test_a_view_echoes(site):
    with site.connect("/echo/", origin=OWN_ORIGIN) as websocket:
        websocket.send("hello")
        assert websocket.recv(PATIENCE) == "hello"


def test_frames_in_the_packet_of_the_handshake_are_not_lost(site):
    early = rawclient.text("early")
    with rawclient.RawClient(site.dial(), "/echo/", behind=early) as client:
        assert client.read_text() == "early"


def test_a_large_message_passes_both_ways(site):
    message = os.urandom(2**20)
    with site.connect("/echo/", max_size=None) as websocket:
        websocket.send(message)
        assert websocket.recv(PATIENCE) == message


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["evil.example", proxies.HOST, f"{proxies.HOST}:8443"])
def test_the_origin_is_the_sites_own_or_is_refused(site, scheme, host):
    origin = f"{scheme}://{host}"
    expected = 101 if origin == OWN_ORIGIN else 403
    assert site.status("/echo/", origin=origin) == expected


def test_a_port_in_the_address_of_the_site_is_one_of_its_origin(site):
    host = f"{proxies.HOST}:8443"
    assert site.status("/echo/", host=host, origin=f"https://{host}") == 101
    assert site.status("/echo/", host=host, origin=OWN_ORIGIN) == 403


def test_the_view_sees_the_client_whatever_that_says_of_itself(site):
    lies = {
        "X-Forwarded-For": "192.0.2.9",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
    }
    found = site.request("GET", "/proxy/seen/?n=1", headers=lies).json()
    assert found["url"] == f"https://{proxies.HOST}/proxy/seen/?n=1"
    assert found["secure"]
    assert found["address"] == "127.0.0.1"
    with site.connect("/proxy/seen/", "127.0.0.2", additional_headers=lies) as websocket:
        assert json.loads(websocket.recv(PATIENCE))["address"] == "127.0.0.2"


def test_each_client_has_a_limit_of_its_own(site):
    with ExitStack() as stack:
        for _ in range(LIMIT):
            stack.enter_context(site.connect("/echo/", "127.0.0.3"))
        with pytest.raises(InvalidStatus) as refusal:
            site.connect("/echo/", "127.0.0.3")
        response = refusal.value.response
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "10"
        assert b"limit for one client" in response.body
        assert site.status("/echo/", source="127.0.0.4") == 101


def test_what_is_no_handshake_gets_its_400_and_the_reason(site):
    response = site.request("GET", "/echo/")
    assert response.status_code == 400
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "8"}
    headers["Sec-WebSocket-Key"] = rawclient.KEY
    response = site.request("GET", "/echo/", headers=headers)
    assert response.status_code == 400
    assert response.headers["Sec-WebSocket-Version"] == "13"
    assert "version" in response.text.lower()


def test_a_host_that_is_not_the_sites_gets_400(site):
    assert site.status("/echo/", host="evil.example") == 400


def test_a_close_code_of_the_view_reaches_the_client(site):
    with site.connect("/proxy/closes/4001/") as websocket:
        with pytest.raises(ConnectionClosed):
            websocket.recv(PATIENCE)
        assert (websocket.close_code, websocket.close_reason) == (4001, "because")


def test_a_close_code_of_the_client_reaches_the_view(site):
    with site.connect("/clients/until_closed/nginx/") as websocket:
        websocket.close(4002, "enough")
    seen = site.request("GET", "/clients/end/nginx/").json()
    assert seen == {"code": 4002, "reason": "enough"}


def test_a_client_that_is_gone_without_a_word_is_noticed(site):
    with rawclient.RawClient(site.dial(), "/clients/until_closed/gone/") as client:
        client.send_text("here")
        assert client.read_text() == "here"
        client.reset()
    assert site.request("GET", "/clients/end/gone/").json()["code"] == 1006


def test_a_client_that_does_not_read_is_given_up(site):
    with rawclient.RawClient(site.dial(), "/proxy/floods/deaf/"):
        assert site.request("GET", "/clients/end/deaf/").json() == {"code": 1006}


def test_pages_files_and_uploads_pass(site):
    assert site.request("GET", "/healthz/").text == "ok"
    assert "color" in site.request("GET", "/static/site.css").text
    found = site.request("POST", "/proxy/uploads/", data=b"x" * 2**20)
    assert found.json() == {"bytes": 2**20}


def test_plain_http_is_sent_to_tls(site):
    address = f"http://127.0.0.1:{site.http_port}/page/?n=1"
    headers = {"Host": proxies.HOST}
    answer = requests.get(address, headers=headers, allow_redirects=False, timeout=PATIENCE)
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"https://{proxies.HOST}/page/?n=1"


@pytest.mark.slow
def test_x_forwarded_host_will_do_where_django_is_told_to_take_it(database, certificate):
    with (
        proxies.public_folder() as folder,
        proxies.upstream(proxies.TCP, folder, database, USE_X_FORWARDED_HOST=True) as (_, name),
        # As before a proxy that does not pass Host on.
        proxies.nginx(folder, name, certificate, **{"proxy_set_header Host": "gunicorn"}) as nginx,
    ):
        assert nginx.site.status("/echo/", origin=OWN_ORIGIN) == 101
        assert nginx.site.status("/echo/", origin="https://gunicorn") == 403


@pytest.mark.slow
def test_pings_keep_who_is_silent_from_the_read_timeout(database, certificate):
    with (
        proxies.public_folder() as folder,
        proxies.upstream(proxies.UNIX, folder, database) as (_, name),
        proxies.nginx(folder, name, certificate, proxy_read_timeout="3s") as nginx,
    ):
        with rawclient.RawClient(nginx.site.dial(), "/proxy/pings/") as pinged:
            # One comes after 0.5 s at the earliest, so these outlast the timeout.
            for _ in range(8):
                ping = pinged.read_frame()
                assert ping.opcode == rawclient.PING
                pinged.send(rawclient.frame(rawclient.PONG, ping.payload))
        with rawclient.RawClient(nginx.site.dial(), "/proxy/is_silent/") as silent:
            assert silent.read_end() == b""  # with no Close frame


@pytest.mark.slow
def test_a_restart_of_gunicorn_says_goodbye_and_a_stop_is_502(database, certificate):
    with (
        proxies.public_folder() as folder,
        proxies.upstream(proxies.UNIX, folder, database) as (gunicorn, name),
        proxies.nginx(folder, name, certificate) as nginx,
    ):
        with nginx.site.connect("/echo/") as websocket:
            gunicorn.process.send_signal(signal.SIGHUP)
            with pytest.raises(ConnectionClosed):
                websocket.recv(PATIENCE)
            assert websocket.close_code in proxies.GOODBYES
        with nginx.site.connect("/echo/") as websocket:
            gunicorn.stop()
            with pytest.raises(ConnectionClosed):
                websocket.recv(PATIENCE)
            assert websocket.close_code in proxies.GOODBYES
        assert nginx.site.status("/echo/") == 502
