"""OpenAI's subset: chat completions, completions and models, streaming and not, so that any client works."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any

from flask import Blueprint, Response

from .. import bodies
from ..engine import Drawn
from ..model_cache import Entry
from ..replies import Reply
from ..runs import public_card
from ..schema import takes
from ..service import Json, Service
from ..settings import Settings
from ..sse import Frames, client_gone, frame, stream


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
    def chat(body: bodies.Chat) -> Json | Response:
        """Answer a conversation."""
        wanted = body.logprobs or body.top_logprobs > 0
        top = body.top_logprobs if wanted else -1
        reply = service.chat(body, body.model, begin=body.answer_ids, top=top, chat_id=body.chat_id)
        answer = Chat(service, reply, body, logprobs=wanted)
        if body.stream:
            return stream(answer.frames(), settings.ping_seconds, reply.ticket.cancel)
        return answer.whole()

    @openai.post("/v1/completions")
    @takes()
    def complete(body: bodies.Completion) -> Json | Response:
        """Go on with a text."""
        reply = service.complete(body)
        answer = Completion(service, reply, body, logprobs=body.logprobs is not None)
        answer.echo = body.prompt if body.echo else ""
        if body.stream:
            return stream(answer.frames(), settings.ping_seconds, reply.ticket.cancel)
        return answer.whole()

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


class Answer:
    """A reply in OpenAI's words: as a whole, or in frames. Subclasses know the shape of one kind of answer."""

    object = chunk_object = ""

    def __init__(self, service: Service, reply: Reply, body: bodies.Streaming, *, logprobs: bool) -> None:
        self.service, self.reply, self.logprobs = service, reply, logprobs
        self.usage_apart = body.stream_options.include_usage
        self.tick = service.settings.tick_seconds
        self.gone = client_gone()

    def choice(self, text: str, drawn: Iterable[Drawn], *, whole: bool, finish_reason: str | None) -> Json:
        raise NotImplementedError

    def opening(self) -> Json | None:
        """A choice to begin a stream with, before there is any text."""
        return None

    def head(self, chunk: bool) -> Json:
        reply = self.reply
        kind = self.chunk_object if chunk else self.object
        return {"id": reply.id, "object": kind, "created": reply.created, "model": reply.loaded.entry.name}

    def usage(self) -> Json:
        prompt, new = self.reply.prompt_tokens, self.reply.new_tokens
        return {"usage": {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new}}

    def info(self, answer_id: int | None) -> Json:
        """What OpenAI has no field for."""
        reply = self.reply
        about = {"seed": reply.seed, "dropped": reply.dropped, "ids": reply.ids, "note": reply.note}
        kept = {"answer_id": answer_id, "chat_id": reply.chat_id}
        return {"minigpt": {**about, **kept, "seconds": round(reply.seconds, 3)}}

    def whole(self) -> Json:
        """The finished answer."""
        drawn: list[Drawn] = []
        answer_id = None
        try:
            for piece in self.reply.pieces(self.tick, self.gone):
                drawn += piece.drawn if piece else []
        finally:
            answer_id = self.service.finish(self.reply)
        choice = self.choice(self.reply.text, drawn, whole=True, finish_reason=self.reply.finish_reason)
        return {**self.head(chunk=False), "choices": [choice], **self.usage(), **self.info(answer_id)}

    def frames(self) -> Frames:
        """The answer as it is written; None is silence. What was written is kept, also if nobody reads to the end."""
        head, reply = self.head(chunk=True), self.reply
        finished = False
        try:
            if (opening := self.opening()) is not None:
                about = {"seed": reply.seed, "dropped": reply.dropped, "prompt_tokens": reply.prompt_tokens}
                yield frame({**head, "choices": [opening], "minigpt": {**about, "queue": reply.ticket.place}})
            with closing(reply.pieces(self.tick, self.gone)) as pieces:
                for piece in pieces:
                    new = piece and {**head, "choices": [self._chunk(piece.text, piece.drawn)]}
                    yield frame(new) if new else None
            finished = True
            answer_id = self.service.finish(reply)
            last = {**head, "choices": [self._chunk("", [], reply.finish_reason)], **self.info(answer_id)}
            yield frame(last if self.usage_apart else {**last, **self.usage()})
            if self.usage_apart:
                yield frame({**head, "choices": [], **self.usage()})
            yield frame("[DONE]")
        finally:
            reply.ticket.cancel()
            if not finished:
                self.service.finish(reply)

    def _chunk(self, text: str, drawn: list[Drawn], finish_reason: str | None = None) -> Json:
        return self.choice(text, drawn, whole=False, finish_reason=finish_reason)


class Chat(Answer):
    """An assistant's message."""

    object, chunk_object = "chat.completion", "chat.completion.chunk"

    def opening(self) -> Json:
        delta = {"role": "assistant", "content": ""}
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}

    def choice(self, text: str, drawn: Iterable[Drawn], *, whole: bool, finish_reason: str | None) -> Json:
        logprobs = {"content": [self._logprob(d) for d in drawn]} if self.logprobs else None
        said: Json = {"content": text} if text or whole else {}
        part = {"message": {"role": "assistant", **said}} if whole else {"delta": said}
        return {"index": 0, **part, "logprobs": logprobs, "finish_reason": finish_reason}

    def _logprob(self, drawn: Drawn) -> Json:
        best = [self._token(token, logprob) for token, logprob in drawn.alternatives]
        return {**self._token(drawn.token, drawn.logprob), "top_logprobs": best}

    def _token(self, token: int, logprob: float | None) -> Json:
        text = self.reply.loaded.tokenizer.decode([token])
        return {"token": text, "logprob": logprob, "bytes": [*text.encode("utf-8", "replace")]}


class Completion(Answer):
    """A text that goes on."""

    object = chunk_object = "text_completion"
    echo = ""  # what the text begins with
    _offset = 0

    def choice(self, text: str, drawn: Iterable[Drawn], *, whole: bool, finish_reason: str | None) -> Json:
        logprobs = self._logprobs(list(drawn)) if self.logprobs else None
        if whole or not self._offset:
            text = self.echo + text
        self._offset += len(text)
        return {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}

    def _logprobs(self, drawn: list[Drawn]) -> Json:
        decode = self.reply.loaded.tokenizer.decode
        tokens = [decode([d.token]) for d in drawn]
        offsets, at = [], self._offset
        for token in tokens:
            offsets.append(at)
            at += len(token)
        best: list[dict[str, Any]] = [{decode([t]): p for t, p in d.alternatives} for d in drawn]
        probabilities = [d.logprob for d in drawn]
        return {"tokens": tokens, "token_logprobs": probabilities, "top_logprobs": best, "text_offset": offsets}
