"""OpenAI's subset: chat completions, completions and models, streaming and not, so that any client works."""

from __future__ import annotations

from flask import Blueprint, Response

from .. import bodies, openai_bodies
from ..completions import complete_all
from ..model_cache import Entry
from ..openai_answers import Answer, Chat, Completion
from ..runs import public_card
from ..schema import takes
from ..service import Json, Service
from ..settings import Settings
from ..sse import stream


def make(service: Service, settings: Settings) -> Blueprint:
    openai = Blueprint("openai", __name__)

    @openai.get("/v1/models")
    @takes()
    def models() -> Json:
        """The models that can be named, in the order of their names."""
        entries = service.cache.entries()
        return {"object": "list", "data": [_model(entry, entries, service) for entry in entries.values()]}

    @openai.get("/v1/models/<recipe>/<folder>")
    @takes()
    def model(recipe: str, folder: str) -> Json:
        """One model."""
        entry = service.cache.find(f"{recipe}/{folder}")
        return _model(entry, service.cache.entries(), service)

    @openai.post("/v1/chat/completions")
    @takes()
    def chat(body: openai_bodies.Chat) -> Json | Response:
        """Answer a conversation."""
        wanted = body.logprobs or body.top_logprobs > 0
        top = body.top_logprobs if wanted else -1
        replies = service.chats(body, body.model, body.n, begin=body.answer_ids, top=top, chat_id=body.chat_id)
        return answered(Chat(service, replies, body, logprobs=wanted), body)

    @openai.post("/v1/completions")
    @takes()
    def complete(body: openai_bodies.Completion) -> Json | Response:
        """Go on with a text, or with several."""
        replies = complete_all(service, body)
        return answered(Completion(service, replies, body, logprobs=body.logprobs is not None), body)

    def answered(answer: Answer, body: openai_bodies.Streaming) -> Json | Response:
        return stream(answer.frames(), settings.ping_seconds, answer.cancel) if body.stream else answer.whole()

    @openai.post("/api/stop")
    @takes()
    def stop(body: bodies.Stop) -> Json:
        """Stop a running answer."""
        return {"stopped": service.stop(body.id)}

    return openai


def _model(entry: Entry, entries: dict[str, Entry], service: Service) -> Json:
    parent = entry.card.get("parent")
    parents = [e.name for e in entries.values() if parent and e.card.get("sha256") == parent]
    return {
        "id": entry.name,
        "object": "model",
        "created": entry.saved[0] // 10**9,
        "owned_by": "minigpt",
        "stage": entry.stage,
        "recipe": str(entry.card.get("recipe", entry.recipe)),
        "parent": parents[0] if parents else None,
        "answers": entry.stage not in ("pretrain", "reward"),
        "chats": entry.writes,
        "context_length": entry.config.max_position_embeddings,
        "parameters": service.cache.parameters(entry.name),
        "loaded": entry.name in service.cache.loaded(),
        "default": entry.name == service.cache.default(entries),
        "card": public_card(entry.folder),
    }
