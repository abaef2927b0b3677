"""The pipelines of `minigpt.pipeline` for a server: answers come from the engines, beside all others that are written,
and what only reads waits for its turn at the bench."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..alignment.reward_model import RewardModel
from ..model.checkpoint import PREVIOUS
from ..model.sampling import SEEDS
from ..pipeline import FeatureExtraction, Reward, Sentiment, TextGeneration, batched
from . import bodies
from .errors import ApiError, bad_value
from .model_cache import Entry
from .service import Service

Results = list[Any]


class Pipelines:
    """Results have Hugging Face's shapes."""

    def __init__(self, service: Service) -> None:
        self.service, self.cache = service, service.cache

    def generate(self, body: bodies.Generate, gone: Callable[[], bool]) -> Results:
        """Texts gone on with, or a conversation answered."""
        if (body.inputs is None) == (body.messages is None):
            raise bad_value("give either inputs or messages.", "inputs")
        if body.num_return_sequences > 1 and not body.do_sample:
            raise bad_value("without do_sample all sequences would be the same.", "num_return_sequences")
        messages = [message.model_dump() for message in body.messages or []]
        prompts: list[Any] = body.inputs if isinstance(body.inputs, list) else [body.inputs or messages]
        texts = self._write([prompt for prompt in prompts for _ in range(body.num_return_sequences)], body, gone)
        write = TextGeneration(self.cache.open(body.model).chat)
        results = [
            [write.result(prompt, text, body.return_full_text) for text in some]
            for prompt, some in zip(prompts, batched(texts, body.num_return_sequences), strict=True)
        ]
        return results if isinstance(body.inputs, list) else results[0]

    def _write(self, prompts: Sequence[Any], body: bodies.Generate, gone: Callable[[], bool]) -> list[str]:
        """What follows each prompt, all of them written side by side."""
        decoding = {
            "temperature": body.temperature if body.do_sample else 0.0, "top_k": body.top_k, "top_p": body.top_p,
            "repetition_penalty": body.repetition_penalty, "max_tokens": body.max_new_tokens,
        }  # fmt: skip
        seed = body.seed if body.seed is not None else self.service.draw_seed()
        chats = [[{"role": "user", "content": p}] if isinstance(p, str) else p for p in prompts]
        wanted = [
            bodies.Generation.model_validate({"messages": chat, "seed": (seed + i) % SEEDS, **decoding})
            for i, chat in enumerate(chats)
        ]
        try:
            replies = self.service.side_by_side([(one, body.model) for one in wanted], "pipe", gone)
        except ApiError as error:
            if body.inputs is not None and error.param == "messages":
                error.param = "inputs"
            raise
        return [reply.loaded.tokenizer.decode(reply.ids) for reply in replies]

    def sentiment(self, body: bodies.Sentiment) -> Results:
        """The label of each text."""
        classify = Sentiment(self._reward_model(body.model, labels=True))
        return self._read(lambda: classify(body.inputs, top_k=body.top_k))

    def reward(self, body: bodies.Reward) -> Results:
        """The reward of each answer to its prompt."""
        score = Reward(self._reward_model(body.model, labels=False))
        inputs = body.model_dump()["inputs"]
        return self._read(lambda: score(inputs))

    def features(self, body: bodies.Features) -> Results:
        """The last layer's output for each token of each text."""
        look = FeatureExtraction(self.cache.open(body.model).chat)
        return self._read(lambda: look(body.inputs))

    def _read(self, pipeline: Callable[[], Results]) -> Results:
        try:
            with self.cache.work_lock():
                return pipeline()
        except ValueError as error:
            raise ApiError(400, "too_long", f"{error}.".capitalize(), "inputs") from None

    def _reward_model(self, name: str | None, labels: bool) -> RewardModel:
        """The reward model of that name, else the newest; one that knows `labels`, if these are asked for."""
        kind, command = ("sentiment", "run_reward.py --recipe expand") if labels else ("reward", "run_reward.py")
        able = [entry for entry in self.cache.entries().values() if _knows(entry, labels)]
        if name is None:
            if not able:
                raise ApiError(404, "model_not_found", f"There is no {kind} model yet; {command} trains one.")
            name = max(able, key=lambda entry: (not entry.name.endswith(PREVIOUS), entry.saved[0])).name
        elif name not in [entry.name for entry in able]:
            raise ApiError(404, "model_not_found", f"There is no {kind} model of that name.", "model")
        reward = self.service.scorer.reward(name)
        if reward.model is None:
            raise ApiError(503, "model_broken", reward.reason or "The reward model cannot be loaded.", "model")
        return reward.model


def _knows(entry: Entry, labels: bool) -> bool:
    return entry.stage == "reward" and (bool(entry.card.get("labels")) or not labels)
