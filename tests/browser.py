"""Headless Chromium, and its pages as their reader sees and uses them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from conftest import missing
from servers import PATIENCE

#: No window, no sandbox (containers have none to offer), no talk with anybody but our server.
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-proxy-server"),
)

_LOG_LINES = """
    return [...document.querySelectorAll("#log li")].map((item) => [
        item.dataset.kind,
        item.querySelector(".name")?.textContent ?? "",
        item.querySelector(".text").textContent,
    ])
"""

_FOREIGN_FILES = """
    return performance.getEntriesByType("resource")
        .map((entry) => entry.name)
        .filter((url) => new URL(url).host !== location.host)
"""


class Page:
    """One tab."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver
        self._handle = driver.current_window_handle

    @property
    def driver(self) -> webdriver.Chrome:
        """The browser, with this tab in front."""
        self._driver.switch_to.window(self._handle)
        return self._driver

    def go(self, url: str) -> None:
        """Load another page in this tab."""
        self.driver.get(url)

    def until(self, what: str, condition: Callable[[], Any]) -> Any:
        """Return what ``condition`` returns, once that is true.

        ``what`` names it, for the failure.
        """
        waiting = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05)
        return waiting.until(lambda driver: condition(), f"no {what}")

    def find(self, css: str) -> WebElement:
        """Return the first element that matches ``css``, once there is one."""
        return self.until(css, lambda: self.driver.find_elements(By.CSS_SELECTOR, css))[0]

    def text(self, css: str) -> str:
        """Return what an element says."""
        return self.find(css).text

    def click(self, css: str) -> None:
        """Click on an element."""
        self.find(css).click()

    def fill(self, css: str, value: str) -> None:
        """Write into a field, in place of what is there."""
        field = self.find(css)
        field.clear()
        field.send_keys(value)

    def follow(self, css: str) -> None:
        """Click on what leads to another page, and wait until this one is gone."""
        self.run("window.isOld = true")
        self.click(css)
        self.until("other page", lambda: self.run("return !window.isOld && document.body"))

    def run(self, script: str) -> Any:
        """Return what a script returns."""
        return self.driver.execute_script(script)

    def log(self) -> list[tuple[str, str, str]]:
        """Return kind, name and text of each line in the page's own log."""
        return [tuple(line) for line in self.run(_LOG_LINES)]

    def wait_for_line(self, kind: str, text: str, name: str = "") -> None:
        """Wait until the page's log has a line."""
        line = (kind, name, text)
        self.until(f"{line} in the log", lambda: line in self.log())

    def foreign_files(self) -> list[str]:
        """Return the address of each file that the page has loaded from another host."""
        return self.run(_FOREIGN_FILES)

    def close(self) -> None:
        """Close the tab, as its reader would; the browser keeps its first."""
        self.driver.close()
        self._driver.switch_to.window(self._driver.window_handles[0])


class Browser:
    """One Chromium; it forgets its visitors' cookies only when it ends."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver
        self._first = driver.current_window_handle

    def open(self, url: str) -> Page:
        """Return a new tab with a page in it."""
        self._driver.switch_to.window(self._first)
        self._driver.switch_to.new_window("tab")
        page = Page(self._driver)
        page.go(url)
        return page

    def pages(self) -> Iterator[Page]:
        """Yield what is open, each page in front in its turn."""
        for handle in self._driver.window_handles:
            if handle != self._first:
                self._driver.switch_to.window(handle)
                yield Page(self._driver)

    def close_pages(self) -> None:
        """Close every tab that is still open."""
        for page in self.pages():
            page.close()

    def errors(self) -> list[str]:
        """Return what the console of any tab has complained of since the last call."""
        return [
            entry["message"]
            for entry in self._driver.get_log("browser")
            if entry["level"] in ("WARNING", "SEVERE")
        ]


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Run Chromium with an empty ``profile``."""
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next(filter(None, map(shutil.which, names)), None)
    driver_binary = shutil.which("chromedriver")
    if binary is None or driver_binary is None:
        missing("Chromium or its driver", "apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_binary))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
