"""The policy that PPO trains: a language model that writes, and a value head that foresees the reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ..data.examples import Prompt
from ..data.preferences import TensorRows, answer_mask
from ..data.truncation import fit_turns
from ..errors import UserError
from ..files import write_atomically
from ..model.generate import generate
from ..model.gpt import GPT
from ..model.sampling import Sampling
from .formulas import Episode

VALUE_HEAD = "value_head.safetensors"


class Policy(nn.Module):
    """`model` writes; `value_head` reads the same hidden states. It starts at zero: nothing is foreseen yet."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.model = model
        self.value_head = nn.Linear(model.config.hidden_size, 1)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)

    def values(self, ids: Tensor) -> Tensor:
        """What the policy expects to earn from each position on: [B, T] for ids [B, T]."""
        return self.value_head(self.model.hidden_states(ids)).squeeze(-1).float()


@dataclass(frozen=True)
class Writings(TensorRows):
    """Episodes as tensors: `ids` [B, T] padded on the right, and `mask` [B, T - 1], True where the token to be
    predicted (`ids[:, 1:]`) is the policy's."""

    ids: Tensor
    mask: Tensor


def writings(episodes: Sequence[Episode], pad: int) -> Writings:
    ids = pad_sequence([torch.tensor(e.ids) for e in episodes], batch_first=True, padding_value=pad)
    starts, ends = torch.tensor([[e.start, len(e.ids)] for e in episodes]).t()
    return Writings(ids, answer_mask(starts, ends, ids.size(1)))


def read_answers(model: GPT, written: Writings, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """For the N tokens under the mask: their log-probabilities [N], the logits [N, V] they were drawn from (both at
    this temperature), and the hidden states [N, C] before them."""
    hidden = model.hidden_states(written.ids[:, :-1])[written.mask]
    logits = model.logits(hidden).float() / temperature
    targets = written.ids[:, 1:][written.mask]
    return logits.log_softmax(-1).gather(-1, targets[:, None]).squeeze(-1), logits, hidden


def draw_answers(
    model: GPT, prompts: Sequence[Prompt], max_new_tokens: int, sampling: Sampling, at_once: int = 128
) -> tuple[list[Episode], list[list[float]]]:
    """One episode to each prompt, or to as many of its last turns as fit, and the log-probabilities of its tokens in
    the distribution that they were drawn from. Episode i draws with seed `sampling.seed + i`."""
    tokenizer = model.tokenizer
    assert tokenizer is not None
    asked = [fit_turns(model, prompt.turns, max_new_tokens).ids for prompt in prompts]
    episodes: list[Episode] = []
    logprobs: list[list[float]] = []
    for start in range(0, len(asked), at_once):
        some = asked[start : start + at_once]
        drawn = generate(model, some, max_new_tokens, replace(sampling, seed=sampling.seed + start), {tokenizer.eos})
        for prompt, ids, answer in zip(prompts[start:], some, drawn, strict=False):
            ending = [tokenizer.eos] if answer.finished else []
            text = tokenizer.decode(answer.ids).strip()
            episodes.append(Episode(prompt.turns, [*ids, *answer.ids, *ending], len(ids), answer.finished, text))
            logprobs.append(answer.logprobs)
    return episodes, logprobs


def write_answers(
    model: GPT, prompts: Sequence[Prompt], max_new_tokens: int, sampling: Sampling
) -> tuple[list[Episode], list[list[float]]]:
    """`draw_answers` from the whole distribution of the policy.

    Raises ValueError where a filter or penalty is on: log-probabilities of a distribution that was not sampled from
    would make every ratio of PPO wrong.
    """
    plain = Sampling(temperature=sampling.temperature, seed=sampling.seed)
    if sampling != plain or sampling.temperature == 0:
        raise ValueError("PPO samples from the policy's whole distribution: no top_k, top_p, min_p or penalties")
    return draw_answers(model, prompts, max_new_tokens, sampling)


def save_value_head(folder: Path, policy: Policy) -> None:
    """Beside the model, for those who want to look inside: the model folder is whole without it."""
    write_atomically(
        folder / VALUE_HEAD, save({k: v.detach().cpu() for k, v in policy.value_head.state_dict().items()})
    )


def load_value_head(folder: Path, model: GPT) -> Policy:
    """The policy of a folder that PPO wrote, with its `model` already loaded."""
    if not (folder / VALUE_HEAD).is_file():
        raise UserError(f"{folder} has no value head; only run_ppo.py writes one.")
    policy = Policy(model)
    policy.value_head.load_state_dict(load_file(folder / VALUE_HEAD))
    return policy.to(model.device)
