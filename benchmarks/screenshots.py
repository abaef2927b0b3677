#!/usr/bin/env python
"""Take the README's pictures: starts the page's server on a free port, uses it and photographs it; and the report card.

    python benchmarks/screenshots.py [--models trained_models] [--out benchmarks/pictures]

Wants selenium, a Chromium and its chromedriver on the PATH. Votes and chats go to a throw-away database. The report
card is the one that minigpt report wrote for Tinytown, if it is there.
"""

import argparse
import shutil
import tempfile
import threading
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from minigpt.web.server import Server
from minigpt.web.settings import Settings

LARGEST = 300_000  # bytes: pictures are cloned by everybody
#: Choose the token that was least likely.
HARDEST = """
const share = (button) => Number(button.style.getPropertyValue("--share"));
[...document.querySelectorAll("#inside-tokens .strip button")].sort((a, b) => share(a) - share(b))[0].click();
"""
QUESTIONS = ("Good morning!", "Where does Max Chase live?", "And what is his pet called?")


class Camera:
    """A browser window of the size of the pictures."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))))
        for flag in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--lang=en"):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        size = {"width": 1200, "height": 820, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def open_page(self, url: str, theme: str) -> None:
        self.driver.get(url)
        self.until("document.documentElement.dataset.page === 'running'")
        self.run("for (const [id, value] of Object.entries({language: 'en', theme: arguments[0]})) {"
                 "  const select = document.getElementById(id); select.value = value;"
                 "  select.dispatchEvent(new Event('change')); }", theme)  # fmt: skip

    def run(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: str) -> None:
        WebDriverWait(self.driver, 120, 0.1).until(lambda _: self.run(f"return {condition}"))

    def ask(self, question: str) -> None:
        self.driver.find_element("id", "prompt").send_keys(question, Keys.ENTER)
        self.until("document.querySelector('.turn.assistant:last-child .about') !== null")

    def shoot(self, path: Path) -> None:
        self.run("document.activeElement.blur()")
        self.driver.save_screenshot(str(path))
        size = path.stat().st_size
        print(f"{path}: {size / 1000:.0f} kB")
        if size > LARGEST:
            raise SystemExit(f"{path} is larger than {LARGEST / 1000:.0f} kB.")


def take(url: str, out: Path) -> None:
    """The chat on paper, and an answer taken apart at night."""
    for theme, name in (("light", "page.png"), ("dark", "page-inside.png")):
        camera = Camera()
        try:
            camera.open_page(url, theme)
            for question in QUESTIONS:
                camera.ask(question)
            if name == "page-inside.png":
                camera.run("document.querySelector('.turn:last-child [data-action=look]').click()")
                camera.until("document.querySelector('#attention .triangle') !== null")
                camera.run(HARDEST)
                camera.until("document.querySelector('.stages-table') !== null")
                camera.run("document.querySelector('#inside-body').scrollIntoView()")
            else:
                camera.run("scrollTo(0, 0)")
            camera.shoot(out / name)
        finally:
            camera.driver.quit()


def take_report(report: Path, out: Path) -> None:
    """The report card, from its curves on."""
    camera = Camera()
    try:
        camera.driver.get(report.resolve().as_uri())
        camera.run("document.getElementById('curves').scrollIntoView()")
        camera.shoot(out / "report.png")
    finally:
        camera.driver.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("trained_models"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/pictures"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(arguments.models, Path(folder) / "feedback.sqlite", default_model="shipped/ppo", seed=0)
        server = Server(settings, port=0)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            take(server.url, arguments.out)
        finally:
            server.stop()
            thread.join(30)
    report = arguments.models / "tinytown" / "report.html"
    if report.is_file():
        take_report(report, arguments.out)


if __name__ == "__main__":
    main()
