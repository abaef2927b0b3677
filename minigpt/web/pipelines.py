"""The pipelines of `minigpt.pipeline` for a server: answers come from the engines, beside all others that are written,
and what only reads waits for its turn at the bench."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..alignment.reward_model import RewardModel
from ..model.checkpoint import PREVIOUS
from ..pipeline import FeatureExtraction, Reward, Sentiment, TextGeneration, batched
from .errors import ApiError, bad_value
from .model_cache import Entry
from .service import Body, Service

Results = list[Any]


class Pipelines:
    """Bodies are those of the routes' tables, already checked; results have Hugging Face's shapes."""

    def __init__(self, service: Service) -> None:
        self.service, self.shelf = service, service.shelf

    def generate(self, body: Body, gone: Callable[[], bool]) -> Results:
        """Texts gone on with, or a conversation answered."""
        inputs, messages, count = body["inputs"], body["messages"], body["num_return_sequences"]
        if (inputs is None) == (messages is None):
            raise bad_value("give either inputs or messages.", "inputs")
        if count > 1 and not body["do_sample"]:
            raise bad_value("without do_sample all sequences would be the same.", "num_return_sequences")
        prompts = inputs if isinstance(inputs, list) else [inputs or messages]
        texts = self._write([prompt for prompt in prompts for _ in range(count)], body, gone)
        write = TextGeneration(self.shelf.open(body["model"]).chat)
        results = [
            [write.result(prompt, text, body["return_full_text"]) for text in some]
            for prompt, some in zip(prompts, batched(texts, count), strict=True)
        ]
        return results if isinstance(inputs, list) else results[0]

    def _write(self, prompts: list[Any], body: Body, gone: Callable[[], bool]) -> list[str]:
        """What follows each prompt, all of them written side by side."""
        wanted = {**body, "min_p": 0.0, "no_repeat_ngram": 0, "max_tokens": body["max_new_tokens"]}
        if not body["do_sample"]:
            wanted["temperature"] = 0.0
        seed = self.service.sampling(wanted).seed
        chats = [[{"role": "user", "content": p}] if isinstance(p, str) else p for p in prompts]
        bodies = [{**wanted, "messages": chat, "seed": (seed + i) % (1 << 31)} for i, chat in enumerate(chats)]
        try:
            replies = self.service.side_by_side([(one, None) for one in bodies], "pipe", gone)
        except ApiError as error:
            if body["inputs"] is not None and error.param == "messages":
                error.param = "inputs"
            raise
        return [reply.loaded.tokenizer.decode(reply.ids) for reply in replies]

    def sentiment(self, body: Body) -> Results:
        """The label of each text."""
        classify = Sentiment(self._judge(body["model"], labels=True))
        return self._read(lambda: classify(body["inputs"], top_k=body["top_k"]))

    def reward(self, body: Body) -> Results:
        """The reward of each answer to its prompt."""
        judge = Reward(self._judge(body["model"], labels=False))
        return self._read(lambda: judge(body["inputs"]))

    def features(self, body: Body) -> Results:
        """The last layer's output for each token of each text."""
        look = FeatureExtraction(self.shelf.open(body["model"]).chat)
        return self._read(lambda: look(body["inputs"]))

    def _read(self, pipeline: Callable[[], Results]) -> Results:
        try:
            with self.shelf.bench():
                return pipeline()
        except ValueError as error:
            raise ApiError(400, "too_long", f"{error}.".capitalize(), "inputs") from None

    def _judge(self, name: str | None, labels: bool) -> RewardModel:
        """The reward model of that name, else the newest; one that knows `labels`, if these are asked for."""
        kind, command = ("sentiment", "run_reward.py --recipe expand") if labels else ("reward", "run_reward.py")
        able = [entry for entry in self.shelf.entries().values() if _judges(entry, labels)]
        if name is None:
            if not able:
                raise ApiError(404, "model_not_found", f"There is no {kind} model yet; {command} trains one.")
            name = max(able, key=lambda entry: (not entry.name.endswith(PREVIOUS), entry.signature[0])).name
        elif name not in [entry.name for entry in able]:
            raise ApiError(404, "model_not_found", f"There is no {kind} model of that name.", "model")
        reward = self.service.judge.reward(name)
        if reward.model is None:
            raise ApiError(503, "model_broken", reward.reason or "The reward model cannot be loaded.", "model")
        return reward.model


def _judges(entry: Entry, labels: bool) -> bool:
    return entry.stage == "reward" and (bool(entry.card.get("labels")) or not labels)
