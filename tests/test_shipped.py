"""The shipped models answer right after a clone."""

from __future__ import annotations

from pathlib import Path

import pytest

from minigpt.evaluation.knowledge import ask, mark
from minigpt.model.checkpoint import load_model, read_card
from minigpt.textbook import SHARED_TOKENIZER
from minigpt.tinytown import Town

SHIPPED = Path(__file__).parents[1] / "trained_models" / "shipped"


@pytest.mark.parametrize(("which", "least"), [("asked", 0.97), ("held_out", 0.8)])
def test_the_shipped_model_knows_the_town(which, least):
    """120 questions a column; the README's figures are of 400."""
    town = Town()
    questions = town.questions(which, 120)
    assert mark(town, questions, ask(load_model(SHIPPED / "sft"), questions)).right >= least


@pytest.mark.parametrize("stage", ["pretrain", "sft"])
def test_shipped_folders_are_small_and_of_one_family(stage):
    folder = SHIPPED / stage
    assert sum(path.stat().st_size for path in folder.iterdir()) < 12_000_000
    assert read_card(folder)["stage"] == stage
    assert (folder / "tokenizer.model").read_bytes() == SHARED_TOKENIZER.read_bytes()
