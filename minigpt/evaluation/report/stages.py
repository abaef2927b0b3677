"""What the run folders of a recipe say: each stage's figures, curves and knobs, and whether they belong together."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

from ...alignment.ppo_run import GRADER
from ...alignment.reward_model import RewardModel
from ...model.checkpoint import WEIGHTS, read_card
from ...model.gpt import GPT
from ...recipe import STAGES
from ...training.plots import PANELS, smooth
from ...training.run_state import METRICS, read_log

#: The stage whose weights each stage starts from.
PARENTS = {"sft": "pretrain", "reward": "sft", "ppo": "sft", "dpo": "sft"}
SCRIPTS = {stage: f"run_{stage}.py" for stage in STAGES} | {"dpo": "-m minigpt dpo"}
CURVE_POINTS = 160


def is_trained(folder: Path) -> bool:
    """Whether a stage has left a model there; a run that has only begun has not."""
    return bool(read_card(folder)) and (folder / WEIGHTS).is_file()


def describe_stage(name: str, folder: Path, model: GPT | RewardModel) -> dict[str, Any]:
    """All that card, log and weights say. `figures` are the stage's own numbers; lists are there to be drawn."""
    card = read_card(folder)
    log = [row for row, _ in read_log(folder / METRICS)] if (folder / METRICS).is_file() else []
    config = model.config
    return finite({
        "status": status(card),
        "shape": f"{config.architecture}, {config.num_hidden_layers} layers of {config.hidden_size},"
                 f" context {config.max_position_embeddings}, {config.vocab_size:,} pieces",
        "parameters": model.parameter_count(),
        "steps": card.get("steps"),
        "tokens": card.get("tokens"),
        "minutes": card.get("minutes"),
        **speed(log),
        "machine": card.get("machine"),
        "sha256": card.get("sha256"),
        "parent": card.get("parent"),
        **({"reward_model": card["reward"]} if "reward" in card else {}),
        "figures": ppo_figures(card, log) if name == "ppo" else figures(card),
        "settings": knobs(name, card.get("training", {})),
        "curves": ppo_curves(log) if name == "ppo" else loss_curves(log),
    })  # fmt: skip


def status(card: dict[str, Any]) -> str:
    if card.get("stopped"):
        return f"stopped: {card['stopped']}"
    return "finished" if card.get("finished", True) else "unfinished"


def speed(log: list[dict[str, Any]]) -> dict[str, float]:
    """The median over the steps: the first ones are slow, and a machine may have had other work."""
    names = {"tokens_per_second": "tokens_per_second", "episodes_per_second": "answers_per_second"}
    found = {ours: [row[theirs] for row in log if theirs in row] for theirs, ours in names.items()}
    return {name: median(values) for name, values in found.items() if values}


def figures(card: dict[str, Any]) -> dict[str, Any]:
    """The metrics of the card; for a model that judges also how far its probabilities are off, on average."""
    metrics = dict(card.get("metrics", {}))
    if bins := metrics.get("calibration"):
        off = sum(abs(predicted - observed) * count for predicted, observed, count in bins)
        metrics["calibration_error"] = off / sum(count for *_, count in bins)
    return metrics


def ppo_figures(card: dict[str, Any], log: list[dict[str, Any]]) -> dict[str, Any]:
    """What the policy that was kept measured on the held-out prompts, and when: PPO keeps the first of those that earn
    most after paying for their divergence. The card does not say when."""
    price = card.get("training", {}).get("kl", 0.0)
    valid = [row for row in log if "valid" in row and row["step"] <= card.get("steps", math.inf)]
    if not valid:
        return dict(card.get("metrics", {}))
    kept = max(valid, key=lambda row: row["valid"]["reward"] - price * row["valid"]["kl"])
    return {"update": kept["step"], **kept["valid"]}


def knobs(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a stage that differ from the defaults."""
    defaults = {field.name: field.default for field in fields(STAGES[name])}
    return {key: value for key, value in settings.items() if key in defaults and value != defaults[key]}


def loss_curves(log: list[dict[str, Any]]) -> dict[str, list[list[float]]]:
    """Losses over tokens read: smoothed in training, as measured on validation data."""
    train = [row for row in log if "train_loss" in row]
    # A short run is smoothed over fewer steps, or the curve would lag behind what happened.
    smoothed = smooth(tuple(row["train_loss"] for row in train), weight=min(0.95, 1 - 20 / max(20, len(train))))
    return {
        "train": thin([[row["tokens"], loss] for row, loss in zip(train, smoothed, strict=True)]),
        "valid": [[row["tokens"], row["valid"]["loss"]] for row in log if "valid" in row],
    }


def ppo_curves(log: list[dict[str, Any]]) -> dict[str, dict[str, list[list[float]]]]:
    """Each number of the dashboard over updates: on the answers of practice, and on the held-out prompts."""
    curves = {}
    for _, names in PANELS:
        for name in names:
            train = thin([[row["step"], row[name]] for row in log if name in row])
            valid = [[row["step"], row["valid"][name]] for row in log if name in row.get("valid", {})]
            if train:
                curves[name] = {"train": train, "valid": valid}
    return curves


def thin(points: list[list[float]]) -> list[list[float]]:
    """At most `CURVE_POINTS` points, evenly chosen, the last one among them; six digits, which is more than is seen."""
    step = max(1, -(-len(points) // CURVE_POINTS))
    kept = points[::step] + (points[-1:] if (len(points) - 1) % step else [])
    return [[float(f"{number:.6g}") for number in point] for point in kept]


def broken_links(stages: dict[str, dict[str, Any]]) -> list[str]:
    """A sentence for each stage that did not grow out of the weights that are here now."""
    sentences = []
    by_hash = {facts["sha256"]: name for name, facts in stages.items()}
    for name, facts in stages.items():
        needs = [(PARENTS.get(name), facts["parent"], "started from")]
        if facts.get("reward_model") != GRADER:
            needs.append(("reward", facts.get("reward_model"), "learned from the reward model"))
        for other, sha256, did in needs:
            if other is None or not sha256 or sha256 in by_hash:
                continue
            if other in stages:
                here = f"{other} has {stages[other]['sha256'][:8]} now: it was trained anew since. Repeat {name}"
            else:
                here = f"{other} is not here"
            sentences.append(f"{name} {did} {sha256[:8]}, but {here}.")
    return sentences


def parent_of(name: str, stages: dict[str, dict[str, Any]]) -> str:
    """Who a stage's parent is, in words."""
    parent = stages[name]["parent"]
    if not parent:
        return "random weights"
    known = [other for other, facts in stages.items() if facts["sha256"] == parent]
    return known[0] if known else f"{parent[:8]}, unknown here"


def finite(value: Any) -> Any:
    """The same, with None for numbers that JSON cannot write."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
