"""Fixtures shared by the tests: one thread, a small tokenizer, small models of both shapes, one that can answer.

`--shuffle SEED` runs the tests in another order, and the last lines say how many browser tests were skipped.
"""

from __future__ import annotations

import os
import random
import socket

import pytest
import torch
from helpers.models import TEXT, make_model, make_trainer, small_talk

from minigpt import GPT, ChatModel, CorpusLoader, ModelConfig, Tokenizer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run files, and the tests in each, in random order")


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the scripts that tests start: several run at a time


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the files, then the tests of each: what a whole file shares, such as a browser, is made once."""
    seed = config.getoption("--shuffle")
    if seed is None:
        return
    rng = random.Random(seed)
    files = sorted({item.path for item in items})
    place = {path: rng.random() for path in files}
    items.sort(key=lambda item: (place[item.path], rng.random()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A machine without Chromium skips the browser tests: not without saying so."""
    stats = {
        outcome: sum("browser" in getattr(report, "keywords", ()) for report in terminalreporter.stats.get(outcome, []))
        for outcome in ("passed", "failed", "error", "skipped")
    }
    ran = stats["passed"] + stats["failed"] + stats["error"]
    terminalreporter.write_line(f"browser tests: {ran} ran, {stats['skipped']} skipped")


@pytest.fixture(autouse=True)
def one_thread():
    """Tests that compare bits need sums in one order; small tensors are faster this way too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """Tests compare to five digits; some CPUs would choose bf16."""
    monkeypatch.setattr("minigpt.training.device._fast_bf16", lambda device: False)


@pytest.fixture
def no_sockets(monkeypatch) -> None:
    """Whoever opens a socket, or asks for an address, fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="session")
def text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT], 340)


@pytest.fixture(params=["qwen3", "gpt2"])
def model(request) -> GPT:
    return make_model(request.param)


@pytest.fixture(scope="session")
def speaker(tokenizer) -> ChatModel:
    """A model after fine-tuning. Whoever changes it, copies it first."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_attention_heads": 2}
    chat = ChatModel(GPT(ModelConfig.from_depth(tokenizer.vocab_size, 40, 1, **shape)), tokenizer)
    trainer = make_trainer(chat, CorpusLoader(small_talk(256), []), steps=80, batch_size=16, lr=1e-2)
    trainer.train()
    trainer.model.eval()
    return trainer.objective.chat
