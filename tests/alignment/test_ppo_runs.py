"""Whole runs of PPO: rewards that must be earned, policies that go wrong, runs that are stopped, killed and shared."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.models import make_chat, make_ppo, share_of_f

from minigpt import Sampling, UserError, generate
from minigpt.alignment.ppo import PPOState, PPOTrainer
from minigpt.alignment.ppo_metrics import rollout_metrics
from minigpt.alignment.stop_rules import reason_for_nothing
from minigpt.model.checkpoint import save_model
from minigpt.model.responses import response_batch
from minigpt.training.device import detect
from minigpt.training.run_state import read_log

ROOT = Path(__file__).parents[2]
MEASURED = {"reward", "reward_deviation", "kl", "kl_coef", "objective", "entropy", "explained_variance",
            "length", "ended", "distinct_2", "same_ending", "sampler_gap"}  # fmt: skip
LEARNED = {"policy_loss", "value_loss", "approximate_kl", "clip_fraction", "ratio", "ratio_variance", "ratio_error"}
UPDATE = MEASURED | LEARNED | {"step", "total_steps", "seconds", "episodes_per_second"}


def weights(policy: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in policy.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def rows_of(folder: Path, name: str = "metrics.jsonl") -> list[dict]:
    """The log, without what depends on the clock."""
    clocks = ("seconds", "episodes_per_second")
    return [{k: v for k, v in row.items() if k not in clocks} for row, _ in read_log(folder / name)]


def valid_rows(folder: Path) -> list[dict]:
    return [row["valid"] for row in rows_of(folder) if "valid" in row]


# What is earned.

BANDIT = dict(updates=16, episodes=32, minibatch=8, ppo_epochs=4, max_new_tokens=14, max_kl=50.0, max_drift=99.0)


def test_a_bandit_is_won_close_to_the_reference(tmp_path, speaker):
    """The share of one word in eight rises at least threefold, while the divergence stays below eight nats."""
    make_ppo(speaker, share_of_f, folder=tmp_path, **BANDIT).train()
    first, last = valid_rows(tmp_path)
    assert first["kl"] == 0 and 0.02 < first["reward"] < 0.2
    assert last["reward"] > 3 * first["reward"]
    assert 0 < last["kl"] < 8 and all(row["kl"] < 8 for row in rows_of(tmp_path) if "kl" in row)


def test_at_a_kl_coef_of_a_thousand_the_policy_does_not_move(tmp_path, speaker):
    make_ppo(speaker, share_of_f, folder=tmp_path, kl_coef=1e3, **BANDIT).train()
    first, last = valid_rows(tmp_path)
    assert abs(last["kl"]) < 0.5 and last["reward"] < 2 * first["reward"]


def word_count(episodes) -> list[float]:
    """A judge who only likes long answers."""
    return [float(len(episode.ids) - episode.start) for episode in episodes]


@pytest.mark.parametrize(("kl", "longer"), [(0.0, True), (3.0, False)])
def test_a_judge_of_length_is_hacked_unless_divergence_costs(tmp_path, speaker, kl, longer):
    make_ppo(speaker, word_count, folder=tmp_path, kl_coef=kl, missing_eos_penalty=14.0, **BANDIT).train()
    first, last = valid_rows(tmp_path)
    growth = last["length"] / first["length"]
    assert growth > 1.7 if longer else growth < 1.4


def test_ppo_12_an_adaptive_kl_coef_rises_while_the_policy_runs_away(tmp_path, speaker):
    make_ppo(speaker, share_of_f, folder=tmp_path, target_kl=0.01, horizon=100, kl_coef=0.01, updates=6).train()
    coefs = [row["kl_coef"] for row in rows_of(tmp_path) if "valid" not in row]
    divergences = [row["kl"] for row in rows_of(tmp_path) if "valid" not in row]
    for coef, following, kl in zip(coefs, coefs[1:], divergences, strict=False):
        assert (following > coef) == (kl > 0.01)


# What is kept of it.


@pytest.fixture
def decline(speaker):
    """A run whose policy is at its best halfway: all that was saved, and what each evaluation found."""
    saved, evaluated = [], []
    trainer = make_ppo(
        speaker, updates=6, evaluations=6, lr=3e-3,
        save=lambda card: saved.append((weights(trainer.policy), card)),
    )  # fmt: skip
    evaluate, rows = trainer.evaluate, []
    trainer.log.metrics = rows.append

    def drunk(bar):
        if trainer.state.step == 4:
            trainer.task = replace(trainer.task, reward=lambda responses: [-5.0] * len(responses))
        evaluate(bar)
        numbers = rows[-1]["valid"]
        evaluated.append((numbers["reward"] - trainer.config.kl_coef * numbers["kl"], weights(trainer.policy), numbers))

    trainer.evaluate = drunk
    trainer.train()
    return trainer, saved, evaluated


def test_the_best_policy_on_held_out_prompts_is_the_one_returned_and_saved(decline):
    """The best one after paying for its divergence, and not the last."""
    trainer, saved, evaluated = decline
    best, expected, _ = max(evaluated, key=lambda row: row[0])
    assert len(evaluated) == 7 and best > evaluated[-1][0]
    final, card = saved[-1]
    assert same(final, expected) and same(weights(trainer.policy), expected)
    assert card["finished"] and not any(card["finished"] for _, card in saved[:-1])


def test_a_reward_that_costs_more_divergence_than_it_is_worth_is_not_the_best(speaker, monkeypatch):
    trainer = make_ppo(speaker, updates=1, kl_coef=0.05, max_kl=50.0)
    before = weights(trainer.policy)

    def one_more_for_thirty_nats(*rollout):
        return rollout_metrics(*rollout) | {"reward": 1.0 + trainer.state.step, "kl": 30.0 * trainer.state.step}

    monkeypatch.setattr("minigpt.alignment.ppo.rollout_metrics", one_more_for_thirty_nats)
    assert same(weights(trainer.train()), before)


def test_the_card_tells_of_the_policy_beside_it(decline):
    _, saved, evaluated = decline
    for stored, card in saved:
        # An evaluation before the first update and after each: its place in the list is its step.
        step, numbers = next((i, row[2]) for i, row in enumerate(evaluated) if same(row[1], stored))
        assert card["metrics"] == numbers and card["best_step"] == step


def test_ppo_24_the_same_held_out_prompts_are_answered_greedily_at_each_evaluation(tmp_path, speaker):
    trainer = make_ppo(speaker, folder=tmp_path, updates=4, evaluations=2)
    policy = trainer.train()
    rows = rows_of(tmp_path, "samples.jsonl")
    assert [row["step"] for row in rows] == [0] * 8 + [2] * 8 + [4] * 8
    prompts = [[row["prompt"] for row in rows if row["step"] == step] for step in (0, 2, 4)]
    assert prompts[0] == prompts[1] == prompts[2] == [p.turns[-1].text for p in trainer.valid_prompts[:8]]
    ids = [speaker.tokenizer.encode_prompt(p.turns) for p in trainer.valid_prompts[:8]]
    greedy = generate(speaker.gpt, ids, 6, Sampling(temperature=0.0), {speaker.tokenizer.eos})
    assert [row["text"] for row in rows[:8]] == [speaker.tokenizer.decode(g.ids).strip() for g in greedy]
    assert all((row["reward"] > 0) == ("f" in row["text"].split()) for row in rows)
    assert policy is trainer.policy


def test_ppo_25_every_update_and_every_evaluation_is_logged(tmp_path, speaker):
    """With the marks of the truth, where it is known; all of it numbers that JSON can say."""
    marks = {"marks": lambda episode: {"good": float(episode.finished)}}
    make_ppo(speaker, folder=tmp_path, updates=4, evaluations=2, **marks).train()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    updates = [row for row in lines if "valid" not in row]
    assert [row["step"] for row in updates] == [1, 2, 3, 4]
    assert [row["step"] for row in lines if "valid" in row] == [0, 2, 4]
    for row in updates:
        assert row.keys() == UPDATE | {"true_good"} and row["true_good"] == row["ended"]
        assert all(isinstance(value, int | float) and abs(value) < 1e9 for value in row.values())
    for row in lines:
        assert "valid" not in row or row["valid"].keys() == MEASURED | {"true_good"}


@pytest.mark.parametrize("count", [5, 1, 0])
def test_few_held_out_prompts_are_no_reason_to_fail(tmp_path, speaker, count):
    """And what is measured on them are still numbers that every reader of JSON knows."""
    trainer = make_ppo(speaker, folder=tmp_path)
    trainer.valid_prompts = trainer.valid_prompts[:count]
    assert trainer.train() is trainer.policy
    assert all(math.isfinite(value) for numbers in valid_rows(tmp_path) for value in numbers.values())


# Policies that go wrong.


SICK = {
    "come to an end": lambda answer: replace(answer, finished=False, ids=[*answer.ids[:-1], 300]),
    "raise --kl-coef, or look": lambda answer: replace(
        answer, ids=answer.ids + 20 * answer.ids[-1:], logprobs=answer.logprobs + 20 * answer.logprobs[-1:]
    ),
    "all alike": lambda answer: replace(answer, text="f f f f f f"),
}


@pytest.mark.parametrize(("words", "symptom"), SICK.items(), ids=SICK)
def test_ppo_26_a_sick_policy_stops_the_run_and_the_best_one_is_kept(tmp_path, speaker, words, symptom):
    saved = []
    trainer = make_ppo(
        speaker, folder=tmp_path, updates=4, evaluations=4, episodes=16, max_new_tokens=10,
        save=lambda card: saved.append((weights(trainer.policy), card)),
    )  # fmt: skip
    healthy = weights(trainer.policy)
    roll_out = trainer.roll_out

    def sick(prompts, seed):
        rollout = roll_out(prompts, seed)
        if not (trainer.state.step and seed == 0):
            return rollout
        responses = [symptom(response) for response in rollout.responses]
        return replace(rollout, responses=responses, batch=response_batch(responses, speaker.tokenizer.pad))

    trainer.roll_out = sick
    with pytest.raises(UserError, match=f"went wrong at update 1: .*{words}.* keeps the best policy"):
        trainer.train()
    final, card = saved[-1]
    assert same(final, healthy) and same(weights(trainer.policy), healthy)
    assert words in card["stopped"] and not PPOState.exists(tmp_path)


def test_ppo_26_a_policy_far_from_its_reference_stops_the_run(speaker):
    stranger = make_chat(speaker.tokenizer, context=40, depth=1)
    with pytest.raises(UserError, match=r"nats from its reference \(limit 5\).* best policy was put back"):
        make_ppo(speaker, policy=stranger, max_kl=5.0).train()


def test_ppo_26_a_policy_of_nans_stops_the_run(speaker):
    trainer = make_ppo(speaker, updates=3, evaluations=3)
    before = weights(trainer.policy)
    learn = trainer.learn

    def broken(experience, rows):
        found = learn(experience, rows)
        with torch.no_grad():
            trainer.policy.model.norm.weight.fill_(float("nan"))
        return found

    trainer.learn = broken
    with pytest.raises(UserError, match="--lr"):
        trainer.train()
    assert same(weights(trainer.policy), before)


@pytest.mark.parametrize(("reward", "told"), [
    (share_of_f, ""),
    (lambda answers: [0.3] * len(answers), "all answers earned the same reward"),
])  # fmt: skip
def test_a_reward_that_tells_no_answers_apart_teaches_nothing(speaker, reward, told):
    cards: list[dict] = []
    trainer = make_ppo(speaker, reward, missing_eos_penalty=0.3, save=cards.append)
    trainer.train()
    assert told in trainer.warning if told else not trainer.warning
    assert cards[-1].get("warning", "") == trainer.warning and not any("warning" in card for card in cards[:-1])


@pytest.mark.parametrize(("ended", "deviation", "words"), [
    (0.0, 0.0, "within 48 tokens"), (0.5, 0.0, "all answers earned the same"), (0.5, 1e-8, "all answers"),
    (0.5, 0.01, ""),
])  # fmt: skip
def test_what_is_said_of_a_run_that_taught_nothing(ended, deviation, words):
    told = reason_for_nothing(ended, deviation, 48)
    assert words in told if words else not told


# Runs that are stopped, killed and shared.


def test_ctrl_c_finishes_the_update_and_resuming_ends_in_the_same_bits(tmp_path, speaker):
    """With an adaptive kl_coef, whose state comes back too; the log has every row once."""
    options = dict(updates=6, evaluations=3, save_every=2, target_kl=0.1, horizon=50)
    straight = make_ppo(speaker, folder=tmp_path / "straight", **options)
    straight.train()
    stopped = make_ppo(speaker, folder=tmp_path / "stopped", **options)
    update = stopped.update

    def interrupted():
        if stopped.state.step == 2:
            signal.raise_signal(signal.SIGINT)
        return update()

    stopped.update = interrupted
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    resumed = make_ppo(speaker, folder=tmp_path / "stopped", **options)
    assert resumed.resume() and resumed.state.step == 3
    resumed.train()
    assert same(weights(resumed.policy), weights(straight.policy))
    for name in ("metrics.jsonl", "samples.jsonl"):
        assert rows_of(tmp_path / "stopped", name) == rows_of(tmp_path / "straight", name)
    assert not resumed.resume()


def test_resuming_with_other_settings_is_refused(tmp_path, speaker):
    make_ppo(speaker, folder=tmp_path).save_state()
    with pytest.raises(UserError, match=r"kl_coef was 0\.05, is 0\.2"):
        make_ppo(speaker, folder=tmp_path, kl_coef=0.2).resume()
    with pytest.raises(UserError, match="origin was"):
        make_ppo(speaker, folder=tmp_path, origin="another model").resume()


RUN = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from alignment.test_ppo_runs import long_run
from minigpt.model.checkpoint import load_model
from minigpt.training.device import leave_processes
with leave_processes():
    trainer = long_run(load_model(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    trainer.resume()
    trainer.train()
"""


