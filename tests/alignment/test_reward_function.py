"""A user's own function as the reward: what it gets, what it may return, and mistakes that end in a sentence."""

from __future__ import annotations

import runpy
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from helpers.docs import fences, read
from helpers.models import make_ppo, write_talks

from minigpt import Turn, UserError
from minigpt.alignment.policy import Policy
from minigpt.alignment.reward_function import digest_of, is_reward_function, load_reward_function
from minigpt.lineage import changed_since, parents_of
from minigpt.model.checkpoint import read_card, save_model
from minigpt.model.responses import Response

ROOT = Path(__file__).parents[2]


def response(question: str, answer: str) -> Response:
    turns = (Turn("user", "Hello."), Turn("assistant", "Hi."), Turn("user", question))
    return Response(turns, [1, 2, 3], 1, True, answer, [-1.0, -1.0])


RESPONSES = [response("Where?", "Here, please."), response("Who?", "")]


def write(folder: Path, body: str) -> str:
    path = folder / "mine.py"
    path.write_text(f"import torch\n\ndef score(prompts, responses):\n    {body}\n", encoding="utf-8")
    return f"{path}:score"


def test_the_function_sees_the_last_question_and_the_answer(tmp_path):
    name = write(tmp_path, 'return [10 * len(p) + ("please" in r) for p, r in zip(prompts, responses)]')
    assert load_reward_function(name)(RESPONSES) == [61.0, 40.0]
    assert load_reward_function(name)([]) == []


@pytest.mark.parametrize("body", ["return (1, 2)", "return torch.tensor([1.0, 2.0])", "yield from (True, 2)"])
def test_any_row_of_numbers_will_do(tmp_path, body):
    assert load_reward_function(write(tmp_path, body))(RESPONSES) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return [1]", "returned 1 numbers for 2 answers"),
        ("return [1, float('nan')]", "returned nan for the answer ''"),
        ("return [float('inf'), 1]", "returned inf for the answer 'Here, please.'"),
        ("return 1.0", "returned 1.0; it must return a list with one number an answer"),
        ("return None", "returned None; it must"),
        ("return ['good', 'bad']", "it must return a list with one number an answer"),
        ("return [len(p) / len(r) for p, r in zip(prompts, responses)]", "mine.py, line 4: ZeroDivisionError"),
        ("return torch.zeros(2, 3) @ torch.zeros(2)", "mine.py, line 4: RuntimeError"),
    ],
)
def test_a_broken_function_is_one_sentence(tmp_path, body, told):
    reward = load_reward_function(write(tmp_path, body))
    with pytest.raises(UserError) as caught:
        reward(RESPONSES)
    assert told in str(caught.value) and "mine.py" in str(caught.value)


def test_a_broken_file_is_one_sentence(tmp_path):
    path = tmp_path / "mine.py"
    for text, told in (
        ("def score(:\n", "mine.py, line 1"),
        ("x = 1\nimport nothing_of_this_name\n", "mine.py, line 2: ModuleNotFoundError"),
        ("def other(prompts, responses):\n    return []\n", "has no function 'score'; it has other"),
        ("score = 3\n", "has no function 'score'; it has none"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError) as caught:
            load_reward_function(f"{path}:score")
        assert told in str(caught.value)
    with pytest.raises(UserError, match=r"away\.py does not exist"):
        load_reward_function(f"{tmp_path / 'away.py'}:score")


def test_folders_and_the_grader_are_no_functions():
    assert is_reward_function("a/b.py:score") and is_reward_function(r"C:\mine.py:score")
    assert not any(map(is_reward_function, (None, "grader", "trained_models/reward", r"C:\models", "mine.py")))


def test_a_function_is_no_model_that_could_have_changed(tmp_path):
    name = write(tmp_path, "return [0, 1]")
    parents = parents_of("ppo", "r", Namespace(init_from=str(tmp_path / "sft"), reward=name))
    assert changed_since({"reward": digest_of(name)}, parents) is None
    assert str(changed_since({"reward": "abc"}, parents)) == "no reward model"
    before = digest_of(name)
    write(tmp_path, "return [1, 0]")
    assert before.startswith(name) and digest_of(name) != before


def test_ppo_learns_what_the_function_pays_for(tmp_path, speaker):
    name = write(tmp_path, 'return [r.split().count("f") / (1 + len(r.split())) for r in responses]')
    reward = load_reward_function(name)
    trainer = make_ppo(speaker, reward, updates=12, episodes=32, minibatch=16, lr=2e-3, kl_coef=0.0)
    numbers = [trainer.update()["reward"] for _ in range(12)]
    assert sum(numbers[-3:]) / 3 > sum(numbers[:3]) / 3 + 0.1


@pytest.mark.slow
def test_the_script_takes_a_function_and_says_where_it_fails(tmp_path, speaker, monkeypatch, capsys):
    save_model(tmp_path / "sft", speaker, {"stage": "sft", "recipe": "r"})
    write_talks(tmp_path / "talks.jsonl")
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        '[ppo]\ncorpus = "talks.jsonl"\nformat = "messages"\nupdates = 2\nepisodes = 8\nminibatch = 8\n'
        "max_new_tokens = 6\nevaluations = 1\n",
        encoding="utf-8",
    )

    def run(name: str, out: str) -> int:
        words = ["--recipe", str(recipe), "--init-from", str(tmp_path / "sft"), "--reward", name, "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["run_ppo.py", *words, "--out", str(tmp_path / out)])
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(ROOT / "run_ppo.py"), run_name="__main__")
        return int(left.value.code or 0)

    name = write(tmp_path, "return [float(len(r)) for r in responses]")
    assert run(name, "ppo") == 0
    assert read_card(tmp_path / "ppo")["reward"] == digest_of(name)
    assert f"reward:    {name}" in capsys.readouterr().out
    assert run(write(tmp_path, "return [1 / 0 for r in responses]"), "broken") == 2
    assert "mine.py, line 4: ZeroDivisionError" in capsys.readouterr().err


def test_the_examples_of_the_docs_work(monkeypatch):
    """The first three functions score; the statements from Python train, here for one update on few answers."""
    functions, from_python = (text for language, text in fences(read("docs/recipes.md")) if language == "python")
    names: dict[str, object] = {}
    exec(compile(functions, "functions", "exec"), names)
    assert names["score"](["a"], ["Please, please"]) == [1.0]
    assert names["has_a_number"](["a", "b"], ["at 9", "at nine"]) == [1.0, -1.0]
    assert names["short"](["a"], ["one two three four"]) == [-1.0]
    monkeypatch.chdir(ROOT)
    small = from_python.replace("updates=10, episodes=32, minibatch=16", "updates=1, episodes=8, minibatch=8")
    exec(compile(small, "from Python", "exec"), names)
    assert isinstance(names["policy"], Policy)
