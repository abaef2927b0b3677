"""Beam search: the likeliest text as a whole, where greedy decoding takes the likeliest token at each step."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from .gpt import GPT, evaluating
from .reader import Reader
from .sampling import NEVER, Sampling, adjust


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
