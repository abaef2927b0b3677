"""Fixtures of the web server's tests: a folder of tiny models, an app on it, a client that talks to the app."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.web import make_app, write_models


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"), "town/pretrain", "town/sft", "town/ppo", "shipped/sft")


@pytest.fixture
def app(models, tmp_path):
    app = make_app(models, tmp_path)
    yield app
    app.close()


@pytest.fixture
def client(app):
    return app.test_client()
