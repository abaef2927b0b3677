"""The service: answers and comparisons, in between the routes (which know HTTP) and the models (which do not)."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import fields
from functools import partial
from typing import Any

from ..data.examples import Turn
from ..data.truncation import Fitted
from ..model.sampling import SEEDS, Sampling
from . import bodies
from . import inspect as look
from .engine import Busy, Closed, Job, Ticket
from .errors import ApiError, as_api_error, bad_value, busy
from .model_cache import Loaded, ModelCache
from .replies import Reply
from .scoring import Scorer
from .settings import Settings
from .store import Store

log = logging.getLogger("minigpt.web")

Json = dict[str, Any]
Events = Generator[tuple[str, Json] | None, None, None]


class Service:
    """What the routes call, with bodies that are already checked."""

    def __init__(self, settings: Settings, cache: ModelCache, store: Store) -> None:
        self.settings, self.cache, self.store = settings, cache, store
        self.scorer = Scorer(cache)
        self.rng = random.Random(settings.seed)
        self._running: OrderedDict[str, Reply] = OrderedDict()
        self._lock = threading.Lock()

    # Prompts.

    def fit(self, loaded: Loaded, turns: Sequence[Turn], reserve: int) -> Fitted:
        """What the model reads of a conversation, `reserve` tokens kept free. ApiError 400 if nothing of it fits."""
        try:
            return loaded.chat.need_fit(turns, reserve)
        except ValueError as error:
            raise ApiError(400, "too_long", f"{error}.".capitalize(), "messages") from None

    def reserve(self, loaded: Loaded, max_tokens: int) -> int:
        """Tokens kept free for an answer: at most half of what the model can see at once."""
        return min(max_tokens, loaded.chat.context // 2)

    def check_ids(self, loaded: Loaded, ids: Sequence[int], name: str = "answer_ids") -> list[int]:
        """Raises ApiError 400 for token ids that the model does not have."""
        size = loaded.tokenizer.vocab_size
        if any(token >= size for token in ids):
            raise bad_value(f"{name} must be from 0 to {size - 1}.", name)
        return list(ids)

    def draw_seed(self) -> int:
        """A seed for who gave none; it is told with the answer."""
        with self._lock:
            return self.rng.randrange(SEEDS)

    def sampling(self, body: bodies.Decoding) -> Sampling:
        seed = self.draw_seed() if body.seed is None else body.seed
        return Sampling(**body.model_dump(include={field.name for field in fields(Sampling)}) | {"seed": seed})

    # Answers.

    def chat(
        self, body: bodies.Generation, model: str | None, *, kind: str = "chatcmpl", begin: Sequence[int] = (),
        top: int = -1, chat_id: str | None = None,
    ) -> Reply:  # fmt: skip
        """Begin an answer to a conversation; the answer's first token ids may be given with `begin`. `top` is that of
        `engine.Job`; with a `chat_id` the answer is stored. Raises ApiError if it cannot be begun; it fails later only
        in itself."""
        loaded = self.cache.open(model)
        begin = self.check_ids(loaded, begin)
        max_tokens = body.longest
        reserve = self.reserve(loaded, max_tokens + len(begin))
        fitted = self.fit(loaded, body.turns, reserve)
        if len(begin) >= reserve:
            raise ApiError(400, "too_long", "These answer_ids leave no room to go on.", "answer_ids")
        tokens = min(max_tokens, reserve - len(begin))
        return self.begin(
            loaded, [*fitted.ids, *begin], tokens, body, top, kind=kind, dropped=fitted.dropped, begin=begin,
            short=tokens < max_tokens, chat_id=chat_id,
            asked=[message.model_dump() for message in body.messages[-bodies.MESSAGES :]],
        )  # fmt: skip

    def chats(self, body: bodies.Generation, model: str | None, n: int, **about: Any) -> list[Reply]:
        """`n` answers to one conversation, begun as `chat` begins one, with the body's seed and those after it."""
        return self.all_or_none([partial(self.chat, one, model, **about) for one in self.seeded(body, n)])

    def seeded(self, body: bodies.AnyDecoding, n: int) -> list[bodies.AnyDecoding]:
        """The body `n` times, each with the seed after the one before."""
        seed = self.draw_seed() if body.seed is None else body.seed
        return [body.model_copy(update={"seed": (seed + i) % SEEDS}) for i in range(n)]

    def all_or_none(self, begin: Sequence[Callable[[], Reply]]) -> list[Reply]:
        """Begin several replies. If one cannot be begun, the others are cancelled and its ApiError goes on."""
        with ExitStack() as stack:
            replies = []
            for one in begin:
                replies.append(one())
                stack.callback(self.finish, replies[-1])
                stack.callback(replies[-1].ticket.cancel)
            stack.pop_all()
        return replies

    def side_by_side(
        self, wanted: Sequence[tuple[bodies.Generation, str | None]], kind: str, gone: Callable[[], bool]
    ) -> list[Reply]:
        """The whole replies to several bodies, each with the model to ask, written at once; all of them or none."""
        replies = self.all_or_none([partial(self.chat, *one, kind=kind) for one in wanted])
        with ExitStack() as stack:
            for reply in replies:
                stack.callback(self.finish, reply)
                stack.callback(reply.ticket.cancel)
            for reply in replies:
                for _ in reply.pieces(self.settings.tick_seconds, gone):
                    pass
        return replies

    def begin(
        self, loaded: Loaded, ids: list[int], max_tokens: int, body: bodies.Decoding, top: int, **reply: Any
    ) -> Reply:
        """Hand token ids over to the engine that goes on with them; with no token to write, the reply is there."""
        sampling = self.sampling(body)
        job = Job(ids, sampling, max_tokens, loaded.chat.stop, top)
        try:
            ticket = loaded.engine.submit(job) if max_tokens else Ticket.empty(job)
        except Busy as error:
            raise busy(error.retry_after) from None
        except Closed:
            raise ApiError(503, "shutting_down", "The model is being put away; try again.", retry_after=1) from None
        begun = Reply(loaded, ticket, seed=sampling.seed, stops=body.stops, **reply)
        with self._lock:
            self._running[begun.id] = begun
            while len(self._running) > 4096:
                self._running.popitem(last=False)
        return begun

    def finish(self, reply: Reply) -> int | None:
        """Forget a running reply, and keep what it said if it belongs to a chat; returns the answer's number there."""
        with self._lock:
            self._running.pop(reply.id, None)
        if reply.chat_id is None:
            return None
        about = (reply.finish_reason, reply.note, reply.seed)
        try:
            return self.store.add_answer(reply.chat_id, reply.loaded.entry.name, reply.asked, reply.text, *about)
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

    # Comparisons.

    def compare(self, body: bodies.Compare, gone: Callable[[], bool]) -> Events:
        """One prompt answered by several models at once: ("token", ...) as they write, ("column", ...) as each ends.

        A column that cannot be written carries its error; the others go on. None is silence.
        """
        body = body.model_copy(update={"seed": self.draw_seed() if body.seed is None else body.seed})
        yield "start", {"seed": body.seed, "models": body.models}
        streams: dict[int, Iterator[Any]] = {}
        replies: dict[int, Reply] = {}
        try:
            for column, name in enumerate(body.models):
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
                    self.finish(reply)

    def _race(self, body: bodies.Compare, replies: dict[int, Reply], streams: dict[int, Iterator[Any]]) -> Events:
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
                    yield "column", self._column(column, reply.loaded.entry.name, reply, body.turns)
                    del streams[column]
                    self.finish(reply)
                except ApiError as error:
                    yield "column", self._column(column, reply.loaded.entry.name, error=error)
                    del streams[column]
                    self.finish(reply)
            if silent and streams:
                time.sleep(0.005)
                yield None

    def _column(
        self, column: int, model: str, reply: Reply | None = None, turns: Sequence[Turn] = (),
        error: ApiError | None = None,
    ) -> Json:  # fmt: skip
        """Everything that stands under one answer of a comparison."""
        out: Json = {
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
            scores, reward = self.scorer.scores(turns, [out["text"]], recipe=reply.loaded.entry.recipe)
            out |= {"reward": scores[0], "reward_model": reward.name, "reward_reason": reward.reason}
            prompt = reply.ticket.job.ids[: reply.prompt_tokens]
            out |= self.scorer.distance(reply.loaded, prompt, reply.ids, reply.ended_itself)
        except Exception as problem:  # the answer is there; what stands under it may be missing
            reason = as_api_error(problem).message
            out |= {"reward_reason": out["reward_reason"] or reason, "kl_reason": out["kl_reason"] or reason}
        return out

    # Looking inside.

    def _opened(self, body: bodies.Answered) -> tuple[Loaded, Fitted, list[int]]:
        """The model, what it reads, and the answer's ids, of a body with messages and an answer."""
        loaded = self.cache.open(body.model)
        if body.answer_ids is not None:
            answer = self.check_ids(loaded, body.answer_ids)
        else:
            answer = loaded.tokenizer.encode(f" {body.answer}" if loaded.chat.is_chat and body.answer else body.answer)
        half = loaded.chat.context // 2
        if len(answer) >= half:
            raise ApiError(400, "too_long", f"The answer has {len(answer)} tokens; at most {half - 1} fit.", "answer")
        return loaded, self.fit(loaded, body.turns, len(answer) + 1), answer

    def tokens(self, body: bodies.Tokens) -> Json:
        """What the model read, and what it thought of at each token of an answer."""
        loaded, fitted, answer = self._opened(body)
        ids = fitted.ids
        with self.cache.work_lock():
            logprobs = look.answer_logprobs(loaded.model, ids, answer)
            choices = look.show_choices(loaded.tokenizer, logprobs, [*answer, loaded.tokenizer.eos], body.top)
            rewards, reward = self.scorer.token_scores(loaded, fitted.turns, answer)
            values, value_reason = self.scorer.values(loaded, ids, answer)
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

    def attention(self, body: bodies.Attention) -> Json:
        """Where one head looks while the model reads a conversation and an answer."""
        loaded, fitted, answer = self._opened(body)
        config = loaded.model.config
        for name, index, there in (
            ("layer", body.layer, config.num_hidden_layers),
            ("head", body.head, config.num_attention_heads),
        ):
            if index >= there:
                raise bad_value(f"{name} must be from 0 to {there - 1}.", name)
        with self.cache.work_lock():
            seen = look.show_attention(loaded.chat, [*fitted.ids, *answer], body.layer, body.head, body.last)
        return {"model": loaded.entry.name, **seen}

    def beam(self, body: bodies.Beam) -> Json:
        """A beam search for the likeliest answer, as a tree."""
        loaded = self.cache.open(body.model)
        reserve = self.reserve(loaded, body.max_tokens)
        fitted = self.fit(loaded, body.turns, reserve)
        options = body.model_dump(include={"beam_width", "length_penalty", "repetition_penalty", "no_repeat_ngram"})
        with self.cache.work_lock():
            tree = look.grow_beam(loaded.chat, fitted.ids, reserve, **options)
        return {"model": loaded.entry.name, "dropped": fitted.dropped, "beam_width": body.beam_width, **tree}

    def tokenize(self, body: bodies.Tokenize) -> Json:
        """The tokens of a text, or of a conversation as the model would read it."""
        loaded = self.cache.open(body.model)
        if body.messages is not None and body.text is None:
            turns = bodies.Conversation(messages=body.messages, mode=body.mode).turns
            fitted = self.fit(loaded, turns, 1)
            ids, dropped = fitted.ids, fitted.dropped
        elif body.text is not None and body.messages is None:
            ids, dropped = loaded.tokenizer.encode(body.text), 0
        else:
            raise bad_value("give either messages or text.", "messages")
        context = loaded.chat.context
        tokens = look.show_tokens(loaded.tokenizer, ids)
        return {"model": loaded.entry.name, "tokens": tokens, "count": len(ids), "context": context, "dropped": dropped}

    def score(self, body: bodies.Score) -> Json:
        """The reward of given answers."""
        scores, reward = self.scorer.scores(body.turns, body.answers, body.reward_model)
        return {"scores": scores, "reward_model": reward.name, "reason": reward.reason}
