"""The page, what it needs to know, whether the server is well, and the views that look inside a model."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, request, send_from_directory

from ... import __version__
from ...alignment.reward_model import RewardModel
from ...data.truncation import fit
from ...model.beam import beam_search
from ...model.gpt import explicit_attention
from ...model.sampling import Sampling, adjust
from .. import bodies, retrain, votes
from .. import inspect as look
from .. import runs as training
from ..errors import ApiError
from ..openapi import describe, settings_of
from ..schema import takes
from ..service import Json, Service
from ..settings import Settings
from ..sse import Frames, client_gone, frame, stream

STATIC = Path(__file__).parents[1] / "static"

#: Said for every OS: by Windows' registry a script may be text/plain, and then no browser runs it under nosniff.
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}

#: "Show the code": what computes what a panel shows.
SOURCES: dict[str, Callable[..., Any] | type] = {
    "chat": fit,
    "sampling": adjust,
    "beam": beam_search,
    "attention": explicit_attention,
    "tokens": look.show_choices,
    "reward": RewardModel,
    "compare": look.distance,
    "vote": votes.Votes.pair,
    "retrain": retrain.Retraining,
    "training": training.Runs,
}


def make(service: Service, settings: Settings) -> Blueprint:
    page = Blueprint("page", __name__)

    @page.get("/")
    @takes(answer="text/html")
    def index() -> Response:
        """The chat page."""
        if not (STATIC / "index.html").is_file():
            raise ApiError(404, "not_found", "This installation came without its page; the API works.")
        return send_from_directory(STATIC, "index.html", mimetype="text/html")

    @page.after_app_request
    def name_type(response: Response) -> Response:
        kind = TYPES.get(Path(request.path).suffix)
        if kind and request.endpoint == "static" and response.status_code in (200, 206):
            response.mimetype = kind
        return response

    @page.get("/health")
    @takes()
    def health() -> tuple[Json, int]:
        """Whether the server is ready; it neither loads nor waits for anything."""
        running, waiting = service.cache.queue()
        about = {"models": service.cache.loaded(), "device": settings.device,
                 "queue": {"running": running, "waiting": waiting}}  # fmt: skip
        if service.cache.closing:
            error = ApiError(503, "shutting_down", "The server is shutting down.")
            return {"status": "stopping", **about, **error.body()}, 503
        if not service.cache.ready.is_set():
            error = ApiError(503, "loading", "The model is being loaded.")
            return {"status": "loading", **about, **error.body()}, 503
        return {"status": "ok", **about}, 200

    @page.get("/openapi.json")
    @takes()
    def openapi() -> Json:
        """This description."""
        return describe(current_app)

    @page.get("/api/settings")
    @takes()
    def known() -> Json:
        """What the page needs to know before it shows anything."""
        entries = service.cache.entries()
        default = service.cache.default(entries)
        asked = service.scorer.reference(entries[default]) if default else None
        return {
            "version": __version__,
            "default_model": default,
            "decoding": settings_of(bodies.Decoding),
            "beam": settings_of(bodies.BeamSearch),
            "sampling": dataclasses.asdict(Sampling()),
            "limits": bodies.limits(settings),
            "examples": asked.card.get("questions", []) if asked else [],
            "sources": _sources(),
            "languages": _languages(),
        }

    @page.post("/api/compare")
    @takes()
    def compare(body: bodies.Compare) -> Json | Response:
        """One prompt answered by several models, with reward and distance from the SFT model."""
        for name in body.models:  # a mistake is told before the stream begins
            service.cache.find(name)
        events = service.compare(body, client_gone())
        if body.stream:
            return stream(_compare_frames(events), settings.ping_seconds)
        columns: dict[int, Json] = {}
        seed = 0
        for event in events:
            if event is not None and event[0] == "column":
                columns[event[1]["column"]] = event[1]
            elif event is not None and event[0] == "start":
                seed = event[1]["seed"]
        return {"seed": seed, "columns": [columns[i] for i in sorted(columns)]}

    @page.post("/api/tokens")
    @takes()
    def tokens(body: bodies.Tokens) -> Json:
        """What the model read, and its choices at each token of an answer."""
        return service.tokens(body)

    @page.post("/api/attention")
    @takes()
    def attention(body: bodies.Attention) -> Json:
        """Where one attention head looks."""
        return service.attention(body)

    @page.post("/api/beam")
    @takes()
    def beam(body: bodies.Beam) -> Json:
        """A beam search as a tree."""
        return service.beam(body)

    @page.post("/api/tokenize")
    @takes()
    def tokenize(body: bodies.Tokenize) -> Json:
        """A text or a conversation in tokens."""
        return service.tokenize(body)

    @page.post("/api/score")
    @takes()
    def score(body: bodies.Score) -> Json:
        """The reward of given answers."""
        return service.score(body)

    return page


def _compare_frames(events: Generator[tuple[str, Json] | None, None, None]) -> Frames:
    with contextlib.closing(events):
        for event in events:
            yield None if event is None else frame(event[1], event[0])
    yield frame({}, "done")


def _languages() -> list[str]:
    """The languages that there are words in; a file not named as a language is somebody's copy."""
    stems = sorted(path.stem for path in STATIC.glob("i18n/*.json"))
    return [stem for stem in stems if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", stem)]


def _sources() -> dict[str, Json]:
    """File and line of what computes each panel."""
    root = Path(__file__).parents[3]
    out = {}
    for panel, thing in SOURCES.items():
        path = Path(inspect.getsourcefile(thing) or __file__).resolve()
        line = inspect.getsourcelines(thing)[1]
        out[panel] = {"file": path.relative_to(root).as_posix(), "line": line}
    return out
