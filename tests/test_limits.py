"""What tells a client from others, and how places are counted: all in this process."""

from __future__ import annotations

import django
import pytest
from django.conf import settings
from django.test import RequestFactory

from django_websocket_ev import conf, limits

if not settings.configured:
    settings.configure(SECRET_KEY="only for tests")
    django.setup()


def client_of(address: str, hook: str | None = None) -> str:
    request = RequestFactory().get("/", REMOTE_ADDR=address)
    return limits._client(request, hook)


@pytest.mark.parametrize(
    ("address", "other", "are_one"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002::0001", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::1", "127.0.0.1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("somebody", "somebody", True),
        ("somebody", "somebody else", False),
    ],
)
def test_an_address_is_a_client_and_a_network_of_ipv6_is_one(address, other, are_one):
    assert (client_of(address) == client_of(other)) == are_one


def test_whoever_has_no_address_has_no_limit_but_the_process():
    """As on a UNIX socket, where all come by the proxy."""
    options = conf.get_options()._replace(max_connections=5, max_connections_per_client=1)
    request = RequestFactory().get("/", REMOTE_ADDR="")
    taken = [limits.take_place(request, options) for _ in range(5)]
    with pytest.raises(limits.NoPlace, match="This process has 5"):
        limits.take_place(request, options)
    taken.pop().give_back()
    taken.append(limits.take_place(request, options))
    taken.clear()
    assert not limits._taken


def test_a_place_is_given_back_once_and_counts_never_go_below_zero():
    options = conf.get_options()._replace(max_connections=None, max_connections_per_client=2)
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1")
    one, other = limits.take_place(request, options), limits.take_place(request, options)
    with pytest.raises(limits.NoPlace, match="Your address has 2"):
        limits.take_place(request, options)
    for _ in range(3):
        one.give_back()
        assert limits._taken == {None: 1, "192.0.2.1": 1}
    del one
    assert limits._taken == {None: 1, "192.0.2.1": 1}
    del other  # thrown away unused
    assert not limits._taken


def test_none_is_no_limit():
    options = conf.get_options()._replace(max_connections=None, max_connections_per_client=None)
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1")
    taken = [limits.take_place(request, options) for _ in range(10_001)]
    assert limits._taken[None] == len(taken)
    taken.clear()
    assert not limits._taken


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (None, "192.0.2.9"),
        ("", "192.0.2.9"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 192.0.2.2", "192.0.2.2"),
        ("192.0.2.1,192.0.2.2 ", "192.0.2.2"),
        ("nonsense, 2001:db8::1", "2001:db8::1"),
    ],
)
def test_forwarded_for_is_the_last_of_its_header(forwarded, address):
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.9", **headers)
    assert limits.forwarded_for(request) == address


def test_a_hook_goes_before_the_address():
    def client(forwarded):
        request = RequestFactory().get("/", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR=forwarded)
        return limits._client(request, "django_websocket_ev.limits.forwarded_for")

    assert client("192.0.2.1") == client("192.0.2.5, ::ffff:192.0.2.1") == "192.0.2.1"
    assert client("2001:db8::1") == client("2001:db8::2") != client("2001:db8:0:1::1")
