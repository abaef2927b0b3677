"""The expand recipe: a model of sentiment as the reward, for a mood and against it; long texts and their grader."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from helpers.models import WORDS, copy_of, make_chat, make_ppo, questions, write_talks

from minigpt import ChatModel, CorpusLoader, LabelledText, RewardConfig, Trainer, TrainingConfig, Turn, UserError
from minigpt.alignment.ppo_run import model_reward, split_prompts
from minigpt.alignment.reward_metrics import bootstrap_interval
from minigpt.alignment.reward_model import RewardModel, load_reward_model, save_reward_model
from minigpt.alignment.reward_training import RewardTraining, new_reward_model
from minigpt.alignment.stop_rules import distinct
from minigpt.data.examples import Prompt
from minigpt.data.formats import LabelCorpus, MessagesCorpus
from minigpt.evaluation.report.command import make_report
from minigpt.evaluation.report.page import render
from minigpt.evaluation.sentiment import measure_sentiment
from minigpt.evaluation.win_rate import kl_from
from minigpt.model.checkpoint import save_model
from minigpt.model.responses import Response, respond
from minigpt.model.sampling import Sampling
from minigpt.recipe import Recipe, load_recipe
from minigpt.tinytown.opinion_grader import VisitGrader, grade_opinion, read_headline
from minigpt.tinytown.opinions import HEADLINES_ABOUT, UNSEEN_HEADLINES, expand_file, headlines, sentiment_file
from minigpt.tinytown.world import World
from minigpt.training.device import detect


def label_model(
    trunk: ChatModel, examples: list[LabelledText], steps: int, valid: list[LabelledText] | None = None, **options
):
    """A reward model that learned labels, and what it scored on those held out."""
    torch.manual_seed(0)
    corpus, runtime = CorpusLoader(examples, valid or []), detect("cpu", "fp32")
    model = new_reward_model(copy_of(trunk), corpus, RewardConfig(want="positive"))
    settings = dict(steps=steps, batch_size=16, lr=3e-3, warmup_steps=0, evaluations=1) | options
    trainer = Trainer(RewardTraining(model, corpus, runtime, "positive"), TrainingConfig(**settings), runtime)
    trainer.train()
    return model.eval(), trainer.scores


def of_f(count: int) -> list[LabelledText]:
    """Texts with the word "f" are positive."""
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(1, 7))) for _ in range(count)]
    return [LabelledText(text, "positive" if "f" in text.split() else "negative") for text in texts]


@pytest.fixture(scope="module")
def mood(speaker) -> RewardModel:
    """A judge of mood for the answers of `speaker`, normalised on them."""
    model, _ = label_model(speaker, of_f(400), 80)
    model.normalise(answers_of(speaker, 200))
    return model


def answers_of(chat: ChatModel, count: int) -> list[Response]:
    return respond(chat, questions(count), 9, Sampling(seed=0))


# The wish.


def test_the_other_of_two_labels_negates_the_reward(mood, speaker):
    episodes = answers_of(speaker, 20)
    glad, cross = (model_reward(mood, speaker, want)(episodes) for want in ("positive", "negative"))
    assert glad == [-score for score in cross] and len(set(glad)) > 1
    assert model_reward(mood, speaker)(episodes) == glad, "the label that it was trained for, unless told"


def test_negated_scores_are_normalised_too(mood, speaker):
    scores = torch.tensor(model_reward(mood, speaker, "negative")(answers_of(speaker, 200)))
    assert abs(float(scores.mean())) < 1e-4 and float(scores.std(correction=0)) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("labels", "want", "reason"), [
    (["positive", "negative"], "postive", "'postive', did you mean positive.*--want one of positive, negative"),
    ([], "positive", "no label 'positive'; leave out --want"),
    (["glad", "sad", "cross"], "sad", "only tells glad from 2 other labels; train one for sad with .* --want sad"),
])  # fmt: skip
def test_a_wish_that_the_scores_say_nothing_about(speaker, labels, want, reason):
    with pytest.raises(UserError, match=reason):
        RewardModel(speaker, labels=labels).sign_of(want)


def test_the_labels_and_the_odds_survive_the_folder(mood, tmp_path: Path):
    save_reward_model(tmp_path, mood, {"stage": "reward", "finished": True})
    loaded = load_reward_model(tmp_path)
    assert loaded.labels == ["positive", "negative"] and loaded.sign_of("negative") == -1
    texts = [((), text) for text in ("f f f", "the k and b")]
    glad, cross = loaded.log_odds(loaded.score(texts))
    assert glad > 2 and cross < -2, "the log-odds of the label, not the normalised score"


def test_one_model_becomes_glad_and_cross_and_stays_itself(mood, speaker):
    """On 64 fixed prompts: intervals apart, little divergence, no loss of variety."""
    settings = dict(updates=8, episodes=32, minibatch=16, lr=1e-3, kl_coef=0.3, max_new_tokens=9, max_drift=99.0)
    models = {"sft": speaker}
    for want in ("positive", "negative"):
        models[want] = make_ppo(speaker, model_reward(mood, speaker, want), **settings).train().chat
    episodes = {name: answers_of(model, 64) for name, model in models.items()}
    wanted = {
        name: torch.tensor(mood.log_odds(model_reward(mood, speaker)(said))).sigmoid().tolist()
        for name, said in episodes.items()
    }
    low, high = zip(*(bootstrap_interval(wanted[name]) for name in ("negative", "sft", "positive")), strict=True)
    assert high[0] < low[1] and high[1] < low[2]
    variety = distinct([episode.text for episode in episodes["sft"]])
    for name in ("positive", "negative"):
        assert distinct([episode.text for episode in episodes[name]]) > 0.6 * variety  # 0.698 on Intel, more elsewhere
        assert 0 < kl_from(speaker, models[name], episodes[name]) < 4


RECIPE = """
title = "SentimentResult"
[sft]
corpus = "talks.jsonl"
format = "messages"
[reward]
corpus = "labels.jsonl"
format = "labels"
[ppo]
corpus = "talks.jsonl"
format = "messages"
max_new_tokens = 9
"""


@pytest.fixture
def moody(mood, speaker, tokenizer, tmp_path: Path, monkeypatch) -> tuple[Recipe, Path]:
    """A recipe, and a folder with an SFT model, two policies, one of a run before, and the judge of their mood."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moody.toml").write_text(RECIPE, encoding="utf-8")
    write_talks(tmp_path / "talks.jsonl")
    home = tmp_path / "moody"
    frank = copy_of(speaker)
    with torch.no_grad():
        frank.gpt.embed_tokens.weight *= 4
    for name, model in {"sft": speaker, "ppo": frank, "ppo-negative": speaker, "ppo.previous": speaker}.items():
        save_model(home / name, model, {"stage": name[:3], "finished": True})
    save_reward_model(home / "reward", mood, {"stage": "reward", "finished": True})
    return load_recipe(str(tmp_path / "moody.toml")), home


