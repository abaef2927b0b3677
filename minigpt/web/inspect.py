"""Looking inside: what a model reads, what it thought of at each token, where its heads look, how its beam grew.

Pure functions of a model and token ids; all return what JSON can hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..data.tokenizer import Tokenizer
from ..model.beam import Hypothesis, beam_search
from ..model.chat_model import ChatModel
from ..model.gpt import GPT, evaluating

LONGEST_CHARACTER = 4  # bytes, in UTF-8


def show_tokens(tokenizer: Tokenizer, ids: Sequence[int]) -> list[dict[str, Any]]:
    """For each id: the text that it adds, its piece in the vocabulary, and what kind of token it is."""
    shown: list[dict[str, Any]] = []
    held: list[int] = []  # bytes of a character that is not complete yet
    for token in ids:
        held.append(token)
        text = tokenizer.decode(held)
        if text.endswith("\ufffd") and len(held) < LONGEST_CHARACTER:
            text = ""
        else:
            held = []
        shown.append({"id": token, "text": text, "piece": tokenizer.piece(token), "kind": _kind(tokenizer, token)})
    if held:
        shown[-1]["text"] = tokenizer.decode(held)
    return shown


def show_token(tokenizer: Tokenizer, token: int) -> dict[str, Any]:
    """The same for one token by itself."""
    return show_tokens(tokenizer, [token])[0]


def _kind(tokenizer: Tokenizer, token: int) -> str:
    if token == tokenizer.bos:
        return "document"
    if token in tokenizer.roles.values():
        return "role"
    if token == tokenizer.eos:
        return "end"
    return "other" if tokenizer.is_control(token) else "text"


def answer_logprobs(model: GPT, prompt: Sequence[int], answer: Sequence[int]) -> Tensor:
    """Log-probabilities [A + 1, V] of every token, at each place of an answer [A] and after it."""
    with evaluating(model):
        ids = torch.tensor([[*prompt, *answer]], device=model.device)
        hidden = model.hidden_states(ids)[0, len(prompt) - 1 :]
        return model.logits(hidden).float().log_softmax(-1).cpu()


def show_choices(tokenizer: Tokenizer, logprobs: Tensor, tokens: Sequence[int], top: int) -> list[dict[str, Any]]:
    """For each token of an answer: its probability, its rank (1 is the first choice) and the `top` likeliest ones.

    `logprobs` [A, V] are those of the places where the tokens [A] stand.
    """
    rows = []
    for shown, scores, token in zip(show_tokens(tokenizer, tokens), logprobs, tokens, strict=True):
        best = scores.topk(min(top, scores.numel()))
        alternatives = [
            {**show_token(tokenizer, other), "logprob": logprob, "probability": _probability(logprob)}
            for other, logprob in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
        own = float(scores[token])
        rank = 1 + int((scores > own).sum())
        rows.append(
            {**shown, "logprob": own, "probability": _probability(own), "rank": rank, "alternatives": alternatives}
        )
    return rows


def _probability(logprob: float) -> float:
    return float(torch.tensor(logprob, dtype=torch.double).exp())


@dataclass(frozen=True)
class Distance:
    """How far an answer's model has moved from a reference: `kl` = KL(model || reference) in nats, exact at each of
    the answer's `tokens` and summed; `agreement` is the share of them that the reference would have chosen first."""

    kl: float
    agreement: float
    tokens: int


def distance(
    model: GPT, reference: GPT, prompt: Sequence[int], answer: Sequence[int], end: int | None = None
) -> Distance | None:
    """The distance between two models on one answer, and on its `end` token if there is one. None if it is empty."""
    tokens = [*answer, end] if end is not None else [*answer]
    if not tokens:
        return None
    ours = answer_logprobs(model, prompt, answer)[: len(tokens)].double()
    theirs = answer_logprobs(reference, prompt, answer)[: len(tokens)].double()
    kl = (ours.exp() * (ours - theirs)).sum(-1)
    same = theirs.argmax(-1) == torch.tensor(tokens)
    return Distance(max(0.0, float(kl.sum())), float(same.double().mean()), len(tokens))


