"""Decoding: one step function, and greedy, sampling, batched, streamed and beam search as loops around it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from .gpt import GPT, evaluating, padded_mask
from .sampling import GREEDY, NEVER, Sampling, adjust, draw


class Reader:
    """Rows of text that a model is reading: `logits` [B, V] says what may come next in each of them.

    Prompts of unequal length are padded on the left, so that all rows end together; padding is masked out
    and positions are counted without it, so a row's scores do not depend on its neighbours.
    """

    def __init__(self, model: GPT, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
        context = model.config.max_position_embeddings
        longest = max(len(prompt) for prompt in prompts)
        if min(len(prompt) for prompt in prompts) == 0:
            raise ValueError("a prompt is empty; give at least one token")
        if longest >= context:
            raise ValueError(f"a prompt of {longest} tokens leaves no room in a context of {context}")
        self.model = model
        rows = [torch.tensor(prompt, dtype=torch.long) for prompt in prompts]
        ids = pad_sequence(rows, batch_first=True, padding_side="left").to(model.device)
        real = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True, padding_side="left").bool()
        self.real = real.to(model.device)
        self.cache = model.new_cache(len(prompts), longest + min(max_new_tokens, context - longest))
        self.logits = self._read(ids)

    @property
    def room(self) -> int:
        """How many more tokens the cache holds."""
        return self.cache.capacity - self.cache.length

    def step(self, tokens: Tensor) -> Tensor:
        """Read one more token per row [B]; returns the scores [B, V] of what may follow."""
        if self.room == 0:
            self._end_at(self._longest(), self.cache.capacity)
        self.real = torch.cat([self.real, torch.ones_like(self.real[:, :1])], dim=1)
        self.logits = self._read(tokens[:, None])
        return self.logits

    def select(self, rows: Tensor) -> None:
        """Go on with these rows only, in this order; a row may be taken more than once."""
        self.real, self.logits = self.real[rows], self.logits[rows]
        self.cache.select(rows)

    def join(self, other: Reader) -> None:
        """Take over the rows of another reader of the same model: they go on below these, in step with them."""
        length = max(self._longest(), other._longest())
        capacity = min(self.model.config.max_position_embeddings, length + max(self.room, other.room))
        for reader in (self, other):
            reader._end_at(length, capacity)
        self.real, self.logits = torch.cat([self.real, other.real]), torch.cat([self.logits, other.logits])
        self.cache.keys = torch.cat([self.cache.keys, other.cache.keys], dim=1)
        self.cache.values = torch.cat([self.cache.values, other.cache.values], dim=1)

    def _longest(self) -> int:
        return int(self.real.sum(1).max())

    def _end_at(self, length: int, capacity: int) -> None:
        """Let all rows end at column `length`: what is padding in every row goes, or padding is added in front."""
        old, kept = self.cache, min(length, self.cache.length)
        self.cache = self.model.new_cache(self.real.size(0), capacity)
        self.cache.keys[..., length - kept : length, :] = old.keys[..., old.length - kept : old.length, :]
        self.cache.values[..., length - kept : length, :] = old.values[..., old.length - kept : old.length, :]
        self.cache.length = length
        self.real = F.pad(self.real[:, -kept:], (length - kept, 0))

    def _read(self, ids: Tensor) -> Tensor:
        positions = (self.real.long().cumsum(1) - 1).clamp_min(0)[:, -ids.size(1) :]
        mask = None if self.real.all() else padded_mask(self.real, ids.size(1))
        hidden = self.model.hidden_states(ids, positions=positions, mask=mask, cache=self.cache)
        return self.model.logits(hidden[:, -1]).float()


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


@dataclass(frozen=True)
class Hypothesis:
    """One candidate of a beam search. `logprob` sums the log-probabilities of `ids` (and of the stop token, if
    `finished`); `score` is what candidates are ranked by, logprob / tokens ** length_penalty."""

    ids: list[int]
    logprob: float
    score: float
    finished: bool


def beam_search(
    model: GPT,
    prompt: Sequence[int],
    max_new_tokens: int = 50,
    beam_width: int = 5,
    length_penalty: float = 1.0,
    repetition_penalty: float = 1.0,
    no_repeat_ngram: int = 0,
    stop: Collection[int] = (),
    trace: list[list[Hypothesis]] | None = None,
) -> list[Hypothesis]:
    """The likeliest continuations, best first, keeping `beam_width` candidates at each step.

    A candidate that ends, or that `no_repeat_ngram` leaves no token to go on with, leaves the beam and keeps its place
    in the result, so the beam narrows until all have ended or the room is used up; width 1 is therefore greedy
    decoding. Longer texts have smaller probabilities: dividing by length ** `length_penalty` makes them comparable
    (Wu et al. 2016, section 7; 0 turns it off).
    Given a list `trace`, every step adds the candidates that it kept, ended ones included, for drawing the tree.
    """
    if beam_width < 1:
        raise ValueError(f"beam_width is {beam_width}; it must be at least 1")
    penalties = Sampling(repetition_penalty=repetition_penalty, no_repeat_ngram=no_repeat_ngram)

    def hypothesis(ids: list[int], logprob: float, finished: bool) -> Hypothesis:
        return Hypothesis(ids, logprob, logprob / max(1, len(ids) + finished) ** length_penalty, finished)

    with evaluating(model):
        reader = Reader(model, [prompt], max_new_tokens)
        room = reader.room
        live: list[tuple[list[int], float]] = [([], 0.0)]
        ended: list[Hypothesis] = []
        for position in range(room):
            scores = adjust(reader.logits, [[*prompt, *ids] for ids, _ in live], penalties)
            banned = (scores.amax(-1) == NEVER).tolist()  # candidates that no token may follow
            scores = scores.log_softmax(-1).cpu().double()  # sums of many small numbers; Apple GPUs have no float64
            totals = scores + torch.tensor([[logprob] for _, logprob in live], dtype=torch.double)
            totals[torch.tensor(banned)] = NEVER
            already = len(ended)
            ended += [hypothesis(*one, finished=False) for one, stuck in zip(live, banned, strict=True) if stuck]
            best = totals.flatten().topk(min(beam_width - len(ended), totals.numel()))
            parents, tokens, survivors = [], [], []
            for logprob, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                parent, token = divmod(index, totals.size(-1))
                if logprob == NEVER:
                    continue
                if token in stop:
                    ended.append(hypothesis(live[parent][0], logprob, finished=True))
                else:
                    survivors.append(([*live[parent][0], token], logprob))
                    parents.append(parent)
                    tokens.append(token)
            live = survivors
            if trace is not None:
                trace.append(ended[already:] + [hypothesis(ids, logprob, finished=False) for ids, logprob in live])
            if not live or position + 1 == room:
                break
            reader.select(torch.tensor(parents, device=model.device))
            reader.step(torch.tensor(tokens, device=model.device))
    ended += [hypothesis(ids, logprob, finished=False) for ids, logprob in live]
    return sorted(ended, key=lambda h: h.score, reverse=True)
