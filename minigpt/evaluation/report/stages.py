"""What the run folders of a recipe say: each stage's figures, curves and settings, and whether they belong together."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

from ...alignment.reward_model import RewardModel
from ...lineage import is_reward_model
from ...model.chat_model import ChatModel
from ...model.checkpoint import WEIGHTS, read_card
from ...recipe import STAGES
from ...training.plots import PANELS, smooth
from ...training.run_state import METRICS, read_log

#: The stage whose weights each stage starts from.
PARENTS = {"sft": "pretrain", "reward": "sft", "ppo": "sft", "dpo": "sft"}
SCRIPTS = {stage: f"run_{stage}.py" for stage in STAGES} | {"dpo": "-m minigpt dpo"}
SETTINGS = {stage: {field.name: field for field in fields(kind)} for stage, kind in STAGES.items()}
CURVE_POINTS = 160


def is_trained(folder: Path) -> bool:
    """Whether a stage has left a model there; a run that has only begun has not."""
    return bool(read_card(folder)) and (folder / WEIGHTS).is_file()


def describe_stage(name: str, folder: Path, model: ChatModel | RewardModel) -> dict[str, Any]:
    """All that card, log and weights say. `figures` are the stage's own numbers; lists are there to be drawn."""
    card, log = read_card(folder), [row for row, _ in read_log(folder / METRICS)]
    gpt = (model.chat if isinstance(model, RewardModel) else model).gpt
    config = gpt.config
    return {
        "status": status(card),
        "shape": f"{config.architecture}, {config.num_hidden_layers} layers of {config.hidden_size},"
                 f" context {config.max_position_embeddings}, {config.vocab_size:,} pieces",
        "parameters": gpt.parameter_count(),
        **{key: card.get(key) for key in ("steps", "tokens", "minutes")},
        **speed(log, "tokens_per_second", "tokens_per_second"),
        **speed(log, "episodes_per_second", "answers_per_second"),
        **{key: card.get(key) for key in ("machine", "sha256", "parent")},
        **({"made_from": card["made_from"]} if "made_from" in card else {}),
        **({"reward_model": card["reward"]} if "reward" in card else {}),
        "figures": figures(card),
        "settings": {key: value for key, value in card.get("training", {}).items()
                     if key in SETTINGS[name] and value != SETTINGS[name][key].default},
        "curves": ppo_curves(log) if name == "ppo" else loss_curves(log),
    }  # fmt: skip


def status(card: dict[str, Any]) -> str:
    if card.get("stopped"):
        return f"stopped: {card['stopped']}"
    return "finished" if card.get("finished", True) else "unfinished"


def speed(log: list[dict[str, Any]], logged: str, name: str) -> dict[str, float]:
    """The median over the steps: the first ones are slow, and a machine may have had other work."""
    values = [row[logged] for row in log if logged in row]
    return {name: median(values)} if values else {}


def figures(card: dict[str, Any]) -> dict[str, Any]:
    """The metrics of the card, which are those of the model that was kept; for PPO also after which update that was,
    for a reward model also how far its probabilities are off, on average."""
    metrics = dict(card.get("metrics", {}))
    if card.get("best_step") is not None:
        metrics["update"] = card["best_step"]
    if bins := metrics.get("calibration"):
        off = sum(abs(predicted - observed) * count for predicted, observed, count in bins)
        metrics["calibration_error"] = off / sum(count for *_, count in bins)
    return metrics


def loss_curves(log: list[dict[str, Any]]) -> dict[str, list[list[float]]]:
    """Losses over tokens read: smoothed in training, as measured on validation data."""
    train = [row for row in log if "train_loss" in row]
    smoothed = smooth([row["train_loss"] for row in train])
    return {
        "train": thin([[row["tokens"], loss] for row, loss in zip(train, smoothed, strict=True)]),
        "valid": [[row["tokens"], row["valid"]["loss"]] for row in log if "valid" in row],
    }


def ppo_curves(log: list[dict[str, Any]]) -> dict[str, dict[str, list[list[float]]]]:
    """Each number of the dashboard over updates: on the answers of each update, and on the held-out prompts."""
    curves = {}
    for name in (name for _, names in PANELS for name in names):
        train = thin([[row["step"], row[name]] for row in log if name in row])
        valid = [[row["step"], row["valid"][name]] for row in log if name in row.get("valid", {})]
        if train:
            curves[name] = {"train": train, "valid": valid}
    return curves


def thin(points: list[list[float]]) -> list[list[float]]:
    """At most `CURVE_POINTS` points, evenly chosen, and the last one."""
    step = max(1, -(-len(points) // CURVE_POINTS))
    return points[::step] + (points[-1:] if (len(points) - 1) % step else [])


def by_hash(stages: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The stage that other cards mean by a hash: that of its weights, or of those that it is a smaller copy of."""
    return {facts[key]: name for name, facts in stages.items() for key in ("sha256", "made_from") if facts.get(key)}


def parent_of(stage: str, stages: dict[str, dict[str, Any]]) -> str | None:
    """The stage that another one grew out of, or the start of an unknown parent's hash; None for random weights."""
    parent = stages[stage]["parent"]
    return by_hash(stages).get(parent, parent[:8]) if parent else None


def broken_links(stages: dict[str, dict[str, Any]]) -> list[str]:
    """A sentence for each stage that did not grow out of the weights that are here now."""
    sentences, known = [], by_hash(stages)
    for name, facts in stages.items():
        needs = [(PARENTS.get(name), facts["parent"], "started from")]
        if is_reward_model(facts.get("reward_model") or ""):
            needs.append(("reward", facts.get("reward_model"), "learned from the reward model"))
        for other, sha256, did in needs:
            if other is None or not sha256 or sha256 in known:
                continue
            if other in stages:
                here = f"{other} has {stages[other]['sha256'][:8]} now: it was retrained since. Repeat {name}"
            else:
                here = f"{other} is not here"
            sentences.append(f"{name} {did} {sha256[:8]}, but {here}.")
    return sentences


def plain(value: Any) -> Any:
    """The same with six digits for each float, as machines differ in the last ones, and None where JSON knows none."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
