"""Answers in OpenAI's words: one reply or several, as a whole or in frames, with log-probabilities or without."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from .completions import read
from .openai_bodies import Completion as CompletionBody
from .openai_bodies import Streaming
from .replies import Piece, Reply, Spelled, spelling, unspaced
from .service import Json, Service
from .sse import Frames, client_gone, frame

SOON = 0.01  # seconds that one of several silent replies is waited for


def named(spelled: bytes) -> str:
    """A token's text; as OpenAI writes it, a part of a character is told as its bytes."""
    try:
        return spelled.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in spelled)


class Answer:
    """Replies that are the choices of one answer. Subclasses know the shape of one kind of answer."""

    object = chunk_object = ""

    def __init__(self, service: Service, replies: Sequence[Reply], body: Streaming, *, logprobs: bool) -> None:
        self.service, self.replies, self.logprobs = service, replies, logprobs
        self.first, self.n = replies[0], body.n
        self.spelling = partial(spelling, self.first.loaded.tokenizer)
        self.usage_apart = body.stream_options.include_usage
        self.tick = service.settings.tick_seconds if len(replies) == 1 else SOON
        self.gone = client_gone()
        self._finished: dict[int, int | None] = {}

    def choice(self, i: int, text: str, spelled: list[Spelled], *, whole: bool, finish_reason: str | None) -> Json:
        """One reply's text, all of it or the part that is new, as a choice."""
        raise NotImplementedError

    def opening(self, i: int) -> Json | None:
        """A choice to begin a stream with, before there is any text."""
        return None

    def cancel(self) -> None:
        for reply in self.replies:
            reply.ticket.cancel()

    def head(self, chunk: bool) -> Json:
        reply = self.first
        kind = self.chunk_object if chunk else self.object
        return {"id": reply.id, "object": kind, "created": reply.created, "model": reply.loaded.entry.name}

    def usage(self) -> Json:
        """A prompt that is answered n times counts once."""
        prompt = sum(reply.prompt_tokens for reply in self.replies[:: self.n])
        new = sum(reply.new_tokens for reply in self.replies)
        return {"usage": {"prompt_tokens": prompt, "completion_tokens": new, "total_tokens": prompt + new}}

    def info(self) -> Json:
        """What OpenAI has no field for, of the first choice."""
        reply = self.first
        about = {"seed": reply.seed, "dropped": reply.dropped, "ids": reply.ids, "note": reply.note}
        kept = {"answer_id": self._finished.get(0), "chat_id": reply.chat_id}
        return {"minigpt": {**about, **kept, "seconds": round(reply.seconds, 3)}}

    def _finish(self, i: int) -> None:
        if i not in self._finished:
            self._finished[i] = None
            self._finished[i] = self.service.finish(self.replies[i])

    def _pieces(self) -> Generator[tuple[int, Piece] | None, None, None]:
        """What is new in one reply or another; None is silence in all of them. Whoever stops listening ends them all,
        and what was written by then is kept."""
        with ExitStack() as stack:
            streams = {}
            for i, reply in enumerate(self.replies):
                streams[i] = reply.pieces(self.tick, self.gone)
                stack.callback(self._finish, i)
                stack.callback(streams[i].close)
                stack.callback(reply.ticket.cancel)
            while streams:
                silent = True
                for i, pieces in list(streams.items()):
                    piece = next(pieces, StopIteration)
                    if piece is StopIteration:
                        del streams[i]
                    elif isinstance(piece, Piece):
                        silent = False
                        yield i, piece
                if silent and streams:
                    yield None

    def whole(self) -> Json:
        """The finished answer."""
        spelled: list[list[Spelled]] = [[] for _ in self.replies]
        for event in self._pieces():
            if event is not None:
                spelled[event[0]] += event[1].spelled
        choices = [
            self.choice(i, reply.text, spelled[i], whole=True, finish_reason=reply.finish_reason)
            for i, reply in enumerate(self.replies)
        ]
        return {**self.head(chunk=False), "choices": choices, **self.usage(), **self.info()}

    def frames(self) -> Frames:
        """The answer as it is written; None is silence."""
        head, several = self.head(chunk=True), range(len(self.replies))
        pieces = self._pieces()
        try:
            if openings := [opening for i in several if (opening := self.opening(i)) is not None]:
                reply = self.first
                about = {"seed": reply.seed, "dropped": reply.dropped, "prompt_tokens": reply.prompt_tokens}
                yield frame({**head, "choices": openings, "minigpt": {**about, "queue": reply.ticket.place}})
            for event in pieces:
                yield event and frame({**head, "choices": [self._chunk(event[0], event[1].text, event[1].spelled)]})
            ends = [self._chunk(i, "", [], self.replies[i].finish_reason) for i in several]
            last = {**head, "choices": ends, **self.info()}
            yield frame(last if self.usage_apart else {**last, **self.usage()})
            if self.usage_apart:
                yield frame({**head, "choices": [], **self.usage()})
            yield frame("[DONE]")
        finally:
            pieces.close()
            for i in several:  # also where nobody read so far as to begin
                self.replies[i].ticket.cancel()
                self._finish(i)

    def _chunk(self, i: int, text: str, spelled: list[Spelled], finish_reason: str | None = None) -> Json:
        return self.choice(i, text, spelled, whole=False, finish_reason=finish_reason)

    def _others(self, one: Spelled) -> list[tuple[bytes, float]]:
        """The alternatives at a token's place, spelled as they would stand there."""
        pairs = [(self.spelling(token), logprob) for token, logprob in one.drawn.alternatives]
        return [(unspaced(other), logprob) for other, logprob in pairs] if one.first else pairs


