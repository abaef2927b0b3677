"""The page in a real Chromium with the real server and the shipped model."""

from __future__ import annotations

import contextlib
import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.page_driver import Keys, Page, browser

pytest_plugins = ["helpers.page_fixtures"]
pytestmark = browser

SHIPPED = Path(__file__).parents[2] / "trained_models" / "shipped"


@pytest.fixture
def real(driver: Any, tmp_path: Path) -> Iterator[Page]:
    pytest.importorskip("flask")
    from minigpt.web.server import Server
    from minigpt.web.settings import Settings

    shutil.copytree(SHIPPED, tmp_path / "shipped")
    server = Server(Settings(models=tmp_path, seed=1), port=0)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    assert server.app.cache.ready.wait(60)  # until then /health says 503, which the browser writes down
    try:
        shown = Page(driver, server.url)
        yield shown
        driver.get("about:blank")
        complaints = shown.complaints()
    finally:
        server.stop()
        thread.join(20)
    assert complaints == []


def test_the_real_server(real):
    page = real
    page.one("#settings-button").click()
    page.choose("#setting-strategy", "greedy")
    page.ask("Where does Max Chase live?")
    assert "Forest Road" in page.text(".turn.assistant .text")
    page.act("up")
    page.until(lambda: page.one("[data-action=up]").get_attribute("aria-pressed") == "true")

    page.act("look")
    tokens = page.until(lambda: page.all("#inside-tokens .strip button"))
    tokens[0].click()
    page.all(".alternatives tbody button")[0].click()
    page.until(lambda: page.one("#inside-back").is_displayed())
    page.until(lambda: page.all("#attention .triangle"))
    page.one("#beam-search").click()
    page.until(lambda: page.all("#beam .branch.best"))

    page.go("compare")
    page.one("#compare-prompt").send_keys("Where does Max Chase live?", Keys.ENTER)
    page.until(lambda: len(page.all(".column .facts dd")) >= 4)
    assert "Forest Road" in page.text(".column:last-child .text")

    page.go("vote")
    page.one("#vote-any").click()
    page.until(lambda: page.one("#vote-buttons button").is_enabled())
    page.run("document.activeElement.blur()")
    page.press("3")
    page.sees("shipped/", "#answer-left .reveal")
    page.one("#search").send_keys("Forest", Keys.ENTER)
    page.sees("Forest", "#search-results mark")

    page.go("training")
    page.sees("shipped/sft", "#runs")


@pytest.mark.parametrize("strategy", ["sample", "greedy", "beam"])
def test_the_python_behind_an_answer_gives_it_again(real, monkeypatch, strategy):
    page = real
    page.one("#settings-button").click()
    page.choose("#setting-strategy", strategy)
    page.ask("Where does Max Chase live?")
    answer = page.text(".turn.assistant .text").strip()
    page.act("seed")
    _, program = (block.text for block in page.all(".recipe pre"))
    monkeypatch.chdir(SHIPPED.parents[1])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, {})
    assert answer and printed.getvalue().strip() == answer


def test_stopping_the_real_server(real):
    page = real
    page.choose("#model", "shipped/pretrain")
    page.ask("Tell me everything", wait=False)
    page.until(lambda: len(page.text(".turn.assistant .text")) > 3)
    page.press(Keys.ESCAPE)
    page.idle()
    page.until(lambda: page.run("return fetch('/health').then(r => r.json())")["queue"]["running"] == 0)
