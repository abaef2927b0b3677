"""The reward model: the fine-tuned trunk with one number on top, read where the answer ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.examples import Turn
from ..data.preferences import EncodedAnswer, answer_batch, encode_answers, response_mask
from ..errors import UserError, nearest
from ..model.chat_model import ChatModel
from ..model.checkpoint import GATE, HEAD, read_card, read_model, save_model
from ..model.gpt import evaluating
from ..model.responses import Response

AT_ONCE = 64  # answers that one forward pass scores
MAX_GAP = 6.0  # nats: what surprises more is not more wrong
CARD_KEYS = ("gain", "bias", "reads_prompt", "likelihood_penalty", "labels")
#: What shipped and older models call some of them.
FORMER_KEYS = {"familiarity": "likelihood_penalty"}


class RewardModel(nn.Module):
    """`model` is the trunk, `head` turns its last hidden state into a score.

    Scores come as `gain * raw + bias`: after `normalise`, the answers of the model that PPO starts from score 0 on
    average, with standard deviation 1 (Ziegler et al. 2019, section 2.1), so that one KL coefficient suits every
    reward model. One that learned from labelled texts does not read the prompt (`reads_prompt`); `labels` are what it
    tells apart, the wanted one first.

    `likelihood_penalty` is for trunks too shallow to look a fact up, compare it with the answer and carry the verdict
    to the end. As a language model such a trunk still knows which words it would not have said itself, and a wrong fact
    is one: see `penalty`. 0 leaves the plain head.
    """

    def __init__(
        self,
        chat: ChatModel,
        gain: float = 1.0,
        bias: float = 0.0,
        reads_prompt: bool = True,
        likelihood_penalty: float = 0.0,
        labels: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.chat, self.tokenizer = chat, chat.tokenizer
        self.model = chat.gpt
        self.config = chat.gpt.config
        self.gain, self.bias, self.reads_prompt, self.likelihood_penalty = gain, bias, reads_prompt, likelihood_penalty
        self.labels = list(labels)
        self.head = nn.Linear(self.config.hidden_size, 1, bias=False)
        # Small enough for scores of about size one (Ziegler et al. 2019; their code, 1 / sqrt(size + 1)).
        nn.init.normal_(self.head.weight, std=1 / math.sqrt(self.config.hidden_size + 1))
        self.gate: nn.Linear | None = None
        if likelihood_penalty:
            self.gate = nn.Linear(self.config.hidden_size, 1)
            nn.init.zeros_(self.gate.weight)
            nn.init.constant_(self.gate.bias, -2.0)  # nearly shut: an eighth of the penalty for every token

    @property
    def device(self) -> torch.device:
        return self.model.device

    def at_end(self, ids: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
        """The raw score [B] of rows of which the first `lengths` [B] ids are real: read at the last of them."""
        hidden = self.model.hidden_states(ids)
        rows = torch.arange(len(ids), device=ids.device)
        scores = self.head(hidden[rows, lengths - 1]).squeeze(-1).float()
        if self.gate is not None:
            scores = scores - self.penalty(self.gate, hidden, ids, starts, lengths)
        return scores

    def penalty(self, gate: nn.Linear, hidden: Tensor, ids: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
        """What the trunk, as a language model, holds against each answer [B]: sum_t g_t (max_v z_tv - z_t), z_t being
        the logit of the answer's token t. The gate g_t, from 0 to `likelihood_penalty`, learns which tokens matter: a
        name does, a turn of phrase does not."""
        mask = response_mask(starts, lengths, ids.size(1))
        logits = self.model.logits(hidden[:, :-1][mask]).float()
        chosen = logits.gather(-1, ids[:, 1:][mask][:, None]).squeeze(-1)
        gaps = (logits.amax(-1) - chosen).clamp_max(MAX_GAP)
        weights = self.likelihood_penalty * gate(hidden[:, 1:][mask]).squeeze(-1).float().sigmoid()
        return torch.zeros(mask.shape, device=ids.device).masked_scatter(mask, weights * gaps).sum(1)

    def normalised(self, raw: Tensor) -> Tensor:
        return self.gain * raw + self.bias

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def score_ids(self, answers: Sequence[EncodedAnswer]) -> list[float]:
        """Normalised scores of encoded answers."""
        scores: list[float] = []
        with evaluating(self):
            for start in range(0, len(answers), AT_ONCE):
                some = answers[start : start + AT_ONCE]
                batch = answer_batch([[a] for a in some], [0.0] * len(some), self.tokenizer.pad).to(self.device)
                scores += self.normalised(self.at_end(*batch.flat())).tolist()
        return scores

    def encode(self, prompt: Sequence[Turn], answer: str) -> EncodedAnswer:
        """Raises ValueError if prompt and answer do not fit the context."""
        read = prompt if self.reads_prompt else ()
        encoded, _ = encode_answers(self.tokenizer, read, [answer], self.chat.context, self.chat.max_turns)
        if encoded is None:
            limit = self.chat.context
            raise ValueError(f"prompt and answer are longer than the {limit} tokens that the model can read")
        return encoded[0]

    def score_responses(self, responses: Sequence[Response]) -> list[float]:
        """The reward of what a policy wrote. Its ids are taken as they are: decoding and encoding them again could
        change them."""
        if self.reads_prompt:
            return self.score_ids([EncodedAnswer(response.ids, response.start) for response in responses])
        lead = [self.tokenizer.bos, self.tokenizer.roles["assistant"]]
        return self.score_ids([EncodedAnswer([*lead, *r.ids[r.start :]], len(lead)) for r in responses])

    def score(self, examples: Sequence[tuple[Sequence[Turn], str]]) -> list[float]:
        """The reward of each (prompt, answer). Raises ValueError for one that does not fit the context."""
        return self.score_ids([self.encode(prompt, answer) for prompt, answer in examples])

    def token_scores(self, prompt: Sequence[Turn], answer: str) -> list[float]:
        """What the answer would score if it ended after each of its tokens; the last one is its score."""
        ids, start = self.encode(prompt, answer)
        endings = [EncodedAnswer([*ids[:end], self.tokenizer.eos], start) for end in range(start + 1, len(ids))]
        return self.score_ids([*endings, EncodedAnswer(ids, start)])

    def log_odds(self, scores: Sequence[float]) -> list[float]:
        """Normalised scores as the log-odds of the wanted label, where this model learned from labels."""
        return [(score - self.bias) / self.gain for score in scores]

    def sign_of(self, want: str) -> float:
        """What a score is multiplied by to reward the label `want`: of two labels, the one's log-odds are the other's
        with the sign turned. Raises UserError for a label that this model's scores say nothing about."""
        if want and want not in self.labels:
            known = f"--want one of {', '.join(self.labels)}" if self.labels else "leave out --want"
            raise UserError(f"the reward model has learned no label {want!r}{nearest(want, self.labels)}; {known}.")
        if want in ("", *self.labels[:1]):
            return 1.0
        if len(self.labels) > 2:
            raise UserError(
                f"the reward model only tells {self.labels[0]} from {len(self.labels) - 1} other labels; train one for"
                f" {want} with run_reward.py --want {want}."
            )
        return -1.0

    def normalise(self, responses: Sequence[Response]) -> None:
        """Set gain and bias so that these responses score 0 on average, with standard deviation 1."""
        self.gain, self.bias = 1.0, 0.0
        scores = torch.tensor(self.score_responses(responses), dtype=torch.double)
        deviation = float(scores.std(correction=0))
        if not deviation > 1e-6:
            raise UserError("the reward model gives every answer the same score; it has learned nothing.")
        self.gain = 1 / deviation
        self.bias = -self.gain * float(scores.mean())


