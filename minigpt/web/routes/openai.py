"""OpenAI's subset: chat completions, completions and models, streaming and not, so that any client works."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any

from flask import Blueprint, Response

from ..engine import Drawn
from ..model_cache import Entry
from ..replies import Reply
from ..runs import public_card
from ..schema import takes
from ..service import Body, Service
from ..settings import Settings
from ..sse import Frames, client_gone, frame, stream
from . import tables


def make(service: Service, settings: Settings) -> Blueprint:
    openai = Blueprint("openai", __name__)

    @openai.get("/v1/models")
    @takes()
    def models() -> Body:
        """The models that can be named, in the order of their names."""
        entries = service.shelf.entries()
        return {"object": "list", "data": [_model(entry, entries, service) for entry in entries.values()]}

    @openai.get("/v1/models/<recipe>/<folder>")
    @takes()
    def model(recipe: str, folder: str) -> Body:
        """One model."""
        entry = service.shelf.find(f"{recipe}/{folder}")
        return _model(entry, service.shelf.entries(), service)

    @openai.post("/v1/chat/completions")
    @takes(tables.CHAT)
    def chat(body: Body) -> Body | Response:
        """Answer a conversation."""
        wanted = body["logprobs"] or body["top_logprobs"] > 0
        reply = service.chat({**body, "top": body["top_logprobs"] if wanted else -1})
        answer = Chat(service, reply, body, wanted)
        if body["stream"]:
            return stream(answer.frames(), settings.ping_seconds, reply.ticket.cancel)
        return answer.whole()

    @openai.post("/v1/completions")
    @takes(tables.COMPLETION)
    def complete(body: Body) -> Body | Response:
        """Go on with a text."""
        wanted = body["logprobs"] is not None
        reply = service.complete({**body, "top": body["logprobs"] if wanted else -1})
        answer = Completion(service, reply, body, wanted)
        if body["stream"]:
            return stream(answer.frames(), settings.ping_seconds, reply.ticket.cancel)
        return answer.whole()

    @openai.post("/api/stop")
    @takes(tables.STOP)
    def stop(body: Body) -> Body:
        """Stop a running answer."""
        return {"stopped": service.stop(body["id"])}

    return openai


def _model(entry: Entry, entries: dict[str, Entry], service: Service) -> Body:
    parent = entry.card.get("parent")
    parents = [e.name for e in entries.values() if parent and e.card.get("sha256") == parent]
    return {
        "id": entry.name,
        "object": "model",
        "created": entry.signature[0] // 10**9,
        "owned_by": "minigpt",
        "stage": entry.stage,
        "recipe": str(entry.card.get("recipe", entry.recipe)),
        "parent": parents[0] if parents else None,
        "answers": entry.stage not in ("pretrain", "reward"),
        "chats": entry.chats,
        "context_length": entry.config.max_position_embeddings,
        "parameters": service.shelf.parameters(entry.name),
        "loaded": entry.name in service.shelf.loaded(),
        "default": entry.name == service.shelf.default(entries),
        "card": public_card(entry.folder),
    }


class Answer:
    """A reply in OpenAI's words: as a whole, or in frames. Subclasses know the shape of one kind of answer."""

    object = chunk_object = ""

    def __init__(self, service: Service, reply: Reply, body: Body, logprobs: bool) -> None:
        self.service, self.reply, self.body, self.logprobs = service, reply, body, logprobs
        self.tick = service.settings.tick_seconds
        self.gone = client_gone()

    def choice(self, text: str, drawn: Iterable[Drawn], *, whole: bool, finish_reason: str | None) -> Body:
        raise NotImplementedError

    def opening(self) -> Body | None:
        """A choice to begin a stream with, before there is any text."""
        return None

    def head(self, chunk: bool) -> Body:
        reply = self.reply
        kind = self.chunk_object if chunk else self.object
        return {"id": reply.id, "object": kind, "created": reply.created, "model": reply.loaded.entry.name}

    def usage(self) -> Body:
        prompt, new = self.reply.prompt_tokens, self.reply.new_tokens
        return {"usage": {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new}}

    def info(self, answer_id: int | None) -> Body:
        """What OpenAI has no field for."""
        reply = self.reply
        about = {"seed": reply.seed, "dropped": reply.dropped, "ids": reply.ids, "note": reply.note}
        chat_id = self.body.get("chat_id")
        return {"minigpt": {**about, "answer_id": answer_id, "chat_id": chat_id, "seconds": round(reply.seconds, 3)}}

    def whole(self) -> Body:
        """The finished answer."""
        drawn: list[Drawn] = []
        answer_id = None
        try:
            for piece in self.reply.pieces(self.tick, self.gone):
                drawn += piece.drawn if piece else []
        finally:
            answer_id = self.service.finish(self.reply, self.body)
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
            answer_id = self.service.finish(reply, self.body)
            apart = bool((self.body["stream_options"] or {}).get("include_usage"))
            last = {**head, "choices": [self._chunk("", [], reply.finish_reason)], **self.info(answer_id)}
            yield frame(last if apart else {**last, **self.usage()})
            if apart:
                yield frame({**head, "choices": [], **self.usage()})
            yield frame("[DONE]")
        finally:
            reply.ticket.cancel()
            if not finished:
                self.service.finish(reply, self.body)

    def _chunk(self, text: str, drawn: list[Drawn], finish_reason: str | None = None) -> Body:
        return self.choice(text, drawn, whole=False, finish_reason=finish_reason)


class Chat(Answer):
    """An assistant's message."""

    object, chunk_object = "chat.completion", "chat.completion.chunk"

    def opening(self) -> Body:
        delta = {"role": "assistant", "content": ""}
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}

    def choice(self, text: str, drawn: Iterable[Drawn], *, whole: bool, finish_reason: str | None) -> Body:
        logprobs = {"content": [self._logprob(d) for d in drawn]} if self.logprobs else None
        said: Body = {"content": text} if text or whole else {}
        part = {"message": {"role": "assistant", **said}} if whole else {"delta": said}
        return {"index": 0, **part, "logprobs": logprobs, "finish_reason": finish_reason}

    def _logprob(self, drawn: Drawn) -> Body:
        best = [self._token(token, logprob) for token, logprob in drawn.alternatives]
        return {**self._token(drawn.token, drawn.logprob), "top_logprobs": best}

    def _token(self, token: int, logprob: float | None) -> Body:
        text = self.reply.loaded.tokenizer.decode([token])
        return {"token": text, "logprob": logprob, "bytes": [*text.encode("utf-8", "replace")]}


class Completion(Answer):
    """A text that goes on."""

    object = chunk_object = "text_completion"
    _offset = 0

    def choice(self, text: str, drawn: Iterable[Drawn], *, whole: bool, finish_reason: str | None) -> Body:
        logprobs = self._logprobs(list(drawn)) if self.logprobs else None
        if self.body["echo"] and (whole or not self._offset):
            text = self.body["prompt"] + text
        self._offset += len(text)
        return {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}

    def _logprobs(self, drawn: list[Drawn]) -> Body:
        decode = self.reply.loaded.tokenizer.decode
        tokens = [decode([d.token]) for d in drawn]
        offsets, at = [], self._offset
        for token in tokens:
            offsets.append(at)
            at += len(token)
        best: list[dict[str, Any]] = [{decode([t]): p for t, p in d.alternatives} for d in drawn]
        probabilities = [d.logprob for d in drawn]
        return {"tokens": tokens, "token_logprobs": probabilities, "top_logprobs": best, "text_offset": offsets}
