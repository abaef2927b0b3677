"""The scripts as a user runs them: help, two stages and a chat in a fresh folder, mistakes that end in a sentence."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minigpt.model.checkpoint import load_model, read_card
from minigpt.recipe import RECIPES, load_recipe

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
#: Each script, and options that its help has to tell of.
SCRIPTS = {
    "run_pretrain.py": ("--corpus", "--resume"),
    "run_sft.py": ("--init-from", "--from-scratch"),
    "run_reward.py": ("--score", "--prompt", "--answer", "--augment", "--want"),
    "run_ppo.py": ("--want", "--updates", "--kl-coef"),
    "run_chat.py": ("--ask", "--mode"),
}

RECIPE = """
title = "A small town"
depth = 1
context = 64
vocab_size = 340
[pretrain]
corpus = "{articles}"
format = "text"
steps = 6
batch_size = 4
evaluations = 2
[sft]
corpus = "{talks}"
format = "messages"
steps = 4
batch_size = 4
evaluations = 2
"""


def script(name: str, *arguments: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    called = [str(ROOT / name)] if name.endswith(".py") else ["-m", "minigpt", *name.split()]
    command = [sys.executable, *called, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, input=stdin, capture_output=True, text=True, encoding="utf-8", timeout=300
    )


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Path:
    """A folder with a recipe of one's own, both of its stages trained."""
    folder = tmp_path_factory.mktemp("town")
    people = [f"Ada{i} keeps a cat and lives on Elm Street number {i}." for i in range(60)]
    (folder / "articles.txt").write_text("\n\n".join(people), encoding="utf-8")
    talks = [
        {"messages": [{"role": "user", "content": f"Where is Ada{i}?"}, {"role": "assistant", "content": f"At {i}."}]}
        for i in range(60)
    ]
    (folder / "talks.jsonl").write_text("\n".join(json.dumps(t) for t in talks), encoding="utf-8")
    recipe = RECIPE.format(articles=(folder / "articles.txt").as_posix(), talks=(folder / "talks.jsonl").as_posix())
    (folder / "mine.toml").write_text(recipe, encoding="utf-8")
    for stage in ("run_pretrain.py", "run_sft.py"):
        run = script(stage, "--recipe", "mine.toml", cwd=folder)
        assert run.returncode == 0, run.stderr
    return folder


@pytest.mark.parametrize(("name", "options"), SCRIPTS.items())
def test_help_teaches(name, options, tmp_path):
    run = script(name, "--help", cwd=tmp_path)
    assert run.returncode == 0
    assert "python run_" in run.stdout and all(option in run.stdout for option in ("--device", *options))
    assert not list(tmp_path.iterdir())


def test_both_stages_leave_a_whole_model_folder(town):
    for stage in ("pretrain", "sft"):
        folder = town / "trained_models" / "mine" / stage
        names = {path.name for path in folder.iterdir()}
        tokenizer = {"tokenizer.model", "tokenizer.json", "tokenizer_config.json"}
        log = {"metrics.jsonl", "samples.jsonl", "curve.png"}
        assert names == {"config.json", "model.safetensors", "minigpt.json"} | tokenizer | log
        assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG") and (
            folder / "curve.png"
        ).stat().st_size > 5000
        card = read_card(folder)
        assert card["stage"] == stage and card["recipe"] == "mine" and card["metrics"]["loss"] > 0
    sft, pretrain = (load_model(town / "trained_models" / "mine" / stage) for stage in ("sft", "pretrain"))
    assert sft.is_chat and not pretrain.is_chat
    assert (
        read_card(town / "trained_models/mine/sft")["parent"]
        == read_card(town / "trained_models/mine/pretrain")["sha256"]
    )


