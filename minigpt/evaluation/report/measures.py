"""How the numbers of a report are found, called and written, and which way each gets better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...tinytown.graders import GRADERS

SHARE = "{:.1%}"
STAGE_NAMES = {"pretrain": "Pre-training", "sft": "SFT", "reward": "Reward model", "ppo": "PPO", "dpo": "DPO"}
#: What a row of the win-rate table holds; all else there are the grader's marks.
BESIDE_MARKS = ("length", "distinct_2", "same_ending", "ending", "kl", "reward", "wins", "interval", "ties")
Path = tuple[str, ...]


def look_up(report: dict[str, Any], path: Path) -> Any:
    """What the report says at `path`; None if it says nothing there."""
    here: Any = report
    for key in path:
        here = here.get(key) if isinstance(here, dict) else None
    return here


def marks_of(row: dict[str, Any]) -> list[str]:
    """By what the grader marks answers: first the mark that matters most, last the one for the whole answer."""
    return [name for name in row if name not in BESIDE_MARKS]


def titled(column: str) -> str:
    """What a column of the grader's prompts is about."""
    known = {
        "asked": "About asked residents",
        "held_out": "About held-out residents",
        "out_of_town": "About what the town cannot know",
    }
    return known.get(column, f"{spoken(column).capitalize()} prompts")


def spoken(name: str) -> str:
    """A key of the report, as it is said: held-out, distinct-2."""
    return name.replace("_", "-")


@dataclass(frozen=True)
class Measure:
    """`better` is 1 if more is better, -1 if less is, 0 if neither can be said."""

    label: str
    form: str = "{:g}"
    better: int = 0

    def write(self, value: Any) -> str:
        return self.form.format(value) if type(value) in (int, float) else str(value)

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
    "reward_deviation": Measure("standard deviation of rewards", "{:.2f}"),
    "kl": Measure("KL", "{:.2f}"),
    "objective": Measure("objective", "{:+.2f}", 1),
    "entropy": Measure("entropy", "{:.3f}"),
    "explained_variance": Measure("explained variance", "{:.2f}", 1),
    "length": Measure("tokens", "{:.1f}"),
    "ended": Measure("ended", SHARE, 1),
    "distinct_2": Measure("distinct-2", "{:.3f}"),
    "same_ending": Measure("commonest ending", SHARE),
    "wanted": Measure("wanted sentiment", SHARE),
    "longer": Measure("characters out per character in", "{:.1f}"),
    "prompts": Measure("prompts", "{:,.0f}"),
    "pairs": Measure("pairs", "{:,.0f}"),
    "wins": Measure("win rate over SFT", SHARE, 1),
    "ties": Measure("ties", SHARE),
    "asked": Measure("right, asked residents", SHARE, 1),
    "held_out": Measure("right, held-out residents", SHARE, 1),
    "new_wording": Measure("right, new wording", SHARE, 1),
    "honest": Measure("honest about what it cannot know", SHARE, 1),
    "declined": Measure("declined, though the town knows", SHARE, -1),
} | {
    f"{prefix}{quality}": Measure(f"{label}{quality}", SHARE, 1)
    for prefix, label in (("", ""), ("true_", "true "))
    for quality in (mark for grader in GRADERS.values() for mark in grader.marks)
}  # fmt: skip


def measure(name: str) -> Measure:
    """How the number of that name is written."""
    return MEASURES.get(name) or Measure(name.replace("_", " "))
