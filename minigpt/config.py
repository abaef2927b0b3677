"""The settings: a model's shape and a training run's numbers, as dataclasses that flags and recipes fill in.

`--depth` is the one dial: width, heads, learning rate and batch follow from it, and each can be set by hand.
A help text stands beside each field; `flags.py` turns both into `--help`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .alignment.negatives import parse_kinds
from .errors import UserError

ARCHITECTURES = ("qwen3", "gpt2")


def setting(default: Any, text: str, **extra: Any) -> Any:
    """A dataclass field with the sentence that `--help` shows for it."""
    return field(default=default, metadata={"help": text, **extra})


def refuse_nan(settings: Any) -> None:
    """Raises UserError for a number that is none: it would pass every check that asks whether it is too small."""
    for one in fields(settings):
        value = getattr(settings, one.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{one.name} is {value}; it must be a number.")


@dataclass(frozen=True)
class ModelConfig:
    """A model's shape, with Hugging Face's names. `from_depth` derives it from one number."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    max_position_embeddings: int
    architecture: str = "qwen3"
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise UserError(f"architecture {self.architecture!r} is unknown; choose one of {', '.join(ARCHITECTURES)}.")
        for f in fields(self):
            value = getattr(self, f.name)
            if f.type == "int" and value < 1:
                raise UserError(f"{f.name} is {value}; it must be at least 1.")
        if self.architecture == "gpt2" and self.num_key_value_heads != self.num_attention_heads:
            raise UserError("gpt2 has as many key-value heads as heads; leave --num-key-value-heads out.")
        if self.num_attention_heads % self.num_key_value_heads:
            raise UserError(
                f"{self.num_attention_heads} attention heads cannot share {self.num_key_value_heads} key-value heads;"
                " the first must be a multiple of the second."
            )
        if self.architecture == "qwen3" and self.head_dim % 2:
            raise UserError(f"head_dim is {self.head_dim}; rotary positions need an even number.")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout is {self.dropout}; it must be at least 0 and below 1.")

    @property
    def bias(self) -> bool:
        """GPT-2's linear layers have biases, Qwen3's have none."""
        return self.architecture == "gpt2"

    @classmethod
    def from_depth(cls, vocab_size: int, max_position_embeddings: int, depth: int = 4, **overrides: Any) -> ModelConfig:
        """`depth` layers, 64 wide per layer of depth. Any field can be overridden.

        Heads are 64 wide, or 32 in models narrower than 512: a small model needs several heads more than wide ones.

        The classic shape has one key-value head per head and four times the width inside its MLP; the modern one
        halves the key-value heads and, as SwiGLU has three matrices, takes 8/3 of the width (rounded up to 64).
        """
        if depth < 1:
            raise UserError(f"--depth is {depth}; a model needs at least 1 layer.")
        if max_position_embeddings < 2:
            raise UserError(f"--context is {max_position_embeddings}; a model reads at least 1 token and writes 1.")
        architecture = overrides.get("architecture", "qwen3")
        hidden = overrides.get("hidden_size", 64 * depth)
        heads = overrides.get("num_attention_heads", max(1, hidden // (64 if hidden >= 512 else 32)))
        if heads < 1 or hidden < 1:
            raise UserError(f"a hidden size of {hidden} in {heads} heads is no model; both must be at least 1.")
        if hidden % heads and "head_dim" not in overrides:
            raise UserError(f"a hidden size of {hidden} cannot be cut into {heads} heads; choose a multiple.")
        shape = {
            "hidden_size": hidden,
            "num_hidden_layers": depth,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "head_dim": hidden // heads,
            "intermediate_size": 4 * hidden,
        }
        if architecture == "qwen3":
            shape["num_key_value_heads"] = max((n for n in range(1, heads // 2 + 1) if heads % n == 0), default=heads)
            shape["intermediate_size"] = -(-hidden * 8 // 3 // 64) * 64
        return cls(
            **{"vocab_size": vocab_size, "max_position_embeddings": max_position_embeddings, **shape, **overrides}
        )

    def with_dropout(self, dropout: float) -> ModelConfig:
        return replace(self, dropout=dropout)


@dataclass(frozen=True)
class TrainingConfig:
    """How a stage is trained. Pre-training, fine-tuning and the reward model read the same fields."""

    learning_rate: float = setting(3e-3, "AdamW's learning rate at its height; embeddings and norms learn with it")
    matrix_rate: float = setting(0.02, "Muon's learning rate at its height, for the matrices inside the layers")
    optimizer: str = setting(
        "muon", "muon (AdamW for what is not a matrix) or adamw for everything", choices=("muon", "adamw")
    )
    batch_size: int = setting(32, "rows of context in one optimizer step")
    micro_batch: int = setting(
        0,
        "rows in one forward pass, fewer need less memory; 0 takes about 2,048 tokens on a CPU, else all rows",
    )
    epochs: float = setting(1.0, "times the corpus is read, if neither --steps nor --minutes says when to stop")
    steps: int = setting(0, "optimizer steps to take; 0 leaves it to --epochs")
    minutes: float = setting(0.0, "time to train for; the schedule fits itself to it")
    warmup_steps: int = setting(20, "steps in which the learning rate climbs to its height")
    decay: float = setting(0.5, "last part of the run in which the learning rate falls to zero")
    weight_decay: float = setting(0.0, "pull of the matrices towards zero, times the learning rate")
    epsilon: float = setting(1e-8, "AdamW's epsilon; a large one leaves alone what has hardly any gradient")
    clip: float = setting(1.0, "longest gradient; longer ones are shortened to it")
    evaluations: int = setting(10, "times the validation loss is measured on the way")
    evaluation_rows: int = setting(64, "rows of a measurement on the way; the last one takes all")
    save_every: int = setting(100, "steps between saves of what --resume needs")
    compile: bool = setting(False, "compile the model first: faster steps after half a minute's start")
    seed: int = setting(0, "seed of the weights, the order of the rows and dropout")

    def __post_init__(self) -> None:
        refuse_nan(self)
        for name, least in [
            ("batch_size", 1), ("micro_batch", 0), ("steps", 0), ("minutes", 0), ("warmup_steps", 0), ("seed", 0),
            ("weight_decay", 0), ("evaluations", 1), ("evaluation_rows", 1), ("save_every", 1), ("learning_rate", 0),
            ("matrix_rate", 0),
        ]:  # fmt: skip
            if getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least {least}.")
        if min(self.epochs, self.clip, self.epsilon) <= 0:
            raise UserError("epochs, clip and epsilon must be above 0.")
        if not 0 < self.decay <= 1:
            raise UserError(f"decay is {self.decay}; it is a part of the run, above 0 and at most 1.")
        if self.optimizer not in ("muon", "adamw"):
            raise UserError(f"optimizer {self.optimizer!r} is unknown; choose muon or adamw.")


@dataclass(frozen=True)
class RewardConfig(TrainingConfig):
    """How a reward model is trained, and where its comparisons come from if the corpus holds none."""

    rater: str = setting(
        "", "who compares the SFT model's answers, if nobody has: truth (the recipe's) or film (the film's own reply)",
        choices=("", "truth", "film"),
    )  # fmt: skip
    pairs: int = setting(3000, "prompts that the SFT model answers twice for the rater")
    noise: float = setting(0.0, "share of the rater's choices that are the wrong one")
    length_bias: float = setting(0.0, "what each word of an answer is worth to the rater, beside quality from 0 to 1")
    max_new_tokens: int = setting(48, "longest answer that the SFT model gives to the rater")
    familiarity: float = setting(
        0.0, "most that a token may cost an answer for each nat that it is less likely than the model's own choice"
    )
    augment: str = setting(
        "", "worse answers to make up for training, by commas: random (words), dup_tail (said twice), other (prompt's)"
    )
    want: str = setting("positive", "the label that is rewarded, where the corpus holds labelled texts")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rater not in ("", "truth", "film"):
            raise UserError(f"rater {self.rater!r} is unknown; choose truth or film.")
        parse_kinds(self.augment)
        if self.pairs < 1 or self.max_new_tokens < 1:
            raise UserError("pairs and max_new_tokens must be at least 1.")


@dataclass(frozen=True)
class DPOConfig(TrainingConfig):
    """How DPO is run."""

    beta: float = setting(0.1, "price of divergence from the SFT model: small values let the policy go further")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta <= 0:
            raise UserError(f"beta is {self.beta}; it must be above 0.")


@dataclass(frozen=True)
class PPOConfig:
    """How PPO is run. An update writes `episodes` answers, then learns from them `ppo_epochs` times."""

    updates: int = setting(50, "rounds of writing answers and learning from them")
    episodes: int = setting(128, "answers in one update")
    minibatch: int = setting(64, "answers in one optimizer step")
    micro_batch: int = setting(32, "answers in one forward pass; fewer need less memory")
    ppo_epochs: int = setting(4, "times that an update's answers are learned from")
    learning_rate: float = setting(1e-4, "Adam's learning rate for the policy; falls in a line to zero")
    value_rate: float = setting(1e-3, "Adam's learning rate for the value head")
    kl: float = setting(0.05, "price of a nat of divergence from the SFT model, in standard deviations of reward")
    target_kl: float = setting(0.0, "divergence, in nats, that an adaptive price aims at; 0 keeps the price fixed")
    horizon: int = setting(10_000, "episodes in which an adaptive price adjusts")
    gamma: float = setting(1.0, "discount of later rewards")
    lam: float = setting(0.95, "lambda of the advantage estimates: 1 trusts the outcome, 0 the value head")
    clip: float = setting(0.2, "how far the ratio of new to old probability may move before its gradient stops")
    value_clip: float = setting(0.2, "how far a value may move in one update before its gradient stops")
    value_weight: float = setting(0.1, "weight of the value loss")
    entropy_weight: float = setting(0.0, "bonus for undecided next-token distributions")
    temperature: float = setting(1.0, "of the answers, and of every log-probability")
    max_new_tokens: int = setting(48, "longest answer")
    missing_end: float = setting(-1.0, "the score of an answer that was cut off before it ended")
    max_gradient: float = setting(1.0, "longest gradient; longer ones are shortened to it")
    max_kl: float = setting(20.0, "divergence, in nats, at which the run is stopped")
    max_drift: float = setting(4.0, "factor by which length, endings or variety may drift before the run is stopped")
    evaluations: int = setting(5, "times the policy answers the held-out prompts on the way")
    evaluation_prompts: int = setting(128, "how many of the held-out prompts it answers")
    save_every: int = setting(5, "updates between saves of what --resume needs")
    seed: int = setting(0, "seed of the prompts' order and of the answers")
    want: str = setting("", "the label to be rewarded, if the reward model learned from labels (its own if not given)")

    def __post_init__(self) -> None:
        refuse_nan(self)
        for name, least in [
            ("updates", 1), ("episodes", 8), ("minibatch", 1), ("micro_batch", 1), ("ppo_epochs", 1),
            ("learning_rate", 0), ("value_rate", 0), ("kl", 0), ("target_kl", 0), ("horizon", 1), ("value_weight", 0),
            ("entropy_weight", 0), ("max_new_tokens", 1), ("evaluations", 1), ("evaluation_prompts", 8),
            ("save_every", 1), ("seed", 0),
        ]:  # fmt: skip
            if getattr(self, name) < least:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least {least}.")
        if self.episodes % self.minibatch:
            raise UserError(f"{self.episodes} episodes cannot be cut into minibatches of {self.minibatch}.")
        for name in ("gamma", "lam"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 0 and at most 1.")
        for name in ("clip", "value_clip", "temperature", "max_gradient", "max_kl"):
            if getattr(self, name) <= 0:
                raise UserError(f"{name} is {getattr(self, name)}; it must be above 0.")
        if self.target_kl and not self.kl:
            raise UserError("an adaptive price that begins at 0 stays there; set --kl above 0.")
        if self.max_drift <= 1:
            raise UserError(f"max_drift is {self.max_drift}; it is a factor above 1.")