def test_every_run_says_what_it_will_do_and_what_comes_next(town):
    run = script("run_pretrain.py", "--recipe", "mine.toml", "--out", "again", "--steps", "2", cwd=town)
    assert run.returncode == 0, run.stderr
    for words in (
        "machine:",
        "parameters",
        "tokens/s",
        "2 steps, about",
        "dropped: nothing",
        "run_sft.py --recipe mine.toml",
    ):
        assert words in run.stdout
    once_more = script("run_pretrain.py", "--recipe", "mine.toml", "--out", "again", "--steps", "2", cwd=town)
    assert "the former again is now again.previous" in once_more.stdout and (town / "again.previous").is_dir()


def test_chat_in_the_terminal(town):
    model = ("--model", "trained_models/mine/sft")
    said = "Where does Ada3 live?\n/qa\nAnd Ada4?\n/clear\n\n"
    talk = script("run_chat.py", "--terminal", *model, cwd=town, stdin=said)
    assert talk.returncode == 0, talk.stderr
    assert talk.stdout.count("model: ") == 2
    one = script("run_chat.py", *model, "--ask", "Where does Ada3 live?", cwd=town)
    again = script("run_chat.py", *model, "--ask", "Where does Ada3 live?", cwd=town)
    assert one.returncode == 0 and one.stdout == again.stdout
    newest = script("run_chat.py", "--ask", "Hello", "--temperature", "0", "--beam-width", "2", cwd=town)
    assert newest.returncode == 0, newest.stderr
    too_long = script("run_chat.py", *model, "--ask", "word " * 100, cwd=town)
    assert "make it shorter" in too_long.stdout


def mistake(name: str, *arguments: str, cwd: Path) -> str:
    """The sentence that a mistake ends in: exit code 2, one line, no traceback."""
    run = script(name, *arguments, cwd=cwd)
    assert run.returncode == 2, run.stdout + run.stderr
    assert "Traceback" not in run.stderr and len(run.stderr.strip().splitlines()) == 1
    return run.stderr


MISTAKES = [
    ("run_pretrain.py", ["--depht", "3"], "--depht is unknown, did you mean --depth?"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--depth", "0"], "--depth is 0"),
    ("run_pretrain.py", ["--recipe", "tinytwon"], "did you mean tinytown?"),
    ("run_pretrain.py", ["--recipe", "nowhere.toml"], "there is no recipe"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--corpus", "no/such.txt"], "does not exist"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--corpus", "empty.txt"], "empty"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--corpus", "latin1.txt"], "not UTF-8"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--vocab-size", "90000"], "--vocab-size"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--vocab-size", "99"], "a vocabulary of 99 holds no words"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--steps", "many"], "--steps"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--lr", "nan"], "lr is nan"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--batch-size", "0"], "batch_size is 0"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--device", "abacus"], "--device abacus"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--dtype", "fp8"], "--dtype fp8 is unknown"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--dtype", "fp16"], "--dtype fp16 overflows in training; use bf16"),
    ("run_pretrain.py", ["--recipe", "broken.toml"], "not valid TOML"),
    ("run_pretrain.py", ["--recipe", "typo.toml"], "did you mean batch_size?"),
    ("run_pretrain.py", ["--recipe", "mine.toml", "--out", "articles.txt/model"], "cannot be written"),
    ("run_sft.py", ["--recipe", "mine.toml", "--corpus", "torn.jsonl"], "torn.jsonl:2"),
    ("run_sft.py", ["--recipe", "mine.toml", "--corpus", "columns.jsonl"], "columns.jsonl:1"),
    ("run_sft.py", ["--recipe", "mine.toml", "--init-from", "nowhere"], "holds no model"),
    ("run_sft.py", ["--recipe", "mine.toml", "--corpus", "prompts.jsonl", "--format", "prompts"], "not from prompts"),
    ("run_sft.py", ["--recipe", "movie"], "run_pretrain.py --recipe movie first"),
    ("run_chat.py", ["--model", "nowhere"], "holds no model"),
    ("run_chat.py", ["--model", str(ROOT / "trained_models" / "shipped" / "reward")], "is a reward model"),
    ("run_chat.py", ["--model", "trained_models/mine/sft", "--top-p", "3"], "top_p is 3.0"),
    ("evaluate knowledge", ["--model", "nowhere"], "holds no model"),
]


