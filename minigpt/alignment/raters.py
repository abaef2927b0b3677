"""Where comparisons come from when nobody has voted yet: two answers, and a rater who says which is better.

In Tinytown the grader plays the rater, as fair or as careless as one wishes. For film dialogs the film's own reply
is better than what the model makes up, and better than a reply from another scene.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..chat import CHATTY
from ..data.examples import Comparison, Conversation, Prompt, Turn
from ..errors import UserError
from ..model.gpt import GPT
from ..model.sampling import Sampling
from .policy import draw_answers, write_answers

#: Says how good an answer to a prompt is; only differences count.
Judge = Callable[[Sequence[Turn], str], float]


def sample_texts(model: GPT, prompts: Sequence[Prompt], max_new_tokens: int, seed: int) -> list[str]:
    """One answer to each prompt, drawn from the model's own distribution."""
    return [episode.text for episode in write_answers(model, prompts, max_new_tokens, Sampling(seed=seed))[0]]


def chat_texts(model: GPT, prompts: Sequence[Prompt], max_new_tokens: int, seed: int) -> list[str]:
    """One answer to each prompt as a chat would give it: less varied than the model's own distribution."""
    return [episode.text for episode in draw_answers(model, prompts, max_new_tokens, replace(CHATTY, seed=seed))[0]]


@dataclass(frozen=True)
class SimulatedRater:
    """Compares two answers by `judge`, with human weaknesses: `noise` is how often the choice is the wrong one,
    `length_bias` what each word of an answer is worth beside its quality of 0 to 1."""

    judge: Judge
    noise: float = 0.0
    length_bias: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 0.5:
            raise UserError(f"noise is {self.noise}; it is a share of the choices, at least 0 and at most 0.5.")

    def better(self, prompt: Sequence[Turn], a: str, b: str, rng: random.Random) -> str | None:
        """The preferred one of two answers; None if they are as good as each other."""
        worth = [self.judge(prompt, text) + self.length_bias * len(text.split()) for text in (a, b)]
        if worth[0] == worth[1]:
            return None
        right = worth[0] > worth[1]
        return a if right != (rng.random() < self.noise) else b


def rated_samples(
    model: GPT, prompts: Sequence[Prompt], rater: SimulatedRater, max_new_tokens: int, seed: int
) -> tuple[list[Comparison], Counter[str]]:
    """Two of the model's own answers to each prompt, compared; ties are counted as dropped."""
    rng = random.Random(seed)
    first = sample_texts(model, prompts, max_new_tokens, seed)
    second = sample_texts(model, prompts, max_new_tokens, seed + len(prompts))
    comparisons: list[Comparison] = []
    dropped: Counter[str] = Counter()
    for prompt, a, b in zip(prompts, first, second, strict=True):
        chosen = rater.better(prompt.turns, a, b, rng) if a and b and a != b else None
        if chosen is None:
            dropped["pairs of answers as good as each other"] += 1
        else:
            comparisons.append(Comparison(prompt.turns, chosen, b if chosen == a else a, prompt.group))
    return comparisons, dropped


def film_samples(
    model: GPT, conversations: Sequence[Conversation], max_new_tokens: int, seed: int
) -> tuple[list[Comparison], Counter[str]]:
    """The film's own reply against what the model would say in a chat and against a reply from another scene, in turn.

    Films are not split over learning and measuring, but "What?" is said in many of them: each prompt is taken once.
    """
    rng = random.Random(seed)
    comparisons: list[Comparison] = []
    dropped: Counter[str] = Counter()
    once: dict[tuple[Turn, ...], Conversation] = {}
    for conversation in conversations:
        once.setdefault(conversation.turns[:-1], conversation)
    if repeated := len(conversations) - len(once):
        dropped["prompts that were taken already"] = repeated
    conversations = list(once.values())
    asked = [Prompt(c.turns[:-1]) for c in conversations[::2]]
    invented = chat_texts(model, asked, max_new_tokens, seed)
    for i, conversation in enumerate(conversations):
        if i % 2 == 0:
            other = invented[i // 2]
        else:
            scene = rng.choice(conversations)
            other = scene.turns[-1].text
        reply = conversation.turns[-1].text
        if not other or other == reply:
            dropped["pairs of the same reply"] += 1
        else:
            comparisons.append(Comparison(conversation.turns[:-1], reply, other, conversation.group))
    return comparisons, dropped
