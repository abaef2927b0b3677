"""How each number is called and written, and which way it gets better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...tinytown.graders import TRUTHS

SHARE = "{:.1%}"
STAGE_NAMES = {"pretrain": "Pre-training", "sft": "SFT", "reward": "Reward model", "ppo": "PPO", "dpo": "DPO"}


@dataclass(frozen=True)
class Measure:
    """`better` is 1 if more is better, -1 if less is, 0 if neither can be said."""

    label: str
    form: str = "{:g}"
    better: int = 0

    def write(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return str(value)
        return self.form.format(value)

    def write_difference(self, difference: float) -> str:
        if self.form == SHARE:
            return f"{100 * difference:+.1f} points"
        return self.form.replace("{:", "{:+").replace("++", "+").format(difference)


MEASURES = {
    "parameters": Measure("parameters", "{:,.0f}"),
    "steps": Measure("steps", "{:,.0f}"),
    "tokens": Measure("tokens", "{:,.0f}"),
    "minutes": Measure("minutes", "{:.2f}", -1),
    "tokens_per_second": Measure("tokens/s", "{:,.0f}", 1),
    "answers_per_second": Measure("answers/s", "{:.1f}", 1),
    "loss": Measure("loss", "{:.4f}", -1),
    "perplexity": Measure("perplexity", "{:,.2f}", -1),
    "bits_per_byte": Measure("bits per byte", "{:.4f}", -1),
    "word_perplexity": Measure("word perplexity", "{:,.2f}", -1),
    "accuracy": Measure("accuracy", SHARE, 1),
    "examples": Measure("judgements", "{:,.0f}"),
    "questions": Measure("questions", "{:,.0f}"),
    "calibration_error": Measure("calibration error", SHARE, -1),
    "length_correlation": Measure("correlation with length", "{:+.2f}"),
    "longer_preferred": Measure("longer answer preferred", SHARE),
    "longer_scored_higher": Measure("longer answer scored higher", SHARE),
    "update": Measure("kept update", "{:,.0f}"),
    "reward": Measure("reward", "{:+.2f}", 1),
    "kl": Measure("KL", "{:.2f}"),
    "objective": Measure("objective", "{:+.2f}", 1),
    "entropy": Measure("entropy", "{:.3f}"),
    "length": Measure("tokens", "{:.1f}"),
    "ended": Measure("ended", SHARE, 1),
    "distinct_2": Measure("distinct-2", "{:.3f}"),
    "wanted": Measure("of the wanted mood", SHARE),
    "longer": Measure("characters out for one in", "{:.1f}"),
    "prompts": Measure("prompts", "{:,.0f}"),
    "wins": Measure("wins over SFT", SHARE, 1),
    "ties": Measure("ties", SHARE),
    "asked": Measure("right, asked residents", SHARE, 1),
    "held_out": Measure("right, held-out residents", SHARE, 1),
    "new_wording": Measure("right, new wording", SHARE, 1),
} | {
    f"{prefix}{quality}": Measure(f"{label}{quality}", SHARE, 1)
    for prefix, label in (("", ""), ("true_", "true "))
    for quality in (mark for truth in TRUTHS.values() for mark in truth.marks)
}  # fmt: skip


def measure(name: str) -> Measure:
    """How the number of that name is written."""
    return MEASURES.get(name) or Measure(name.replace("_", " "))
