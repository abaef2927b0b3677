"""run_reward.py and run_ppo.py as a user runs them: whole folders, scores, resumed runs, and mistakes that end in a
sentence."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers.models import WORDS, copy_of, make_chat, questions, small_talk
from safetensors.torch import save_file

from minigpt import Sampling, Turn
from minigpt.alignment.policy import load_value_head
from minigpt.alignment.ppo import PPOState
from minigpt.alignment.ppo_run import model_reward
from minigpt.alignment.reward_model import RewardModel, load_reward_model, save_reward_model
from minigpt.model.checkpoint import load_model, read_card, save_model
from minigpt.model.responses import respond

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RECIPE = """
title = "A small town"
{top}
[reward]
corpus = "{reward}"
format = "{format}"
steps = 6
batch_size = 8
evaluations = 2
max_new_tokens = 8
{more}
[ppo]
corpus = "{ppo}"
format = "{ppo_format}"
updates = 2
episodes = 8
minibatch = 8
ppo_epochs = 1
max_new_tokens = 6
evaluations = 1
"""
MINE = dict(top="", reward="pairs.jsonl", format="comparisons", more="", ppo="asked.txt", ppo_format="prompts")
RECIPES = {
    "mine": {},
    "film": dict(reward="talks.jsonl", format="messages", more='annotator = "film"\npairs = 60'),
    "town": dict(
        top='grader = "town"', reward="tinytown/dialogs", format="guide", ppo="tinytown/dialogs", ppo_format="guide"
    ),
}
MODEL_FILES = {"config.json", "model.safetensors", "minigpt.json", "tokenizer.model", "tokenizer.json",
               "tokenizer_config.json"}  # fmt: skip


def write_rows(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def pairs() -> list[dict]:
    """Comparisons of two words each, in which "f" is the better answer."""
    asked = [prompt.turns[0].text for prompt in questions(80)]
    return [{"prompt": a, "chosen": "f f", "rejected": WORDS[i % 6]} for i, a in enumerate(dict.fromkeys(asked))]


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / name), *arguments, "--device", "cpu", "--dtype", "fp32"]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def town(tmp_path_factory, speaker) -> Path:
    """A folder with recipes of one's own, in one of which a reward model and a PPO model are trained."""
    folder = tmp_path_factory.mktemp("town")
    write_rows(folder / "pairs.jsonl", pairs())
    talks = [[{"role": turn.role, "content": turn.text} for turn in talk.turns] for talk in small_talk(80, seed=3)]
    write_rows(folder / "talks.jsonl", [{"messages": talk} for talk in talks])
    asked = "".join(prompt.turns[0].text + "\n" for prompt in questions(300))
    (folder / "asked.txt").write_text(asked, encoding="utf-8")
    for name, changes in RECIPES.items():
        (folder / f"{name}.toml").write_text(RECIPE.format(**{**MINE, **changes}), encoding="utf-8")
        card = {"stage": "sft", "recipe": name, "finished": True}
        save_model(folder / "trained_models" / name / "sft", speaker, card)
    for name in ("run_reward.py", "run_ppo.py"):
        done = subprocess.run(
            command(name, "--recipe", "mine.toml"), cwd=folder, env=environment(), capture_output=True, text=True,
            encoding="utf-8", timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (folder / f"{name}.out").write_text(done.stdout, encoding="utf-8")
    return folder


@pytest.fixture
def mood(speaker) -> RewardModel:
    """It has learned nothing, but tells two labels apart."""
    torch.manual_seed(3)
    return RewardModel(copy_of(speaker), gain=3.0, reads_prompt=False, labels=["positive", "negative"])


@pytest.fixture
def run(town, monkeypatch, capsys):
    """Runs a script in this process, which is faster; returns its exit code, output and error output."""

    def run(name: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(town)
        monkeypatch.setattr(sys, "argv", command(name, *arguments)[1:])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            runpy.run_path(str(ROOT / name), run_name="__main__")
        return left.value.code, *capsys.readouterr()

    return run


def model_folder(town: Path, stage: str, recipe: str = "mine") -> Path:
    return town / "trained_models" / recipe / stage


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000


def first_rewards(judge: RewardModel, speaker) -> torch.Tensor:
    """What PPO hears of the first 300 answers."""
    responses = respond(speaker, questions(300), 8, Sampling(seed=1000))
    return torch.tensor(model_reward(judge, speaker)(responses))


# What a run leaves.


def test_the_reward_stage_leaves_a_whole_folder(town):
    folder = model_folder(town, "reward")
    assert {path.name for path in folder.iterdir()} == MODEL_FILES | {"metrics.jsonl", "comparisons.jsonl", "curve.png"}
    assert is_picture(folder / "curve.png")
    card = read_card(folder)
    assert card["stage"] == "reward" and card["finished"] and card["reads_prompt"]
    assert card["parent"] == read_card(model_folder(town, "sft"))["sha256"]
    assert {"accuracy", "interval", "calibration", "histogram", "length_correlation"} <= card["metrics"].keys()
    assert card["gain"] != 1 and card["bias"] != 0
    rows = [json.loads(line) for line in (folder / "comparisons.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == len(pairs()) and rows[0]["chosen"] == [{"role": "assistant", "content": "f f"}]


def test_the_ppo_stage_leaves_a_whole_folder(town):
    folder = model_folder(town, "ppo")
    logs = {"metrics.jsonl", "samples.jsonl", "curve.png", "value_head.safetensors"}
    assert {path.name for path in folder.iterdir()} == MODEL_FILES | logs
    assert is_picture(folder / "curve.png")
    card = read_card(folder)
    assert card["stage"] == "ppo" and card["finished"] and card["metrics"]["kl"] is not None
    assert card["parent"] == read_card(model_folder(town, "sft"))["sha256"]
    assert card["reward"] == read_card(model_folder(town, "reward"))["sha256"]
    assert load_value_head(folder, load_model(folder)).value_head.weight.abs().sum() > 0


def test_every_run_says_what_it_will_do_and_what_comes_next(town):
    reward, ppo = ((town / f"{name}.out").read_text(encoding="utf-8") for name in ("run_reward.py", "run_ppo.py"))
    for words in ("feedback:", "plan:      6 steps", "held-out accuracy", "run_ppo.py --recipe mine.toml\n"):
        assert words in reward
    for words in ("reward:", "prompts:", "plan:      2 updates of 8 answers", "before:", "after:", "run_chat.py"):
        assert words in ppo


def test_rewards_of_answers_from_the_command_line_and_from_a_file(town, run):
    """A line each, the same by both ways, and the same as the model's."""
    asked = ["the f?", "a b?"]
    write_rows(town / "answers.jsonl", [{"prompt": a, "answer": "f k"} for a in asked])
    out = ("--out", str(model_folder(town, "reward")))
    code, lines, _ = run("run_reward.py", "--score", "answers.jsonl", *out)
    assert code == 0
    singly = [run("run_reward.py", "--score", "--prompt", a, "--answer", "f k", *out)[1] for a in asked]
    assert lines == "".join(singly)
    scores = load_reward_model(model_folder(town, "reward")).score([((Turn("user", a),), "f k") for a in asked])
    assert [float(line.split("\t")[0]) for line in lines.splitlines()] == pytest.approx(scores, abs=6e-4)


@pytest.mark.parametrize(
    ("layout", "row"),
    [("labels", lambda row, good: {"text": row["chosen" if good else "rejected"] + row["prompt"],
                                   "label": "positive" if good else "negative"}),
     ("ratings", lambda row, good: {"prompt": row["prompt"], "answer": row["chosen" if good else "rejected"],
                                    "score": 4 if good else 2})],
)  # fmt: skip
def test_ppo_05_labels_and_ratings_give_normalised_rewards_as_well(town, run, speaker, layout, row):
    """Mean 0 and deviation 1 on what PPO will hear at first, whether or not the model reads the prompt."""
    write_rows(town / f"{layout}.jsonl", [row(pair, i % 2) for i, pair in enumerate(pairs())])
    code, out, err = run(
        "run_reward.py", "--recipe", "mine.toml", "--corpus", f"{layout}.jsonl", "--format", layout, "--out", layout
    )
    assert code == 0 and "held-out accuracy" in out, err
    assert read_card(town / layout)["reads_prompt"] == (layout == "ratings")
    rewards = first_rewards(load_reward_model(town / layout), speaker)
    # Other answers than those that set mean and deviation: two samples of 300 differ by 0.08 (standard error) in mean.
    assert abs(rewards.mean()) < 0.3 and abs(rewards.std() - 1) < 0.3


def test_negatives_that_are_made_up_are_learned_from_and_told_of(town, run):
    kinds = ("--augment", "random,dup_tail,other")
    code, out, err = run("run_reward.py", "--recipe", "mine.toml", *kinds, "--out", "more")
    assert code == 0, err
    told = re.search(r"augment: +(\d+) synthetic comparisons \(random, dup_tail, other\), (\d+)% of the data", out)
    more, share = map(int, told.groups())
    plain = (town / "run_reward.py.out").read_text(encoding="utf-8")
    rows = [int(re.search(r"tokens, ([\d,]+) rows an epoch", text)[1]) for text in (plain, out)]
    assert more > 10 and rows[1] == rows[0] + more and share == round(100 * more / rows[1])
    assert read_card(town / "more")["synthetic"] == pytest.approx(more / rows[1], abs=1e-3)
    assert read_card(model_folder(town, "reward"))["synthetic"] == 0


def test_the_wished_label_decides_what_ppo_is_paid_for(town, run, mood):
    save_reward_model(town / "mood", mood, {"stage": "reward", "recipe": "mine", "finished": True})
    paid = {}
    for want in ("positive", "negative"):
        arguments = ("--recipe", "mine.toml", "--reward", "mood", "--want", want, "--out", want, "--updates", "1")
        arguments += ("--missing-eos-penalty", "0")  # what an answer without an end costs is not the label's
        code, _, err = run("run_ppo.py", *arguments)
        assert code == 0, err
        rows = (town / want / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        paid[want] = next(row["valid"]["reward"] for row in map(json.loads, rows) if "valid" in row)
    assert paid["positive"] == pytest.approx(-paid["negative"]) != 0


def test_in_tinytown_the_grader_rates_and_rewards_and_the_truth_is_logged(town, run):
    annotator = ("--annotator", "grader", "--length-bias", "0.1", "--pairs", "40", "--steps", "2")
    code, out, err = run("run_reward.py", "--recipe", "town.toml", *annotator)
    assert code == 0 and "the annotator (grader) compares" in out, err
    code, _, err = run("run_ppo.py", "--recipe", "town.toml", "--reward", "grader", "--updates", "1")
    assert code == 0, err
    folder = model_folder(town, "ppo", "town")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    for numbers in (rows[0]["valid"], rows[1]):
        assert {"true_right", "true_polite", "true_concise", "true_fluent", "true_good"} <= numbers.keys()
    assert read_card(folder)["reward"] == "grader"


# Runs that are stopped.


def interrupted(town: Path, folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess:
    """Start a script and press Ctrl-C once its log has a few lines."""
    run = subprocess.Popen(
        command(name, *arguments),
        cwd=town,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = folder / "metrics.jsonl"
    while run.poll() is None and not (log.is_file() and log.read_bytes().count(b"\n") > 4):
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=120)
    return subprocess.CompletedProcess(run.args, run.returncode, out, err)


STOPPED = [
    ("run_reward.py", ["--recipe", "film.toml", "--steps", "150"]),
    ("run_ppo.py", ["--recipe", "mine.toml", "--updates", "60"]),
]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a single child")
@pytest.mark.parametrize(("name", "arguments"), STOPPED, ids=["reward", "ppo"])
def test_ctrl_c_keeps_a_run_that_resume_goes_on_with(town, run, name, arguments):
    folder = town / f"stopped-{name}"
    arguments = [*arguments, "--out", folder.name]
    stopped = interrupted(town, folder, name, *arguments)
    assert stopped.returncode == 130, stopped.stderr
    assert "add --resume to go on" in stopped.stderr and "Traceback" not in stopped.stderr
    code, _, err = run(name, *arguments)
    assert code == 2 and "--resume" in err and "--restart" in err
    code, out, err = run(name, *arguments, "--resume")
    assert code == 0, err
    assert read_card(folder)["finished"] and not PPOState.exists(folder) and "model:" in out
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    taken = [row["step"] for row in steps if "valid" not in row]
    assert taken == list(range(1, int(arguments[3]) + 1))


def test_a_policy_that_runs_away_is_stopped_and_the_best_one_kept(town, run):
    wild = ("--lr", "0.1", "--max-kl", "0.5", "--updates", "4", "--evaluations", "4")
    code, _, err = run("run_ppo.py", "--recipe", "mine.toml", "--out", "wild", *wild)
    assert code == 2
    assert "nats from its reference (limit 0.5)" in err.splitlines()[-1] and "wild keeps the best" in err
    card = read_card(town / "wild")
    assert card["finished"] and "raise --kl-coef" in card["stopped"]
    sft, kept = (load_model(folder) for folder in (model_folder(town, "sft"), town / "wild"))
    assert torch.equal(sft.gpt.embed_tokens.weight, kept.gpt.embed_tokens.weight)


def test_a_run_that_taught_nothing_is_no_success(town, run, speaker):
    """A reward of 0 for everything; the card keeps the warning, and resuming says it again."""
    flat = RewardModel(copy_of(speaker))
    torch.nn.init.zeros_(flat.head.weight)
    save_reward_model(town / "flat", flat, {"stage": "reward", "finished": True})
    arguments = ("run_ppo.py", "--recipe", "mine.toml", "--out", "nothing", "--reward", "flat")
    for more in ((), ("--resume",)):
        code, out, err = run(*arguments, "--missing-eos-penalty", "0", *more)
        assert code == 3 and "next:" not in out
        assert "warning:   PPO learned nothing" in err and "--score" in err
    card = read_card(town / "nothing")
    assert card["finished"] and "earned the same reward" in card["warning"]


def test_an_unfinished_run_is_not_resumed_from_another_reward_model(town, run, speaker):
    arguments = ("run_ppo.py", "--recipe", "mine.toml", "--out", "half", "--reward", "rewarding")
    save_reward_model(town / "rewarding", RewardModel(copy_of(speaker)), {"stage": "reward", "finished": True})
    (town / "half").mkdir()
    saved = {"origin": "+".join(read_card(f)["sha256"] for f in (model_folder(town, "sft"), town / "rewarding"))}
    metadata = {"fingerprint": json.dumps(saved), "counters": "{}"}
    save_file({"model.a": torch.zeros(1)}, town / "half" / "training_state.safetensors", metadata)
    torch.manual_seed(9)
    save_reward_model(town / "rewarding", RewardModel(copy_of(speaker)), {"stage": "reward", "finished": True})
    code, _, err = run(*arguments, "--resume")
    assert code == 2 and "rewarding is not the model that it began from; start over with --restart" in err


# Mistakes.

GOOD = {"prompt": "the f?", "chosen": "f f", "rejected": "k"}
SUMMARIES = {"info": {"post": "the f?"}, "summaries": [{"text": "f"}, {"text": "k"}]}
FILES = {
    "choice.jsonl": [SUMMARIES | {"choice": 0}, SUMMARIES | {"choice": 2}],
    "equal.jsonl": [GOOD | {"rejected": "f f"}],
    "missing.jsonl": [GOOD, {"prompt": "the f?", "chosen": "f"}],
    "long.jsonl": [{"prompt": "the " * 99, "chosen": "f", "rejected": "k"}] * 9,
    "unanswered.jsonl": [{"prompt": "the f?", "answer": "f"}, {"prompt": "the f?"}],
    "endless.jsonl": [{"prompt": "the " * 99, "answer": "f"}],
    "one.jsonl": [GOOD],
}
REWARD, PPO = ("run_reward.py", "--recipe", "mine.toml"), ("run_ppo.py", "--recipe", "mine.toml")
SCORE = ("run_reward.py", "--out", "trained_models/mine/reward", "--score")
MISTAKES = [
    ([*REWARD, "--corpus", "choice.jsonl"], "choice.jsonl:2: choice must be 0 or 1, found 2"),
    ([*REWARD, "--corpus", "equal.jsonl"], "1 comparisons of two equal answers"),
    ([*REWARD, "--corpus", "missing.jsonl"], "missing.jsonl:2"),
    ([*REWARD, "--corpus", "empty.jsonl"], "the file is empty"),
    ([*REWARD, "--corpus", "nowhere.jsonl"], "does not exist"),
    ([*REWARD, "--corpus", "long.jsonl"], "fit"),
    ([*REWARD, "--annotator", "critic"], "--annotator"),
    (["run_reward.py", "--recipe", "town.toml", "--noise", "0.7", "--annotator", "grader"], "noise is 0.7"),
    ([*REWARD, "--pairs", "0"], "pairs is 0; it must be at least 1"),
    ([*REWARD, "--init-from", "trained_models/mine/reward"], "is a reward model"),
    ([*SCORE, "--prompt", "the f?"], "--score needs --prompt and --answer"),
    ([*SCORE, "unanswered.jsonl"], "unanswered.jsonl:2: there is no answer to score"),
    ([*SCORE, "endless.jsonl"], "endless.jsonl:1: prompt and answer are longer than the 40 tokens"),
    (
        ["run_reward.py", "--out", "trained_models/mine/sft", "--score", "--prompt", "a", "--answer", "b"],
        "not a reward",
    ),
    ([*PPO, "--reward", "nowhere"], "nowhere holds no model"),
    ([*PPO, "--reward", "trained_models/mine/sft"], "is not a reward model"),
    ([*PPO, "--reward", "grader"], "names no grader"),
    (["run_ppo.py", "--recipe", "film.toml"], "run_reward.py --recipe film.toml first"),
    ([*PPO, "--init-from", "trained_models/mine/reward"], "is a reward model"),
    ([*PPO, "--corpus", "empty.jsonl"], "the file is empty"),
    ([*PPO, "--episodes", "12"], "12 episodes cannot be cut into minibatches of 8"),
    ([*PPO, "--temperature", "0"], "temperature is 0.0; it must be above 0"),
    ([*PPO, "--lam", "1.5"], "lam is 1.5"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=lambda v: " ".join(v) if isinstance(v, list) else None)
def test_mistakes_end_in_a_sentence_and_nothing_half_written(town, run, arguments, words):
    for name, rows in FILES.items():
        write_rows(town / name, rows)
    (town / "empty.jsonl").write_text("", encoding="utf-8")
    name, *rest = arguments
    out = [] if "--out" in rest else ["--out", "mistake"]
    code, _, err = run(name, *rest, *out)
    assert code == 2 and len(err.strip().splitlines()) == 1
    assert words in err
    assert not (town / "mistake" / "model.safetensors").exists() and not list(town.glob("mistake/.*"))


def test_a_reward_that_is_no_number_ends_in_a_sentence(town, run, speaker):
    broken = RewardModel(copy_of(speaker))
    torch.nn.init.constant_(broken.head.weight, float("nan"))
    save_reward_model(town / "broken", broken, {"stage": "reward"})
    code, _, err = run("run_ppo.py", "--recipe", "mine.toml", "--reward", "broken", "--out", "mistake")
    assert code == 2 and "is nan; train it anew" in err.splitlines()[-1]


def test_a_reward_model_that_reads_less_than_the_policy_writes_ends_in_a_sentence(town, run, tokenizer):
    short = RewardModel(make_chat(tokenizer, context=12, depth=1))
    save_reward_model(town / "short", short, {"stage": "reward"})
    code, _, err = run("run_ppo.py", "--recipe", "mine.toml", "--reward", "short", "--out", "mistake")
    assert code == 2 and "12" in err.splitlines()[-1]


@pytest.mark.parametrize("count", [1, 20])
def test_few_prompts_are_enough_to_train_on(town, run, count):
    """With few held out, or none, the run goes on: it only knows less about itself."""
    lines = (town / "asked.txt").read_text(encoding="utf-8").splitlines()[:count]
    (town / "few.txt").write_text("\n".join(lines), encoding="utf-8")
    code, out, err = run("run_ppo.py", "--recipe", "mine.toml", "--corpus", "few.txt", "--out", f"few-{count}")
    assert code == 0 and "model:" in out, err
