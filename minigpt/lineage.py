"""The models that a stage starts from, and whether they are still those that an earlier run of it started from."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .model.checkpoint import read_card
from .registry import MODELS
from .training.run_state import saved_fingerprint

GRADER = "grader"  # what a card names in place of a reward model
FUNCTION = ".py:"  # part of the name of a reward function, FILE.py:FUNCTION


def is_reward_model(named: str) -> bool:
    """Whether a card's or the command line's reward is a model, and not the grader or a function."""
    return named != GRADER and FUNCTION not in named


#: For each stage: the key under which its card names a model, the stage that trains that model, and the flag for it.
STARTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "pretrain": (),
    "sft": (("parent", "pretrain", "init_from"),),
    "reward": (("parent", "sft", "init_from"),),
    "ppo": (("parent", "sft", "init_from"), ("reward", "reward", "reward")),
    "dpo": (("parent", "sft", "init_from"),),
}


@dataclass(frozen=True)
class Parent:
    """A model that a stage starts from. `key` is its place in the card; without a `folder` there is none: the run
    starts from random weights, or the grader or a function rewards."""

    key: str
    stage: str
    folder: Path | None

    @property
    def sha256(self) -> str:
        """Empty for a model that somebody else wrote."""
        return str(read_card(self.folder).get("sha256", "")) if self.folder else ""

    def vouches_for(self, named: Any) -> bool:
        """Whether this is the model that a card names. One that is no longer there is not known to be another."""
        if self.folder is None:
            return not named or not is_reward_model(str(named))
        if not (self.folder / "config.json").is_file():
            return True
        card = read_card(self.folder)
        return (named or "") in {card.get("sha256", ""), card.get("made_from", card.get("sha256", ""))}

    def __str__(self) -> str:
        return f"{self.folder}" if self.folder else f"no {self.stage} model"


def parents_of(stage: str, recipe: str, arguments: argparse.Namespace) -> list[Parent]:
    """What a run of a stage starts from, by its recipe and command line."""
    found = []
    for key, before, flag in STARTS[stage]:
        given = getattr(arguments, flag, None)
        none = getattr(arguments, "from_scratch", False) if key != "reward" else not is_reward_model(given or "")
        found.append(Parent(key, before, None if none else Path(given) if given else MODELS / recipe / before))
    return found


def changed_since(card: Mapping[str, Any], parents: Sequence[Parent]) -> Parent | None:
    """The first parent that is another model than the one that a finished model's card names."""
    return next((parent for parent in parents if not parent.vouches_for(card.get(parent.key))), None)


def changed_during(folder: Path, parents: Sequence[Parent]) -> Parent | None:
    """The first parent that is another model than when the unfinished run in `folder` began. None too where that run's
    state cannot be read."""
    saved = saved_fingerprint(folder).get("origin")
    present = [parent for parent in parents if parent.folder is not None]
    now = [parent.sha256 for parent in present]
    if saved is None or saved == "+".join(now):
        return None
    before = str(saved).split("+")
    if len(before) != len(now):
        return parents[-1] if parents else None
    return next(parent for parent, was, sha256 in zip(present, before, now, strict=True) if was != sha256)
