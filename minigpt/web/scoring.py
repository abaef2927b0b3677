"""What stands beside an answer: its reward, its distance from the SFT model, the value head's expectation.

Each of them can be missing, for want of a reward model, a value head or a common tokenizer. Then there is a reason
in its place, and the answer is shown all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..alignment.policy import load_value_head
from ..alignment.reward_model import RewardModel, load_reward_model
from ..data.examples import Turn
from ..errors import UserError
from ..model.checkpoint import PREVIOUS, TRIAL
from ..model.gpt import evaluating
from . import inspect as look
from .errors import ApiError
from .model_cache import Entry, Loaded, ModelCache

log = logging.getLogger("minigpt.web")


@dataclass(frozen=True)
class Reward:
    """The reward model in use; or None, and why."""

    model: RewardModel | None
    name: str | None = None
    reason: str | None = None


class Scorer:
    """Finds the reward model, the SFT model and the value head that go with an answer's model."""

    def __init__(self, cache: ModelCache) -> None:
        self.cache = cache

    def reward(self, name: str | None = None, recipe: str | None = None) -> Reward:
        """The named reward model; or the newest one, of that recipe if it has one, and rather one that judges answers
        than one that labels texts. ApiError 404 for a wrong name."""
        entries = self.cache.entries()
        if name is not None:
            if name not in entries or entries[name].writes:
                raise ApiError(404, "model_not_found", "There is no reward model of that name.", "reward_model")
            return self._load(entries[name])
        rewards = [e for e in entries.values() if e.stage == "reward" and not e.name.endswith((PREVIOUS, TRIAL))]
        if not rewards:
            return Reward(None, reason="There is no reward model yet; run_reward.py trains one.")

        def fitness(entry: Entry) -> tuple[bool, bool, int]:
            return entry.recipe == recipe, entry.card.get("reads_prompt", True), entry.saved[0]

        return self._load(max(rewards, key=fitness))

    def _load(self, entry: Entry) -> Reward:
        try:
            model = self.cache.extra("reward", entry, lambda folder: load_reward_model(folder, self.cache.device))
        except UserError as error:
            log.error("%s cannot be loaded: %s", entry.name, error)
            return Reward(None, entry.name, "The reward model's folder is damaged; see the server's log.")
        return Reward(model, entry.name)

    def scores(
        self, prompt: Sequence[Turn], answers: Sequence[str], name: str | None = None, recipe: str | None = None
    ) -> tuple[list[float | None], Reward]:
        """The reward of each answer to one prompt; None where it could not be had, with the reason."""
        reward = self.reward(name, recipe)
        if reward.model is None:
            return [None] * len(answers), reward
        try:
            with self.cache.work_lock():
                scores = reward.model.score([(prompt, answer) for answer in answers])
        except (ValueError, UserError):
            reason = "The prompt and the answer are too long for the reward model."
            return [None] * len(answers), Reward(None, reward.name, reason)
        return [float(score) for score in scores], reward

    def token_scores(
        self, loaded: Loaded, prompt: Sequence[Turn], answer: Sequence[int]
    ) -> tuple[list[float] | None, Reward]:
        """The reward that the answer would have after each of its tokens, and after its end mark."""
        reward = self.reward(recipe=loaded.entry.recipe)
        if reward.model is None:
            return None, reward
        text = loaded.tokenizer.decode(answer).strip()
        try:
            scores = reward.model.token_scores(prompt, text)
        except (ValueError, UserError):
            return None, Reward(None, reward.name, "The prompt and the answer are too long for the reward model.")
        if len(scores) != len(answer) + 1:
            reason = "The reward model reads this answer in other pieces than the model wrote it in."
            return None, Reward(None, reward.name, reason)
        return [float(score) for score in scores], reward

    def values(
        self, loaded: Loaded, prompt: Sequence[int], answer: Sequence[int]
    ) -> tuple[list[float] | None, str | None]:
        """What PPO's value head expected at each of the answer's tokens; or None, and why."""
        if loaded.entry.stage != "ppo":
            return None, "Only models trained with PPO have a value head."
        try:
            policy = self.cache.extra("value", loaded.entry, lambda folder: load_value_head(folder, loaded.chat))
        except (UserError, OSError):
            return None, "This model's folder holds no value head."
        with evaluating(loaded.model):
            values = policy.values(torch.tensor([[*prompt, *answer]], device=loaded.model.device))
        return values[0, len(prompt) :].cpu().tolist(), None

    def distance(self, loaded: Loaded, prompt: Sequence[int], answer: Sequence[int], ended: bool) -> dict[str, Any]:
        """KL and agreement with the SFT model, as fields of an answer; None and a reason where there is none."""
        unknown = {"kl": None, "kl_per_token": None, "agreement": None, "reference": None}
        reference = self.reference(loaded.entry)
        if reference is None:
            return {**unknown, "kl_reason": "There is no SFT model of this recipe to compare with."}
        try:
            other = self.cache.open(reference.name)
        except ApiError as error:
            return {**unknown, "kl_reason": error.message}
        if other.tokenizer.fingerprint() != loaded.tokenizer.fingerprint():
            return {**unknown, "kl_reason": "This model and the SFT model do not share a tokenizer."}
        if len(prompt) + len(answer) > other.chat.context:
            return {**unknown, "kl_reason": "The SFT model's context is too short for this."}
        with self.cache.work_lock():
            far = look.distance(loaded.model, other.model, prompt, answer, loaded.tokenizer.eos if ended else None)
        if far is None:
            return {**unknown, "kl_reason": "The answer is empty."}
        return {
            "kl": far.kl,
            "kl_per_token": far.kl / far.tokens,
            "agreement": far.agreement,
            "reference": other.entry.name,
            "kl_reason": None,
        }

    def reference(self, entry: Entry) -> Entry | None:
        """The SFT model nearest to a model: its parent, the one beside it, or the newest one of its vocabulary."""
        models = [e for e in self.cache.entries().values() if e.stage == "sft"]
        if entry.stage == "sft":
            return entry
        alike = [e for e in models if e.config.vocab_size == entry.config.vocab_size]

        def nearness(other: Entry) -> tuple[bool, bool, int]:
            parent = entry.card.get("parent") == other.card.get("sha256")
            return parent, other.name == f"{entry.recipe}/sft", other.saved[0]

        return max(alike, key=nearness, default=None)
