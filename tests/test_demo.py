"""The demo, served as `make demo` serves it and used in a browser."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.error import HTTPError
from urllib.parse import urljoin, urlsplit
from urllib.request import urlopen

import pytest
from selenium.webdriver.common.keys import Keys
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import browser
import servers

pytestmark = pytest.mark.slow

DEMO = servers.ROOT / "demo"
PASSWORD = "tipperary-1912"

#: Where a newcomer can get by clicking, at the least.
PAGES = {
    "/",
    "/echo/",
    "/chat/",
    "/chat/coffee/",
    "/ticker/",
    "/try/echo_once/",
    "/try/lower_case/",
    "/accounts/login/?next=/",
    "/accounts/signup/?next=/",
}

#: Linked to as the example of a WebSocket view that is asked for with plain HTTP.
REFUSED = "/echo_once/"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    database = str(tmp_path_factory.mktemp("demo") / "db.sqlite3")
    env = servers.environment(DEMO_DATABASE=database)
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    subprocess.run(migrate, cwd=DEMO, env=env, check=True, timeout=servers.PATIENCE * 2)
    with servers.start(
        *("manage.py", "runwsserver", "127.0.0.1:0", "--noreload"),
        banner=r"Starting development server at http://127\.0\.0\.1:(\d+)/",
        env=env,
        cwd=DEMO,
    ) as running:
        yield running
        assert "Traceback" not in running.output


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def visit(demo, chromium):
    """Open a page of the demo in a new tab.

    In the end no console may have an error, and no page anything from another host.
    """
    yield lambda path: chromium.open(demo.url(path))
    foreign_files = [file for page in chromium.pages() for file in page.foreign_files()]
    chromium.close_pages()
    assert (foreign_files, chromium.errors()) == ([], [])


@pytest.fixture
def visit_as_another(demo, chromium, visit):
    """Open a page as somebody else: for a browser this name is another site, without cookies."""
    return lambda path: chromium.open(f"http://localhost:{demo.port}{path}")


def is_open(page):
    page.find("#state[data-state=open]")


def say(page, text):
    page.fill("#message", text)
    page.click("#send:enabled")


def enter(visit, path):
    """Open a room of the chat; return its page and the name that one got there."""
    page = visit(path)
    page.find("#members .me")
    return page, page.text("#name")


def members(page):
    items = "document.querySelectorAll('#members li')"
    return page.run(f"return Array.from({items}, (item) => item.dataset.name)")


def sign_up(page, name):
    page.fill("#id_username", name)
    page.fill("#id_password1", PASSWORD)
    page.fill("#id_password2", PASSWORD)
    page.follow("#submit")


def test_a_page_echoes(visit):
    page = visit("/echo/")
    is_open(page)
    for text in ("hello", "Grüße, 世界 🍉", "<b>not bold</b>"):
        say(page, text)
        page.wait_for_line("received", text)
    page.click("#disconnect")
    page.find("#state[data-state=closed][data-code='1000']")
    page.click("#connect")
    is_open(page)


#: What a browser and the server agree on, and what comes back of a message of so many "x".
_COMPRESSION = """
const url = new URL(document.querySelector("#state").dataset.path, location.href);
url.protocol = "ws:";
return new Promise((resolve, reject) => {
  const socket = new WebSocket(url);
  socket.onerror = reject;
  socket.onopen = () => socket.send("x".repeat(5000));
  socket.onmessage = ({ data }) => {
    socket.close();
    resolve([socket.extensions, data]);
  };
});
"""


def test_a_browser_compresses(visit):
    extensions, echo = visit("/echo/").run(_COMPRESSION)
    assert (
        extensions == "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    )
    assert echo == "x" * 5000


def test_two_pages_chat(visit, visit_as_another):
    ann, ann_name = enter(visit, "/chat/coffee/")
    bob, bob_name = enter(visit_as_another, "/chat/coffee/")
    assert ann_name != bob_name
    ann.wait_for_line("notice", f"{bob_name} has joined.")
    assert members(ann) == members(bob) == sorted([ann_name, bob_name])

    say(ann, "Is anybody here?")
    bob.wait_for_line("received", "Is anybody here?", ann_name)
    say(bob, "Only <i>me</i>.")
    ann.wait_for_line("received", "Only <i>me</i>.", bob_name)
    ann.wait_for_line("sent", "Is anybody here?", ann_name)

    bob.close()
    ann.wait_for_line("notice", f"{bob_name} has left.")
    assert members(ann) == [ann_name]


def test_who_goes_to_another_page_has_left_and_is_back_with_the_back_button(visit):
    stays, _ = enter(visit, "/chat/tea/")
    goes, name = enter(visit, "/chat/tea/")
    stays.wait_for_line("notice", f"{name} has joined.")
    goes.follow("a.brand")
    stays.wait_for_line("notice", f"{name} has left.")
    goes.driver.back()
    stays.until("return", lambda: name in members(stays))
    say(goes, "back again")
    stays.wait_for_line("received", "back again", name)


def test_a_chat_stays_in_its_room_and_is_there_for_who_comes_later(visit):
    inside, name = enter(visit, "/chat/django/")
    outside, other_name = enter(visit, "/chat/green-threads/")
    say(inside, "for this room")
    inside.wait_for_line("sent", "for this room", name)
    say(outside, "for that room")
    outside.wait_for_line("sent", "for that room", other_name)
    assert "for this room" not in outside.text("#log")
    assert "for that room" not in inside.text("#log")
    outside.go(inside.driver.current_url)
    outside.wait_for_line("received", "for this room", name)


def test_a_room_of_ones_own_is_opened_by_its_name(visit):
    page = visit("/chat/")
    page.fill("#room", "Tea-and-Cake")
    page.follow("#open")
    assert urlsplit(page.driver.current_url).path == "/chat/tea-and-cake/"
    is_open(page)
    lobby = visit("/chat/")
    assert "1 here" in lobby.text("#rooms [data-room='tea-and-cake']")
    lobby.fill("#room", "no such/name")
    lobby.follow("#open")
    assert "letters" in lobby.text("#error")


def test_who_has_signed_up_chats_under_that_name(visit, visit_as_another):
    room = "/chat/names/"
    guest, guest_name = enter(visit_as_another, room)
    page = visit(room)
    page.follow("#signup")
    sign_up(page, "ada")
    assert urlsplit(page.driver.current_url).path == room
    assert page.text("#who") == "ada"
    page.until("name in the room", lambda: page.text("#name") == "ada")
    say(page, "I have a name now")
    guest.wait_for_line("received", "I have a name now", "ada")

    page.follow("#logout")
    guest.wait_for_line("notice", "ada has left.")
    assert page.find("#who").get_attribute("data-user") == ""

    page.go(page.driver.current_url + room.lstrip("/"))
    page.follow("#login")
    page.fill("#id_username", "ada")
    page.fill("#id_password", PASSWORD)
    page.follow("#submit")
    page.until("name in the room", lambda: page.text("#name") == "ada")
    say(page, "and I have kept it")
    guest.wait_for_line("received", "and I have kept it", "ada")
    assert members(guest) == ["ada", guest_name]
    page.follow("#logout")


def test_echo_once_closes_after_one_message(visit):
    page = visit("/try/echo_once/")
    is_open(page)
    say(page, "Only once")
    page.wait_for_line("received", "Only once")
    page.find("#state[data-state=closed][data-code='1000']")
    assert not page.find("#send").is_enabled()
    page.click("#connect")
    is_open(page)
    say(page, "once more")
    page.wait_for_line("received", "once more")


def test_lower_case_answers_a_websocket_and_a_plain_get(demo, visit):
    page = visit("/try/lower_case/")
    is_open(page)
    for text in ("HeLLo", "ÄRGER"):
        say(page, text)
        page.wait_for_line("received", text.lower())
    page.fill("#message", "HeLLo")
    page.click("#get")
    page.wait_for_line("received", "hello", "200")
    with urlopen(demo.url("/lower_case/?message=HeLLo"), timeout=servers.PATIENCE) as response:
        assert response.read() == b"hello"


def test_the_ticker_ticks_until_it_is_paused(visit, demo):
    def has_ticked(times):
        page.until(f"{times} ticks", lambda: int(page.text("#ticks")) >= times)

    page = visit("/ticker/")
    has_ticked(2)
    page.find("#interval").send_keys(Keys.HOME)
    page.wait_for_line("notice", "Every 0.1 s.")
    has_ticked(6)
    page.click("#pause")
    page.find("#pause[aria-pressed=true]")
    ticks = int(page.text("#ticks"))
    # Meanwhile, as time goes by for a ticker that is not paused:
    with connect(demo.ws("/ticker/")) as other:
        other.send("0.1")
        for _ in range(6):
            other.recv(servers.PATIENCE)
    assert int(page.text("#ticks")) == ticks
    page.click("#pause")
    page.find("#pause[aria-pressed=false]")
    has_ticked(ticks + 2)


def test_a_page_of_another_origin_opens_no_socket(demo, chromium, visit):
    page = chromium.open(f"http://localhost:{demo.port}/")
    open_socket = """
        return new Promise((resolve) => {
            const socket = new WebSocket("ws://HOST:PORT/echo/");
            socket.onopen = () => { socket.close(); resolve("open"); };
            socket.onerror = () => resolve("error");
        });
    """.replace("PORT", str(demo.port))
    assert page.run(open_socket.replace("HOST", "localhost")) == "open"
    assert page.run(open_socket.replace("HOST", "127.0.0.1")) == "error"
    (error,) = chromium.errors()
    assert "403" in error


def test_the_handshake_of_another_origin_gets_403(demo):
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(demo.ws("/echo/"), origin="https://elsewhere.example"),
    ):
        pass
    assert refused.value.response.status_code == 403


class Links(HTMLParser):
    """Everything that a page refers to, be it with a click or to be complete."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        names = ("href", "src", "action", "formaction", "srcset", "poster")
        self.found += [value for name, value in attrs if name in names and value is not None]


