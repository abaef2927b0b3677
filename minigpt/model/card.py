"""The card of a model folder, minigpt.json: what a run says about the model that it wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..config import check_value, setting
from ..errors import UserError
from ..files import read_json

CARD = "minigpt.json"


@dataclass(frozen=True)
class CardFields:
    """What programs read from a card, and what it may say; anything may be missing or null. What else stands there is
    for people."""

    stage: str = setting("", "what the run was", choices=("pretrain", "sft", "reward", "ppo", "dpo"))
    recipe: str = setting("", "name of its recipe")
    recipe_file: str = setting("", "path of its recipe, if it was the user's own")
    parent: str = setting("", "SHA-256 of the weights that it started from")
    reward: str = setting("", "SHA-256 of the reward model's weights")
    sha256: str = setting("", "SHA-256 of the weights")
    made_from: str = setting("", "SHA-256 of the weights in float32, of which these are a copy")
    machine: str = setting("", "where it ran")
    finished: bool = setting(False, "whether the run came to its end")
    steps: int = setting(0, "optimizer steps, or PPO's updates", minimum=0)
    tokens: int = setting(0, "tokens read", minimum=0)
    minutes: float = setting(0.0, "how long it took", minimum=0)
    is_chat: bool = setting(False, "whether the model has learned to answer")
    max_turns: int = setting(0, "how many of a chat's last turns it reads", minimum=1)
    memory: int = setting(0, "former name of max_turns", minimum=1)
    gain: float = setting(1.0, "of a reward model's scores", above=0)
    bias: float = setting(0.0, "of a reward model's scores")
    reads_prompt: bool = setting(True, "whether a reward model reads the prompt")
    likelihood_penalty: float = setting(0.0, "of a reward model", minimum=0)
    familiarity: float = setting(0.0, "former name of likelihood_penalty", minimum=0)
    labels: Sequence[str] = setting((), "what a reward model tells apart")
    questions: Sequence[str] = setting((), "what the chat page may propose to ask")
    training: Mapping[str, Any] = setting(None, "the run's settings")
    metrics: Mapping[str, Any] = setting(None, "what was measured at the end")


FIELDS = {one.name: one for one in fields(CardFields)}


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a model folder; empty for a folder that somebody else wrote. Raises UserError naming the file and the
    field for one that says what no run writes."""
    path = folder / CARD
    if not path.is_file():
        return {}
    card = read_json(path)
    if not isinstance(card, dict):
        raise UserError(f"{path}: expected an object {{…}}, found {type(card).__name__}; it is no card.")
    for name, value in card.items():
        if name not in FIELDS or value is None:
            continue
        try:
            check_value(FIELDS[name], value)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    return card
