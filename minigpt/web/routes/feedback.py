"""Votes, thumbs, stored chats, search and counts; training runs, and the training on votes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from flask import Blueprint, Response
from pydantic import Field

from .. import bodies, exports
from ..errors import ApiError
from ..retrain import Retraining
from ..runs import Runs
from ..schema import takes
from ..service import Json, Service
from ..settings import Settings
from ..sse import Frames, client_gone, frame, stream
from ..votes import Votes


def make(service: Service, votes: Votes, retraining: Retraining, settings: Settings) -> Blueprint:
    feedback = Blueprint("feedback", __name__)
    store, runs = service.store, Runs(settings.models)

    @feedback.post("/api/pairs")
    @takes()
    def pair(body: bodies.Pair) -> Json:
        """Two answers to one prompt, to be voted on blindly."""
        return votes.pair(body, client_gone())

    @feedback.post("/api/votes")
    @takes(status=201)
    def vote(body: bodies.Vote) -> tuple[Json, int]:
        """Vote on a pair; who had written what is told afterwards."""
        return votes.vote(body), 201

    @feedback.get("/api/votes")
    @takes()
    def counts() -> Json:
        """How many votes there are, and how many more a training wants."""
        return votes.counts()

    @feedback.post("/api/thumbs")
    @takes(status=201)
    def thumb(body: bodies.Thumb) -> tuple[Json, int]:
        """A thumb for a stored answer."""
        return votes.thumb(body), 201

    @feedback.get("/api/votes.jsonl")
    @takes(answer="application/x-ndjson")
    def export(*, format: Literal[tuple(exports.FORMATS)] = "minigpt") -> Response:  # type: ignore[valid-type]
        """Votes or answers as JSON Lines."""
        text = exports.lines(exports.FORMATS[format](store))
        response = Response(text, content_type="application/x-ndjson; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{format}.jsonl"'
        return response

    @feedback.get("/api/chats")
    @takes()
    def chats(*, limit: Annotated[int, Field(ge=1, le=200)] = 50) -> Json:
        """The last stored chats."""
        return {"chats": store.chats(limit)}

    @feedback.delete("/api/chats")
    @takes()
    def forget_chats() -> Json:
        """Forget all stored chats; votes stay."""
        return {"deleted": store.forget_chats()}

    @feedback.get("/api/chats/<chat_id>")
    @takes()
    def chat(chat_id: str) -> Json:
        """A stored chat's answers."""
        answers = store.chat(chat_id)
        if not answers:
            raise ApiError(404, "not_found", "There is no stored chat of that id.")
        return {"chat_id": chat_id, "answers": answers}

    @feedback.delete("/api/chats/<chat_id>")
    @takes()
    def forget_chat(chat_id: str) -> Json:
        """Forget a stored chat."""
        return {"deleted": store.forget_chats(chat_id)}

    @feedback.get("/api/search")
    @takes()
    def search(
        *,
        q: Annotated[str, Field(min_length=1, max_length=bodies.WORDS)],
        limit: Annotated[int, Field(ge=1, le=100)] = 20,
    ) -> Json:
        """Stored answers and voted pairs that hold the words."""
        return votes.search(q, limit)

    @feedback.get("/api/stats")
    @takes()
    def stats(*, days: Annotated[int, Field(ge=1, le=366)] = 30) -> Json:
        """Answers, votes and thumbs by day and by model."""
        return votes.stats(days)

    @feedback.get("/api/runs")
    @takes()
    def list_runs() -> Json:
        """Training runs on disk."""
        return {"runs": runs.list()}

    @feedback.get("/api/runs/<recipe>/<folder>")
    @takes()
    def run(recipe: str, folder: str, *, points: Annotated[int, Field(ge=10, le=2000)] = 400) -> Json:
        """One training run's curves, samples and card."""
        return runs.show(f"{recipe}/{folder}", points)

    @feedback.get("/api/retrain")
    @takes()
    def retrain_state() -> Json:
        """The running or last training on votes."""
        return retraining.describe()

    @feedback.post("/api/retrain")
    @takes(status=202)
    def retrain_start(body: bodies.Retrain) -> tuple[Json, int]:
        """Train the reward model and PPO on the votes."""
        return retraining.start(body.force), 202

    @feedback.delete("/api/retrain")
    @takes()
    def retrain_cancel() -> Json:
        """Cancel the running training."""
        return retraining.cancel()

    @feedback.get("/api/retrain/events")
    @takes(answer="text/event-stream")
    def retrain_events() -> Response:
        """What happens in the training on votes, from its beginning."""
        return stream(_frames(retraining, settings.tick_seconds, client_gone()), settings.ping_seconds)

    return feedback


def _frames(retraining: Retraining, tick: float, gone: Callable[[], bool]) -> Frames:
    for event in retraining.events(tick):
        if event is None and gone():
            return
        yield None if event is None else frame(event[1], event[0])