def long_run(speaker, folder: Path, updates: int) -> PPOTrainer:
    trainer: PPOTrainer = make_ppo(
        speaker, folder=folder, updates=updates, evaluations=3, save_every=1, ppo_epochs=1,
        runtime=detect("cpu", "fp32"),
        save=lambda card: save_model(folder, trainer.policy.chat, {}),
    )  # fmt: skip
    return trainer


def launch(parent: Path, folder: Path, updates: int, *launcher: str) -> subprocess.Popen:
    script = parent / "run.py"
    script.write_text(RUN, encoding="utf-8")
    command = [sys.executable, *launcher, str(script), str(ROOT / "tests"), str(parent), str(folder), str(updates)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_kill_nine_and_resume_gives_the_same_bits(tmp_path, speaker):
    save_model(tmp_path, speaker, {"stage": "sft"})
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    long_run(speaker, straight, 30).train()
    rng = random.Random(0)
    for kill in range(2):
        run = launch(tmp_path, killed, 30)
        before = (killed / "training_state.safetensors").stat().st_mtime_ns if kill else 0
        while run.poll() is None:
            if PPOState.exists(killed) and (killed / "training_state.safetensors").stat().st_mtime_ns != before:
                break
            time.sleep(0.002)
        time.sleep(rng.random() * 0.1)
        assert run.poll() is None, run.stderr.read()
        run.kill()
        run.wait()
    last = long_run(speaker, killed, 30)
    assert last.resume() and 0 < last.state.step < 30
    last.train()
    assert (killed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    assert rows_of(killed) == rows_of(straight)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="torchrun needs libuv, which PyTorch lacks on Windows")
def test_two_processes_give_the_numbers_of_one(tmp_path, speaker):
    save_model(tmp_path, speaker, {"stage": "sft"})
    long_run(speaker, tmp_path / "one", 6).train()
    two = launch(tmp_path, tmp_path / "two", 6, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert two.wait(600) == 0, two.stderr.read()
    one, shared = rows_of(tmp_path / "one"), rows_of(tmp_path / "two")
    assert len(one) == len(shared) == 6 + 4
    for ours, theirs in zip(one, shared, strict=True):
        assert theirs.pop("sampler_gap", 0) < 1e-4 and ours.pop("sampler_gap", 0) < 1e-4
        assert theirs.pop("valid", {}) == pytest.approx(ours.pop("valid", {}), abs=1e-4)
        assert theirs == pytest.approx(ours, abs=1e-4)
