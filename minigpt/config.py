"""The settings: a model's shape and a training run's numbers, as dataclasses that flags and recipes fill in.

`--depth` is the one dial: width, heads, learning rate and batch follow from it, and each can be set by hand.
A help text stands beside each field; `cli.py` turns both into `--help`.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import Any

from .errors import UserError, nearest

ARCHITECTURES = ("qwen3", "gpt2")


def setting(default: Any, text: str, **limits: Any) -> Any:
    """A dataclass field with the sentence that `--help` shows for it, and its limits: `minimum`, `maximum`, `above`,
    `below`, `choices`. `formerly` is a name that older recipes and command lines have for it, `former_choices` maps
    values that they have to today's. With the default MISSING the field has none."""
    return field(default=default, metadata={"help": text, **limits})


#: What a field's value may be, by its annotation, and how to say it.
TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "str": (str, "a text"),
    "Sequence[str]": (list, "a list of texts"),
    "Mapping[str, Any]": (dict, "a table of values"),
}


def validate(settings: Any) -> None:
    """Hold every field against its type and limits. Raises UserError naming the field, its value and what it must
    be."""
    for one in fields(settings):
        check_value(one, getattr(settings, one.name))


def check_value(one: Field[Any], value: Any, name: str | None = None) -> None:
    """Hold a value against the type and limits of a dataclass's field, which the file at hand may know by another
    `name`. Raises UserError as `validate` does."""
    name, limits = name or one.name, one.metadata
    shown = str(value) if len(str(value)) < 60 else f"{str(value)[:60]}…"
    kind, words = TYPES[str(one.type)]
    fits = isinstance(value, kind) and (one.type == "bool" or not isinstance(value, bool))
    # NaN passes every comparison that asks whether a number is too small.
    if not fits or (isinstance(value, float) and not math.isfinite(value)):
        raise UserError(f"{name} is {shown}; it must be {words}.")
    if one.type == "Sequence[str]" and not all(isinstance(item, str) for item in value):
        raise UserError(f"{name} is {shown}; it must be {words}.")
    rules = [
        ("minimum", "at least", lambda limit: value >= limit),
        ("above", "above", lambda limit: value > limit),
        ("maximum", "at most", lambda limit: value <= limit),
        ("below", "below", lambda limit: value < limit),
    ]
    wanted = [f"{words} {_plain(limits[rule])}" for rule, words, _ in rules if rule in limits]
    if not all(holds(limits[rule]) for rule, _, holds in rules if rule in limits):
        raise UserError(f"{name} is {shown}; it must be {' and '.join(wanted)}.")
    if "choices" in limits and value not in limits["choices"]:
        known = [choice for choice in limits["choices"] if choice]
        raise UserError(f"{name} is {shown!r}; choose {', '.join(known)}{nearest(shown, known)}.")


