"""The reward model: the fine-tuned trunk with one number on top, read where the answer ends.

People's judgements teach it in one of three ways, and the kind of example decides which:

    Comparison     of two answers this one is better: Bradley-Terry ranking (Stiennon et al. 2020, section 3.4)
    RatedAnswer    a score, such as 1 to 5: regression
    LabelledText   a label, such as "positive": its log-odds
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.examples import Comparison, LabelledText, RatedAnswer, Turn, latest
from ..data.preferences import (
    AnswerBatch,
    AnswerRows,
    EncodedAnswer,
    answer_batch,
    answer_mask,
    encode_answer,
    encode_answers,
)
from ..data.tokenizer import Tokenizer
from ..errors import UserError, nearest
from ..model.checkpoint import GATE, HEAD, need_tokenizer, read_card, read_model, save_model
from ..model.gpt import GPT, evaluating
from ..training.device import Runtime
from .formulas import Episode
from .reward_metrics import JudgementScores, judge_comparisons, judge_labels, judge_ratings

AT_ONCE = 64  # answers that one forward pass scores
MOST_REGRET = 6.0  # what surprises more is not more wrong
CARD_KEYS = ("gain", "bias", "reads_prompt", "familiarity", "labels")


class RewardModel(nn.Module):
    """`model` is the trunk, `head` turns its last hidden state into a score.

    Scores come as `gain * raw + bias`: after `normalise`, the answers of the model that PPO starts from score 0 on
    average, with standard deviation 1 (Ziegler et al. 2019, section 2.1), so that one KL coefficient suits every
    reward model. One that learned from labelled texts does not read the prompt (`reads_prompt`); `labels` are what it
    tells apart, the wanted one first.

    A shallow trunk cannot look a fact up, compare it with the answer and carry the verdict to the end in few layers.
    But as a language model it knows which words it would not have said itself, and a wrong fact is one. With
    `familiarity`, each token of the answer costs its regret, by how many nats it is less likely than the likeliest one,
    times a weight from 0 to `familiarity` that a `gate` gives it: a name counts, a turn of phrase does not. 0 leaves
    the plain head.
    """

    def __init__(
        self,
        model: GPT,
        gain: float = 1.0,
        bias: float = 0.0,
        reads_prompt: bool = True,
        familiarity: float = 0.0,
        labels: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self.gain, self.bias, self.reads_prompt, self.familiarity = gain, bias, reads_prompt, familiarity
        self.labels = list(labels)
        self.head = nn.Linear(model.config.hidden_size, 1, bias=False)
        # Small enough for scores of about size one (Ziegler et al. 2019; their code, 1 / sqrt(size + 1)).
        nn.init.normal_(self.head.weight, std=1 / math.sqrt(model.config.hidden_size + 1))
        self.gate: nn.Linear | None = None
        if familiarity:
            self.gate = nn.Linear(model.config.hidden_size, 1)
            nn.init.zeros_(self.gate.weight)
            nn.init.constant_(self.gate.bias, -2.0)  # nearly shut: an eighth of `familiarity` for every token

    @property
    def tokenizer(self) -> Tokenizer:
        assert self.model.tokenizer is not None
        return self.model.tokenizer

    @property
    def device(self) -> torch.device:
        return self.model.device

    def at_end(self, ids: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
        """The raw score [B] of rows of which the first `lengths` [B] ids are real: read at the last of them."""
        hidden = self.model.hidden_states(ids)
        rows = torch.arange(len(ids), device=ids.device)
        scores = self.head(hidden[rows, lengths - 1]).squeeze(-1).float()
        if self.gate is not None:
            scores = scores - self.regret(self.gate, hidden, ids, starts, lengths)
        return scores

    def regret(self, gate: nn.Linear, hidden: Tensor, ids: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
        """How far each answer [B] is from what the trunk, as a language model, would have said: gated, summed."""
        mask = answer_mask(starts, lengths, ids.size(1))
        logits = self.model.logits(hidden[:, :-1][mask]).float()
        chosen = logits.gather(-1, ids[:, 1:][mask][:, None]).squeeze(-1)
        regrets = (logits.amax(-1) - chosen).clamp_max(MOST_REGRET)
        weights = self.familiarity * gate(hidden[:, 1:][mask]).squeeze(-1).float().sigmoid()
        return torch.zeros(mask.shape, device=ids.device).masked_scatter(mask, weights * regrets).sum(1)

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
        context = self.config.max_position_embeddings
        read = latest(prompt, self.model.memory) if self.reads_prompt else ()
        encoded = encode_answer(self.tokenizer, read, answer, context)
        if encoded is None:
            raise ValueError(f"prompt and answer are longer than the {context} tokens that the model can read")
        return encoded

    def reading(self, ids: Sequence[int], start: int) -> EncodedAnswer:
        """What this model reads of the ids that a policy wrote: decoding and encoding them again could change them."""
        if self.reads_prompt:
            return EncodedAnswer(list(ids), start)
        lead = [self.tokenizer.bos, self.tokenizer.roles["assistant"]]
        return EncodedAnswer([*lead, *ids[start:]], len(lead))

    def readings(self, episodes: Sequence[Episode]) -> list[EncodedAnswer]:
        """`reading` of each episode."""
        return [self.reading(episode.ids, episode.start) for episode in episodes]

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

    def normalise(self, answers: Sequence[EncodedAnswer]) -> None:
        """Set gain and bias so that these answers score 0 on average, with standard deviation 1."""
        self.gain, self.bias = 1.0, 0.0
        scores = torch.tensor(self.score_ids(answers), dtype=torch.double)
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
    save_model(folder, model.model, model.tokenizer, card, heads=heads)


def load_reward_model(folder: str | Path, device: torch.device | str = "cpu") -> RewardModel:
    """Read a reward model. Raises UserError for a folder that holds another kind of model."""
    folder = Path(folder)
    trunk, heads = read_model(folder)
    if HEAD not in heads:
        raise UserError(f"{folder} is not a reward model; run_reward.py trains one.")
    need_tokenizer(trunk, folder)
    card = read_card(folder)
    model = RewardModel(trunk, **{name: card[name] for name in CARD_KEYS if name in card})
    model.head.load_state_dict({"weight": heads[HEAD]})
    if model.gate is not None:
        gate = {name.removeprefix(GATE): value for name, value in heads.items() if name.startswith(GATE)}
        if not gate:
            raise UserError(f"{folder} was written by an earlier version of minigpt; run run_reward.py again.")
        model.gate.load_state_dict(gate)
    return model.to(device).eval()


# What people's judgements ask of raw scores [B, N]. Each loss is summed over the batch.


def ranking_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """-log sigmoid(better - worse): the first of the two answers [B, 2] is the better one."""
    return -F.logsigmoid(scores[:, 0] - scores[:, 1]).sum()


def regression_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Half the squared distance of the score [B, 1] from the rating [B]."""
    return 0.5 * (scores[:, 0] - targets).square().sum()


