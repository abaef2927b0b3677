"""The shipped models answer right after a clone."""

from __future__ import annotations

from pathlib import Path

import pytest

from minigpt.chat import Chat
from minigpt.data.examples import Prompt, Turn
from minigpt.evaluation.knowledge import ask, honesty, mark
from minigpt.model.checkpoint import load_model, read_card
from minigpt.model.responses import respond
from minigpt.model.sampling import CHATTY
from minigpt.textbook import SHARED_TOKENIZER
from minigpt.tinytown import Town
from minigpt.tinytown.speech import SMALL_TALK
from minigpt.training.run_state import METRICS

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


def test_the_shipped_policy_says_what_it_does_not_know():
    """100 questions each; the README's figures are of 400."""
    found = honesty(load_model(SHIPPED / "ppo"), Town(), 100)
    assert found.honest >= 0.9 and found.declined <= 0.02, found


def test_the_shipped_policy_says_what_it_can_do():
    town, chat = Town(), Chat(load_model(SHIPPED / "ppo"), CHATTY, mode="qa")
    for question in ("What can you do?", "What can I ask you?", "How can you help me?"):
        reply = "".join(chat.reply(question))
        assert town.grade((Turn("user", question),), reply).right, reply


@pytest.mark.parametrize("stage", ["pretrain", "sft", "reward", "ppo"])
def test_shipped_models_have_their_curves(stage):
    assert (SHIPPED / stage / METRICS).stat().st_size > 1000


def test_the_shipped_policy_can_still_talk():
    """A policy that was rewarded for honesty may learn to decline whatever it is asked."""
    town, model = Town(), load_model(SHIPPED / "ppo")
    prompts = [Prompt((Turn("user", text),)) for talk in SMALL_TALK for text in talk.prompts]
    replies = respond(model, prompts, 48, CHATTY)
    right = [town.grade(prompt.turns, reply.text).right for prompt, reply in zip(prompts, replies, strict=True)]
    assert sum(right) / len(right) >= 0.9