def show_attention(chat: ChatModel, ids: Sequence[int], layer: int, head: int, last: int = 0) -> dict[str, Any]:
    """Where one head looks, row by row. `last` shows only so many tokens at the end (0: all); what the rows look at
    before those is summed up in `left_out`."""
    model, tokenizer = chat.gpt, chat.tokenizer
    attentions: list[Tensor] = []
    with evaluating(model):
        model.hidden_states(torch.tensor([ids], device=model.device), attentions=attentions)
    weights = attentions[layer][0, head].float().cpu()  # [T, T]
    offset = max(0, len(ids) - last) if last else 0
    tokens = show_tokens(tokenizer, ids)[offset:]
    square = weights[offset:, offset:]
    strongest = [_strongest(row, i, tokens) for i, row in enumerate(square)]
    return {
        "layer": layer,
        "head": head,
        "layers": model.config.num_hidden_layers,
        "heads": model.config.num_attention_heads,
        "offset": offset,
        "tokens": tokens,
        "weights": [[round(w, 4) for w in row[: i + 1].tolist()] for i, row in enumerate(square)],
        "left_out": [round(w, 4) for w in weights[offset:, :offset].sum(-1).tolist()],
        "strongest": strongest,
        "sentence": _sentence(strongest, tokens),
    }


def _strongest(row: Tensor, i: int, tokens: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The earlier word that token `i` looks at most. Marks are left out: heads with nothing to do look there."""
    others = [j for j in range(i) if tokens[j]["kind"] == "text"]
    if not others:
        return None
    to = max(others, key=lambda j: float(row[j]))
    return {"to": to, "weight": round(float(row[to]), 4)}


def _sentence(strongest: Sequence[dict[str, Any] | None], tokens: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The clearest look from one word to another."""
    words = [i for i, token in enumerate(tokens) if token["kind"] == "text"]
    looks = [(look["weight"], i, look["to"]) for i in words if (look := strongest[i]) is not None]
    if not looks:
        return None
    weight, i, to = max(looks)
    texts = {"from_text": tokens[i]["text"].strip(), "to_text": tokens[to]["text"].strip()}
    return {"from": i, "to": to, "weight": weight, **texts}


def grow_beam(chat: ChatModel, prompt: Sequence[int], max_tokens: int, **options: Any) -> dict[str, Any]:
    """A beam search as a tree. `options` as in `minigpt.model.beam.beam_search`; node 0 is the end of the prompt.

    A node is "best" on the way to the best answer, "ended" where another answer ends, "kept" on the way to another
    one, and "dropped" where nothing that followed stayed in the beam.
    """
    tokenizer = chat.tokenizer
    trace: list[list[Hypothesis]] = []
    found = beam_search(chat.gpt, prompt, max_tokens, stop=chat.stop, trace=trace, **options)
    root: dict[str, Any] = {
        "id": 0,
        "parent": None,
        "depth": 0,
        "token": None,
        "logprob": 0.0,
        "total": 0.0,
        "state": "dropped",
    }
    nodes = [root]
    places: dict[tuple[int, ...], int] = {(): 0}
    for candidate in (h for step in trace for h in step):
        path = _path(candidate, tokenizer.eos)
        if path in places:
            continue
        parent = places[path[:-1]]
        places[path] = len(nodes)
        before = nodes[parent]["total"]
        nodes.append(
            {
                "id": len(nodes),
                "parent": parent,
                "depth": len(path),
                "token": show_token(tokenizer, path[-1]),
                "logprob": candidate.logprob - before,
                "total": candidate.logprob,
                "state": "dropped",
            }
        )
    for i, hypothesis in reversed(list(enumerate(found))):  # the best one last: its mark stays
        path = _path(hypothesis, tokenizer.eos)
        for length in range(len(path) + 1):
            nodes[places[path[:length]]]["state"] = "kept" if i else "best"
        if i and hypothesis.finished:
            nodes[places[path]]["state"] = "ended"
    leaves = [
        {
            "node": places[_path(h, tokenizer.eos)],
            "text": tokenizer.decode(h.ids).strip(),
            "ids": h.ids,
            "logprob": h.logprob,
            "score": h.score,
            "finished": h.finished,
        }
        for h in found
    ]
    return {"text": leaves[0]["text"], "ids": leaves[0]["ids"], "nodes": nodes, "leaves": leaves}


def _path(hypothesis: Hypothesis, eos: int) -> tuple[int, ...]:
    return (*hypothesis.ids, eos) if hypothesis.finished else tuple(hypothesis.ids)