def save_reward_model(folder: Path, model: RewardModel, card: dict[str, Any]) -> None:
    """A model folder whose card holds gain and bias; `AutoModelForSequenceClassification` gives the head's scores."""
    card = card | {name: getattr(model, name) for name in CARD_KEYS}
    heads = {HEAD: model.head.weight}
    if model.gate is not None:
        heads |= {f"{GATE}{name}": value for name, value in model.gate.named_parameters()}
    save_model(folder, model.chat, card, heads=heads)


def load_reward_model(folder: str | Path, device: torch.device | str = "cpu") -> RewardModel:
    """Read a reward model. Raises UserError for a folder that holds another kind of model."""
    folder = Path(folder)
    trunk, heads = read_model(folder)
    if HEAD not in heads:
        raise UserError(f"{folder} is not a reward model; run_reward.py trains one.")
    card = {FORMER_KEYS.get(name, name): value for name, value in read_card(folder).items()}
    model = RewardModel(trunk, **{name: card[name] for name in CARD_KEYS if name in card})
    model.head.load_state_dict({"weight": heads[HEAD]})
    if model.gate is not None:
        gate = {name.removeprefix(GATE): value for name, value in heads.items() if name.startswith(GATE)}
        if not gate:
            raise UserError(f"{folder} was written by an earlier version of minigpt; run run_reward.py again.")
        model.gate.load_state_dict(gate)
    return model.to(device).eval()