class Chat(Answer):
    """An assistant's message."""

    object, chunk_object = "chat.completion", "chat.completion.chunk"

    def opening(self, i: int) -> Json:
        delta = {"role": "assistant", "content": ""}
        return {"index": i, "delta": delta, "logprobs": None, "finish_reason": None}

    def choice(self, i: int, text: str, spelled: list[Spelled], *, whole: bool, finish_reason: str | None) -> Json:
        logprobs = {"content": [self._logprob(one) for one in spelled], "refusal": None} if self.logprobs else None
        said: Json = {"content": text} if text or whole else {}
        part = {"message": {"role": "assistant", **said}} if whole else {"delta": said}
        return {"index": i, **part, "logprobs": logprobs, "finish_reason": finish_reason}

    def _logprob(self, one: Spelled) -> Json:
        best = [_token(other, logprob) for other, logprob in self._others(one)]
        return {**_token(one.bytes, one.drawn.logprob), "top_logprobs": best}


def _token(spelled: bytes, logprob: float | None) -> Json:
    return {"token": named(spelled), "logprob": logprob, "bytes": [*spelled]}


class Completion(Answer):
    """Texts that go on; with `echo` each begins with its prompt."""

    object = chunk_object = "text_completion"

    def __init__(self, service: Service, replies: Sequence[Reply], body: CompletionBody, *, logprobs: bool) -> None:
        super().__init__(service, replies, body, logprobs=logprobs)
        prompts = [prompt for prompt in body.prompts for _ in range(body.n)]
        self._before: dict[int, tuple[str, list[Spelled]]] = {}
        self._at = [0] * len(replies)  # characters that were given out of each text
        if body.echo:
            for i, (reply, prompt) in enumerate(zip(replies, prompts, strict=True)):
                seen = read(service, reply, body.logprobs) if body.logprobs is not None else []
                spelled = [Spelled(drawn, self.spelling(drawn.token)) for drawn in seen]
                text = prompt if isinstance(prompt, str) else reply.loaded.tokenizer.decode(prompt)
                self._before[i] = text, spelled

    def choice(self, i: int, text: str, spelled: list[Spelled], *, whole: bool, finish_reason: str | None) -> Json:
        before = self._before.pop(i, ("", []))
        text, spelled = before[0] + text, before[1] + spelled
        logprobs = self._logprobs(spelled, self._at[i]) if self.logprobs else None
        self._at[i] += len(text)
        return {"index": i, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}

    def _logprobs(self, spelled: list[Spelled], at: int) -> Json:
        tokens = [named(one.bytes) for one in spelled]
        offsets, length = [], 0
        said = b"".join(one.bytes for one in spelled)
        for one in spelled:  # of a character of several tokens, each stands where the character does
            offsets.append(at + len(said[:length].decode("utf-8", "ignore")))
            length += len(one.bytes)
        best: list[dict[str, Any] | None] = [
            None if one.drawn.logprob is None else {named(other): logprob for other, logprob in self._others(one)}
            for one in spelled
        ]
        logprobs = [one.drawn.logprob for one in spelled]
        return {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": best, "text_offset": offsets}
