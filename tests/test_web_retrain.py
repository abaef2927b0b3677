"""Training on the votes: the commands, their progress, cancelling them, and the agreement before and after."""

from __future__ import annotations

import json
import re
from pathlib import Path

from web_helpers import deadline, error_of, make_app, read_stream

from minigpt.examples import Turn
from minigpt.web import Settings, judge
from minigpt.web.judge import Reward

pytest_plugins = ["web_fixtures"]

CHILD = """
import pathlib, sys, time
votes, out, name = sys.argv[1:4]
print(f"{name}: {len(pathlib.Path(votes).read_text().splitlines())} votes", flush=True)
for percent in (0, 50, 100):
    print(f"\\r{percent}%|###| {percent}/100", end="", flush=True)
print()
pathlib.Path(out, name).write_text("done")
if name == "wait":
    time.sleep(600)
if name == "fail":
    print("no such recipe")
    sys.exit(2)
"""


class Liking:
    """A reward model that likes what the voter likes, once the child has been there."""

    def __init__(self, trained: Path) -> None:
        self.trained = trained

    def score(self, examples):
        likes = 1.0 if self.trained.exists() else -1.0
        assert all(isinstance(turn, Turn) for turns, _ in examples for turn in turns)
        return [likes * answer.startswith("town/sft") for _, answer in examples]


def training_app(models, tmp_path, *names, monkeypatch=None, **settings):
    (tmp_path / "child.py").write_text(CHILD, encoding="utf-8")
    commands = [(name, ["{python}", "child.py", "{votes}", str(tmp_path), name]) for name in names]
    app = make_app(models, tmp_path, retrain_commands=commands, retrain_folder=tmp_path, **settings)
    for i in range(10):
        messages = [{"role": "user", "content": f"Question {i}?"}]
        left, right = ({"model": m, "text": f"{m} {i}", "seed": i} for m in ("town/sft", "town/ppo"))
        app.store.add_vote(app.store.add_pair(messages, left, right), "left")
    return app


def finished(client):
    for _ in deadline(120):
        job = client.get("/api/retrain").get_json()
        if job["state"] != "running":
            return job
    raise AssertionError


def test_training_on_votes_runs_the_commands_and_measures_what_came_of_it(models, tmp_path, monkeypatch):
    trained = tmp_path / "reward model"
    monkeypatch.setattr(judge.Judge, "reward", lambda self, *_, **__: Reward(Liking(trained), "votes/reward"))
    app = training_app(models, tmp_path, "reward model", "PPO", retrain_votes=10)
    client = app.test_client()
    assert client.get("/api/retrain").get_json()["state"] == "idle"
    started = client.post("/api/retrain", json={})
    assert started.status_code == 202 and started.get_json()["steps"] == 2
    events = read_stream(client.get("/api/retrain/events").data)
    job = finished(client)
    assert job["state"] == "done", job
    assert job["agreement"]["before"] == {"share": 0.0, "votes": 2, "reason": None}
    assert job["agreement"]["after"]["share"] == 1.0
    assert job["lines"][0] == "reward model: 8 votes" and job["commands"][0].startswith("python child.py ")
    percents = [(d["step"], d["percent"]) for name, d in events if name == "progress"]
    assert percents == [(step, percent) for step in (1, 2) for percent in (None, 0, 50, 100)]
    assert [d["when"] for name, d in events if name == "agreement"] == ["before", "after"]
    assert events[-1][0] == "done" and events[-1][1]["state"] == "done"
    assert (tmp_path / "PPO").exists()
    assert job["counts"]["since_training"] == 0 and job["counts"]["needed"] == 10
    learned = [json.loads(line) for line in (tmp_path / "feedback.learn.jsonl").read_text().splitlines()]
    held_out = [json.loads(line) for line in (tmp_path / "feedback.heldout.jsonl").read_text().splitlines()]
    assert (len(learned), len(held_out)) == (8, 2)
    app.close()


def test_a_failing_command_ends_the_training_and_says_why(models, tmp_path):
    app = training_app(models, tmp_path, "fail", "PPO", retrain_votes=3)
    client = app.test_client()
    client.post("/api/retrain", json={})
    job = finished(client)
    assert job["state"] == "failed" and job["message"] == "fail ended with exit code 2: no such recipe"
    assert not (tmp_path / "PPO").exists() and job["counts"]["since_training"] == 10
    assert job["agreement"]["before"]["share"] is None and "run_reward.py" in job["agreement"]["before"]["reason"]
    app.close()


def test_only_one_training_runs_and_it_can_be_cancelled(models, tmp_path):
    app = training_app(models, tmp_path, "wait", "PPO", retrain_votes=3)
    client = app.test_client()
    assert client.post("/api/retrain", json={}).status_code == 202
    again = client.post("/api/retrain", json={})
    assert again.status_code == 409 and error_of(again)["code"] == "already_running"
    for _ in deadline(60):
        if (tmp_path / "wait").exists():
            break
    job = client.delete("/api/retrain").get_json()
    assert job["state"] == "cancelled" and not (tmp_path / "PPO").exists()
    app.close()


def test_too_few_votes_train_only_by_force(models, tmp_path):
    app = training_app(models, tmp_path, "PPO", retrain_votes=11)
    client = app.test_client()
    response = client.post("/api/retrain", json={})
    assert response.status_code == 400 and error_of(response)["code"] == "not_enough_votes"
    assert client.post("/api/retrain", json={"force": True}).status_code == 202
    assert finished(client)["state"] == "done"
    app.close()


def test_a_command_that_does_not_exist_fails_the_training(models, tmp_path):
    app = training_app(models, tmp_path, retrain_votes=3)
    app.close()
    commands = [("nothing", [str(tmp_path / "no-such-program")])]
    app = make_app(models, tmp_path, retrain_commands=commands, retrain_votes=3)
    client = app.test_client()
    client.post("/api/retrain", json={})
    assert finished(client)["state"] == "failed"
    app.close()


def test_the_default_commands_name_scripts_and_known_words():
    known = {"python", "scripts", "models", "votes", "heldout", "policy", "recipe"}
    for _, words in Settings().retrain_commands:
        assert words[0] == "{python}"
        assert {name for word in words for name in re.findall(r"{(\w+)}", word)} <= known
