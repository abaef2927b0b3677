"""Fixtures of the web server's tests: a folder of tiny models, an app on it, a client that talks to the app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from helpers.web import make_app, write_models
from minigpt.web.app import App


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"), "town/pretrain", "town/sft", "town/ppo", "shipped/sft")


@pytest.fixture
def app(models: Path, tmp_path: Path) -> Iterator[App]:
    app = make_app(models, tmp_path)
    yield app
    app.close()


@pytest.fixture
def client(app: App) -> FlaskClient:
    return app.test_client()