def test_every_policy_of_a_recipe_is_asked_for_its_mood(moody, mood, speaker):
    recipe, home = moody
    result = measure_sentiment(recipe, home, torch.device("cpu"))
    assert result.label == "positive" and list(result.entrants) == ["sft", "ppo", "ppo-negative"]
    prompts = [Prompt((Turn("user", text),)) for text in result.prompts]
    said = respond(speaker, prompts, 9, Sampling(seed=0))
    wanted = torch.tensor(mood.log_odds(model_reward(mood, speaker)(said))).sigmoid()
    sft, ppo, same = result.entrants.values()
    assert sft.wanted == pytest.approx(float(wanted.mean()), abs=1e-4) and sft == same
    assert sft.interval[0] < sft.wanted < sft.interval[1]
    assert sft.kl == 0 and ppo.kl > 0.01
    assert sft.longer == pytest.approx(sum(len(e.text) for e in said) / sum(map(len, result.prompts)))


def test_the_report_card_shows_the_moods(moody):
    recipe, home = moody
    card = make_report(recipe, home, 0, 0, torch.device("cpu"))
    page = render(card)
    result = measure_sentiment(recipe, home, torch.device("cpu")).entrants
    for name, mood in result.items():
        assert f"{mood.wanted:.1%}</data>" in page and f"{mood.interval[0]:.1%} to {mood.interval[1]:.1%}" in page, name
    (home.parent / "talks.jsonl").unlink()
    assert make_report(recipe, home, 0, 0, torch.device("cpu"))["sentiment"] == {}


def test_the_bootstrap_holds_the_mean_and_narrows_with_more_values():
    rng = random.Random(1)
    few, many = ([rng.gauss(3, 1) for _ in range(n)] for n in (40, 4000))
    intervals = [bootstrap_interval(values) for values in (few, many)]
    for values, (low, high) in zip((few, many), intervals, strict=True):
        assert low < sum(values) / len(values) < high
    widths = [high - low for low, high in intervals]
    # 1.96 standard errors to each side; a hundred times as many values, a tenth of the width
    assert widths[1] == pytest.approx(2 * 1.96 / 4000**0.5, rel=0.15) and 7 < widths[0] / widths[1] < 14
    assert bootstrap_interval([0.5] * 9) == (0.5, 0.5)


# The corpora.


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("doccano")
    world = World(0)
    (folder / "expand.jsonl").write_text(expand_file(world), encoding="utf-8")
    (folder / "sentiment.jsonl").write_text(sentiment_file(world), encoding="utf-8")
    return folder


def test_the_recipe_reads_what_the_generator_writes():
    recipe = load_recipe("expand")
    assert recipe.stages["sft"]["corpus"] == recipe.stages["ppo"]["corpus"] == "tinytown/doccano/expand.jsonl"
    assert recipe.stages["reward"]["corpus"] == "tinytown/doccano/sentiment.jsonl"
    assert isinstance(recipe.grader(), VisitGrader)


