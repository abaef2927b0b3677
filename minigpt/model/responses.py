"""What a model answers to many prompts, and the log-probabilities of given answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..data.examples import Prompt, Turn
from ..data.packing import TensorRows
from ..data.preferences import response_mask
from .chat_model import ChatModel
from .generate import generate
from .gpt import GPT
from .sampling import Sampling


@dataclass(frozen=True)
class Response:
    """A prompt and what a model wrote after it. `ids` holds both; the answer begins at `start`, and the token that
    stopped it, if one did, is its last. `finished` says whether the model ended its turn: running out of room, or
    beginning another document, is no end. `logprobs` are those of the answer's tokens in the distribution that they
    were drawn from."""

    turns: tuple[Turn, ...]
    ids: list[int]
    start: int
    finished: bool
    text: str
    logprobs: list[float]


def respond(
    chat: ChatModel,
    prompts: Sequence[Prompt],
    max_new_tokens: int,
    sampling: Sampling,
    *,
    stop: Collection[int] = (),
    batch_size: int = 128,
) -> list[Response]:
    """One response to each prompt, or to as much of it as fits. Response i is drawn with seed `sampling.seed + i`.

    `stop` holds tokens that end an answer beside the chat model's own. Nothing outside `model/` and the page's engine
    calls `generate` in any other way. Raises ValueError for a prompt that leaves no room for `max_new_tokens`.
    """
    stops = {*chat.stop, *stop}
    asked = [chat.need_fit(prompt.turns, max_new_tokens).ids for prompt in prompts]
    responses: list[Response] = []
    for first in range(0, len(asked), batch_size):
        batch = asked[first : first + batch_size]
        drawn = generate(chat.gpt, batch, max_new_tokens, replace(sampling, seed=sampling.seed + first), stops)
        for prompt, ids, answer in zip(prompts[first:], batch, drawn, strict=False):
            written = [*ids, *answer.ids, *([] if answer.stop is None else [answer.stop])]
            finished = answer.stop is not None and (answer.stop == chat.tokenizer.eos or not chat.is_chat)
            text = chat.tokenizer.decode(answer.ids).strip()
            responses.append(Response(prompt.turns, written, len(ids), finished, text, answer.logprobs))
    return responses


def fit_prompts(chat: ChatModel, prompts: Sequence[Prompt], reserve: int) -> tuple[list[Prompt], Counter[str]]:
    """The prompts that leave `reserve` tokens for an answer, with the last question shortened where that is needed.
    Shortened prompts, and those that are too long even so, are counted."""
    fitting: list[Prompt] = []
    lost: Counter[str] = Counter()
    for prompt in prompts:
        fitted = chat.fit(prompt.turns, reserve)
        if fitted is None:
            lost["prompts too long for the context"] += 1
            continue
        if fitted.shortened:
            lost[str(fitted.cut)] += 1
            prompt = replace(prompt, turns=fitted.turns)
        fitting.append(prompt)
    return fitting, lost


@dataclass(frozen=True)
class ResponseBatch(TensorRows):
    """Responses as tensors: `ids` [B, T] padded on the right, and `mask` [B, T - 1], True where the token to be
    predicted (`ids[:, 1:]`) is the model's."""

    ids: Tensor
    mask: Tensor


def response_batch(responses: Sequence[Response], pad: int) -> ResponseBatch:
    ids = pad_sequence([torch.tensor(r.ids) for r in responses], batch_first=True, padding_value=pad)
    starts, ends = torch.tensor([[r.start, len(r.ids)] for r in responses]).t()
    return ResponseBatch(ids, response_mask(starts, ends, ids.size(1)))


def token_logprobs(gpt: GPT, batch: ResponseBatch, temperature: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """For the N tokens under the mask: their log-probabilities [N], the logits [N, V] they were drawn from (both at
    this temperature), and the hidden states [N, C] before them."""
    hidden = gpt.hidden_states(batch.ids[:, :-1])[batch.mask]
    logits = gpt.logits(hidden).float() / temperature
    targets = batch.ids[:, 1:][batch.mask]
    return logits.log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1), logits, hidden
