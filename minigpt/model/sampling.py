"""From scores to one token: penalties, filters and the draw. Pure functions on logits [B, V]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import setting, validate

NEVER = float("-inf")
SEEDS = 2**31  # seeds are below it


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. The defaults draw from the model's own distribution; temperature 0 is greedy.

    `minimum`, `maximum`, `above` and `below` are what a value must keep to; `most` is the largest one that is of any
    use, and where the chat page's sliders end.
    """

    temperature: float = setting(
        1.0, "below 1 is safer, above 1 wilder, 0 always takes the likeliest token", minimum=0, most=2
    )
    top_k: int = setting(0, "draw from this many of the likeliest tokens; 0 is all of them", minimum=0, most=200)
    top_p: float = setting(1.0, "draw from the fewest tokens that reach this probability together", above=0, maximum=1)
    min_p: float = setting(0.0, "leave out tokens less likely than this share of the likeliest", minimum=0, below=1)
    repetition_penalty: float = setting(1.0, "above 1, tokens already used become less likely", minimum=1, most=2)
    no_repeat_ngram: int = setting(0, "never write the same n tokens in a row twice; 0 allows it", minimum=0, most=10)
    seed: int = setting(0, "the same seed and settings give the same answer", minimum=0, most=SEEDS - 1)

    def __post_init__(self) -> None:
        validate(self)


GREEDY = Sampling(temperature=0.0)
CHATTY = Sampling(temperature=0.7, top_p=0.9)  # what a chat draws with, unless told otherwise


def penalise_repetition(logits: Tensor, history: Sequence[Sequence[int]], penalty: float) -> Tensor:
    """Make the tokens that a row has seen less likely (Keskar et al. 2019, CTRL, section 4.1).

    A positive score is divided by `penalty`, a negative one multiplied: dividing a negative score
    would *raise* it, and reward the repetition.
    """
    out = logits.clone()
    for row, tokens in enumerate(history):
        seen = torch.tensor(sorted(set(tokens)), dtype=torch.long, device=logits.device)
        scores = out[row, seen]
        out[row, seen] = torch.where(scores > 0, scores / penalty, scores * penalty)
    return out


def ban_repeated_ngrams(logits: Tensor, history: Sequence[Sequence[int]], n: int) -> Tensor:
    """Forbid every token that would complete an n-gram that the row already holds."""
    out = logits.clone()
    for row, tokens in enumerate(history):
        tokens = list(tokens)
        if len(tokens) < n - 1:
            continue
        tail = tokens[len(tokens) - (n - 1) :]
        for start in range(len(tokens) - n + 1):
            if tokens[start : start + n - 1] == tail:
                out[row, tokens[start + n - 1]] = NEVER
    return out


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Only the k best tokens stay possible (Fan et al. 2018)."""
    kth = logits.topk(min(k, logits.size(-1)), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < kth, NEVER)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Only the nucleus stays: the smallest set of best tokens whose probabilities reach p (Holtzman et al. 2020)."""
    probabilities, order = logits.softmax(-1).sort(dim=-1, descending=True)
    # A token is out when the better ones reach p without it; the best one is always in.
    out = probabilities.cumsum(-1) - probabilities >= p
    return logits.masked_fill(torch.zeros_like(out).scatter(-1, order, out), NEVER)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Only tokens at least p times as likely as the best one stay (Nguyen et al. 2024)."""
    probabilities = logits.softmax(-1)
    return logits.masked_fill(probabilities < p * probabilities.amax(-1, keepdim=True), NEVER)


def adjust(logits: Tensor, history: Sequence[Sequence[int]], sampling: Sampling) -> Tensor:
    """The scores [B, V] that the draw is made from: penalties, then temperature, then filters."""
    logits = logits.float()
    if sampling.repetition_penalty > 1:
        logits = penalise_repetition(logits, history, sampling.repetition_penalty)
    if sampling.no_repeat_ngram:
        logits = ban_repeated_ngrams(logits, history, sampling.no_repeat_ngram)
    if sampling.temperature > 0:
        logits = logits / sampling.temperature
    if sampling.top_k:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p < 1:
        logits = keep_top_p(logits, sampling.top_p)
    if sampling.min_p > 0:
        logits = keep_min_p(logits, sampling.min_p)
    return logits


def draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """One token per row [B], where the row's number in [0, 1) falls in its cumulative probabilities.

    Every row brings its own random number, so a row's text does not depend on the rows beside it.
    """
    cumulative = logits.softmax(-1).cpu().double().cumsum(-1)  # on the CPU: Apple GPUs have no float64
    threshold = uniform.to(cumulative)[:, None] * cumulative[:, -1:]
    drawn = torch.searchsorted(cumulative, threshold, right=True).squeeze(-1).clamp_max(logits.size(-1) - 1)
    return drawn.to(logits.device)
