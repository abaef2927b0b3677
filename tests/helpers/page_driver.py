"""A page in a real Chromium, as the browser tests see it.

Whoever imports this is skipped where there is no selenium; `browser` skips where there is no Chromium or no
chromedriver. Nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest

selenium = pytest.importorskip("selenium", reason="The browser tests want selenium: pip install selenium.")
from selenium import webdriver  # noqa: E402
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
CHROMEDRIVER = shutil.which("chromedriver")

browser = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER), reason="The browser tests want a Chromium and its chromedriver on the PATH."
    ),
]


def start_chromium() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--disable-gpu",
        "--lang=en",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    os.environ["SE_OFFLINE"] = "true"
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    driver.set_script_timeout(30)
    return driver


class Page:
    """The page as a test sees it."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver, self.url = driver, url
        self.size(1280, 900)
        driver.get(url)
        self.run("localStorage.clear(); sessionStorage.clear()")
        self.open()

    def open(self, fragment: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(self.url + fragment)
        self.until(lambda: self.run("return document.documentElement.dataset.page") == "running")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def size(self, width: int, height: int) -> None:
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        every = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return "\n".join(self.run(every, selector))

    def until(self, what: Callable[[], Any], seconds: float = 20) -> Any:
        redrawn = (StaleElementReferenceException, NoSuchElementException)
        return WebDriverWait(self.driver, seconds, 0.05, redrawn).until(lambda _: what())

    def sees(self, text: str, selector: str = "main") -> None:
        self.until(lambda: text in self.text(selector))

    def go(self, view: str) -> None:
        self.run("location.hash = '#/' + arguments[0]", view)
        self.until(lambda: self.one(f"#view-{view}").is_displayed())

    def choose(self, selector: str, value: str) -> None:
        self.run("const s = document.querySelector(arguments[0]); s.value = arguments[1];"
                 "s.dispatchEvent(new Event('change'))", selector, value)  # fmt: skip

    def ask(self, text: str, wait: bool = True) -> None:
        self.one("#prompt").send_keys(text, Keys.ENTER)
        if wait:
            self.idle()

    def idle(self) -> None:
        self.until(lambda: self.one("#send").is_displayed() and self.all(".turn.assistant .about"))

    def press(self, key: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(key).perform()

    def act(self, action: str) -> None:
        """Press a button of the last answer."""
        self.one(f".turn.assistant:last-child [data-action={action}]").click()

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