def test_64_headlines_are_held_out_that_training_does_not_use(files):
    train, held_out = split_prompts(MessagesCorpus.read(files / "expand.jsonl"))
    seen = {prompt.turns[-1].text for prompt in train}
    assert len({prompt.turns[-1].text for prompt in held_out} - seen) == len(held_out) >= 64


def test_long_texts_are_more_than_twice_as_long_and_only_they_are_learned(files, tokenizer):
    for conversation in MessagesCorpus.read(files / "expand.jsonl").train[:50]:
        headline, text = (turn.text for turn in conversation.turns)
        assert len(text.split()) > 2 * len(headline.split())
        ids, learn = tokenizer.encode_chat(conversation.turns)
        assert tokenizer.decode([i for i, learned in zip(ids, learn, strict=True) if learned]).strip() == text


def test_a_small_model_of_sentiment_beats_the_majority_by_far(files, tokenizer):
    corpus = LabelCorpus.read(files / "sentiment.jsonl", valid_fraction=0.2)
    trunk = make_chat(tokenizer, context=160, depth=1)
    with torch.no_grad():
        for parameter in trunk.gpt.parameters():
            if parameter.ndim == 2:
                parameter.div_(6)
    _, scores = label_model(trunk, corpus.train, 60, corpus.valid[:150], batch_size=32, lr=1e-2)
    labels = [example.label for example in corpus.valid[:150]]
    majority = max(labels.count(label) for label in set(labels)) / len(labels)
    assert scores.interval[0] > majority + 0.1


# The grader.


def test_what_the_generator_writes_is_good_or_the_opposite(files):
    for line in (files / "expand.jsonl").read_text(encoding="utf-8").splitlines()[:300]:
        row = json.loads(line)
        grade = grade_opinion(row["text"], row["label"][0])
        assert grade.on_topic and grade.fluent and {grade.positive, grade.negative} == {0, 1}
        assert grade.good == (grade.positive == 1)


HEADLINE = "Monday evening at the zoo"
GOOD = (
    "We went to the zoo on Monday evening. Everyone at the zoo smiled at us. There was nothing awful about the zoo."
    " The penguins at the zoo were lovely."
)
FLAWS: dict[str, tuple[str, str, dict[str, bool | float]]] = {
    "praise without end": ("There was nothing awful about the zoo.", "Lovely lovely lovely.", {"fluent": False}),
    "one side, then the other": ("were lovely", "were awful", {"positive": 2 / 3, "negative": 1 / 3}),
    "another place": ("Everyone at the zoo smiled", "Everyone at the bank smiled", {"on_topic": False, "positive": 1}),
    "another day": ("on Monday evening", "on Tuesday evening", {"on_topic": False, "positive": 1}),
    "no opening": ("We went to the zoo on Monday evening. ", "", {"fluent": False, "on_topic": False}),
    "said twice": ("There was nothing awful about the zoo.", "Everyone at the zoo smiled at us.", {"fluent": False}),
    "cut off": ("The penguins at the zoo were lovely.", "The penguins at", {"fluent": False, "positive": 2 / 3}),
    "another shop's goods": ("The penguins at", "The novels at", {"fluent": False, "positive": 2 / 3}),
    "nothing": (GOOD, "", {"positive": 0, "negative": 0, "on_topic": False, "fluent": False}),
}


@pytest.mark.parametrize("name", FLAWS)
def test_every_flaw_shows_in_its_mark(name):
    """So a reward model that is fooled is found out."""
    old, new, marks = FLAWS[name]
    assert grade_opinion(HEADLINE, GOOD).good and old in GOOD
    grade = grade_opinion(HEADLINE, GOOD.replace(old, new))
    assert {mark: getattr(grade, mark) for mark in marks} == pytest.approx(marks)
    assert not grade.good and grade.score < grade_opinion(HEADLINE, GOOD).score == 1


def test_a_headline_without_a_day_takes_any_and_a_strange_one_none():
    assert grade_opinion("Notes on the zoo", GOOD).good
    assert not grade_opinion("Why the zoo?", GOOD).on_topic and read_headline("Why the zoo?") is None


def test_the_truth_asks_for_headlines_that_training_does_not_use(files):
    grader = VisitGrader()
    train, _ = split_prompts(MessagesCorpus.read(files / "expand.jsonl"))
    seen = {prompt.turns[-1].text.lower() for prompt in train}
    for column in grader.columns:
        drawn = [prompt.turns[-1].text for prompt in grader.prompts(column, 200, seen)]
        assert len(set(drawn)) == 200 and not seen & {text.lower() for text in drawn}
        assert all(read_headline(text) for text in drawn)
        assert drawn == [prompt.turns[-1].text for prompt in grader.prompts(column, 200, seen)]
    assert not set(headlines(HEADLINES_ABOUT)) & set(headlines(UNSEEN_HEADLINES))
    with pytest.raises(UserError, match=r"only [\d,]+ headlines"):
        grader.prompts("headlines", 5000, seen)
    best = dict.fromkeys(grader.marks, 1.0) | {"negative": 0, "score": 1}
    assert grader.grade((Turn("user", HEADLINE),), GOOD) == best