def references(url, content_type, text):
    """Return the absolute address of whatever a file refers to."""
    if content_type == "text/html":
        found = Links(text).found
    elif content_type == "text/css":
        found = re.findall(r"""(?:url\(|@import)\s*["']?([^"')]+)""", text)
    else:
        found = re.findall(r"""\b(?:from|import)\s*\(?["']([^"']+)""", text)
    return {urljoin(url, link).partition("#")[0] for link in found}


def test_every_page_is_there_and_the_demo_refers_to_no_other_host(demo):
    """Start at the front page and go wherever it leads."""
    to_see, seen = {demo.url("/")}, {}
    while to_see:
        url = to_see.pop()
        try:
            with urlopen(url, timeout=servers.PATIENCE) as response:
                seen[url], text = response.status, response.read().decode()
                content_type = response.headers.get_content_type()
        except HTTPError as error:
            seen[url], text, content_type = error.code, "", "text/html"
        found = references(url, content_type, text)
        assert {urlsplit(link).netloc for link in found} <= {urlsplit(url).netloc}, url
        to_see |= found - seen.keys()
    paths = {url.removeprefix(demo.url("")): status for url, status in seen.items()}
    assert paths.keys() >= PAGES
    assert {path for path in paths if path.startswith("/static/")}
    assert {path for path, status in paths.items() if status != 200} == {
        path for path in paths if path.startswith(REFUSED)
    }
