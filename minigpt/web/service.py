"""The service: answers and comparisons, in between the routes (which know HTTP) and the models (which do not)."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from ..data.examples import Turn
from ..data.truncation import Fitted
from ..model.sampling import Sampling
from . import inspect as look
from .engine import Busy, Closed, Job
from .errors import ApiError, as_api_error, bad_value, busy
from .model_cache import Loaded, Shelf
from .replies import Reply
from .scoring import Judge
from .settings import Settings
from .store import Store

log = logging.getLogger("minigpt.web")

Body = dict[str, Any]
Events = Generator[tuple[str, Body] | None, None, None]
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat_ngram")


class Service:
    """What the routes call. Bodies are those of the routes' tables, already checked."""

    def __init__(self, settings: Settings, shelf: Shelf, store: Store) -> None:
        self.settings, self.shelf, self.store = settings, shelf, store
        self.judge = Judge(shelf)
        self.rng = random.Random(settings.seed)
        self._running: OrderedDict[str, Reply] = OrderedDict()
        self._lock = threading.Lock()

    # Prompts.

    @staticmethod
    def turns(body: Body) -> list[Turn]:
        """The turns that count: all of them in a dialogue, the last one alone in question-answer mode."""
        turns = [Turn(message["role"], message["content"]) for message in body["messages"]]
        if turns[-1].role != "user" or not turns[-1].text.strip():
            raise bad_value("the last message must be a user's, and not blank.", "messages")
        return turns[-1:] if body.get("mode") == "qa" else turns

    def fit(self, loaded: Loaded, turns: Sequence[Turn], reserve: int) -> Fitted:
        """What the model reads of a conversation, `reserve` tokens kept free. ApiError 400 if nothing of it fits."""
        try:
            return loaded.chat.need_fit(turns, reserve)
        except ValueError as error:
            raise ApiError(400, "too_long", f"{error}.".capitalize(), "messages") from None

    def reserve(self, loaded: Loaded, max_tokens: int) -> int:
        """Tokens kept free for an answer: at most half of what the model can see at once."""
        return min(max_tokens, loaded.chat.context // 2)

    def answer_ids(self, loaded: Loaded, body: Body) -> list[int]:
        """The ids of an answer that is given as ids or as text. Raises ApiError 400 for ids that do not exist."""
        if body.get("answer_ids") is not None:
            size = loaded.tokenizer.vocab_size
            if any(not 0 <= token < size for token in body["answer_ids"]):
                raise bad_value(f"answer_ids must be from 0 to {size - 1}.", "answer_ids")
            return list(body["answer_ids"])
        text = body.get("answer") or ""
        return loaded.tokenizer.encode(f" {text}" if loaded.chat.is_chat and text else text)

    def sampling(self, body: Body) -> Sampling:
        """The decoding fields of a body. A seed that was not given is drawn, and told to the client with the answer."""
        seed = body.get("seed")
        if seed is None:
            with self._lock:
                seed = self.rng.randrange(1 << 31)
        return Sampling(**{name: body[name] for name in SAMPLING}, seed=seed)

    # Answers.

    def chat(self, body: Body, model: str | None = None, kind: str = "chatcmpl") -> Reply:
        """Begin an answer to a conversation. Raises ApiError if it cannot be begun; it fails later only in itself."""
        loaded = self.shelf.open(model or body.get("model"))
        turns = self.turns(body)
        forced = self.answer_ids(loaded, body) if body.get("answer_ids") else []
        max_tokens = body.get("max_completion_tokens") or body["max_tokens"]
        reserve = self.reserve(loaded, max_tokens + len(forced))
        fitted = self.fit(loaded, turns, reserve)
        if len(forced) >= reserve:
            raise ApiError(400, "too_long", "These answer_ids leave no room to go on.", "answer_ids")
        tokens = min(max_tokens, reserve - len(forced))
        about = {"kind": kind, "dropped": fitted.dropped, "forced": forced, "short": tokens < max_tokens}
        return self._begin(loaded, [*fitted.ids, *forced], tokens, body, **about)

    def side_by_side(
        self, wanted: Sequence[tuple[Body, str | None]], kind: str, gone: Callable[[], bool]
    ) -> list[Reply]:
        """The whole replies to several bodies, each with the model to ask, written at once. If one cannot be begun, the
        others are cancelled and its ApiError goes on."""
        replies: list[Reply] = []
        with ExitStack() as stack:
            for body, model in wanted:
                reply = self.chat(body, model, kind)
                stack.callback(self.finish, reply, {})
                stack.callback(reply.ticket.cancel)
                replies.append(reply)
            for reply in replies:
                for _ in reply.pieces(self.settings.tick_seconds, gone):
                    pass
        return replies

    def complete(self, body: Body) -> Reply:
        """Begin to go on with a text, as a document of the pre-training text goes on."""
        loaded = self.shelf.open(body["model"])
        ids = loaded.tokenizer.encode_document(body["prompt"])
        room = loaded.chat.context - 1
        if len(ids) > room:
            raise ApiError(400, "too_long", f"This prompt has {len(ids)} tokens; the model can read {room}.", "prompt")
        return self._begin(loaded, ids, body["max_tokens"], body, kind="cmpl", trim=False)

    def _begin(self, loaded: Loaded, ids: list[int], max_tokens: int, body: Body, **reply: Any) -> Reply:
        sampling = self.sampling(body)
        stops = body.get("stop") or []
        stops = [stops] if isinstance(stops, str) else stops
        try:
            ticket = loaded.engine.submit(Job(ids, sampling, max_tokens, loaded.chat.stop, body.get("top", -1)))
        except Busy as error:
            raise busy(error.retry_after) from None
        except Closed:
            raise ApiError(503, "shutting_down", "The model is being put away; try again.", retry_after=1) from None
        begun = Reply(loaded, ticket, seed=sampling.seed, stops=stops, **reply)
        with self._lock:
            self._running[begun.id] = begun
            while len(self._running) > 4096:
                self._running.popitem(last=False)
        return begun

    def finish(self, reply: Reply, body: Body) -> int | None:
        """Forget a running reply, and keep what it said if it belongs to a chat; returns the answer's number there."""
        with self._lock:
            self._running.pop(reply.id, None)
        if not body.get("chat_id"):
            return None
        about = (reply.finish_reason, reply.note, reply.seed)
        try:
            return self.store.add_answer(body["chat_id"], reply.loaded.entry.name, body["messages"], reply.text, *about)
        except ApiError as error:  # a full disk does not take the answer away from who waited for it
            log.error("%s: %s", reply.id, error.message)
            return None

    def stop(self, id: str) -> bool:
        """Stop a running answer; False if there is none of that id."""
        with self._lock:
            reply = self._running.get(id)
        if reply is None or reply.finish_reason is not None:
            return False
        reply.ticket.cancel()
        return True

    def write(self, body: Body, model: str | None = None, gone: Callable[[], bool] = lambda: False) -> Reply:
        """An answer to its end."""
        reply = self.chat(body, model)
        try:
            for _ in reply.pieces(self.settings.tick_seconds, gone):
                pass
        finally:
            self.finish(reply, {})
        return reply

    # Comparisons.

    def compare(self, body: Body, gone: Callable[[], bool]) -> Events:
        """One prompt answered by several models at once: ("token", ...) as they write, ("column", ...) as each ends.

        A column that cannot be written carries its error; the others go on. None is silence.
        """
        body = {**body, "seed": self.sampling(body).seed}
        yield "start", {"seed": body["seed"], "models": body["models"]}
        streams: dict[int, Iterator[Any]] = {}
        replies: dict[int, Reply] = {}
        try:
            for column, name in enumerate(body["models"]):
                try:
                    replies[column] = self.chat(body, name)
                    streams[column] = replies[column].pieces(0.0, gone)
                except Exception as error:
                    yield "column", self._column(column, name, error=as_api_error(error))
            yield from self._race(body, replies, streams)
        finally:
            for column, reply in replies.items():
                reply.ticket.cancel()
                if column in streams:
                    self.finish(reply, {})

    def _race(self, body: Body, replies: dict[int, Reply], streams: dict[int, Iterator[Any]]) -> Events:
        """Take from each column what is there; when none has anything, wait a little for the first."""
        while streams:
            silent = True
            for column, pieces in list(streams.items()):
                reply = replies[column]
                try:
                    piece = next(pieces)
                    silent = silent and piece is None
                    if piece is not None:
                        yield "token", {"column": column, "text": piece.text}
                except StopIteration:
                    yield "column", self._column(column, reply.loaded.entry.name, reply, self.turns(body))
                    del streams[column]
                    self.finish(reply, {})
                except ApiError as error:
                    yield "column", self._column(column, reply.loaded.entry.name, error=error)
                    del streams[column]
                    self.finish(reply, {})
            if silent and streams:
                time.sleep(0.005)
                yield None

    def _column(
        self, column: int, model: str, reply: Reply | None = None, turns: Sequence[Turn] = (),
        error: ApiError | None = None,
    ) -> Body:  # fmt: skip
        """Everything that stands under one answer of a comparison."""
        out: Body = {
            "column": column, "model": model, "text": "", "ids": [], "finish_reason": None, "note": None, "dropped": 0,
            "seconds": 0.0, "reward": None, "reward_model": None, "reward_reason": None, "kl": None,
            "kl_per_token": None, "agreement": None, "reference": None, "kl_reason": None,
            "error": error.body()["error"] if error else None,
        }  # fmt: skip
        if reply is None:
            return out
        out |= {"text": reply.text.strip(), "ids": reply.ids, "finish_reason": reply.finish_reason, "note": reply.note,
                "dropped": reply.dropped, "seconds": round(reply.seconds, 3)}  # fmt: skip
        try:
            scores, reward = self.judge.scores(turns, [out["text"]], recipe=reply.loaded.entry.recipe)
            out |= {"reward": scores[0], "reward_model": reward.name, "reward_reason": reward.reason}
            prompt = reply.ticket.job.ids[: reply.prompt_tokens]
            out |= self.judge.distance(reply.loaded, prompt, reply.ids, reply.ended_itself)
        except Exception as problem:  # the answer is there; what stands under it may be missing
            reason = as_api_error(problem).message
            out |= {"reward_reason": out["reward_reason"] or reason, "kl_reason": out["kl_reason"] or reason}
        return out

    # Looking inside.

    def _opened(self, body: Body, reserve: int = 0) -> tuple[Loaded, Fitted, list[int]]:
        """The model, what it reads, and the answer's ids, of a body with messages and an answer."""
        loaded = self.shelf.open(body["model"])
        turns = self.turns(body)
        answer = self.answer_ids(loaded, body)
        half = loaded.chat.context // 2
        if len(answer) >= half:
            raise ApiError(400, "too_long", f"The answer has {len(answer)} tokens; at most {half - 1} fit.", "answer")
        return loaded, self.fit(loaded, turns, max(len(answer) + 1, reserve)), answer

    def tokens(self, body: Body) -> Body:
        """What the model read, and what it thought of at each token of an answer."""
        loaded, fitted, answer = self._opened(body)
        ids = fitted.ids
        with self.shelf.bench():
            logprobs = look.answer_logprobs(loaded.model, ids, answer)
            choices = look.show_choices(loaded.tokenizer, logprobs, [*answer, loaded.tokenizer.eos], body["top"])
            rewards, reward = self.judge.token_scores(loaded, fitted.turns, answer)
            values, value_reason = self.judge.values(loaded, ids, answer)
        for i, choice in enumerate(choices):
            choice["reward"] = rewards[i] if rewards else None
            choice["value"] = values[i] if values and i < len(values) else None
        return {
            "model": loaded.entry.name,
            "dropped": fitted.dropped,
            "context": loaded.chat.context,
            "prompt": look.show_tokens(loaded.tokenizer, ids),
            "tokens": choices[:-1],
            "end": choices[-1],
            "reward": rewards[-1] if rewards else None,
            "reward_model": reward.name,
            "reward_reason": reward.reason,
            "value_reason": value_reason,
        }

    def attention(self, body: Body) -> Body:
        """Where one head looks while the model reads a conversation and an answer."""
        loaded, fitted, answer = self._opened(body)
        config = loaded.model.config
        for name, there in (("layer", config.num_hidden_layers), ("head", config.num_attention_heads)):
            if body[name] >= there:
                raise bad_value(f"{name} must be from 0 to {there - 1}.", name)
        with self.shelf.bench():
            seen = look.show_attention(loaded.chat, [*fitted.ids, *answer], body["layer"], body["head"], body["last"])
        return {"model": loaded.entry.name, **seen}

    def beam(self, body: Body) -> Body:
        """A beam search for the likeliest answer, as a tree."""
        loaded = self.shelf.open(body["model"])
        reserve = self.reserve(loaded, body["max_tokens"])
        fitted = self.fit(loaded, self.turns(body), reserve)
        names = ("beam_width", "length_penalty", "repetition_penalty", "no_repeat_ngram")
        options = {name: body[name] for name in names}
        with self.shelf.bench():
            tree = look.grow_beam(loaded.chat, fitted.ids, reserve, **options)
        return {"model": loaded.entry.name, "dropped": fitted.dropped, "beam_width": body["beam_width"], **tree}

    def tokenize(self, body: Body) -> Body:
        """The tokens of a text, or of a conversation as the model would read it."""
        loaded = self.shelf.open(body["model"])
        if (body["messages"] is None) == (body["text"] is None):
            raise bad_value("give either messages or text.", "messages")
        if body["text"] is not None:
            ids, dropped = loaded.tokenizer.encode(body["text"]), 0
        else:
            fitted = self.fit(loaded, self.turns(body), 1)
            ids, dropped = fitted.ids, fitted.dropped
        context = loaded.chat.context
        tokens = look.show_tokens(loaded.tokenizer, ids)
        return {"model": loaded.entry.name, "tokens": tokens, "count": len(ids), "context": context, "dropped": dropped}

    def score(self, body: Body) -> Body:
        """The reward of given answers."""
        scores, reward = self.judge.scores(self.turns(body), body["answers"], body["reward_model"])
        return {"scores": scores, "reward_model": reward.name, "reason": reward.reason}