def _plain(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"


def former_names(settings: type) -> dict[str, str]:
    """{a name that older files have for a setting: its name}."""
    return {one.metadata["formerly"]: one.name for one in fields(settings) if "formerly" in one.metadata}


def former_values(settings: type) -> dict[tuple[str, str], str]:
    """{(setting, a value that older files have for it): the value}."""
    return {
        (one.name, former): value
        for one in fields(settings)
        for former, value in one.metadata.get("former_choices", {}).items()
    }


@dataclass(frozen=True)
class ModelConfig:
    """A model's shape, with Hugging Face's names. `from_depth` derives it from one number."""

    # The limits are far beyond what anybody trains here; a file that is past them is not what it says.
    vocab_size: int = setting(MISSING, "pieces of the tokenizer", minimum=1, maximum=1 << 24)
    hidden_size: int = setting(MISSING, "width", minimum=1, maximum=1 << 18)
    num_hidden_layers: int = setting(MISSING, "layers", minimum=1, maximum=1 << 12)
    num_attention_heads: int = setting(MISSING, "heads of each layer", minimum=1, maximum=1 << 14)
    num_key_value_heads: int = setting(MISSING, "heads that keys and values have", minimum=1, maximum=1 << 14)
    head_dim: int = setting(MISSING, "width of a head", minimum=1, maximum=1 << 14)
    intermediate_size: int = setting(MISSING, "width inside the MLP", minimum=1, maximum=1 << 20)
    max_position_embeddings: int = setting(MISSING, "tokens it sees at once", minimum=1, maximum=1 << 24)
    architecture: str = setting("qwen3", "which of the two shapes", choices=ARCHITECTURES)
    rope_theta: float = setting(10_000.0, "slowest rotation of the rotary positions", above=0, maximum=1e12)
    norm_eps: float = setting(1e-6, "added to what a norm divides by", above=0, maximum=1)
    dropout: float = setting(0.0, "share of activations that training sets to zero", minimum=0, below=1)

    def __post_init__(self) -> None:
        validate(self)
        if self.architecture == "gpt2" and self.num_key_value_heads != self.num_attention_heads:
            raise UserError("gpt2 has as many key-value heads as heads; leave --num-key-value-heads out.")
        if self.num_attention_heads % self.num_key_value_heads:
            raise UserError(
                f"{self.num_attention_heads} attention heads cannot share {self.num_key_value_heads} key-value heads;"
                " the first must be a multiple of the second."
            )
        if self.architecture == "qwen3" and self.head_dim % 2:
            raise UserError(f"head_dim is {self.head_dim}; rotary positions need an even number.")

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
    """How a stage is trained. Pre-training, SFT, the reward model and DPO read the same fields."""

    lr: float = setting(
        3e-3, "AdamW's peak learning rate; embeddings and norms learn with it", minimum=0, formerly="learning_rate"
    )
    matrix_lr: float = setting(
        0.02, "Muon's peak learning rate, for the matrices inside the layers", minimum=0, formerly="matrix_rate"
    )
    optimizer: str = setting(
        "muon", "muon (AdamW for what is not a matrix) or adamw for everything", choices=("muon", "adamw")
    )
    batch_size: int = setting(32, "rows of context in one optimizer step", minimum=1)
    micro_batch: int = setting(
        0,
        "rows in one forward pass, fewer need less memory; 0 takes about 2,048 tokens on a CPU, else all rows",
        minimum=0,
    )
    epochs: float = setting(
        1.0, "times the corpus is read, if neither --steps nor --minutes says when to stop", above=0
    )
    steps: int = setting(0, "optimizer steps to take; 0 leaves it to --epochs", minimum=0)
    minutes: float = setting(0.0, "time to train for; the schedule fits itself to it", minimum=0)
    warmup_steps: int = setting(20, "steps in which the learning rate climbs to its peak", minimum=0)
    decay: float = setting(0.5, "last part of the run in which the learning rate falls to zero", above=0, maximum=1)
    weight_decay: float = setting(0.0, "pull of the matrices towards zero, times the learning rate", minimum=0)
    epsilon: float = setting(1e-8, "AdamW's epsilon; a large one leaves alone what has hardly any gradient", above=0)
    max_grad_norm: float = setting(1.0, "longest gradient; longer ones are shortened to it", above=0, formerly="clip")
    evaluations: int = setting(10, "times the validation loss is measured on the way", minimum=1)
    evaluation_rows: int = setting(
        64, "validation rows, a fixed random sample, that a measurement on the way takes; the last takes all", minimum=1
    )
    save_every: int = setting(100, "steps between saves of what --resume needs", minimum=1)
    compile: bool = setting(False, "compile the model first: faster steps after half a minute's start")
    seed: int = setting(0, "seed of the weights, the order of the rows and dropout", minimum=0)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class RewardConfig(TrainingConfig):
    """How a reward model is trained, and where its comparisons come from if the corpus holds none."""

    annotator: str = setting(
        "",
        "who compares the SFT model's answers, if nobody has: grader (the recipe's) or film (the film's own reply)",
        choices=("", "grader", "film"),
        formerly="rater",
        former_choices={"truth": "grader"},
    )
    pairs: int = setting(3000, "prompts that the SFT model answers twice for the annotator", minimum=1)
    noise: float = setting(0.0, "share of the annotator's choices that are the wrong one", minimum=0, maximum=0.5)
    length_bias: float = setting(
        0.0, "what each word of an answer is worth to the annotator, beside quality from 0 to 1"
    )
    max_new_tokens: int = setting(48, "longest answer that the SFT model gives to the annotator", minimum=1)
    likelihood_penalty: float = setting(
        0.0,
        "most that a token may cost an answer for each nat that it is less likely than the model's own choice",
        minimum=0,
        formerly="familiarity",
    )
    augment: str = setting(
        "", "worse answers to make up for training, by commas: random (words), dup_tail (said twice), other (prompt's)"
    )
    want: str = setting("positive", "the label that is rewarded, where the corpus holds labelled texts")


@dataclass(frozen=True)
class DPOConfig(TrainingConfig):
    """How DPO is run."""

    beta: float = setting(0.1, "weight of the KL penalty: small values let the policy go further", above=0)


@dataclass(frozen=True)
class PPOConfig:
    """How PPO is run. An update samples `episodes` answers, then learns from them `ppo_epochs` times."""

    updates: int = setting(50, "rounds of sampling answers and learning from them", minimum=1)
    episodes: int = setting(128, "answers in one update", minimum=8)
    minibatch: int = setting(64, "answers in one optimizer step", minimum=1)
    micro_batch: int = setting(32, "answers in one forward pass; fewer need less memory", minimum=1)
    ppo_epochs: int = setting(4, "times that an update's answers are learned from", minimum=1)
    lr: float = setting(
        1e-4, "Adam's learning rate for the policy; falls linearly to zero", minimum=0, formerly="learning_rate"
    )
    value_lr: float = setting(1e-3, "Adam's learning rate for the value head", minimum=0, formerly="value_rate")
    kl_coef: float = setting(
        0.05, "KL penalty: reward, in standard deviations, lost for a nat from the SFT model", minimum=0, formerly="kl"
    )
    target_kl: float = setting(0.0, "KL, in nats, that an adaptive kl_coef aims at; 0 keeps kl_coef fixed", minimum=0)
    horizon: int = setting(10_000, "episodes in which an adaptive kl_coef adjusts", minimum=1)
    gamma: float = setting(1.0, "discount of later rewards", minimum=0, maximum=1)
    lam: float = setting(0.95, "GAE's lambda: 1 trusts the outcome, 0 the value head", minimum=0, maximum=1)
    clip: float = setting(
        0.2, "how far the ratio of new to old probability may move before its gradient stops", above=0
    )
    value_clip: float = setting(0.2, "how far a value may move in one update before its gradient stops", above=0)
    value_coef: float = setting(0.1, "weight of the value loss", minimum=0, formerly="value_weight")
    entropy_coef: float = setting(
        0.0, "bonus for undecided next-token distributions", minimum=0, formerly="entropy_weight"
    )
    temperature: float = setting(1.0, "of the answers, and of every log-probability", above=0)
    max_new_tokens: int = setting(48, "longest answer", minimum=1)
    missing_eos_penalty: float = setting(
        -1.0, "the score of an answer that was cut off before it ended", formerly="missing_end"
    )
    max_grad_norm: float = setting(
        1.0, "longest gradient; longer ones are shortened to it", above=0, formerly="max_gradient"
    )
    max_kl: float = setting(20.0, "KL, in nats, at which the run is stopped", above=0)
    max_drift: float = setting(
        4.0, "factor by which length, endings or variety may drift before the run is stopped", above=1
    )
    evaluations: int = setting(5, "times the policy answers the held-out prompts on the way", minimum=1)
    evaluation_prompts: int = setting(128, "how many of the held-out prompts it answers", minimum=8)
    save_every: int = setting(5, "updates between saves of what --resume needs", minimum=1)
    seed: int = setting(0, "seed of the prompts' order and of the answers", minimum=0)
    want: str = setting("", "the label to be rewarded, if the reward model learned from labels (its own if not given)")

    def __post_init__(self) -> None:
        validate(self)
        if self.episodes % self.minibatch:
            raise UserError(f"{self.episodes} episodes cannot be cut into minibatches of {self.minibatch}.")
        if self.target_kl and not self.kl_coef:
            raise UserError("an adaptive kl_coef that begins at 0 stays there; set --kl-coef above 0.")
