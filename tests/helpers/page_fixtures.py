"""Fixtures of the browser tests: a Chromium, a stand-in server that can misbehave, and our page on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from helpers.fake_server import FakeServer
from helpers.page_driver import Page, start_chromium


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    chromium = start_chromium()
    yield chromium
    chromium.quit()


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    with contextlib.suppress(OSError):
        server.close()


@pytest.fixture
def page(driver: Any, fake: FakeServer) -> Iterator[Page]:
    shown = Page(driver, fake.url)
    yield shown
    # A refused request is a line on the console, and some tests ask for refusals; nothing else may be there.
    complaints = shown.complaints()
    driver.get("about:blank")  # before the server ends: a view that polls would complain to the next test
    assert [line for line in complaints if "Failed to load resource" not in line] == []


@pytest.fixture
def quiet(page: Page) -> Iterator[Page]:
    """A page on which nothing at all may be complained about."""
    yield page
    assert page.complaints() == []