@pytest.mark.parametrize(
    ("name", "arguments", "words"), MISTAKES, ids=lambda v: " ".join(v) if isinstance(v, list) else None
)
def test_mistakes_end_in_a_sentence_and_nothing_half_written(town, name, arguments, words):
    (town / "empty.txt").write_text("", encoding="utf-8")
    (town / "latin1.txt").write_bytes("café\n\nolé".encode("latin-1"))
    (town / "broken.toml").write_text("depth = ", encoding="utf-8")
    (town / "typo.toml").write_text(
        (town / "mine.toml").read_text(encoding="utf-8").replace("batch_size", "batch_sise"), encoding="utf-8"
    )
    good = (town / "talks.jsonl").read_text(encoding="utf-8").splitlines()[0]
    (town / "torn.jsonl").write_text(good + "\n" + good[:40], encoding="utf-8")
    (town / "prompts.jsonl").write_text('{"prompt": "How are you?"}\n', encoding="utf-8")
    (town / "columns.jsonl").write_text('{"question": "a", "reply": "b"}\n', encoding="utf-8")
    out = ["--out", "mistake"] if name in ("run_pretrain.py", "run_sft.py") and "--out" not in arguments else []
    assert words in mistake(name, *arguments, *out, cwd=town)
    assert not (town / "mistake" / "model.safetensors").exists() and not list(town.glob("mistake/.*"))


def test_an_unfinished_run_is_not_thrown_away_unasked(town):
    folder = town / "trained_models" / "half"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training_state.safetensors").write_bytes(b"")
    assert "--resume" in mistake("run_pretrain.py", "--recipe", "mine.toml", "--out", str(folder), cwd=town)
    again = script(
        "run_pretrain.py", "--recipe", "mine.toml", "--out", str(folder), "--steps", "1", "--restart", cwd=town
    )
    assert again.returncode == 0, again.stderr


def test_resume_trains_a_finished_stage_again_once_its_parent_is_another(town, tmp_path):
    """And what it printed as the next command works as it stands."""
    shutil.copytree(town, tmp_path / "town")
    town = tmp_path / "town"
    sft = ("run_sft.py", "--recipe", "mine.toml", "--resume")
    same = script(*sft, cwd=town)
    assert same.returncode == 0 and "nothing to resume" in same.stdout, same.stderr
    again = script("run_pretrain.py", "--recipe", "mine.toml", "--seed", "1", "--resume", "--steps", "2", cwd=town)
    assert "nothing to resume" in again.stdout, "a first stage has no parent"
    assert script("run_pretrain.py", "--recipe", "mine.toml", "--seed", "1", cwd=town).returncode == 0
    models = town / "trained_models" / "mine"
    before = read_card(models / "sft")
    done = script(*sft, cwd=town)
    assert done.returncode == 0, done.stderr
    assert "is not the model that it began from: it is trained again" in done.stdout
    assert read_card(models / "sft.previous") == before and read_card(models / "sft")["sha256"] != before["sha256"]
    assert "nothing to resume" in script(*sft, cwd=town).stdout
    (said,) = re.findall("^next: +(.+)$", done.stdout, re.MULTILINE)
    assert "run_chat.py" in said and "or:" not in done.stdout, "the recipe has no [reward]"
    told = subprocess.run(
        [*(shlex.split(said) if os.name != "nt" else [said]), "--ask", "Where is Ada3?"], cwd=town, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True, encoding="utf-8", timeout=300,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_recipes_that_come_with_minigpt_are_sound(path):
    recipe = load_recipe(path.stem)
    assert recipe.title != recipe.name and ("pretrain" in recipe.stages) != recipe.inherits
