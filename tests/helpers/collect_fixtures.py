"""Fixtures of the collector's tests: a web site, and the command."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.collect_site import Site
from minigpt.data.collect import command


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    yield site
    site.closing.set()
    site.shutdown()
    site.server_close()
    thread.join()


@pytest.fixture
def collect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command on a store in tmp_path; returns what it printed."""

    def run(*words: object) -> str:
        line = [*map(str, words), "--store", str(tmp_path / "pages.sqlite")]
        monkeypatch.setattr(sys, "argv", ["collect", *line])
        command.main()
        return capsys.readouterr().out

    return run
