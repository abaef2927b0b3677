"""What alignment did, in a sentence or two for each aligned stage: to manners and, in the town, to knowledge."""

from __future__ import annotations

from typing import Any

from .changes import within_chance
from .measures import marks_of, spoken

Rows = dict[str, dict[str, Any]]
COLUMNS = ("asked", "held_out")


def findings(win_rate: dict[str, Rows], knowledge: Rows, questions: int) -> list[str]:
    """From the win-rate tables and, where there is one, the knowledge table, of so many questions a column."""
    column, rows = next(iter(win_rate.items()))
    aligned = [name for name in ("ppo", "dpo") if name in rows]
    if knowledge:
        return [in_town(name, win_rate, knowledge, questions) for name in aligned]
    mark = marks_of(rows["sft"])[0]
    return [
        f"{name.upper()}: {mark} goes from {rows['sft'][mark]:.1%} to {rows[name][mark]:.1%} on {spoken(column)}"
        f" prompts, with a win rate of {rows[name]['wins']:.1%} over SFT (ties excluded)."
        for name in aligned
    ]


def in_town(name: str, win_rate: dict[str, Rows], knowledge: Rows, questions: int) -> str:
    """Sampled answers show manners; what a model knows shows in its greedy answers, as it samples right ones less
    often than it could."""
    good, right = (
        [(win_rate[column]["sft"][mark], win_rate[column][name][mark]) for column in COLUMNS]
        for mark in ("good", "right")
    )
    greedy = [
        (max(knowledge[stage][column] for stage in ("pretrain", "sft") if stage in knowledge), knowledge[name][column])
        for column in COLUMNS
    ]
    against = " and ".join(f"{after:.1%} against {before:.1%}" for before, after in greedy)

    def moved(pairs: list[tuple[float, float]]) -> set[int]:
        """Over the columns: 1 for more, -1 for less, 0 for no difference beyond chance."""
        return {0 if within_chance(a, b, questions) else 1 if b > a else -1 for a, b in pairs}

    if -1 in moved(right):
        verdict = "Right answers fell by more than chance: better manners cost knowledge."
    elif 1 in moved(right) and 1 in moved(greedy):
        verdict = (
            f"Right answers rose by more than chance, greedy ones too ({against} for the best of the earlier stages)."
        )
    elif 1 in moved(right):
        verdict = (
            "Right answers rose by more than chance, but greedy answers are right no more often than those of earlier"
            f" stages ({against}): alignment brings knowledge out, it does not add knowledge."
        )
    elif 1 in moved(good):
        verdict = "Right answers moved within chance: alignment taught manners, it does not add knowledge."
    else:
        verdict = "Right answers moved within chance, and manners did not improve."
    went = [" and ".join(f"from {a:.1%} to {b:.1%}" for a, b in pairs) for pairs in (good, right)]
    return (
        f"{name.upper()}, about asked residents and about held-out ones: good answers go {went[0]}, right answers"
        f" {went[1]}. {verdict}"
    )
