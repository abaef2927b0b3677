"""What users have on disk from versions before the package was organised into rooms goes on working.

`fixtures/written_before` was written by the scripts of that time: a recipe, its four model folders, votes, and what the
models said then (`expected.json`).
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from minigpt import Turn, cli
from minigpt.alignment.policy import load_value_head
from minigpt.alignment.reward_model import load_reward_model
from minigpt.config import DPOConfig, PPOConfig, RewardConfig, TrainingConfig, former_names
from minigpt.model.checkpoint import load_model
from minigpt.recipe import load_recipe
from minigpt.registry import ancestry, find_models
from minigpt.web.exports import better_and_worse, split
from minigpt.web.store import Store

BEFORE = Path(__file__).parent / "fixtures" / "written_before"
EXPECTED = json.loads((BEFORE / "expected.json").read_text(encoding="utf-8"))
ASKED = (Turn("user", "Who is Ada?"),)


@pytest.mark.parametrize("stage", ["pretrain", "sft", "ppo"])
def test_a_language_model_computes_what_it_did(stage):
    chat = load_model(BEFORE / "old" / stage)
    with torch.no_grad():
        logits = chat.gpt.eval()(torch.tensor([[2, 5, 9, 40, 41]]))[0, -1, :8]
    assert logits.tolist() == pytest.approx(EXPECTED[stage], abs=2e-5)
    assert chat.is_chat == (stage != "pretrain")


def test_a_reward_model_scores_what_it_did():
    scores = load_reward_model(BEFORE / "old" / "reward").score([(ASKED, "A friend."), (ASKED, "Number 3.")])
    assert scores == pytest.approx(EXPECTED["reward"], abs=2e-5)


def test_the_value_head_is_read():
    policy = load_value_head(BEFORE / "old" / "ppo", load_model(BEFORE / "old" / "ppo"))
    assert policy.value_head.weight.shape == (1, 16)


def test_the_models_are_found_with_their_descent():
    models = find_models(BEFORE)
    assert ancestry(models["old/ppo"], models) == ["old/pretrain", "old/sft", "old/ppo"]
    assert all(model.finished and model.state() == "sound" for model in models.values()) and len(models) == 4


def test_a_recipe_with_the_former_keys_means_what_it_did(capsys):
    recipe = load_recipe(str(BEFORE / "old.toml"))
    told = capsys.readouterr().err
    kinds = (TrainingConfig, RewardConfig, PPOConfig)
    former = {key: name for kind in kinds for key, name in former_names(kind).items()}
    used = [key for key in former if f"\n{key} = " in (BEFORE / "old.toml").read_text(encoding="utf-8")]
    assert {"learning_rate", "matrix_rate", "kl", "value_rate", "rater", "familiarity"} <= set(used)
    assert all(f"{key} is now called {former[key]}." in told for key in used)
    assert recipe.settings("sft")["lr"] == 0.002 and recipe.settings("ppo")["kl_coef"] == 0.02
    assert recipe.settings("reward")["annotator"] == "grader"
    assert recipe.grader() is not None


@pytest.mark.parametrize("kind", [TrainingConfig, RewardConfig, PPOConfig, DPOConfig])
def test_every_former_flag_sets_what_it_is_called_now(kind, monkeypatch, capsys):
    parser = cli.Parser()
    cli.add_settings_flags(parser, kind)
    for former, name in former_names(kind).items():
        field = next(f for f in kind.__dataclass_fields__.values() if f.name == name)
        value = field.metadata["choices"][0] if "choices" in field.metadata else type(field.default)(1)
        flag = f"--{former.replace('_', '-')}"
        monkeypatch.setattr(sys, "argv", ["run.py", flag, str(value)])
        assert getattr(parser.parse_args(), name) == value
        assert f"{flag} is now called --{name.replace('_', '-')}." in capsys.readouterr().err


def test_votes_are_read_and_still_teach(tmp_path):
    shutil.copy(BEFORE / "feedback.sqlite", tmp_path / "feedback.sqlite")
    store = Store(tmp_path / "feedback.sqlite")
    try:
        assert store.counts()["usable"] == 3 and len(store.votes()) == 4
        learn, measure = split(store.votes())
        assert ("A friend 0.", "Number 0.") in [better_and_worse(vote) for vote in [*learn, *measure]]
        pair = store.pair(store.votes()[0]["id"])
        assert pair is not None and pair["messages"][0]["content"] == "Who is Ada?"
    finally:
        store.close()
