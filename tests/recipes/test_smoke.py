"""The whole road in miniature: the four scripts on a small Tinytown, from nothing, and what each stage is good for.

The numbers are not those of the recipe (this takes a minute, not ten), but each is far from what chance or an untrained
model would give, and from what other seeds gave.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from minigpt.__main__ import command
from minigpt.model.checkpoint import read_card
from minigpt.tinytown import write_corpora
from minigpt.training.run_state import read_log

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STAGES = ("pretrain", "sft", "reward", "ppo")
RECIPE = """
title = "A small Tinytown"
grader = "town"
depth = 2
context = 96
vocab_size = 1024

[pretrain]
corpus = "tinytown/articles"
format = "wiki"
steps = 100
batch_size = 16
evaluations = 1

[sft]
corpus = "tinytown/dialogs"
format = "guide"
steps = 60
batch_size = 16
lr = 0.003
evaluations = 1

[reward]
corpus = "tinytown/dialogs"
format = "guide"
annotator = "grader"
pairs = 1500
max_new_tokens = 24
batch_size = 24
lr = 0.002
epsilon = 0.001
matrix_lr = 0.01
decay = 1.0
evaluations = 1

[ppo]
corpus = "tinytown/dialogs"
format = "guide"
updates = 8
episodes = 64
minibatch = 32
max_new_tokens = 24
lr = 0.0004
value_lr = 0.003
evaluations = 1
evaluation_prompts = 200
"""


def run(script: str, *arguments: str) -> str:
    """Run a script of the project or a `minigpt` subcommand in this process; returns what it printed."""
    out = io.StringIO()
    before, sys.argv = sys.argv, [script, "--recipe", "small.toml", "--device", "cpu", "--dtype", "fp32", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises(SystemExit) as left:
            if script.endswith(".py"):
                runpy.run_path(str(ROOT / script), run_name="__main__")
            else:
                sys.argv[0:1] = ["minigpt", *script.split()]
                command()
    finally:
        sys.argv = before
    assert not left.value.code, out.getvalue()
    return out.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The folder of the four models, each trained from the one before."""
    folder, before, threads = tmp_path_factory.mktemp("small"), Path.cwd(), torch.get_num_threads()
    write_corpora(folder / "corpora" / "tinytown", tellings=4, conversations=2000)
    (folder / "small.toml").write_text(RECIPE, encoding="utf-8")
    os.chdir(folder)
    torch.set_num_threads(1)  # the models are too small for more, and sums come in one order
    try:
        for stage in STAGES:
            run(f"run_{stage}.py")
        yield folder / "trained_models" / "small"
    finally:
        os.chdir(before)
        torch.set_num_threads(threads)


def measured(folder: Path) -> list[dict[str, Any]]:
    """What each validation of a stage found."""
    return [row["valid"] for row, _ in read_log(folder / "metrics.jsonl") if "valid" in row]


def test_pretraining_learns_how_articles_read(home):
    """Loss per token in nats; before, every piece of the vocabulary is about as likely as any."""
    first, last = (scores["loss"] for scores in measured(home / "pretrain"))
    assert first > 6 and last < 2.1


def test_fine_tuning_learns_how_the_guide_answers(home):
    first, last = (scores["loss"] for scores in measured(home / "sft"))
    assert first > 2 and last < 1.4


def test_the_reward_model_tells_the_better_of_two_answers(home):
    """On prompts that it has not learned from."""
    scores = read_card(home / "reward")["metrics"]
    assert scores["examples"] > 50 and scores["accuracy"] > 0.65


def test_ppo_earns_more_and_the_town_agrees(home):
    """The learned reward rises, and so does what the grader, which PPO never hears, thinks of held-out answers."""
    before, after = measured(home / "ppo")
    assert before["kl"] == 0 and abs(before["reward"]) < 0.8
    assert after["reward"] > before["reward"] + 0.5 and 0 < after["kl"] < 20
    assert after["true_polite"] > before["true_polite"] + 0.2
    assert after["distinct_2"] > 0.25 * before["distinct_2"]


def test_every_stage_names_the_model_that_it_began_with(home):
    cards = {stage: read_card(home / stage) for stage in STAGES}
    assert all(card["finished"] for card in cards.values())
    assert [cards[stage]["parent"] for stage in STAGES[1:]] == [
        cards["pretrain"]["sha256"], cards["sft"]["sha256"], cards["sft"]["sha256"]
    ]  # fmt: skip
    assert cards["ppo"]["reward"] == cards["reward"]["sha256"]


def test_finished_runs_have_nothing_to_resume(home):
    def fingerprint() -> dict[Path, str]:
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in home.rglob("*") if path.is_file()}

    before = fingerprint()
    for stage in STAGES:
        assert "there is nothing to resume" in run(f"run_{stage}.py", "--resume")
    assert fingerprint() == before


def test_the_report_card_tells_of_all_four_stages(home):
    run("report", "--questions", "20", "--best-of", "0")
    page = (home / "report.html").read_text(encoding="utf-8")
    assert all(stage in page for stage in STAGES) and (home / "report.json").stat().st_size > 1000
