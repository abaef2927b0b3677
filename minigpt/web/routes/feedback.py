"""Votes, thumbs, stored chats, search and counts; training runs, and the training on votes."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response

from .. import exports
from ..errors import ApiError
from ..retrain import Retraining
from ..runs import Runs
from ..schema import Field, takes
from ..service import Body, Service
from ..settings import Settings
from ..sse import Frames, client_gone, frame, stream
from ..votes import Votes
from . import tables


def make(service: Service, votes: Votes, retraining: Retraining, settings: Settings) -> Blueprint:
    feedback = Blueprint("feedback", __name__)
    store, runs = service.store, Runs(settings.models)

    @feedback.post("/api/pairs")
    @takes(tables.PAIR)
    def pair(body: Body) -> Body:
        """Two answers to one prompt, to be voted on blindly."""
        return votes.pair(body, client_gone())

    @feedback.post("/api/votes")
    @takes(tables.VOTE, status=201)
    def vote(body: Body) -> tuple[Body, int]:
        """Vote on a pair; who had written what is told afterwards."""
        return votes.vote(body), 201

    @feedback.get("/api/votes")
    @takes()
    def counts() -> Body:
        """How many votes there are, and how many more a training wants."""
        return votes.counts()

    @feedback.post("/api/thumbs")
    @takes(tables.THUMB, status=201)
    def thumb(body: Body) -> tuple[Body, int]:
        """A thumb for a stored answer."""
        return votes.thumb(body), 201

    @feedback.get("/api/votes.jsonl")
    @takes(
        query={"format": Field("string", default="minigpt", choices=tuple(exports.FORMATS))},
        answer="application/x-ndjson",
    )
    def export(query: Body) -> Response:
        """Votes or answers as JSON Lines."""
        text = exports.lines(exports.FORMATS[query["format"]](store))
        response = Response(text, content_type="application/x-ndjson; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="{query["format"]}.jsonl"'
        return response

    @feedback.get("/api/chats")
    @takes(query={"limit": Field("integer", default=50, minimum=1, maximum=200)})
    def chats(query: Body) -> Body:
        """The last stored chats."""
        return {"chats": store.chats(query["limit"])}

    @feedback.delete("/api/chats")
    @takes()
    def forget_chats() -> Body:
        """Forget all stored chats; votes stay."""
        return {"deleted": store.forget_chats()}

    @feedback.get("/api/chats/<chat_id>")
    @takes()
    def chat(chat_id: str) -> Body:
        """A stored chat's answers."""
        answers = store.chat(chat_id)
        if not answers:
            raise ApiError(404, "not_found", "There is no stored chat of that id.")
        return {"chat_id": chat_id, "answers": answers}

    @feedback.delete("/api/chats/<chat_id>")
    @takes()
    def forget_chat(chat_id: str) -> Body:
        """Forget a stored chat."""
        return {"deleted": store.forget_chats(chat_id)}

    @feedback.get("/api/search")
    @takes(
        query={
            "q": Field("string", "Words; all must occur.", True, minimum=1, maximum=200),
            "limit": Field("integer", default=20, minimum=1, maximum=100),
        }
    )
    def search(query: Body) -> Body:
        """Stored answers and voted pairs that hold the words."""
        return votes.search(query["q"], query["limit"])

    @feedback.get("/api/stats")
    @takes(query={"days": Field("integer", default=30, minimum=1, maximum=366)})
    def stats(query: Body) -> Body:
        """Answers, votes and thumbs by day and by model."""
        return votes.stats(query["days"])

    @feedback.get("/api/runs")
    @takes()
    def list_runs() -> Body:
        """Training runs on disk."""
        return {"runs": runs.list()}

    @feedback.get("/api/runs/<recipe>/<folder>")
    @takes(query={"points": Field("integer", default=400, minimum=10, maximum=2000)})
    def run(recipe: str, folder: str, query: Body) -> Body:
        """One training run's curves, samples and card."""
        return runs.show(f"{recipe}/{folder}", query["points"])

    @feedback.get("/api/retrain")
    @takes()
    def retrain_state() -> Body:
        """The running or last training on votes."""
        return retraining.describe()

    @feedback.post("/api/retrain")
    @takes({"force": Field("boolean", "Also with fewer votes than needed.", default=False)}, status=202)
    def retrain_start(body: Body) -> tuple[Body, int]:
        """Train the reward model and PPO on the votes."""
        return retraining.start(body["force"]), 202

    @feedback.delete("/api/retrain")
    @takes()
    def retrain_cancel() -> Body:
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