def label_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the score [B, 1], taken as the log-odds of the wanted label, with targets 1 or 0 [B]."""
    return F.binary_cross_entropy_with_logits(scores[:, 0], targets, reduction="sum")


LOSSES = {Comparison: ranking_loss, RatedAnswer: regression_loss, LabelledText: label_loss}


def judged_rows(
    examples: Sequence[Any],
    tokenizer: Tokenizer,
    context: int,
    want: str = "",
    scale: tuple[float, float] = (0.0, 1.0),
    memory: int | None = None,
) -> AnswerRows:
    """Rows for the reward model. `want` is the label that is rewarded; ratings are shifted and divided by `scale`; of a
    prompt the last `memory` turns are read."""
    groups: list[list[EncodedAnswer | None]] = []
    targets: list[float] = []
    shortened = 0
    for example in examples:
        texts: tuple[str, ...]
        if isinstance(example, Comparison):
            texts, target = (example.chosen, example.rejected), 0.0
        elif isinstance(example, RatedAnswer):
            texts, target = (example.answer,), (example.rating - scale[0]) / scale[1]
        else:
            texts, target = (example.text,), float(example.label == want)
        answers, was_cut = encode_answers(tokenizer, latest(getattr(example, "prompt", ()), memory), texts, context)
        groups.append(answers)
        targets.append(target)
        shortened += was_cut
    rows = AnswerRows(groups, targets, tokenizer, shortened)
    if examples and not rows.groups:
        raise UserError(f"no answer fits a context of {context} tokens together with its prompt.")
    return rows


class Judgement:
    """The Trainer's objective for a reward model, on a corpus of comparisons, ratings or labelled texts.

    `extra` comparisons are learned from too, but never measured on.
    """

    def __init__(
        self, model: RewardModel, corpus: Any, runtime: Runtime, want: str = "", extra: Sequence[Comparison] = ()
    ) -> None:
        self.model, self.runtime = model, runtime
        kind = type(corpus.train[0])
        if kind not in LOSSES:
            raise UserError(f"a reward model learns from comparisons, ratings or labels, not from {kind.__name__}s.")
        self.kind, self.judge = kind, LOSSES[kind]
        model.reads_prompt = kind is not LabelledText
        if kind is LabelledText:
            labels = sorted({example.label for example in corpus.train})
            if want not in labels:
                raise UserError(
                    f"no text has the label {want!r}{nearest(want, labels)}; --want one of {', '.join(labels)}."
                )
            model.labels = sorted(labels, key=lambda label: label != want)
        scale = (0.0, 1.0)
        if kind is RatedAnswer:
            ratings = torch.tensor([example.rating for example in corpus.train])
            scale = (float(ratings.mean()), float(ratings.std(correction=0)) or 1.0)
        context = model.config.max_position_embeddings
        memory = model.model.memory
        self.rows = judged_rows([*corpus.train, *extra], model.tokenizer, context, want, scale, memory)
        self.valid_rows = judged_rows(corpus.valid, model.tokenizer, context, want, scale, memory)

    def scores(self, batch: AnswerBatch) -> Tensor:
        """Raw scores [B, N]."""
        return self.model.at_end(*batch.flat()).view(len(batch.inputs), -1)

    def loss(self, batch: AnswerBatch) -> Tensor:
        return self.judge(self.scores(batch), batch.targets)

    def evaluate(self, limit: int | None, at_once: int, final: bool) -> JudgementScores | None:
        """See `JudgementScores`; every process measures all of it, for there are few judgements."""
        table = self.valid_rows.in_order()
        count = min(limit or len(table), len(table))
        if not count:
            return None
        scores, targets, lengths, loss = [], [], [], 0.0
        with evaluating(self.model):
            for start in range(0, count, at_once):
                batch = table.batch(start, min(start + at_once, count)).to(self.runtime.device)
                with self.runtime.autocast():
                    raw = self.scores(batch)
                loss += float(self.judge(raw, batch.targets))
                scores.append(raw.cpu())
                targets.append(batch.targets.cpu())
                lengths.append((batch.lengths - batch.starts).cpu())
        all_scores, all_targets, all_lengths = torch.cat(scores), torch.cat(targets), torch.cat(lengths)
        if self.kind is Comparison:
            return judge_comparisons(all_scores, all_lengths, loss / count)
        judge = judge_ratings if self.kind is RatedAnswer else judge_labels
        return judge(all_scores[:, 0], all_targets, all_lengths[:, 0], loss / count)
