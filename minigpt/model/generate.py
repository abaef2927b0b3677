"""Decoding: one step function, and greedy, sampled, batched and streamed text as loops around it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .gpt import GPT, evaluating
from .reader import Reader
from .sampling import GREEDY, NEVER, Sampling, adjust, draw


def uniforms(seed: int, count: int) -> Tensor:
    """The random numbers in [0, 1) that a row's first `count` tokens are drawn with; a longer row begins the same."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed))


def choose(
    logits: Tensor, histories: Sequence[Sequence[int]], sampling: Sampling, uniform: Tensor
) -> tuple[Tensor, Tensor]:
    """The step that all strategies but beam share: from scores [B, V] to the next token of each row [B] and its
    log-probability [B] in the distribution it was drawn from: NEVER where every token is banned, so that the row has
    to end. `uniform` [B] holds the rows' random numbers."""
    scores = adjust(logits, histories, sampling)
    tokens = scores.argmax(-1) if sampling.temperature == 0 else draw(scores, uniform)
    logprobs = scores.log_softmax(-1).gather(-1, tokens[:, None]).squeeze(-1)
    return tokens, logprobs.masked_fill(scores.amax(-1) == NEVER, NEVER)


@dataclass
class Generated:
    """What was written after one prompt. `stop` is the stop token that ended it, None if it ran out of room, or of
    tokens that `no_repeat_ngram` allows; it is not in `ids`. `logprobs` are those of the distribution that was drawn
    from, the stop token's last."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stop: int | None = None

    @property
    def finished(self) -> bool:
        return self.stop is not None


def steps(
    model: GPT, prompts: Sequence[Sequence[int]], max_new_tokens: int, sampling: Sampling, stop: Collection[int]
) -> Iterator[dict[int, tuple[int, float]]]:
    """The loop behind every strategy but beam: at each step, {row: (token, its log-probability)} for unfinished rows.

    A row's last pair is its stop token, if it drew one; a row that may draw no token at all ends without one. Row i
    draws with seed `sampling.seed + i`.
    """
    with evaluating(model):
        reader = Reader(model, prompts, max_new_tokens)
    room = reader.room
    uniform = torch.stack([uniforms(sampling.seed + row, room) for row in range(len(prompts))])
    histories = [list(prompt) for prompt in prompts]
    rows = list(range(len(prompts)))  # rows[i] is the prompt that the reader's row i continues
    done: set[int] = set()
    for position in range(room):
        tokens, logprobs = choose(reader.logits, [histories[row] for row in rows], sampling, uniform[rows, position])
        pairs = list(zip(rows, tokens.tolist(), logprobs.tolist(), strict=True))
        done |= {row for row, _, logprob in pairs if logprob == NEVER}
        drawn = {row: (token, logprob) for row, token, logprob in pairs if row not in done}
        yield drawn
        for row, (token, _) in drawn.items():
            histories[row].append(token)
        done |= {row for row, (token, _) in drawn.items() if token in stop}
        if len(done) == len(prompts) or position + 1 == room:
            return
        with evaluating(model):
            # Finished rows ride along until half of them are gone: dropping rows copies the cache.
            alive = [i for i, row in enumerate(rows) if row not in done]
            if len(alive) <= len(rows) // 2:
                keep = torch.tensor(alive, device=model.device)
                reader.select(keep)
                tokens, rows = tokens[keep], [rows[i] for i in alive]
            reader.step(tokens)


def generate(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int = 50,
    sampling: Sampling = GREEDY,
    stop: Collection[int] = (),
) -> list[Generated]:
    """Continue many prompts at once, each until it draws a token of `stop` or runs out of room.

    Raises ValueError if a prompt is empty or fills the model's context.
    """
    results = [Generated() for _ in prompts]
    for drawn in steps(model, prompts, max_new_tokens, sampling, stop):
        for row, (token, logprob) in drawn.items():
            results[row].logprobs.append(logprob)
            if token in stop:
                results[row].stop = token
            else:
                results[row].ids.append(token)
    return results


def stream(
    model: GPT,
    prompt: Sequence[int],
    max_new_tokens: int = 50,
    sampling: Sampling = GREEDY,
    stop: Collection[int] = (),
) -> Iterator[int]:
    """The tokens of `generate` for one prompt, each as soon as it is drawn."""
    for drawn in steps(model, [prompt], max_new_tokens, sampling, stop):
        for token, _ in drawn.values():
            if token in stop:
                return
            yield token
