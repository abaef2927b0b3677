"""What the tests of the web server share: tiny models, an engine that writes a script, readers of what comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flask import Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from helpers.models import TEXT, make_chat
from minigpt import Tokenizer
from minigpt.model.checkpoint import save_model
from minigpt.model.gpt import GPT
from minigpt.web import Settings, create_app
from minigpt.web.app import App
from minigpt.web.engine import Busy, Drawn, Ended, Job, Ticket

CONTEXT = 96
QUESTION = [{"role": "user", "content": "How are you?"}]


def write_models(folder: Path, *names: str, context: int = CONTEXT) -> Path:
    """Model folders of random weights, named RECIPE/STAGE or RECIPE/STAGE-something."""
    tokenizer = Tokenizer.train([TEXT], 340)
    for seed, name in enumerate(names):
        stage = name.split("/")[1].split("-")[0].split(".")[0]
        chat = make_chat(tokenizer, is_chat=stage != "pretrain", context=context, seed=seed)
        card = {"stage": stage, "recipe": name.split("/")[0], "finished": True, "steps": 3, "metrics": {"loss": 2.5}}
        save_model(folder / name, chat, card)
    return folder


class ScriptedEngine:
    """Stands for an engine: every answer is the same tokens, and the tickets are kept for looking at."""

    def __init__(self, model: GPT, ids: list[int], full: bool = False, end: Ended | None = None) -> None:
        self.model, self.ids, self.full, self.end = model, ids, full, end or Ended("stop")
        self.tickets: list[Ticket] = []

    def submit(self, job: Job) -> Ticket:
        if self.full:
            raise Busy(3)
        ticket = Ticket(job, 0, 1e18)
        for token in self.ids[: job.max_tokens]:
            ticket.put(Drawn(token, -0.5, [(token, -0.5)][: job.top]))
        ticket.put(self.end if len(self.ids) < job.max_tokens else Ended("length"))
        self.tickets.append(ticket)
        return ticket

    def counts(self) -> tuple[int, int]:
        return 0, 0

    def close(self, grace: float = 0.0) -> None:
        pass


def make_app(models: Path, tmp_path: Path, engine: Callable[..., Any] | None = None, **settings: Any) -> App:
    settings = {"database": tmp_path / "feedback.sqlite", "seed": 0, "tick_seconds": 0.02, **settings}
    app = create_app(Settings(models=models, **settings), engine=engine)
    app.testing = False  # errors are answered, as they are for users
    app.cache.ready.set()
    return app


def read_stream(data: bytes) -> list[tuple[str | None, object]]:
    """(event, data) of a whole event stream, by the rules of the standard."""
    events = []
    for block in data.decode("utf-8").split("\n\n"):
        lines = block.split("\n")
        name = next((line[7:] for line in lines if line.startswith("event: ")), None)
        texts = [line[6:] for line in lines if line.startswith("data: ")]
        if texts:
            text = "\n".join(texts)
            events.append((name, text if text == "[DONE]" else json.loads(text)))
    return events


def streamed_text(events: list[tuple[str | None, Any]]) -> str:
    chunks = [data for _, data in events if isinstance(data, dict)]
    return "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c.get("choices"))


def chat(client: FlaskClient, **body: Any) -> TestResponse:
    return client.post("/v1/chat/completions", json={"messages": QUESTION, **body})


def error_of(response: Response) -> dict[str, Any]:
    """The error of a response, which has to be in the one shape that all errors have."""
    body = response.get_json()
    assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "code", "param"}, body
    assert body["error"]["message"] and "Traceback" not in body["error"]["message"]
    return body["error"]


def body_schema(described: dict, operation: dict) -> dict:
    """The schema of an operation's request body in an OpenAPI document, which names it in its components."""
    return resolved(described, operation["requestBody"]["content"]["application/json"]["schema"])


def resolved(described: dict, schema: dict) -> dict:
    """The schema itself, where a reference stands for it."""
    for name in schema.get("$ref", "#").split("/")[1:]:
        described = described[name]
    return described if "$ref" in schema else schema


def deadline(seconds: float) -> Iterator[None]:
    """Goes on for so many seconds at most, then fails: for waiting until something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.01)
    raise AssertionError(f"it did not happen within {seconds} s")
